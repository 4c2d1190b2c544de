//! Policies that the kernel decides: which hold for which container, and what became of them.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

use crossbeam_channel::Sender;
use ethogram_model::Container;
use ethogram_probe::{Enforcer, Matcher, Policy as KernelPolicy, Ruling};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    decide::{Myself, answers, protected_container},
    worker::Message,
};
use crate::config::{Act, Mode, Operation, Policy, Response, Verdict};

/// How often the thread that reads what the kernel did looks whether it is to end.
const PAUSE: Duration = Duration::from_millis(100);

/// A policy, and whether it is enforced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyStatus {
    /// Its name.
    pub name: String,
    /// What it does.
    pub action: Act,
    /// Whether it is enforced.
    pub state: PolicyState,
    /// Why this kernel cannot enforce it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How often it has held.
    pub hits: u64,
}

/// Whether a policy is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyState {
    /// The mode is `off`.
    Off,
    /// It is only told what it would have led to.
    DryRun,
    /// The kernel enforces it.
    Enforced,
    /// This kernel cannot: nothing is refused.
    Refused,
}

/// The policies of the configuration, as far as this kernel takes them. Shared between whoever assigns and whoever asks.
pub(super) struct Policies {
    mode: Mode,
    all: Vec<Policy>,
    /// None in the mode `off`, and where there are none.
    enforcer: Option<Enforcer>,
}

impl Policies {
    pub(super) fn start(config: &Response, controller: u32) -> anyhow::Result<Self> {
        let all = config.policy.clone();
        let enforcer = match config.mode {
            _ if all.is_empty() => None,
            Mode::Off => None,
            mode => {
                let kernel: Vec<_> = all.iter().map(in_kernel).collect();
                Some(Enforcer::start(&kernel, controller, mode == Mode::DryRun).map_err(crate::pipeline::refusal)?)
            }
        };
        Ok(Self { mode: config.mode, all, enforcer })
    }

    pub(super) fn name(&self, policy: usize) -> &str {
        self.all.get(policy).map_or("", |p| &p.name)
    }

    /// Whether any is to be enforced.
    pub(super) fn is_empty(&self) -> bool {
        self.enforcer.is_none()
    }

    pub(super) fn status(&self) -> Vec<PolicyStatus> {
        let hits = self.enforcer.as_ref().map(Enforcer::hits).unwrap_or_default();
        let status = |(index, policy): (usize, &Policy)| {
            let reason = self.enforcer.as_ref().and_then(|e| e.refusal(index)).map(str::to_owned);
            let state = match self.mode {
                Mode::Off => PolicyState::Off,
                _ if reason.is_some() => PolicyState::Refused,
                Mode::DryRun => PolicyState::DryRun,
                Mode::Enforce => PolicyState::Enforced,
            };
            let action = if policy.act == Verdict::Deny { Act::Deny } else { Act::Kill };
            PolicyStatus {
                name: policy.name.clone(),
                action,
                state,
                reason,
                hits: hits.get(index).copied().unwrap_or(0),
            }
        };
        self.all.iter().enumerate().map(status).collect()
    }

    /// Which hold for a container, a bit each.
    fn of(&self, config: &Response, myself: &Myself, container: &Container) -> u64 {
        if protected_container(config, myself, container).is_some() {
            return 0;
        }
        let holds = |p: &Policy| p.container.as_ref().is_none_or(|glob| answers(glob, container));
        self.all.iter().enumerate().filter(|(_, p)| holds(p)).fold(0, |bits, (index, _)| bits | 1 << index)
    }

    /// Starts the thread that reads what the kernel did.
    pub(super) fn watch(&self, to: Sender<Message>, ends: Arc<AtomicBool>) -> anyhow::Result<Option<JoinHandle<()>>> {
        let watch = self.enforcer.as_ref().map(Enforcer::watch).transpose()?.flatten();
        let Some(watch) = watch else { return Ok(None) };
        let work = move || {
            let read = watch.run(PAUSE, |all| {
                // What finds no room is counted by the kernel all the same.
                all.into_iter().for_each(|one| _ = to.try_send(Message::Enforced(Box::new(one))));
                !ends.load(Ordering::Relaxed)
            });
            if let Err(error) = read {
                tracing::error!("{error}; policies hold, and are not recorded");
            }
        };
        Ok(Some(Builder::new().name("policies".into()).spawn(work)?))
    }
}

