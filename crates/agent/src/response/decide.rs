//! What a finding leads to. Pure: from the configuration and the finding alone.

use ethogram_model::{Container, Finding, Process, runtime::is_runtime};

use super::record::Target;
use crate::config::{Act, Action, Glob, Response};

/// Who acts, so that it never acts upon itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Myself {
    pub(super) pid: u32,
    /// The container that the agent runs in.
    pub(super) container: Option<String>,
}

impl Myself {
    /// Whether the agent itself runs in that container.
    pub(super) fn is_in(&self, container: &Container) -> bool {
        self.container.as_deref() == Some(container.id.as_str())
    }
}

/// An action to be taken, or the reason why not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub(super) act: Act,
    pub(super) target: Target,
    /// Why the target is not to be acted upon.
    pub(super) protected: Option<String>,
}

/// All that the configuration says is to be done about a finding, each action once.
pub(super) fn decide(config: &Response, myself: &Myself, finding: &Finding) -> Vec<Planned> {
    let mut acts: Vec<Act> = config.action.iter().filter(|a| fits(a, finding)).map(|a| a.act).collect();
    acts.sort_unstable();
    acts.dedup();
    let plan = |act| Planned { act, target: target(finding), protected: protected(config, myself, act, finding) };
    acts.into_iter().map(plan).collect()
}

/// What found it, as actions name it.
pub(super) fn rule_of(finding: &Finding) -> &str {
    finding.rule.as_ref().map_or(&finding.analytic, |rule| &rule.name)
}

fn fits(action: &Action, finding: &Finding) -> bool {
    let tags = || finding.rule.iter().flat_map(|rule| &rule.tags);
    action.rule.as_ref().is_none_or(|rule| rule.matches(rule_of(finding)))
        && action.tag.as_ref().is_none_or(|tag| tags().any(|t| t == tag))
        && action.severity.is_none_or(|severity| finding.severity >= severity)
        && action.container.as_ref().is_none_or(|glob| finding.container.as_deref().is_some_and(|c| answers(glob, c)))
}

/// Whether the container's name, image or namespace is as the pattern says.
pub(super) fn answers(glob: &Glob, container: &Container) -> bool {
    let image = container.image.as_ref().map(|i| i.name.as_str());
    let namespace = container.pod.as_ref().map(|p| p.namespace.as_str());
    [container.name.as_deref(), image, namespace].into_iter().flatten().any(|text| glob.matches(text))
}

/// Why nothing may be done to the container.
pub(super) fn protected_container(config: &Response, myself: &Myself, container: &Container) -> Option<String> {
    if myself.is_in(container) {
        return Some("the agent itself runs in this container".into());
    }
    if let Some(glob) = config.protect.iter().find(|glob| answers(glob, container)) {
        return Some(format!("protect in [response] holds {:?}", glob.as_str()));
    }
    // What has no name yet could be what is protected.
    (!config.protect.is_empty() && !container.is_resolved())
        .then(|| "its name and image are not known yet, and protect in [response] needs them".into())
}

fn protected(config: &Response, myself: &Myself, act: Act, finding: &Finding) -> Option<String> {
    let Some(container) = finding.container.as_deref() else {
        return Some("it happened outside containers, and the host's processes are not acted upon".into());
    };
    protected_container(config, myself, container).or_else(|| {
        let process = finding.process.as_deref().filter(|_| act == Act::Kill)?;
        protected_process(myself, container, process)
    })
}

fn protected_process(myself: &Myself, container: &Container, process: &Process) -> Option<String> {
    if process.pid == myself.pid || process.pid <= 1 {
        return Some("it is the agent itself, or the host's first process".into());
    }
    let name = process.exec.path.rsplit('/').next().unwrap_or_default();
    // A container can hold a file of any name: a runtime is one only where it was started from outside.
    let from_outside = process.exec.container_cgroup != container.cgroup_id;
    (from_outside && (is_runtime(name) || process.exec.container_cgroup == 0))
        .then(|| format!("{} was started from outside the container, as its runtime is", process.exec.path))
}

