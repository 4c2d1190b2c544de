//! What the responses of rules come to in the kernel: each policy stands for one thing that a rule holds for.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use ethogram_detect::rules::{Alternative, Decidable, RuleInfo, RuleSet, RuleState, Target, workload_of};
use ethogram_model::{Container, schema::PolicyOperation};
use ethogram_probe::{Enforcer, Matcher, Policy, Ruling};

use super::decide::answers;
use crate::config::{Act, Action, Glob, Response};

/// Findings that are normal: what finds them, and the workload.
pub(super) type Accepted = BTreeSet<(String, String)>;

/// A policy that stands for a part of a rule.
#[derive(Debug)]
pub(super) struct Derived {
    /// The rule's place among those with a response.
    pub(super) of: usize,
    pub(super) kernel: Policy,
    alternative: Arc<Alternative>,
}

/// A rule that leads to a kill or a refusal.
#[derive(Debug)]
pub(super) struct Responding {
    pub(super) rule: Arc<str>,
    pub(super) act: Act,
    analytic: String,
    /// In which containers; none: in all.
    containers: Option<Vec<Glob>>,
    /// Why the kernel does not decide all of it.
    pub(super) reasons: Vec<String>,
}

/// All that rules come to, with the rules that it was made from.
#[derive(Debug, Default)]
pub(super) struct OfRules {
    set: Arc<RuleSet>,
    pub(super) rules: Vec<Responding>,
    pub(super) policies: Vec<Derived>,
}

impl OfRules {
    /// Derives what finds room beside policies that take `bits` bits and `paths` paths.
    pub(super) fn new(config: &Response, set: &Arc<RuleSet>, bits: usize, paths: usize) -> Self {
        let mut out = Self { set: Arc::clone(set), ..Self::default() };
        let mut room = Room { bits: Enforcer::MAX_POLICIES.saturating_sub(bits), paths: Enforcer::MAX_PATHS - paths };
        for (place, info) in set.rules().iter().enumerate().filter(|(_, info)| info.state == RuleState::Armed) {
            for act in [Act::Kill, Act::Deny] {
                out.derive(config, place, info, act, &mut room);
            }
        }
        out
    }

    fn derive(&mut self, config: &Response, place: usize, info: &RuleInfo, act: Act, room: &mut Room) {
        let (mut reasons, mut containers) = (Vec::new(), Some(Vec::new()));
        let mut is_meant = false;
        for action in config.action.iter().filter(|a| a.act == act && names(a, info)) {
            is_meant = true;
            if !is_grave_enough(action, info) {
                reasons.push(
                    "what is usual for a workload is one step lower, and may be below `severity` in [response]".into(),
                );
                continue;
            }
            match (&action.container, &mut containers) {
                (Some(glob), Some(globs)) => globs.push(glob.clone()),
                _ => containers = None,
            }
        }
        if !is_meant {
            return;
        }
        let mut decidable = Decidable::default();
        if containers.as_ref().is_none_or(|globs| !globs.is_empty()) {
            decidable = self.set.decidable(place);
            reasons.append(&mut decidable.beyond);
        }
        let of = self.rules.len();
        for alternative in decidable.alternatives.into_iter().map(Arc::new) {
            for kernel in in_kernel(&alternative, act) {
                if !room.take(&kernel) {
                    reasons.push("the kernel's tables of policies are full".into());
                    break;
                }
                self.policies.push(Derived { of, kernel, alternative: Arc::clone(&alternative) });
            }
        }
        reasons.dedup();
        let (rule, analytic) = (Arc::clone(&info.name), decidable.analytic);
        self.rules.push(Responding { rule, act, analytic, containers, reasons });
    }

    /// Whether a policy holds for a container, which is not protected.
    pub(super) fn holds(&self, derived: &Derived, container: &Arc<Container>, accepted: &Accepted) -> bool {
        let Some(rule) = self.rules.get(derived.of) else { return false };
        rule.containers.as_ref().is_none_or(|globs| globs.iter().any(|glob| answers(glob, container)))
            && self.set.concerns(&derived.alternative, container)
            && !is_accepted(&rule.analytic, container, accepted)
    }
}

