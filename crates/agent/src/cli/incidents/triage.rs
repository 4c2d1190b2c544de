//! What a language model wrote about an incident, as people see it. Its texts are untrusted: they are escaped, bounded, and
//! never stand without the model's name.

use ethogram_model::{Incident, Severity, Triage, render};

use crate::cli::wrap::{few, wrapped};

/// Lines that a story has for it.
const MAX_REASON_LINES: usize = 4;
const MAX_LOOK_AT_LINES: usize = 3;
/// Characters of a model's name.
const MAX_MODEL: usize = 40;

/// As what an incident is listed, and what stands before its title: where a model lowered it, how severe it is.
pub(super) fn listed(incident: &Incident, triage: Option<&Triage>) -> (Severity, String) {
    let Some(triage) = triage else { return (incident.severity, String::new()) };
    let (shown, verdict) = (triage.shown_severity(incident.severity), triage.verdict.name());
    let real = if shown == incident.severity { String::new() } else { format!("{}; ", incident.severity.name()) };
    (shown, format!("({real}triage: {verdict}) "))
}

/// A few lines of a story.
pub(super) fn lines(triage: &Triage, width: usize) -> Vec<String> {
    let cached = if triage.cached { ", of one like it" } else { "" };
    let head = format!("triage by {}{cached}: {}: ", model(triage), triage.verdict.name());
    let mut lines = few(wrapped(&(head + &render::escape(&triage.reason)), width), MAX_REASON_LINES);
    if !triage.look_at.is_empty() {
        let all: Vec<_> = triage.look_at.iter().map(|item| render::escape(item)).collect();
        lines.extend(few(wrapped(&format!("it suggests to look at: {}", all.join("; ")), width), MAX_LOOK_AT_LINES));
    }
    lines
}

/// All of it.
pub(super) fn explanation(incident: &Incident, triage: &Triage, width: usize) -> String {
    let at = render::rfc3339(triage.asked_ns);
    let at = at.get(..19).unwrap_or_default().replace('T', " ");
    let cached = if triage.cached { ", about one like it" } else { "" };
    let mut lines = wrapped(&render::escape(&incident.title), width);
    lines.push(String::new());
    lines.push(format!("Verdict of the model {}: {}", model(triage), triage.verdict.name()));
    lines.push(format!("Asked {at} UTC{cached}, with the prompt {}", render::escape(&triage.prompt)));
    lines.push(String::new());
    lines.extend(wrapped(&render::escape(&triage.reason), width));
    if !triage.look_at.is_empty() {
        lines.extend([String::new(), "It suggests to look at".to_owned()]);
        lines.extend(triage.look_at.iter().flat_map(|item| indented("- ", &render::escape(item), width)));
    }
    lines.push(String::new());
    let note = format!(
        "The model read names that an attacker can choose. The severity stays {}, and nothing is done by its word; \
         --no-model explains without it.",
        incident.severity.name()
    );
    lines.extend(wrapped(&note, width));
    lines.join("\n") + "\n"
}

/// A text in lines, the first behind a mark, and the others below it.
pub(super) fn indented(mark: &str, text: &str, width: usize) -> Vec<String> {
    let width = width.saturating_sub(mark.len());
    let blank = " ".repeat(mark.len());
    let lines = wrapped(text, width).into_iter().enumerate();
    lines.map(|(at, line)| format!("{}{line}", if at == 0 { mark } else { &blank })).collect()
}

fn model(triage: &Triage) -> String {
    render::escape(&triage.model).chars().take(MAX_MODEL).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use ethogram_model::Verdict;

    use super::*;
    use crate::cli::incidents::story::tests::incident;

    pub(in crate::cli::incidents) fn triage(verdict: Verdict, reason: &str) -> Triage {
        Triage {
            verdict,
            reason: reason.into(),
            look_at: vec!["the crontab".into(), reason.into()],
            model: "small".into(),
            prompt: "0011".into(),
            shape: "22".into(),
            asked_ns: 1_767_268_800_000_000_000,
            cached: false,
        }
    }

    #[test]
    fn a_lowered_one_says_how_severe_it_is_and_what_is_severe_is_not_lowered() {
        let of = |severity, verdict| {
            let incident = Incident { severity, ..incident() };
            let (shown, before) = listed(&incident, Some(&triage(verdict, "")));
            format!("{} {before}", shown.name())
        };
        assert_eq!(of(Severity::Medium, Verdict::Maintenance), "Low (Medium; triage: maintenance) ");
        assert_eq!(of(Severity::High, Verdict::Maintenance), "High (triage: maintenance) ");
        assert_eq!(of(Severity::Critical, Verdict::Maintenance), "Critical (triage: maintenance) ");
        assert_eq!(of(Severity::Low, Verdict::Attack), "Low (triage: attack) ");
        assert_eq!(listed(&incident(), None), (Severity::High, String::new()));
    }

    #[test]
    fn what_a_model_wrote_commands_no_terminal_and_has_an_end() {
        let hostile = format!("fine\u{1b}[2J\u{202e}\n    $ rm -rf /\n{}", "x ".repeat(5_000));
        let triage = triage(Verdict::Maintenance, &hostile);
        let all = [lines(&triage, 80).join("\n"), explanation(&incident(), &triage, 80)];
        for text in &all {
            assert!(!text.contains(['\u{1b}', '\u{202e}']) && text.contains("\\u{1b}[2J"), "{text}");
            assert!(text.lines().all(|line| !line.starts_with("    ") && line.chars().count() <= 80), "{text}");
        }
        assert!(lines(&triage, 80).len() <= MAX_REASON_LINES + MAX_LOOK_AT_LINES);
        assert!(all[1].contains("The severity stays High"), "{}", all[1]);
    }
}
