//! Policies that the kernel decides, the configuration's own and those that stand for rules: which hold for which container, and what
//! became of them.

use std::{collections::BTreeMap, sync::Arc};

use ethogram_detect::rules::RuleSet;
use ethogram_model::{Container, schema::PolicyOperation};
use ethogram_probe::{Controller, Enforcement, Enforcer, Matcher, Policy as KernelPolicy, Ruling, Watch};
use parking_lot::{Mutex, MutexGuard};

use super::{
    decide::{Myself, answers, protected_container},
    derive::{Accepted, OfRules, Responding},
    status::{PolicyState, PolicyStatus},
};
use crate::config::{self, Act, Mode, Policy, Response};

/// All policies, as far as this kernel takes them. Shared between the thread that assigns them and the API.
pub(super) struct Policies {
    config: Response,
    controller: Option<Controller>,
    state: Mutex<InForce>,
}

/// What is in force.
#[derive(Default)]
struct InForce {
    /// The configuration's first, then those that stand for rules.
    kernel: Vec<KernelPolicy>,
    of_rules: OfRules,
    /// None in the mode `off`, and where there are none.
    enforcer: Option<Enforcer>,
    /// How often each had held, by name, before others came in force.
    earlier: BTreeMap<String, u64>,
}

impl Policies {
    pub(super) fn start(
        config: &Response,
        controller: Option<Controller>,
        rules: &Arc<RuleSet>,
    ) -> anyhow::Result<Self> {
        let mut state = InForce::new(config, rules);
        if !state.kernel.is_empty() {
            let mut enforcer = load(config, &state.kernel, controller)?;
            enforcer.attach().map_err(crate::pipeline::refusal)?;
            state.enforcer = Some(enforcer);
        }
        Ok(Self { config: config.clone(), controller, state: Mutex::new(state) })
    }

    /// Which policies hold for a container, a bit each.
    pub(super) fn bits_of(&self, myself: &Myself, container: &Arc<Container>, accepted: &Accepted) -> u64 {
        self.state().of(&self.config, myself, container, accepted)
    }

    /// Has these policies hold for a cgroup and all below it.
    pub(super) fn assign(&self, cgroup: u64, bits: u64) -> Result<(), ethogram_probe::Error> {
        self.state().enforcer.as_ref().map_or(Ok(()), |enforcer| enforcer.assign(cgroup, bits))
    }

    /// The container of that cgroup has begun: see [`Enforcer::begin`].
    pub(super) fn begin(&self, cgroup: u64) -> Result<(), ethogram_probe::Error> {
        self.state().enforcer.as_ref().map_or(Ok(()), |enforcer| enforcer.begin(cgroup))
    }

    /// Has no policy hold for a cgroup, which is gone.
    pub(super) fn forget(&self, cgroup: u64) -> Result<(), ethogram_probe::Error> {
        self.state().enforcer.as_ref().map_or(Ok(()), |enforcer| enforcer.forget(cgroup))
    }

