//! An incident as a story: who began it, and what was done by whom in what order, in as many lines as fit a screen.

use std::fmt::Write;

use ethogram_model::{Incident, LinkKind, Part, Severity, Step, Triage, render};

use super::{again, triage};
use crate::{
    api::Accepted,
    cli::{
        profile::moment,
        wrap::{few, wrapped},
    },
};

/// Lines of all of it at most.
const MAX_LINES: usize = 40;
/// Where the story's text begins: behind its time.
const TIME: usize = 10;

/// `accepted` is all that was accepted, of this incident and of others.
pub(super) fn text(incident: &Incident, accepted: &[Accepted], triage: Option<&Triage>, width: usize) -> String {
    let mut lines = head(incident, width);
    lines.extend(swallowed(incident, accepted).map(|line| cut(&line, width)));
    lines.extend(triage.into_iter().flat_map(|triage| triage::lines(triage, width)));
    lines.push(String::new());
    let (next, room) = (next(incident), MAX_LINES.saturating_sub(lines.len() + 2));
    lines.extend(story(incident, width, room));
    lines.push(String::new());
    lines.push(next);
    lines.into_iter().fold(String::new(), |all, line| all + line.trim_end() + "\n")
}

fn head(incident: &Incident, width: usize) -> Vec<String> {
    let Incident { uid, title, severity, bits, first_seen_ns, last_seen_ns, findings, .. } = incident;
    let state = if incident.is_open { "open" } else { "closed" };
    let (from, to) = (time(*first_seen_ns), time(*last_seen_ns));
    let day = render::rfc3339(*first_seen_ns);
    let day = day.get(..10).unwrap_or_default();
    let span = if from == to { from } else { format!("{from} to {to}") };
    let mut lines = few(wrapped(&render::escape(title), width), 2);
    lines.push(format!("{}, {state}, {day} {span} UTC, findings: {findings}, id {uid}", severity.name()));
    lines.push(format!("workloads: {}", render::escape(&incident.workloads.join(", "))));
    if !incident.techniques.is_empty() {
        lines.push(format!("ATT&CK: {}", render::escape(&incident.techniques.join(", "))));
    }
    let reasons: Vec<String> = incident.reasons.iter().map(|r| format!("{} ({:+.1})", r.what, r.bits)).collect();
    lines.extend(few(wrapped(&format!("{bits:.1} bits: {}", reasons.join("; ")), width), 5));
    lines.extend(again::of(incident));
    lines.into_iter().map(|line| cut(&line, width)).collect()
}

/// What of it was accepted, and what raised no alert since because of that.
fn swallowed(incident: &Incident, accepted: &[Accepted]) -> Option<String> {
    let is_of_it = |one: &&Accepted| incident.parts.iter().any(|part| part.findings.contains(&one.finding));
    let own: Vec<&Accepted> = accepted.iter().filter(is_of_it).collect();
    let matched: u64 = own.iter().map(|one| one.matched).sum();
    let last = own.iter().filter_map(|one| one.last_matched.as_deref()).max();
    let last = last.map_or(String::new(), |last| format!(", last {} UTC", moment(last)));
    let n = own.len();
    (n > 0).then(|| {
        format!("accepted: {n} of its alerts; since then {matched} findings raised none because of that{last}")
    })
}

/// Each program below the one that started it, with what it did. The mildest parts give way where there are too many lines.
fn story(incident: &Incident, width: usize, room: usize) -> Vec<String> {
    for least in [Severity::Informational, Severity::Low, Severity::Medium, Severity::High, Severity::Critical] {
        for with_reasons in [true, false] {
            let lines = lines(incident, width, least, with_reasons);
            if lines.len() <= room {
                return lines;
            }
        }
    }
    let mut lines = lines(incident, width, Severity::Critical, false);
    lines.truncate(room.saturating_sub(1));
    lines.push(format!("{:TIME$}…", ""));
    lines
}

