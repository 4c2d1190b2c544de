//! What follows from the facts: what is wrong and what to do, what is costly and why. One line each.

use std::collections::BTreeSet;

use super::{
    Report,
    denial::Denial,
    programs::{Program, Tracker, Use},
};

impl Report {
    /// What is wrong, the gravest first.
    pub(super) fn find_problems(&self) -> Vec<String> {
        let (kernel, privileges) = (&self.kernel, &self.privileges);
        let mut out = Vec::new();
        if privileges.host_user_namespace == Some(false) {
            out.push(
                "a user namespace: capabilities held here count for nothing in the kernel; start it as the host's root"
                    .to_owned(),
            );
        }
        if !privileges.missing.is_empty() {
            let missing = list(privileges.missing.iter().map(|m| m.name));
            out.push(format!("without {missing}; {}", privileges.remedy()));
        }
        // Where privileges are what is missing, that is said already, and how to get them.
        let explained = privileges.host_user_namespace == Some(false) || privileges.missing.iter().any(|m| m.required);
        out.extend(self.unable.clone().filter(|_| !explained));
        out.extend(self.cgroups.problem.clone());
        if privileges.host_pid_namespace == Some(false) {
            out.push(
                "a pid namespace of its own: it cannot look up processes, not even its own; start the \
                 container with --pid=host (in Kubernetes hostPID: true)"
                    .to_owned(),
            );
        }
        if kernel.lockdown.as_deref() == Some("confidentiality") {
            out.push(
                "kernel lockdown is 'confidentiality': programs may not read the kernel's memory; start the kernel \
                 with lockdown=integrity, or without"
                    .to_owned(),
            );
        }
        if let Some(bytes) =
            kernel.locked_memory.filter(|_| privileges.missing.iter().any(|m| m.name == "CAP_SYS_RESOURCE"))
        {
            out.push(format!(
                "at most {bytes} bytes of memory may be locked, and kernels before 5.11 count BPF maps there; raise it \
                 (ulimit -l unlimited, systemd: LimitMEMLOCK=infinity)"
            ));
        }
        let refused = self.trackers.iter().filter(|t| t.wanted && !t.works);
        out.extend(refused.map(|t| {
            let reason = t.reason.clone().unwrap_or_default();
            format!("{reason}; leave '{}' out of [trackers] enabled, or take a kernel that has what it needs", t.name)
        }));
        out.extend(self.denial.iter().flat_map(Denial::problems));
        out.extend(self.unseen_opens());
        out
    }

    /// What io_uring opens passes no system call.
    fn unseen_opens(&self) -> Option<String> {
        let of = self.trackers.iter().find(|t| t.name == "open" && t.works)?;
        let at_calls_alone =
            of.programs.iter().filter(|p| p.state == Use::Attached).all(|p| is_on_every_system_call(&p.attach));
        let nobody_may = self.kernel.settings.get("io_uring_disabled").is_some_and(|v| v == "2");
        (at_calls_alone && !nobody_may && !self.kernel.lacks("CONFIG_IO_URING")).then(|| {
            "files opened through io_uring are not seen on this kernel, only who sets it up; forbid it to containers \
             (their seccomp profile, as Docker's does from 25 on), or to all: sysctl kernel.io_uring_disabled=2 (from \
             Linux 6.6 on)"
                .to_owned()
        })
    }

    /// What this kernel makes dearer than it need be.
    pub(super) fn find_costs(&self) -> Vec<String> {
        let mut out = Vec::new();
        out.extend(self.on_every_system_call());
        if self.kernel.settings.get("bpf_jit_enable").is_some_and(|v| v == "0") {
            out.push(
                "programs are interpreted, which takes several times as long; sysctl net.core.bpf_jit_enable=1 has \
                 them compiled"
                    .to_owned(),
            );
        }
        out
    }

    /// Such a hook puts every system call on the kernel's slow path, in every process.
    fn on_every_system_call(&self) -> Option<String> {
        let costly = |p: &&Program| p.state == Use::Attached && is_on_every_system_call(&p.attach);
        let by: Vec<&Tracker> = self.trackers.iter().filter(|t| t.programs.iter().any(|p| costly(&p))).collect();
        if by.is_empty() {
            return None;
        }
        let names: Vec<_> = by.iter().map(|t| t.name.as_str()).collect();
        let refused: BTreeSet<_> =
            by.iter().flat_map(|t| &t.programs).filter(|p| p.state == Use::Refused).map(Program::kind).collect();
        let off: Vec<_> = ["CONFIG_FUNCTION_TRACER", "CONFIG_FPROBE", "CONFIG_KPROBES"]
            .into_iter()
            .filter(|option| self.kernel.lacks(option))
            .collect();
        let mut why = String::new();
        if !refused.is_empty() {
            why = format!(", as this kernel refuses {}", list(refused));
            if !off.is_empty() {
                why += &format!(" (it has no {})", list(off));
            }
        }
        let names = list(names);
        Some(format!(
            "every system call of this machine passes a hook{why}; it is for {names}: without them there is none"
        ))
    }
}

fn is_on_every_system_call(attach: &str) -> bool {
    let words: Vec<_> = attach.split(['/', ' ']).collect();
    // The tracepoint of one system call is on the way of all of them, too.
    words.iter().any(|w| ["sys_exit", "sys_enter", "syscalls", "raw_syscalls"].contains(w))
}