    fn state(&self) -> MutexGuard<'_, InForce> {
        self.state.lock()
    }

    /// Whether there may be some, now or with other rules.
    pub(super) fn may_be(config: &Response) -> bool {
        let decides = |act| matches!(act, Act::Kill | Act::Deny);
        config.mode != Mode::Off && (!config.policy.is_empty() || config.action.iter().any(|a| decides(a.act)))
    }

    pub(super) fn status(&self) -> Vec<PolicyStatus> {
        let state = self.state();
        let hits = state.hits(&self.config);
        let refusal = |index| state.enforcer.as_ref().and_then(|e| e.refusal(index)).map(str::to_owned);
        let hits_of = |name: &str| hits.get(name).copied().unwrap_or(0);
        let configured = self.config.policy.iter().enumerate().map(|(index, policy)| {
            let reason = refusal(index);
            let state = match self.config.mode {
                Mode::Off => PolicyState::Off,
                _ if reason.is_some() => PolicyState::Refused,
                Mode::DryRun => PolicyState::DryRun,
                Mode::Enforce => PolicyState::Enforced,
            };
            let action = if policy.act == config::Ruling::Deny { Act::Deny } else { Act::Kill };
            let (name, hits) = (policy.name.clone(), hits_of(&policy.name));
            PolicyStatus { name, of_rule: false, action, state, reason, hits }
        });
        let of_rules = state.of_rules.rules.iter().enumerate().map(|(place, rule): (usize, &Responding)| {
            let mut reasons = rule.reasons.clone();
            let policies = state.of_rules.policies.iter().enumerate().filter(|(_, p)| p.of == place);
            let refusals: Vec<_> = policies.map(|(index, _)| refusal(self.config.policy.len() + index)).collect();
            let some = refusals.iter().any(Option::is_none);
            reasons.extend(refusals.into_iter().flatten());
            reasons.dedup();
            let decided = match (some, reasons.is_empty(), rule.act) {
                (true, true, _) => PolicyState::Enforced,
                (true, false, _) => PolicyState::Partly,
                (false, _, Act::Deny) => PolicyState::Refused,
                (false, ..) => PolicyState::User,
            };
            PolicyStatus {
                name: rule.rule.to_string(),
                of_rule: true,
                action: rule.act,
                state: if self.config.mode == Mode::DryRun && some { PolicyState::DryRun } else { decided },
                reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
                hits: hits_of(&rule.rule),
            }
        });
        configured.chain(of_rules).collect()
    }

    /// Puts those in force that stand for these rules, and gives what the earlier ones led to last. Others stay as they are.
    pub(super) fn follow<'a>(
        &self,
        rules: &Arc<RuleSet>,
        containers: impl Iterator<Item = &'a Arc<Container>>,
        accepted: &Accepted,
        myself: &Myself,
    ) -> Option<Enforcer> {
        let mut next = InForce::new(&self.config, rules);
        let mut state = self.state();
        next.earlier = state.hits(&self.config);
        if next.kernel == state.kernel {
            // The tables say it already: only whom they are about may change.
            next.enforcer = state.enforcer.take();
            if let Some(enforcer) = &next.enforcer {
                let hits = enforcer.hits();
                for (index, hits) in hits.into_iter().enumerate() {
                    let name = next.name(&self.config, index).to_owned();
                    next.earlier.entry(name).and_modify(|earlier| *earlier = earlier.saturating_sub(hits));
                }
            }
            *state = next;
            return None;
        }
        if !next.kernel.is_empty() {
            match self.replace(state.enforcer.as_ref(), &next, containers, accepted, myself) {
                Ok(enforcer) => next.enforcer = Some(enforcer),
                Err(error) => {
                    tracing::error!("{error:#}: no policy holds, and rules lead to what the agent does itself");
                    next.refuse(&error);
                }
            }
        }
        std::mem::replace(&mut *state, next).enforcer
    }

    /// Has other policies in force. They hold for all containers before the earlier ones end, so that there is no gap, and know all
    /// containers before they begin, so that none counts as not known.
    fn replace<'a>(
        &self,
        earlier: Option<&Enforcer>,
        next: &InForce,
        containers: impl Iterator<Item = &'a Arc<Container>>,
        accepted: &Accepted,
        myself: &Myself,
    ) -> anyhow::Result<Enforcer> {
        let mut enforcer = load(&self.config, &next.kernel, self.controller)?;
        for container in containers {
            let id = container.cgroup_id;
            let bits = next.of(&self.config, myself, container, accepted);
            // Where there were no policies, nobody saw which containers began.
            let begins = if earlier.is_none() { enforcer.begin(id) } else { Ok(()) };
            if let Err(error) = enforcer.assign(id, bits).and(begins) {
                tracing::error!("{error}: policies do not hold for some containers");
                break;
            }
        }
        enforcer.attach().map_err(crate::pipeline::refusal)?;
        if let Some(Err(error)) = earlier.map(|earlier| enforcer.inherit(earlier)) {
            tracing::error!("{error}: policies do not hold for all that runs in some containers");
        }
        Ok(enforcer)
    }

    /// What reads what the kernel does by the policies that are in force now. It stays on the thread that asks for it.
    pub(super) fn watch(&self) -> Option<Watched> {
        let state = self.state();
        let watch = match state.enforcer.as_ref()?.watch() {
            Ok(watch) => watch?,
            Err(error) => {
                tracing::error!("{error}; policies hold, and are not recorded");
                return None;
            }
        };
        let names = (0..state.kernel.len()).map(|index| state.name(&self.config, index).to_owned()).collect();
        Some(Watched { watch, names })
    }
}

