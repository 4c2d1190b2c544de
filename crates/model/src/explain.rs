//! An incident in plain words, without a model: what happened, why that is unusual, what speaks for an attack and what for
//! ordinary life, and what to look at next.

mod next;

use std::borrow::Cow;

use crate::{Incident, Link, LinkKind, Origin, Part, Severity, render};

/// Lines of each section at most.
const MAX_LINES: usize = 12;
/// Characters of a name, and of a sentence that holds some.
const MAX_NAME: usize = 120;
const MAX_TEXT: usize = 300;
/// A line with a command begins so; no line that holds a name of somebody else's does.
pub const COMMAND: &str = "    $ ";

/// An explanation in sections. All names in it are escaped, and commands hold none that means something to a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The incident in one sentence, and how severe it is.
    pub head: Vec<String>,
    /// What was done, in order.
    pub happened: Vec<String>,
    /// Why that is unusual.
    pub unusual: Vec<String>,
    /// What speaks for an attack.
    pub attack: Vec<String>,
    /// What speaks for ordinary life.
    pub ordinary: Vec<String>,
    /// Commands to look further, each with what it is for.
    pub next: Vec<(String, &'static str)>,
}

impl Explanation {
    /// That of an incident.
    pub fn of(incident: &Incident) -> Self {
        Self {
            head: head(incident),
            happened: happened(incident),
            unusual: unusual(incident),
            attack: attack(incident),
            ordinary: ordinary(incident),
            next: next::commands(incident),
        }
    }

    /// As a text of lines.
    pub fn text(&self) -> String {
        let mut out = self.head.join("\n") + "\n";
        for (title, lines) in [
            ("What happened", &self.happened),
            ("Why that is unusual", &self.unusual),
            ("What speaks for an attack", &self.attack),
            ("What speaks for ordinary life", &self.ordinary),
        ] {
            if !lines.is_empty() {
                out += &format!("\n{title}\n");
                lines.iter().for_each(|line| out += &format!("- {line}\n"));
            }
        }
        out += "\nWhat to look at next\n";
        for (command, purpose) in &self.next {
            out += &format!("- {purpose}\n{COMMAND}{command}\n");
        }
        out
    }
}

fn head(incident: &Incident) -> Vec<String> {
    let Incident { severity, bits, containers, findings, .. } = incident;
    let state = if incident.is_open { "more may come to it" } else { "it is over" };
    let names = containers.iter().take(4).map(|name| named(name)).collect::<Vec<_>>().join(", ");
    let more = containers.len().saturating_sub(4);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    vec![
        cut(&render::escape(&incident.title), MAX_TEXT),
        format!("Severity {}, {bits:.1} bits, findings: {findings}, in {names}{more}; {state}.", severity.name()),
    ]
}

fn happened(incident: &Incident) -> Vec<String> {
    let mut lines = vec![beginning(incident)];
    let mut parts: Vec<&Part> = incident.parts.iter().collect();
    // Where there are too many, the mildest are left out.
    parts.sort_by_key(|part| (std::cmp::Reverse(part.severity), part.first_seen_ns));
    let room = MAX_LINES.saturating_sub(3);
    let left = parts.len().saturating_sub(room) as u64 + incident.unlisted;
    parts.truncate(room);
    parts.sort_by_key(|part| part.first_seen_ns);
    for part in parts {
        let many = if part.objects > 1 { format!(", {} of them", part.objects) } else { String::new() };
        let what = cut(&render::escape(&part.what), MAX_TEXT);
        lines.push(format!("{} {what}{many} ({})", time(part.first_seen_ns), part.severity.name().to_lowercase()));
    }
    if left > 0 {
        lines.push(format!("and {left} more that are milder"));
    }
    lines
}

/// Who began it, by where it came from.
fn beginning(incident: &Incident) -> String {
    let place = incident.containers.first().map_or(Cow::Borrowed("the host"), |name| named(name).into());
    let first = incident.steps.first();
    let program = first.map_or(Cow::Borrowed("a program"), |step| named(&step.program).into());
    match incident.origin {
        Origin::Entered => format!(
            "From outside, {program} was started in {place}: so do `docker exec`, `kubectl exec` and health checks."
        ),
        Origin::Child => {
            format!("A service in {place} started {program}: for a request or a job of its own, or for an attacker.")
        }
        Origin::Login => format!("A server for logins in {place} started {program}: somebody logged in."),
        Origin::Job => format!("A scheduler in {place} started {program}: it is a job, as cron runs them."),
        Origin::Service => format!("The service {program} in {place} did it itself; no program was started for it."),
        Origin::Start => format!("It belongs to the start of {place}, which begins with {program}."),
        Origin::Agent => "It concerns the agent itself: what keeps it from seeing, or was done to it.".to_owned(),
        Origin::Unknown => format!("It is not known which program in {place} began it."),
    }
}

