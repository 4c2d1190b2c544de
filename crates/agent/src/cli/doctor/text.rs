//! The whole report as people read it, see `--all`.

use std::{borrow::Cow, collections::BTreeSet};

use ethogram_model::render::escape;

use super::{
    Report,
    kernel::Kernel,
    programs::{Tracker, Use},
};
use crate::{
    output::{self, Column},
    sandbox,
};

/// Columns of a line that says why: a reason is never cut.
const WHOLE: usize = 1000;

type Row = Vec<Cow<'static, str>>;

impl Report {
    pub(super) fn text(&self, width: usize) -> String {
        let columns = [Column::left("WHAT", 12, 12), Column::left("STATE", 7, 7), Column::left("FOUND", 0, WHOLE)];
        let mut out = output::columns(&columns, &self.facts(), WHOLE);
        if !self.trackers.is_empty() {
            out.push('\n');
            out += &self.trackers(width);
        }
        out += &self.refused(width);
        out += &paragraph("Costly here", &self.costs);
        out += &paragraph("Problems", &self.problems);
        out + &self.summary()
    }

    fn facts(&self) -> Vec<Row> {
        let Self { kernel, privileges, cgroups, .. } = self;
        let fact = |name: &'static str, state: &'static str, what: String| -> Row {
            vec![name.into(), state.into(), escape(&what).into_owned().into()]
        };
        let judged = |good: bool| if good { "ok" } else { "MISSING" };
        let settings: Vec<_> = kernel.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let missing: Vec<_> = privileges.missing.iter().map(|m| format!("{} ({})", m.name, m.purpose)).collect();
        let runtimes: Vec<_> = self.runtimes.iter().map(|r| format!("{} ({})", r.name, r.at)).collect();
        let capabilities =
            if missing.is_empty() { "all that it needs".to_owned() } else { format!("without {}", missing.join(", ")) };
        let lockdown = kernel.lockdown.as_deref();
        let mut facts = vec![
            fact("kernel", "-", format!("{} {}", kernel.release, kernel.architecture)),
            fact("BTF", judged(kernel.btf), "/sys/kernel/btf/vmlinux".into()),
            fact("built", "-", built(kernel)),
            fact("settings", "-", settings.join(", ")),
            fact("LSMs", "-", security_modules(kernel)),
            fact(
                "lockdown",
                if lockdown == Some("confidentiality") { "PROBLEM" } else { "-" },
                lockdown.unwrap_or("unknown: no /sys/kernel/security/lockdown").into(),
            ),
            fact("capabilities", judged(!privileges.missing.iter().any(|m| m.required)), capabilities),
            fact("sandbox", "-", sandboxed(&privileges.kept)),
            self.place(),
            match (&cgroups.problem, &cgroups.mode, &cgroups.root) {
                (None, Some(mode), Some(root)) => {
                    let by = cgroups.controller.as_ref().map(|c| format!(", containers identified by {c}"));
                    fact("cgroups", "ok", format!("{mode}{} at {}", by.unwrap_or_default(), root.display()))
                }
                (problem, ..) => fact("cgroups", "MISSING", problem.clone().unwrap_or_default()),
            },
            fact("runtimes", "-", or(runtimes.join(", "), "none found: containers have ids but no names")),
        ];
        if let Some(denial) = &self.denial {
            let found = match (&denial.reason, &denial.remedy) {
                (Some(reason), Some(remedy)) => {
                    format!("operations cannot be refused, only alerted of: {reason}; {remedy}")
                }
                _ => "operations can be refused, see [[response.policy]]".into(),
            };
            facts.push(fact("denial", if denial.works { "ok" } else { "-" }, found));
        }
        if let Some(bytes) = kernel.locked_memory {
            facts.push(fact("memory lock", "-", format!("{bytes} bytes, in which BPF maps count before 5.11")));
        }
        facts
    }