/// `a, b and c`
fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.into_iter().collect();
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cli::doctor::{
        kernel::{BuildConfig, Kernel},
        privileges::{Missing, Privileges},
    };

    fn program(attach: &str, refused: Option<&str>) -> Program {
        let state = if refused.is_some() { Use::Refused } else { Use::Attached };
        Program { name: attach.into(), attach: attach.into(), state, reason: refused.map(str::to_owned) }
    }

    fn tracker(name: &str, programs: Vec<Program>) -> Tracker {
        Tracker { name: name.into(), wanted: true, works: true, reason: None, programs }
    }

    #[test]
    fn a_hook_on_every_system_call_is_reported_with_its_reason() {
        let dear = || vec![program("fexit/vfs_read", Some("no")), program("sys_exit dispatcher (read, write)", None)];
        let cheap = vec![program("fexit/sys_exit_group", None), program("tp_btf/sched_process_exit", None)];
        let mut report = Report {
            trackers: vec![tracker("files", dear()), tracker("open", dear()), tracker("process", cheap)],
            ..Report::default()
        };
        let costs = report.find_costs();
        assert_eq!(costs.len(), 1);
        assert!(costs[0].contains("refuses fexit;") && costs[0].contains("for files and open:"), "{}", costs[0]);
        report.trackers.truncate(1);
        report.trackers[0].programs = vec![program("tp_btf/sys_exit", None)];
        assert!(!report.find_costs()[0].contains("refuses"), "nothing else was tried");
        report.trackers[0].programs = vec![program("fexit/vfs_read", None), program("tp_btf/sys_exit", Some("no"))];
        assert!(report.find_costs().is_empty());
        report.trackers[0].programs =
            vec![program("kretprobe/vfs_read", Some("no")), program("tracepoint/syscalls/sys_exit_read", None)];
        let options = BTreeMap::from([("CONFIG_KPROBES", "n".to_owned())]);
        report.kernel.config = Some(BuildConfig { options, ..BuildConfig::default() });
        assert!(report.find_costs()[0].contains("refuses kretprobe (it has no CONFIG_KPROBES);"));
        report.trackers.clear();
        report.kernel.settings = BTreeMap::from([("bpf_jit_enable", "0".to_owned())]);
        assert!(report.find_costs()[0].contains("bpf_jit_enable=1"));
    }

    #[test]
    fn a_problem_is_reported_once_with_what_to_do() {
        assert!(Report::default().find_problems().is_empty());
        let missing = vec![Missing { name: "CAP_BPF", purpose: "to load programs", required: true }];
        let report = Report {
            privileges: Privileges { missing, user_id: 1000, host_pid_namespace: Some(false), ..Privileges::default() },
            unable: Some("no permission".into()),
            kernel: Kernel { lockdown: Some("confidentiality".into()), ..Kernel::default() },
            ..Report::default()
        };
        let problems = report.find_problems();
        let holds = |n: usize, words: [&str; 2]| words.iter().all(|w| problems[n].contains(w));
        assert!(holds(0, ["without CAP_BPF;", "--cap-add=BPF"]), "{problems:#?}");
        assert!(holds(1, ["pid namespace", "--pid=host"]), "{problems:#?}");
        assert!(holds(2, ["confidentiality", "lockdown=integrity"]), "{problems:#?}");
        assert_eq!(problems.len(), 3, "that it is not permitted follows from the first: {problems:#?}");
    }

    #[test]
    fn what_io_uring_hides_is_a_problem_where_it_is_allowed() {
        let at_calls = vec![program("fexit/do_filp_open", Some("no")), program("sys_exit dispatcher (open)", None)];
        let mut report = Report { trackers: vec![tracker("open", at_calls)], ..Report::default() };
        assert!(report.find_problems()[0].contains("io_uring_disabled=2"));
        report.kernel.settings = BTreeMap::from([("io_uring_disabled", "1".to_owned())]);
        assert_eq!(report.find_problems().len(), 1, "root may");
        report.kernel.settings = BTreeMap::from([("io_uring_disabled", "2".to_owned())]);
        assert!(report.find_problems().is_empty());
        report.kernel.settings.clear();
        let options = BTreeMap::from([("CONFIG_IO_URING", "n".to_owned())]);
        report.kernel.config = Some(BuildConfig { options, ..BuildConfig::default() });
        assert!(report.find_problems().is_empty());
        report.kernel.config = None;
        report.trackers[0].programs = vec![program("fexit/do_filp_open", None)];
        assert!(report.find_problems().is_empty(), "the function behind every open");
    }

    #[test]
    fn only_what_the_server_would_start_decides() {
        let broken = Tracker { works: false, reason: Some("refused: x".into()), ..tracker("x", Vec::new()) };
        let mut report = Report { trackers: vec![tracker("y", Vec::new()), broken], ..Report::default() };
        assert_eq!(report.verdict().as_deref(), Some("refused: x"));
        assert_eq!(report.find_problems().len(), 1);
        report.trackers[1].wanted = false;
        assert_eq!(report.verdict(), None);
        assert!(report.find_problems().is_empty());
    }
}