fn lines(incident: &Incident, width: usize, least: Severity, with_reasons: bool) -> Vec<String> {
    let shown = |part: &&Part| part.severity >= least;
    let mut lines = Vec::new();
    let unknown = incident.parts.iter().filter(shown).filter(|part| part.step.is_none());
    unknown.for_each(|part| lines.extend(of_part(part, 0, width, with_reasons)));
    let mut open: Vec<(usize, usize)> = roots(incident).rev().map(|root| (root, 0)).collect();
    while let Some((at, depth)) = open.pop() {
        let Some(step) = incident.steps.get(at) else { continue };
        lines.push(of_step(incident, at, step, depth, width));
        let own = incident.parts.iter().filter(shown).filter(|part| part.step == Some(at));
        own.for_each(|part| lines.extend(of_part(part, depth + 1, width, with_reasons)));
        let below = incident.steps.iter().enumerate().filter(|(child, step)| step.parent == Some(at) && *child > at);
        open.extend(below.map(|(child, _)| (child, depth + 1)).collect::<Vec<_>>().into_iter().rev());
    }
    let left = incident.parts.iter().filter(|part| part.severity < least).count() as u64 + incident.unlisted;
    if left > 0 {
        lines.push(format!(
            "{:TIME$}and {left} milder parts: `ethogram incidents show -o json` has those that are kept",
            ""
        ));
    }
    lines
}

/// Steps that none of the others started.
fn roots(incident: &Incident) -> impl DoubleEndedIterator<Item = usize> + '_ {
    let is_root = |(at, step): &(usize, &Step)| step.parent.is_none_or(|parent| parent >= *at);
    incident.steps.iter().enumerate().filter(is_root).map(|(at, _)| at)
}

fn of_step(incident: &Incident, at: usize, step: &Step, depth: usize, width: usize) -> String {
    let when = if step.started_ns == 0 || step.is_service { String::new() } else { time(step.started_ns) };
    let place =
        if incident.containers.len() > 1 { format!(" in {}", render::escape(&step.container)) } else { String::new() };
    let what = if step.is_service { " (the service itself)" } else { "" };
    let how = incident.links.iter().find(|link| link.to == at).map_or(String::new(), |link| match link.kind {
        LinkKind::File => format!(", which it wrote before: {}", render::escape(&link.by)),
        LinkKind::Connection => format!(", after a connection to {}", render::escape(&link.by)),
        LinkKind::Time => ", right then".to_owned(),
    });
    let args = if step.args.is_empty() { String::new() } else { format!(": {}", render::escape(&step.args)) };
    let program = render::escape(&step.program);
    let text = format!("{:indent$}{program} [{}]{place}{what}{how}{args}", "", step.pid, indent = 2 * depth);
    cut(&format!("{when:TIME$}{text}"), width)
}

fn of_part(part: &Part, depth: usize, width: usize, with_reasons: bool) -> Vec<String> {
    let indent = TIME + 2 * depth;
    let many = if part.objects > 1 { format!(" ({} of them)", part.objects) } else { String::new() };
    let text = format!("{} {}{many}", mark(part.severity), render::escape(&part.what));
    let mut line = String::new();
    _ = write!(line, "{:TIME$}{:rest$}{text}", time(part.first_seen_ns), "", rest = 2 * depth);
    let mut lines = vec![cut(&line, width)];
    if with_reasons {
        // What was seen comes first, and stands above.
        let why = part.why.split_once("; ").map_or("", |(_, why)| why);
        if !why.is_empty() {
            lines.push(cut(&format!("{:indent$}     {}", "", render::escape(why)), width));
        }
    }
    lines
}

/// How severe a part is, for who sees no colours either.
fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational => "   .",
        Severity::Low => "   !",
        Severity::Medium => "  !!",
        Severity::High => " !!!",
        Severity::Critical => "!!!!",
    }
}

fn next(incident: &Incident) -> String {
    let container = incident.containers.first().filter(|name| *name != "host");
    match container {
        Some(name) => {
            format!("next: ethogram containers show {0}; ethogram alerts --container {0}", render::escape(name))
        }
        None => "next: ethogram alerts; ethogram doctor".to_owned(),
    }
}

/// The time of day.
fn time(ns: u64) -> String {
    render::rfc3339(ns).get(11..19).unwrap_or_default().to_owned()
}

fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use ethogram_model::{Link, Origin, ScorePart, Verdict};

    use super::*;

    const AT: u64 = 1_767_268_800_000_000_000;

    fn step(parent: Option<usize>, pid: u32, program: &str, args: &str) -> Step {
        Step {
            parent,
            container: "web".into(),
            pid,
            program: program.into(),
            args: args.into(),
            is_service: false,
            started_ns: AT + u64::from(pid) * 1_000_000_000,
        }
    }

    fn part(step: usize, what: &str, severity: Severity) -> Part {
        Part {
            step: Some(step),
            what: what.into(),
            why: format!("{what}, which this workload never did in 24h of learning; usual: /bin/true"),
            analytic: "behaviour.read".into(),
            severity,
            confidence: 80,
            operation: "read".into(),
            executable: "/bin/cat".into(),
            object: what.into(),
            objects: 1,
            surprise: 2.0,
            techniques: Vec::new(),
            findings: vec!["f".into()],
            first_seen_ns: AT + 5_000_000_000,
            last_seen_ns: AT + 5_000_000_000,
        }
    }

    pub(crate) fn incident() -> Incident {
        Incident {
            title: "web: /bin/sh started by a service: /bin/cat read /etc/shadow, and 1 more".into(),
            severity: Severity::High,
            confidence: 80,
            bits: 11.0,
            reasons: vec![ScorePart { bits: 8.0, what: "its worst part is of high severity".into() }],
            containers: vec!["web".into()],
            workloads: vec!["shop/web".into()],
            steps: vec![
                step(None, 1, "/bin/sh", "sh -c id"),
                step(Some(0), 2, "/bin/cat", "cat /etc/shadow\u{1b}[31m"),
                step(None, 3, "/tmp/.x", ""),
            ],
            parts: vec![
                part(0, "/usr/sbin/nginx ran /bin/sh", Severity::Medium),
                part(1, "/bin/cat read /etc/shadow", Severity::High),
            ],
            links: vec![Link { kind: LinkKind::File, from: 0, to: 2, by: "/tmp/.x".into() }],
            findings: 2,
            techniques: vec!["T1003".into()],
            last_seen_ns: AT + 90_000_000_000,
            ..Incident::begun("3f1c72272e07bb014262b821756295c5".into(), Origin::Child, AT)
        }
    }

    #[test]
    fn it_is_read_from_top_to_bottom() {
        let shown = super::text(&incident(), &[], None, 100);
        insta::assert_snapshot!(shown, @r"
        web: /bin/sh started by a service: /bin/cat read /etc/shadow, and 1 more
        High, open, 2026-01-01 12:00:00 to 12:01:30 UTC, findings: 2, id 3f1c72272e07bb014262b821756295c5
        workloads: shop/web
        ATT&CK: T1003
        11.0 bits: its worst part is of high severity (+8.0)

        12:00:01  /bin/sh [1]: sh -c id
        12:00:05      !! /usr/sbin/nginx ran /bin/sh
                         usual: /bin/true
        12:00:02    /bin/cat [2]: cat /etc/shadow\u{1b}[31m
        12:00:05       !!! /bin/cat read /etc/shadow
                           usual: /bin/true
        12:00:03  /tmp/.x [3], which it wrote before: /tmp/.x

        next: ethogram containers show web; ethogram alerts --container web
        ");
    }

    #[test]
    fn it_fits_a_screen_whatever_there_is() {
        let mut long = incident();
        long.title = "x".repeat(2_000);
        long.steps = (0..64).map(|n| step((n > 0).then(|| n - 1), 7, "/bin/sh", "")).collect();
        long.parts = (0..64).map(|n| part(n, "much", [Severity::Low, Severity::High][n % 2])).collect();
        let hostile = triage::tests::triage(Verdict::Maintenance, &"\u{1b}[2J x".repeat(99));
        let shown = super::text(&long, &[], Some(&hostile), 80);
        assert!(shown.lines().count() <= MAX_LINES, "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        // A parent that is not before its child, as no incident of ours has it, is no loop.
        long.steps.iter_mut().for_each(|step| step.parent = Some(63));
        assert!(super::text(&long, &[], Some(&hostile), 80).lines().count() <= MAX_LINES);
    }

    #[test]
    fn what_was_accepted_of_it_says_what_it_swallowed_and_that_of_others_does_not() {
        let accepted = |finding: &str, matched, last: Option<&str>| Accepted {
            id: "a".into(),
            analytic: "behaviour.read".into(),
            workload: "shop/web".into(),
            executable: "/bin/cat".into(),
            object: None,
            finding: finding.into(),
            title: String::new(),
            reason: None,
            since: String::new(),
            until: None,
            matched,
            last_matched: last.map(str::to_owned),
            last_object: None,
        };
        let own = [accepted("f", 2, Some("2026-01-02T08:00:00.000000000Z")), accepted("f", 1, None)];
        let shown = super::text(&incident(), &own, None, 100);
        let line = "accepted: 2 of its alerts; since then 3 findings raised none because of that, last 2026-01-02 08:00:00 UTC";
        assert!(shown.contains(line.get(..99).unwrap()), "{shown}");
        let others = super::text(&incident(), &[accepted("g", 5, None), accepted("", 5, None)], None, 100);
        assert!(!others.contains("accepted"), "{others}");
    }
}