    /// Where the agent itself runs.
    fn place(&self) -> Row {
        let p = &self.privileges;
        let at = match &p.container {
            Some(id) => format!("in container {}", id.get(..12).unwrap_or(id)),
            None if p.host_pid_namespace == Some(false) => "in a container".into(),
            None => "on the host".into(),
        };
        let of = |what: Option<bool>| match what {
            Some(true) => "the host's",
            Some(false) => "its own",
            None => "an unknown",
        };
        let found = match (of(p.host_pid_namespace), of(p.host_user_namespace)) {
            (pid, user) if pid == user => format!("{at}, {pid} pid and user namespaces"),
            (pid, user) => format!("{at}, {pid} pid and {user} user namespace"),
        };
        let good = p.host_pid_namespace != Some(false) && p.host_user_namespace != Some(false);
        vec!["agent".into(), if good { "ok" } else { "PROBLEM" }.into(), escape(&found).into_owned().into()]
    }

    fn trackers(&self, width: usize) -> String {
        let name = self.trackers.iter().map(|t| t.name.chars().count()).max().unwrap_or(0).max(7);
        let columns = [
            Column::left("TRACKER", name, 20),
            Column::left("SERVER", 6, 6),
            Column::left("STATE", 7, 7),
            Column::left("ATTACHED TO", 0, WHOLE),
        ];
        let room = width.saturating_sub(name + 17);
        let mut rows: Vec<Row> = Vec::new();
        for tracker in &self.trackers {
            let attached = tracker.programs.iter().filter(|p| p.state == Use::Attached).map(|p| p.attach.as_str());
            let mut lines = match &tracker.reason {
                Some(reason) => vec![reason.clone()],
                None if tracker.programs.iter().all(|p| p.state != Use::Attached) => {
                    vec!["nothing without a subscription to all its events: see below".to_owned()]
                }
                None => packed(attached, room),
            };
            lines.resize(lines.len().max(1), String::new());
            let (server, state) =
                (if tracker.wanted { "yes" } else { "no" }, if tracker.works { "works" } else { "REFUSED" });
            let head = [escape(&tracker.name).into_owned(), server.into(), state.into()];
            for (i, line) in lines.into_iter().enumerate() {
                let head = head.iter().map(|h| if i == 0 { h.clone() } else { String::new() });
                rows.push(head.chain([escape(&line).into_owned()]).map(Cow::Owned).collect());
            }
        }
        output::columns(&columns, &rows, WHOLE)
    }

    /// What works has programs that were refused and of which another does the same: by reason, as it is mostly the same.
    fn refused(&self, width: usize) -> String {
        let refused = self.by_reason(Use::Refused, "Not used, another does the same", width);
        refused
            + &self.by_reason(
                Use::Withheld,
                "Only where all that a tracker sees is wanted (`[trackers] high_overhead`, or who follows it)",
                width,
            )
    }

    fn by_reason(&self, state: Use, what: &str, width: usize) -> String {
        let of = |t: &Tracker, reason: &str| {
            let of_state = t.programs.iter().filter(|p| p.state == state && p.reason.as_deref() == Some(reason));
            let mut attach: Vec<_> = of_state.map(|p| p.attach.as_str()).collect();
            let mut listed = BTreeSet::new();
            attach.retain(|at| listed.insert(*at));
            packed(attach.into_iter(), width.saturating_sub(19))
        };
        let mut reasons: Vec<&str> = Vec::new();
        let all = self.trackers.iter().flat_map(|t| &t.programs).filter(|p| p.state == state);
        for reason in all.filter_map(|p| p.reason.as_deref()) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        let mut out = String::new();
        for reason in reasons {
            out += &format!("\n{what}: {}\n", escape(reason));
            for tracker in &self.trackers {
                for (i, line) in of(tracker, reason).iter().enumerate() {
                    let name = if i == 0 { escape(&tracker.name) } else { "".into() };
                    out += &format!("  {name:<16} {}\n", escape(line));
                }
            }
        }
        out
    }

    fn summary(&self) -> String {
        if self.trackers.is_empty() {
            return "\nNo tracker was tried.\n".into();
        }
        let wanted = self.trackers.iter().filter(|t| t.wanted);
        let works = wanted.clone().filter(|t| t.works).count();
        let others: Vec<_> = self.trackers.iter().filter(|t| !t.wanted && !t.works).map(|t| t.name.as_str()).collect();
        let also = if others.is_empty() {
            String::new()
        } else {
            format!(" On request only, refused: {}.", others.join(", "))
        };
        format!("\n{works} of {} trackers that the server starts work here.{}\n", wanted.count(), escape(&also))
    }
}

