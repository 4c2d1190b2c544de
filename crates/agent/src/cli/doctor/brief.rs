//! The report in short: whether the server runs here, what works, what does not, and what to do about it.

use std::collections::BTreeMap;

use ethogram_model::render::escape;

use super::{
    Report,
    programs::{Tracker, Use},
};
use crate::cli::wrap::wrapped;

/// Columns of a line's head.
const HEAD: usize = 14;

impl Report {
    pub(super) fn brief(&self, width: usize) -> String {
        let (works, lacks) = (self.works(), self.lacks());
        let verdict = match &self.unable {
            Some(reason) => format!("The server cannot run here: {reason}"),
            None if lacks.is_empty() && self.problems.is_empty() => "The server runs here.".to_owned(),
            None => "The server runs here, with the limits below.".to_owned(),
        };
        let mut out = wrapped(&escape(&verdict), width).join("\n") + "\n";
        out += &section("Works", &works, width);
        out += &section("Does not work", &lacks, width);
        let plain = |lines: &[String]| lines.iter().map(|line| ("-".to_owned(), line.clone())).collect::<Vec<_>>();
        out += &section("What to do", &plain(&self.problems), width);
        out += &section("Costly here", &plain(&self.costs), width);
        out + "\n`ethogram doctor --all` shows every fact, and where each tracker is attached.\n"
    }

    fn works(&self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        if !self.trackers.is_empty() {
            let (started, others): (Vec<_>, Vec<_>) =
                self.trackers.iter().filter(|t| t.works).partition(|tracker| tracker.wanted);
            let all = self.trackers.iter().filter(|tracker| tracker.wanted).count();
            out.push((
                "trackers".to_owned(),
                format!("{} of {all} that the server starts: {}", started.len(), names(&started)),
            ));
            if !others.is_empty() {
                out.push(("on request".to_owned(), names(&others)));
            }
        }
        if let (None, Some(mode)) = (&self.cgroups.problem, &self.cgroups.mode) {
            let runtimes: Vec<_> = self.runtimes.iter().map(|r| format!("{} ({})", r.name, r.at)).collect();
            let named = if runtimes.is_empty() {
                "no runtime is found, so containers have ids but no names".to_owned()
            } else {
                format!("names from {}", runtimes.join(", "))
            };
            out.push((
                "containers".to_owned(),
                format!("told apart by {mode}; {named}; LXC and systemd-nspawn count as the host"),
            ));
        }
        if self.denial.as_ref().is_some_and(|denial| denial.works) {
            out.push(("denial".to_owned(), "the kernel can deny operations, see [[response.policy]]".to_owned()));
        }
        out
    }

    fn lacks(&self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        for missing in &self.privileges.missing {
            out.push((
                "privileges".to_owned(),
                format!("without {}, which is needed {}", missing.name, missing.purpose),
            ));
        }
        if let Some(problem) = &self.cgroups.problem {
            out.push(("containers".to_owned(), problem.clone()));
        }
        // Most are refused for the same reason.
        let mut refused = BTreeMap::<&str, Vec<&Tracker>>::new();
        for tracker in self.trackers.iter().filter(|tracker| !tracker.works) {
            refused.entry(tracker.reason.as_deref().unwrap_or("refused")).or_default().push(tracker);
        }
        for (reason, trackers) in refused {
            out.push(("trackers".to_owned(), format!("{}: {reason}", names(&trackers))));
        }
        let withheld = |tracker: &&Tracker| tracker.programs.iter().any(|p| p.state == Use::Withheld);
        let withheld: Vec<_> = self.trackers.iter().filter(withheld).collect();
        if !withheld.is_empty() {
            let what =
                "some events only where the configuration's [trackers] asks for high overhead, or someone follows them";
            out.push(("trackers".to_owned(), format!("{}: {what}", names(&withheld))));
        }
        if let Some((reason, remedy)) =
            self.denial.as_ref().and_then(|d| Some((d.reason.as_ref()?, d.remedy.as_ref()?)))
        {
            out.push((
                "denial".to_owned(),
                format!("operations cannot be denied, only raise alerts: {reason}; {remedy}"),
            ));
        }
        out
    }
}

fn names(trackers: &[&Tracker]) -> String {
    trackers.iter().map(|tracker| tracker.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// A heading and its lines, each with its head; nothing where there are none.
fn section(heading: &str, lines: &[(String, String)], width: usize) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{heading}\n");
    for (head, text) in lines {
        let indent = if head == "-" { 2 } else { HEAD };
        for (i, line) in wrapped(&escape(text), width.saturating_sub(indent + 2)).iter().enumerate() {
            let head = if i == 0 { head.as_str() } else { "" };
            out += &format!("  {head:indent$}{line}\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::{Cgroups, denial::Denial};

    fn tracker(name: &str, wanted: bool, refused: Option<&str>) -> Tracker {
        let (works, reason) = (refused.is_none(), refused.map(str::to_owned));
        Tracker { name: name.into(), wanted, works, reason, programs: Vec::new() }
    }

    #[test]
    fn it_says_what_works_what_does_not_and_what_to_do() {
        let report = Report {
            trackers: vec![
                tracker("files", true, None),
                tracker("kexec", false, Some("no\u{1b}[2J")),
                tracker("open", true, None),
                tracker("ptrace", false, Some("no\u{1b}[2J")),
            ],
            cgroups: Cgroups { mode: Some("cgroup v2".into()), ..Cgroups::default() },
            denial: Some(Denial {
                reason: Some("no bpf".into()),
                remedy: Some("boot with lsm=bpf".into()),
                ..Denial::default()
            }),
            problems: vec!["one two three four five six seven eight nine ten; do this".into()],
            ..Report::default()
        };
        assert_eq!(
            report.brief(60),
            "\
The server runs here, with the limits below.

Works
  trackers      2 of 2 that the server starts: files, open
  containers    told apart by cgroup v2; no runtime is
                found, so containers have ids but no names;
                LXC and systemd-nspawn count as the host

Does not work
  trackers      kexec, ptrace: no\\u{1b}[2J
  denial        operations cannot be denied, only raise
                alerts: no bpf; boot with lsm=bpf

What to do
  - one two three four five six seven eight nine ten; do
    this

`ethogram doctor --all` shows every fact, and where each tracker is attached.
"
        );
        let fine = Report { trackers: vec![tracker("open", true, None)], ..Report::default() };
        assert!(fine.brief(80).starts_with("The server runs here.\n\nWorks\n"), "{}", fine.brief(80));
        let none = Report { unable: Some("no BTF".into()), ..Report::default() };
        assert!(none.brief(80).starts_with("The server cannot run here: no BTF\n\n`"), "{}", none.brief(80));
    }
}