/// Which policies each container was assigned.
#[derive(Default)]
pub(super) struct Subjects {
    known: HashMap<u64, (Arc<Container>, u64)>,
    /// Whether the kernel's table could not be written the last time.
    is_full: bool,
}

impl Subjects {
    /// A container came, or more is known of it.
    pub(super) fn meet(&mut self, policies: &Policies, config: &Response, myself: &Myself, container: Arc<Container>) {
        let Some(enforcer) = &policies.enforcer else { return };
        let bits = policies.of(config, myself, &container);
        let id = container.cgroup_id;
        let before = self.known.insert(id, (container, bits)).map_or(0, |(_, bits)| bits);
        if before != bits {
            let assigned = enforcer.assign(id, bits);
            self.tell(assigned);
        }
    }

    /// These containers are all that there are.
    pub(super) fn sync(&mut self, policies: &Policies, config: &Response, myself: &Myself, all: Vec<Arc<Container>>) {
        let Some(enforcer) = &policies.enforcer else { return };
        let gone: Vec<u64> = self.known.keys().filter(|id| !all.iter().any(|c| c.cgroup_id == **id)).copied().collect();
        for id in gone {
            self.known.remove(&id);
            let assigned = enforcer.assign(id, 0);
            self.tell(assigned);
        }
        all.into_iter().for_each(|container| self.meet(policies, config, myself, container));
    }

    pub(super) fn get(&self, cgroup: u64) -> Option<&Arc<Container>> {
        self.known.get(&cgroup).map(|(container, _)| container)
    }

    pub(super) fn find(&self, id: &str) -> Option<&Arc<Container>> {
        self.known.values().map(|(container, _)| container).find(|c| c.id == id)
    }

    fn tell(&mut self, assigned: Result<(), ethogram_probe::Error>) {
        match assigned {
            Ok(()) => self.is_full = false,
            Err(error) if !std::mem::replace(&mut self.is_full, true) => {
                tracing::error!("{error}: policies do not hold for some containers");
            }
            Err(_) => {}
        }
    }
}

/// As the kernel side takes it.
fn in_kernel(policy: &Policy) -> KernelPolicy {
    use ethogram_probe::Operation as Kernel;
    let operation = match policy.operation {
        Operation::Exec => Kernel::Exec,
        Operation::Write => Kernel::Write,
        Operation::Connect => Kernel::Connect,
        Operation::Mount => Kernel::Mount,
        Operation::Ptrace => Kernel::Ptrace,
        Operation::Module => Kernel::Module,
        Operation::Bpf => Kernel::Bpf,
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
    let ruling = if policy.act == Verdict::Deny { Ruling::Deny } else { Ruling::Kill };
    KernelPolicy { operation, matcher, ruling }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config(text: &str) -> Response {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_is_written_is_what_the_kernel_is_told() {
        let matcher = |rest: &str| {
            let text = format!("[[policy]]\nname = 'x'\ndo = 'kill'\n{rest}");
            let policy = in_kernel(&config(&text).policy[0]);
            assert_eq!(policy.ruling, Ruling::Kill);
            policy.matcher
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
        let policies = Policies { mode: Mode::Enforce, all: config.policy.clone(), enforcer: None };
        let named = |name: &str| Container {
            name: Some(name.into()),
            image: Some(ethogram_model::Image::default()),
            ..Container::default()
        };
        let of = |name: &str| policies.of(&config, &Myself::default(), &named(name));
        assert_eq!((of("web-1"), of("cache"), of("db")), (0b11, 0b01, 0));
    }
}