fn built(kernel: &Kernel) -> String {
    let Some(config) = &kernel.config else {
        return format!("unknown: neither /proc/config.gz nor /boot/config-{}", kernel.release);
    };
    let off: Vec<_> = config.options.iter().filter(|(_, v)| *v == "n").map(|(o, _)| *o).collect();
    let off = if off.is_empty() { "with all that matters".into() } else { format!("without {}", off.join(", ")) };
    format!("{off} ({})", config.source)
}

fn security_modules(kernel: &Kernel) -> String {
    let modules = &kernel.security_modules;
    let bpf = match modules.bpf {
        Some(true) => "with bpf",
        Some(false) => "without bpf",
        None => "bpf unknown",
    };
    match &modules.names {
        Some(names) if modules.active => format!("{bpf}: {}", names.join(", ")),
        Some(names) => {
            format!("{bpf}, as configured: {} (no securityfs is mounted)", names.join(", "))
        }
        None => format!("{bpf}: no securityfs is mounted on /sys/kernel/security"),
    }
}

/// What the agent leaves itself while it runs.
fn sandboxed(kept: &[String]) -> String {
    let calls = sandbox::calls::count();
    format!("keeps {}; no new privileges, {calls} system calls refused", or(kept.join(", "), "no capability"))
}

fn or(text: String, instead: &str) -> String {
    if text.is_empty() { instead.to_owned() } else { text }
}

/// The words in as few lines of `width` as they fit in, each word whole.
fn packed<'a>(words: impl Iterator<Item = &'a str>, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() + 2 <= width => *line += &format!(", {word}"),
            Some(line) => {
                line.push(',');
                lines.push(word.to_owned());
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A heading and its lines; nothing where there are none.
fn paragraph(heading: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|l| format!("  {}\n", escape(l))).collect();
    format!("\n{heading}:\n{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::programs::Program;

    fn program(attach: &str, state: Use, reason: Option<&str>) -> Program {
        Program { name: attach.into(), attach: attach.into(), state, reason: reason.map(str::to_owned) }
    }

    #[test]
    fn a_report_is_short_aligned_and_escaped() {
        let programs = vec![
            program("fexit/vfs_read", Use::Refused, Some("no\u{1b}[2J")),
            program("lsm/file_open", Use::Unneeded, None),
            program("sys_exit dispatcher (read, write)", Use::Attached, None),
            program("tp_btf/sched_process_exit", Use::Attached, None),
        ];
        let works = Tracker { name: "files".into(), wanted: true, works: true, reason: None, programs };
        let refused = Tracker { name: "kexec".into(), reason: Some("needs more".into()), ..Tracker::default() };
        let report =
            Report { trackers: vec![works, refused], problems: vec!["one; do this".into()], ..Report::default() };
        let text = report.text(60);
        let expected = "\
TRACKER SERVER STATE   ATTACHED TO
files   yes    works   sys_exit dispatcher (read, write),
                       tp_btf/sched_process_exit
kexec   no     REFUSED needs more

Not used, another does the same: no\\u{1b}[2J
  files            fexit/vfs_read

Problems:
  one; do this

1 of 1 trackers that the server starts work here. On request only, refused: kexec.
";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn words_are_never_cut() {
        let pack = |width| packed(["ab", "cd", "ef"].into_iter(), width);
        assert_eq!(pack(100), ["ab, cd, ef"]);
        assert_eq!(pack(6), ["ab, cd,", "ef"]);
        assert_eq!(pack(1), ["ab,", "cd,", "ef"]);
        assert!(packed(std::iter::empty(), 10).is_empty());
    }

    #[test]
    fn what_is_not_known_is_said_to_be_unknown() {
        let text = Report::default().text(120);
        for line in
            ["built        -       unknown: neither /proc/config.gz", "LSMs         -       bpf unknown: no securityfs"]
        {
            assert!(text.contains(line), "{text}");
        }
        assert!(text.ends_with("No tracker was tried.\n"));
    }
}