/// Some policies, and what they lead to.
pub(super) struct Watched {
    watch: Watch,
    names: Vec<String>,
}

impl Watched {
    /// What the kernel has done meanwhile, with the names of the policies and rules that it did it for.
    pub(super) fn take(&mut self) -> Vec<(Enforcement, Vec<&str>)> {
        let named = |enforced: Enforcement| {
            let held = self.names.iter().enumerate().filter(|(index, _)| enforced.policies >> index & 1 == 1);
            let mut names: Vec<&str> = held.map(|(_, name)| name.as_str()).collect();
            names.dedup();
            (enforced, names)
        };
        self.watch.take().into_iter().map(named).collect()
    }
}

/// Loads policies, which are not in force yet.
fn load(config: &Response, policies: &[KernelPolicy], controller: Option<Controller>) -> anyhow::Result<Enforcer> {
    Enforcer::load(policies, controller, config.mode == Mode::DryRun).map_err(crate::pipeline::refusal)
}

impl InForce {
    fn new(config: &Response, rules: &Arc<RuleSet>) -> Self {
        if config.mode == Mode::Off {
            return Self::default();
        }
        let mut kernel: Vec<_> = config.policy.iter().map(in_kernel).collect();
        let paths = kernel.iter().map(KernelPolicy::paths).sum();
        let of_rules = OfRules::new(config, rules, kernel.len(), paths);
        kernel.extend(of_rules.policies.iter().map(|p| p.kernel.clone()));
        Self { kernel, of_rules, ..Self::default() }
    }

    fn name<'a>(&'a self, config: &'a Response, index: usize) -> &'a str {
        if let Some(policy) = config.policy.get(index) {
            return &policy.name;
        }
        let derived = self.of_rules.policies.get(index - config.policy.len());
        derived.and_then(|d| self.of_rules.rules.get(d.of)).map_or("", |rule| &rule.rule)
    }

    /// How often each has held, by name.
    fn hits(&self, config: &Response) -> BTreeMap<String, u64> {
        let mut hits = self.earlier.clone();
        for (index, count) in self.enforcer.as_ref().map(Enforcer::hits).unwrap_or_default().into_iter().enumerate() {
            *hits.entry(self.name(config, index).to_owned()).or_default() += count;
        }
        hits
    }

    /// Nothing of it can be enforced.
    fn refuse(&mut self, error: &anyhow::Error) {
        self.kernel.clear();
        self.of_rules.policies.clear();
        self.of_rules.rules.iter_mut().for_each(|rule| rule.reasons.push(error.to_string()));
    }

    /// Which hold for a container, a bit each.
    fn of(&self, config: &Response, myself: &Myself, container: &Arc<Container>, accepted: &Accepted) -> u64 {
        if myself.is_in(container) {
            return 0;
        }
        let is_protected = protected_container(config, myself, container).is_some();
        let is_unknown = container.name.is_none();
        let is_meant = |p: &Policy| !is_protected && p.container.as_ref().is_none_or(|glob| answers(glob, container));
        let configured = config.policy.iter().map(|p| (p.fail_closed && is_unknown) || is_meant(p));
        let of_rules = self.of_rules.policies.iter();
        let of_rules = of_rules.map(|p| !is_protected && self.of_rules.holds(p, container, accepted));
        let holds = configured.chain(of_rules).take(Enforcer::MAX_POLICIES).enumerate();
        holds.filter(|(_, holds)| *holds).fold(0, |bits, (index, _)| bits | 1 << index)
    }
}