fn unusual(incident: &Incident) -> Vec<String> {
    let mut parts: Vec<&Part> = incident.parts.iter().collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.severity));
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        let line = cut(&render::escape(&reason(part)), MAX_TEXT);
        if !line.is_empty() && !lines.contains(&line) && lines.len() < MAX_LINES / 2 {
            lines.push(line);
        }
    }
    lines
}

/// Why a part is unusual, without what was seen, which stands above, and without the numbers of its score.
fn reason(part: &Part) -> Cow<'_, str> {
    const NEVER: &str = ", which this workload never did";
    let why = part.why.strip_prefix(part.what.as_str()).unwrap_or(&part.why);
    let why = why.rfind("; score ").and_then(|end| why.get(..end)).unwrap_or(why);
    match why.strip_prefix(NEVER) {
        Some(rest) => format!("this workload never did that{rest}").into(),
        None => why.trim_start_matches([';', ',', ' ']).into(),
    }
}

fn attack(incident: &Incident) -> Vec<String> {
    let reasons = incident.reasons.iter().filter(|reason| reason.bits > 0.0);
    let mut lines: Vec<String> =
        reasons.take(MAX_LINES).map(|r| format!("{} ({:+.1} bits)", render::escape(&r.what), r.bits)).collect();
    let linked = incident.links.iter().filter(|link| link.kind != LinkKind::Time).take(3);
    lines.extend(linked.filter_map(|link| connection(incident, link)));
    match incident.origin {
        Origin::Service => {
            lines.push("a service that does something new without a program may be under an attacker's control".into());
        }
        origin if origin.is_by_a_service() && incident.severity >= Severity::Medium => {
            lines.push("programs below a service are what a hole in it is used for".into());
        }
        Origin::Agent => lines.push("an attacker who is noticed tries to blind what notices".into()),
        _ => {}
    }
    lines
}

fn connection(incident: &Incident, link: &Link) -> Option<String> {
    let from = named(&incident.steps.get(link.from)?.program);
    let to = named(&incident.steps.get(link.to)?.program);
    Some(match link.kind {
        LinkKind::File => format!("{from} wrote {}, which was then run", named(&link.by)),
        LinkKind::Connection => format!("{from} connected to {}, and {to} followed there", named(&link.by)),
        LinkKind::Time => return None,
    })
}

fn ordinary(incident: &Incident) -> Vec<String> {
    let against = incident.reasons.iter().filter(|reason| reason.bits < 0.0);
    let mut lines: Vec<String> =
        against.take(MAX_LINES).map(|r| format!("{} ({:+.1} bits)", render::escape(&r.what), r.bits)).collect();
    lines.push(
        match incident.origin {
            Origin::Entered => "those who run the container start programs in it: is it known who did, and why?",
            Origin::Child => "jobs and health scripts are children of services, too: is there one of this kind?",
            Origin::Login => "those who look after it log in: is it known who did, and why?",
            Origin::Job => "jobs are changed by those who run them: was this one, of late?",
            Origin::Service => "a service does new things after a change of its configuration or its traffic",
            Origin::Start => "an image's new version, or other settings, starts in another way",
            Origin::Agent => "an update, a restart or an overloaded host does the same: does its time fit one?",
            Origin::Unknown => "what is not known says nothing for either side",
        }
        .into(),
    );
    let is_of_rule = |part: &Part| part.analytic.starts_with("rule.");
    if !incident.parts.is_empty() && !incident.parts.iter().any(is_of_rule) && incident.origin != Origin::Agent {
        lines.push("no rule knows any of it as bad: it is only new to the workload".into());
    }
    if incident.parts.len() == 1 && incident.unlisted == 0 {
        lines.push("it is one thing alone: nothing came before or after it".into());
    }
    if incident.confidence < 50 {
        lines.push(format!("the confidence is {} of 100: the profile may be young", incident.confidence));
    }
    lines
}

/// A name that is somebody else's, in quotation marks.
fn named(name: &str) -> String {
    format!("\"{}\"", cut(&render::escape(name), MAX_NAME).replace('"', "'"))
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn time(ns: u64) -> String {
    render::rfc3339(ns).get(11..19).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