fn target(finding: &Finding) -> Target {
    let container = finding.container.as_deref();
    let process = finding.process.as_deref();
    Target {
        container_id: container.map(|c| c.id.clone()),
        container: container.map(|c| c.display_name().to_owned()),
        image: container.and_then(|c| c.image.as_ref()).map(|i| i.name.clone()),
        cgroup_id: container.map(|c| c.cgroup_id),
        pid: process.map(|p| p.pid),
        start_ns: process.map(|p| p.start_ns),
        executable: process.map(|p| p.exec.path.clone()),
        object: None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use std::sync::Arc;

    use ethogram_model::{Exec, Image, Pod, Priority, RuleMatch, Severity};

    use super::*;
    use crate::api::tests::finding as alert;

    fn config(text: &str) -> Response {
        toml::from_str(text).unwrap()
    }

    fn rule(name: &str, tags: &[&str]) -> RuleMatch {
        RuleMatch {
            name: name.into(),
            priority: Priority::Warning,
            output: String::new(),
            fields: Default::default(),
            because: Vec::new(),
            tags: tags.iter().map(|t| (*t).to_owned()).collect(),
            source: String::new(),
            next: None,
            profile: None,
        }
    }

    fn container() -> Container {
        Container {
            id: "c0ffee".into(),
            cgroup_id: 7,
            name: Some("shop-web".into()),
            image: Some(Image { name: "registry/web:1".into(), digest: String::new() }),
            pod: Some(Pod { name: "p".into(), namespace: "kube-system".into() }),
            ..Container::default()
        }
    }

    pub(in crate::response) fn finding() -> Finding {
        let exec = Exec { path: "/bin/nc".into(), container_cgroup: 7, ..Exec::default() };
        Finding {
            container: Some(Arc::new(container())),
            process: Some(Arc::new(Process { pid: 40, start_ns: 9, exec: Arc::new(exec), ..Process::default() })),
            rule: Some(rule("Reverse shell in container", &["network", "T1059"])),
            ..alert(1, Severity::High)
        }
    }

    fn acts(text: &str, finding: &Finding) -> Vec<Act> {
        decide(&config(text), &Myself::default(), finding).into_iter().map(|p| p.act).collect()
    }

    /// Why it is protected; empty where it is not.
    fn why(text: &str, myself: Myself, finding: &Finding) -> String {
        let planned = decide(&config(text), &myself, finding);
        assert_eq!(planned.len(), 1);
        planned[0].protected.clone().unwrap_or_default()
    }

    #[test]
    fn all_that_an_action_says_must_hold() {
        let kill = |which: &str| acts(&format!("[[action]]\n{which}\ndo = 'kill'"), &finding());
        for which in [
            "rule = 'Reverse*'",
            "tag = 'T1059'",
            "severity = 'medium'",
            "severity = 'high'\ncontainer = 'shop-*'",
            "rule = '*'\ncontainer = 'registry/*'",
        ] {
            assert_eq!(kill(which), [Act::Kill], "{which}");
        }
        for which in [
            "rule = 'Reverse'",
            "tag = 'T10'",
            "severity = 'critical'",
            "severity = 'high'\ncontainer = 'shop'",
            "rule = 'Reverse*'\ntag = 'other'",
        ] {
            assert!(kill(which).is_empty(), "{which}");
        }
    }

    #[test]
    fn what_no_rule_found_goes_by_what_did() {
        let learnt = Finding { rule: None, ..finding() };
        assert_eq!(acts("[[action]]\nrule = 'behaviour.*'\ndo = 'freeze'", &learnt), [Act::Freeze]);
        assert!(acts("[[action]]\nrule = 'behaviour.write'\ndo = 'freeze'", &learnt).is_empty());
    }

    #[test]
    fn each_action_is_taken_once() {
        let text = "[[action]]\nrule = '*'\ndo = 'freeze'\n[[action]]\nseverity = 'low'\ndo = 'freeze'\n[[action]]\n\
                    tag = 'network'\ndo = 'cut-network'";
        assert_eq!(acts(text, &finding()), [Act::Freeze, Act::CutNetwork]);
    }

    #[test]
    fn the_protected_are_left_alone_and_their_neighbours_not() {
        let all = "[[action]]\nrule = '*'\ndo = 'kill-container'";
        for (protect, reason) in
            [("shop-*", "shop-*"), ("*/web:*", "*/web:*"), ("kube-system", "kube-system"), ("shop", "")]
        {
            let given = why(&format!("protect = ['{protect}']\n{all}"), Myself::default(), &finding());
            assert_eq!(given.is_empty(), reason.is_empty(), "{given}");
            assert!(given.contains(reason), "{given}");
        }
        let mine = |id: &str| Myself { container: Some(id.into()), ..Myself::default() };
        assert!(why(all, mine("c0ffee"), &finding()).contains("agent itself"));
        assert_eq!(why(all, mine("other"), &finding()), "");
        let nameless = Finding {
            container: Some(Arc::new(Container { name: None, image: None, pod: None, ..container() })),
            ..finding()
        };
        assert!(why(&format!("protect = ['x']\n{all}"), Myself::default(), &nameless).contains("not known yet"));
        assert_eq!(why(all, Myself::default(), &nameless), "");
        assert!(why(all, Myself::default(), &Finding { container: None, ..finding() }).contains("host"));
    }

    #[test]
    fn the_agent_and_runtimes_are_never_killed() {
        let kill = "[[action]]\nrule = '*'\ndo = 'kill'";
        let run = |path: &str, container_cgroup| {
            let exec = Arc::new(Exec { path: path.into(), container_cgroup, ..Exec::default() });
            let process = Arc::new(Process { pid: 40, exec, ..Process::default() });
            why(kill, Myself { pid: 12, container: None }, &Finding { process: Some(process), ..finding() })
        };
        assert!(run("/usr/bin/runc", 0).contains("runtime"));
        assert!(run("/usr/bin/containerd-shim-runc-v2", 3).contains("runtime"));
        assert!(run("/usr/bin/anything", 0).contains("outside"), "what enters a container is its runtime's");
        assert_eq!(run("/bin/runc", 7), "", "a name is no protection");
        let me = Myself { pid: 40, container: None };
        assert!(why(kill, me, &finding()).contains("agent itself"));
    }
}