/// Whether anything of the rule is accepted for the container's workload: the kernel does not know for which executable.
fn is_accepted(analytic: &str, container: &Container, accepted: &Accepted) -> bool {
    if !accepted.iter().any(|(of, _)| of == analytic) {
        return false;
    }
    // The workload of one that no runtime has reported yet is not known.
    !container.is_resolved() || accepted.contains(&(analytic.to_owned(), workload_of(container)))
}

/// Whether an action is about a rule, whatever the severity of its findings.
fn names(action: &Action, info: &RuleInfo) -> bool {
    action.rule.as_ref().is_none_or(|glob| glob.matches(&info.name))
        && action.tag.as_ref().is_none_or(|tag| info.tags.contains(tag))
        && action.severity.is_none_or(|severity| info.priority.severity() >= severity)
}

/// Whether that is so whatever the workload's profile knows.
fn is_grave_enough(action: &Action, info: &RuleInfo) -> bool {
    action.severity.is_none_or(|severity| info.priority.severity().one_lower() >= severity)
}

/// What the kernel's tables have room for.
struct Room {
    bits: usize,
    paths: usize,
}

impl Room {
    fn take(&mut self, policy: &Policy) -> bool {
        let fits = self.bits > 0 && policy.paths() <= self.paths;
        if fits {
            self.bits -= 1;
            self.paths -= policy.paths();
        }
        fits
    }
}

/// As the kernel side takes it: one for all paths, and one for each peer.
fn in_kernel(alternative: &Alternative, act: Act) -> Vec<Policy> {
    let operation = alternative.operation;
    let ruling = if act == Act::Deny { Ruling::Deny } else { Ruling::Kill };
    let policy = |matchers| Policy { operation, matchers, ruling, exact: true, fail_closed: false };
    let matchers: Vec<_> = alternative.targets.iter().map(matcher).collect();
    match operation {
        PolicyOperation::Connect => matchers.into_iter().map(|one| policy(vec![one])).collect(),
        _ => vec![policy(matchers)],
    }
}

