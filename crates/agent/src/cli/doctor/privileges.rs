//! What this process may do, and in which namespaces: what is held there may count for nothing outside.

use std::{fs, path::Path};

use rustix::thread::{CapabilitySet, capabilities};
use serde::Serialize;

use ethogram_engine::containers::cgroup;

use crate::{container::membership::Membership, sandbox};

/// The kernel's numbers for the namespaces that the host begins with.
const HOST_PID: &str = "pid:[4026531836]";
const HOST_USER: &str = "user:[4026531837]";

/// What this process may do.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Privileges {
    pub(super) user_id: u32,
    /// The capabilities in force.
    pub(super) held: Vec<String>,
    /// Those of them that the agent keeps while it runs.
    pub(super) kept: Vec<String>,
    /// Those that it needs and has not.
    pub(super) missing: Vec<Missing>,
    /// Whether these are the host's; none where procfs does not say.
    pub(super) host_pid_namespace: Option<bool>,
    pub(super) host_user_namespace: Option<bool>,
    /// The container it runs in, where its cgroup shows one.
    pub(super) container: Option<String>,
}

/// A capability that is missing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Missing {
    pub(super) name: &'static str,
    /// What it would be good for.
    pub(super) purpose: &'static str,
    /// Whether nothing works without it.
    pub(super) required: bool,
}

impl Privileges {
    pub(super) fn inspect(maps_are_locked_memory: bool) -> Self {
        let held = capabilities(None).map_or(CapabilitySet::empty(), |c| c.effective);
        let namespace = |kind: &str| fs::read_link(Path::new("/proc/self/ns").join(kind)).ok();
        let is = |kind, host: &str| namespace(kind).map(|n| n.as_os_str() == host);
        let cgroups = Membership::own();
        Self {
            user_id: rustix::process::geteuid().as_raw(),
            held: names(held),
            kept: names(sandbox::kept(held)),
            missing: missing(held, maps_are_locked_memory),
            host_pid_namespace: is("pid", HOST_PID),
            host_user_namespace: is("user", HOST_USER),
            container: cgroups.iter().flat_map(Membership::paths).find_map(|path| {
                let found = cgroup::parse(path)?;
                // A candidate may be any folder of cgroups: only containerd would know.
                found.candidate_in.is_none().then(|| found.id.to_owned())
            }),
        }
    }

    /// How to get what is missing, in the words of whatever started this process.
    pub(super) fn remedy(&self) -> String {
        let short = |m: &Missing| m.name.trim_start_matches("CAP_");
        let list = |f: &dyn Fn(&Missing) -> String, by: &str| self.missing.iter().map(f).collect::<Vec<_>>().join(by);
        let contained = self.container.is_some() || self.host_pid_namespace == Some(false);
        if contained {
            format!("start the container with {}", list(&|m| format!("--cap-add={}", short(m)), " "))
        } else if self.user_id == 0 {
            let names = list(&|m| m.name.to_owned(), " ");
            format!("root has been limited: let whatever starts it allow them (systemd: CapabilityBoundingSet={names})")
        } else {
            let names = list(&|m| m.name.to_lowercase(), ",");
            format!("run as root, or give them to the binary: setcap {names}+ep {}", binary())
        }
    }
}

fn names(capabilities: CapabilitySet) -> Vec<String> {
    capabilities.iter_names().map(|(name, _)| format!("CAP_{name}")).collect()
}

fn binary() -> String {
    std::env::current_exe().map_or_else(|_| "ethogram".into(), |p| p.display().to_string())
}

/// What is missing of `held`. `CAP_SYS_ADMIN` includes what became `CAP_BPF` and `CAP_PERFMON` in Linux 5.8.
fn missing(held: CapabilitySet, maps_are_locked_memory: bool) -> Vec<Missing> {
    let admin = held.contains(CapabilitySet::SYS_ADMIN);
    let wanted = [
        (CapabilitySet::BPF, "CAP_BPF", "to load programs", !admin, true),
        (CapabilitySet::PERFMON, "CAP_PERFMON", "to attach them and to let them read the kernel", !admin, true),
        (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN", "to see datagrams and DNS", !admin, true),
        (CapabilitySet::DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", "to read other users' files in /proc", true, !admin),
        (CapabilitySet::SYS_PTRACE, "CAP_SYS_PTRACE", "to know what runs since before the agent", true, false),
        (CapabilitySet::SYS_RESOURCE, "CAP_SYS_RESOURCE", "to lock memory for maps", maps_are_locked_memory, false),
    ];
    let lacking = wanted.into_iter().filter(|(c, _, _, matters, _)| *matters && !held.contains(*c));
    lacking.map(|(_, name, purpose, _, required)| Missing { name, purpose, required }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(held: CapabilitySet) -> Vec<&'static str> {
        missing(held, false).iter().map(|m| m.name).collect()
    }

    #[test]
    fn what_is_missing_has_a_name() {
        let all = ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN", "CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE"];
        assert_eq!(lacking(CapabilitySet::empty()), all);
        assert_eq!(lacking(CapabilitySet::BPF | CapabilitySet::PERFMON), all[2..]);
        assert_eq!(lacking(CapabilitySet::SYS_ADMIN), all[3..]);
        assert!(missing(CapabilitySet::SYS_ADMIN, false).iter().all(|m| !m.required));
        assert!(missing(CapabilitySet::BPF, false).iter().any(|m| m.required));
        assert!(missing(CapabilitySet::empty(), true).iter().any(|m| m.name == "CAP_SYS_RESOURCE"));
        assert!(lacking(CapabilitySet::all()).is_empty());
    }

    #[test]
    fn the_remedy_is_for_whoever_started_it() {
        let missing = missing(CapabilitySet::SYS_ADMIN, false);
        let user = Privileges { user_id: 1000, missing, host_pid_namespace: Some(true), ..Privileges::default() };
        assert!(user.remedy().contains("setcap cap_dac_read_search,cap_sys_ptrace+ep /"), "{}", user.remedy());
        let root = Privileges { user_id: 0, ..user.clone() };
        assert!(
            root.remedy().contains("CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_SYS_PTRACE"),
            "{}",
            root.remedy()
        );
        let contained = Privileges { host_pid_namespace: Some(false), ..user };
        assert!(contained.remedy().ends_with("--cap-add=DAC_READ_SEARCH --cap-add=SYS_PTRACE"));
    }
}