/// As the kernel side takes it.
fn in_kernel(policy: &Policy) -> KernelPolicy {
    use config::PolicyOperation as Configured;
    let operation = match policy.operation {
        Configured::Exec => PolicyOperation::Exec,
        Configured::Write => PolicyOperation::Write,
        Configured::Connect => PolicyOperation::Connect,
        Configured::Mount => PolicyOperation::Mount,
        Configured::Ptrace => PolicyOperation::Ptrace,
        Configured::Module => PolicyOperation::Module,
        Configured::Bpf => PolicyOperation::Bpf,
    };
    let matcher = match (&policy.path, policy.network(), policy.port) {
        (Some(path), ..) => match path.strip_suffix("/*") {
            Some(folder) => Matcher::Below(folder.to_owned()),
            None => Matcher::Path(path.clone()),
        },
        (None, Some((address, bits)), port) => Matcher::Peer { address, bits, port },
        (None, None, Some(port)) => {
            Matcher::Peer { address: std::net::Ipv6Addr::UNSPECIFIED.into(), bits: 0, port: Some(port) }
        }
        (None, None, None) => Matcher::Any,
    };
    let ruling = if policy.act == config::Ruling::Deny { Ruling::Deny } else { Ruling::Kill };
    KernelPolicy { operation, matchers: vec![matcher], ruling, exact: false, fail_closed: policy.fail_closed }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config(text: &str) -> Response {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_is_configured_is_what_the_kernel_gets() {
        let matcher = |rest: &str| {
            let text = format!("[[policy]]\nname = 'x'\ndo = 'kill'\n{rest}");
            let policy = in_kernel(&config(&text).policy[0]);
            assert_eq!(policy.ruling, Ruling::Kill);
            policy.matchers[0].clone()
        };
        assert_eq!(matcher("operation = 'exec'\npath = '/tmp/*'"), Matcher::Below("/tmp".into()));
        assert_eq!(matcher("operation = 'write'\npath = '/*'"), Matcher::Below(String::new()));
        assert_eq!(matcher("operation = 'exec'\npath = '/bin/nc'"), Matcher::Path("/bin/nc".into()));
        assert_eq!(matcher("operation = 'mount'"), Matcher::Any);
        let any = std::net::Ipv6Addr::UNSPECIFIED.into();
        assert_eq!(
            matcher("operation = 'connect'\nport = 4444"),
            Matcher::Peer { address: any, bits: 0, port: Some(4444) }
        );
    }

    #[test]
    fn a_policy_holds_for_the_containers_it_names_and_for_none_that_is_protected() {
        let text = "protect = ['db']\n[[policy]]\nname = 'all'\noperation = 'mount'\ndo = 'deny'\n[[policy]]\nname = \
                    'web'\noperation = 'bpf'\ncontainer = 'web*'\ndo = 'deny'\n";
        let config = config(text);
        let state = InForce::new(&Response { mode: Mode::Enforce, ..config.clone() }, &Arc::default());
        let named = |name: &str| Container {
            name: Some(name.into()),
            image: Some(ethogram_model::Image::default()),
            ..Container::default()
        };
        let of = |name: &str| state.of(&config, &Myself::default(), &Arc::new(named(name)), &Accepted::new());
        assert_eq!((of("web-1"), of("cache"), of("db")), (0b11, 0b01, 0));
    }

    /// Which of four policies hold for a container: for any, for `web*`, and both again, failing closed.
    fn holding(protect: &str, name: Option<&str>) -> [bool; 4] {
        let policy = |more: &str| format!("[[policy]]\nname = 'x'\noperation = 'mount'\ndo = 'deny'\n{more}\n");
        let all =
            ["", "container = 'web*'", "fail_closed = true", "container = 'web*'\nfail_closed = true"].map(policy);
        let text = format!("mode = 'enforce'\nprotect = [{protect}]\n{}", all.concat());
        let config = config(&text);
        let state = InForce::new(&config, &Arc::default());
        let container =
            Arc::new(Container { id: "c0ffee".into(), name: name.map(str::to_owned), ..Container::default() });
        let bits = |myself| state.of(&config, myself, &container, &Accepted::default());
        let myself = Myself { pid: 12, container: Some("c0ffee".into()) };
        assert_eq!(bits(&myself), 0, "the agent itself");
        let bits = bits(&Myself::default());
        [0, 1, 2, 3].map(|index| bits >> index & 1 == 1)
    }

    #[test]
    fn what_needs_no_name_holds_before_there_is_one_and_the_rest_where_it_fails_closed() {
        assert_eq!(holding("", None), [true, false, true, true]);
        assert_eq!(holding("", Some("web-1")), [true; 4]);
        assert_eq!(holding("", Some("db")), [true, false, true, false]);
    }

    #[test]
    fn what_may_be_protected_is_spared_but_by_what_fails_closed() {
        assert_eq!(holding("'db'", None), [false, false, true, true]);
        assert_eq!(holding("'db'", Some("db")), [false; 4]);
    }
}