fn matcher(target: &Target) -> Matcher {
    match target {
        Target::Any => Matcher::Any,
        Target::Path(path) => Matcher::Path(path.clone()),
        Target::Below(path) => Matcher::Below(path.clone()),
        Target::Peer { address, bits, port } => {
            Matcher::Peer { address: IpAddr::clone(address), bits: *bits, port: *port }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ethogram_detect::rules::File;
    use ethogram_model::Image;
    use ethogram_probe::builtin;

    use super::*;

    const RUN: &str = "evt.type in (execve, execveat) and container.id != host";

    fn rules(all: &[(&str, &str, &str)]) -> Arc<RuleSet> {
        let rule = |(name, priority, condition): &(&str, &str, &str)| {
            format!(
                "- rule: {name}\n  desc: d\n  output: o\n  priority: {priority}\n  tags: [t]\n  condition: >\n    {condition}\n"
            )
        };
        let text: String = all.iter().map(rule).collect();
        let schemas: Vec<_> = builtin().unwrap().iter().map(|t| Arc::clone(&t.schema)).collect();
        let loaded = RuleSet::load(&[File { name: "x.yaml".into(), text: text.as_str().into() }], &schemas);
        assert_eq!(loaded.problems, []);
        Arc::new(loaded.set)
    }

    fn derived(config: &str, set: &Arc<RuleSet>) -> OfRules {
        OfRules::new(&toml::from_str(config).unwrap(), set, 0, 0)
    }

    fn container(name: &str) -> Arc<Container> {
        let image = Some(Image { name: "web:1".into(), digest: "sha256:1".into() });
        Arc::new(Container { id: "c0ffee".into(), name: Some(name.into()), image, ..Container::default() })
    }

    #[test]
    fn rules_that_lead_to_a_kill_or_a_refusal_become_policies_and_others_do_not() {
        let write = "evt.type in (open, openat, openat2, creat) and evt.is_open_write = true and fd.typechar = 'f' and fd.name \
                     in (/etc/passwd, /etc/shadow)";
        let set = rules(&[
            ("Runs", "WARNING", &format!("{RUN} and proc.exepath startswith /tmp/")),
            ("Writes", "WARNING", write),
            ("Connects", "WARNING", "evt.type = connect and fd.l4proto = tcp and fd.sip in (192.0.2.1, 192.0.2.2)"),
            ("Mounts", "WARNING", "evt.type = mount and container.id != host"),
            ("Loads", "WARNING", "evt.type in (init_module, finit_module)"),
            ("Other", "WARNING", &format!("{RUN} and proc.exepath = /x")),
        ]);
        let of = |which: &str, act: &str| derived(&format!("[[action]]\nrule = '{which}'\ndo = '{act}'"), &set);
        let runs = of("Runs", "kill");
        let below = vec![Matcher::Below("/tmp".into())];
        let kill = Policy {
            operation: PolicyOperation::Exec,
            matchers: below,
            ruling: Ruling::Kill,
            exact: true,
            fail_closed: false,
        };
        assert_eq!(runs.policies.iter().map(|p| &p.kernel).collect::<Vec<_>>(), [&kill]);
        for (rule, operation, policies, paths) in [
            ("Writes", PolicyOperation::Write, 1, 2),
            ("Connects", PolicyOperation::Connect, 2, 0),
            ("Mounts", PolicyOperation::Mount, 1, 0),
            ("Loads", PolicyOperation::Module, 1, 0),
        ] {
            let all = of(rule, "deny");
            // A field that an event fills by itself may have any value there.
            let other = (rule == "Connects").then(|| "the kernel's policies do not know the event net.peer".to_owned());
            assert_eq!(all.rules[0].reasons, other.into_iter().collect::<Vec<_>>(), "{rule}");
            assert_eq!(all.policies.len(), policies, "{rule}");
            let fits = |p: &Derived| (p.kernel.operation, p.kernel.ruling) == (operation, Ruling::Deny);
            assert!(all.policies.iter().all(fits), "{rule}");
            assert_eq!(all.policies.iter().map(|p| p.kernel.paths()).sum::<usize>(), paths, "{rule}");
        }
        assert!(of("Runs", "freeze").rules.is_empty() && of("runs", "kill").rules.is_empty());
    }

    #[test]
    fn they_hold_for_the_containers_that_the_response_and_the_rule_mean() {
        let set =
            rules(&[("Runs", "WARNING", &format!("{RUN} and container.name startswith web and proc.exepath = /x"))]);
        let holds = |container_of_action: &str, accepted: &[(&str, &str)], container: &Arc<Container>| {
            let all = derived(&format!("[[action]]\nrule = '*'\ndo = 'kill'\n{container_of_action}"), &set);
            let accepted = accepted.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            all.holds(&all.policies[0], container, &accepted)
        };
        let (web, web_2, db) = (container("web-1"), container("web-2"), container("db"));
        assert!(holds("", &[], &web) && !holds("", &[], &db));
        assert!(holds("container = '*-1'", &[], &web) && !holds("container = '*-1'", &[], &web_2));
        let workload = workload_of(&web);
        assert!(!holds("", &[("rule.runs", &workload)], &web), "it is normal there");
        assert!(holds("", &[("rule.runs", "another"), ("rule.other", &workload)], &web));
    }

    #[test]
    fn how_grave_a_finding_is_may_depend_on_the_profile() {
        let set = rules(&[
            ("Warns", "WARNING", &format!("{RUN} and proc.exepath = /x")),
            ("Errs", "ERROR", &format!("{RUN} and proc.exepath = /y")),
        ]);
        let all = derived("[[action]]\nseverity = 'medium'\ndo = 'kill'", &set);
        assert_eq!(all.policies.iter().map(|p| p.of).collect::<Vec<_>>(), [1], "only one is that severe in any case");
        assert!(all.rules[0].reasons[0].contains("one step lower") && all.rules[1].reasons.is_empty());
        assert!(derived("[[action]]\ntag = 'u'\ndo = 'kill'", &set).rules.is_empty());
    }

    #[test]
    fn what_finds_no_room_is_reported() {
        let many: Vec<String> = (1..=70).map(|n| format!("192.0.2.{n}")).collect();
        let condition = format!("evt.type = connect and fd.l4proto = tcp and fd.sip in ({})", many.join(", "));
        let all = derived("[[action]]\nrule = '*'\ndo = 'kill'", &rules(&[("Many", "WARNING", &condition)]));
        assert_eq!(all.policies.len(), Enforcer::MAX_POLICIES);
        let reasons =
            ["the kernel's policies do not know the event net.peer", "the kernel's tables of policies are full"];
        assert_eq!(all.rules[0].reasons, reasons);
    }
}
