//! The finding of a new behaviour, in words.

use std::fmt::Write;

use ethogram_model::{Container, Event, Finding, ObjectKind, Score, Severity, evidence, render};

use super::{Behaviour, assessment::Assessment, peers, words};
use crate::{
    subject::program::{OUTSIDE, UNKNOWN},
    update::{OTHERS, is_many},
};

/// Objects named as what had been usual.
pub(crate) const USUAL: usize = 5;

/// The workload that a finding is of, and what its profile says.
pub(crate) struct Known<'p> {
    /// What people call it.
    pub(crate) workload: &'p str,
    /// The image that it runs.
    pub(crate) image: &'p str,
    /// How long it was learnt, nanoseconds.
    pub(crate) learnt_ns: u64,
    /// What of the kind had been usual.
    pub(crate) usual: Vec<String>,
}

/// The finding of a behaviour that the profile does not hold.
pub(crate) fn make(
    behaviour: &Behaviour<'_>,
    assessment: Assessment,
    score: Score,
    event: &Event,
    known: Known<'_>,
    uid: String,
    object: String,
) -> Finding {
    // What is severe and what is not are two findings, and are shown alike.
    let object = if is_many(&object) { OTHERS.to_owned() } else { object };
    let seen = sentence(behaviour, &object);
    Finding {
        title: format!("{}: {seen}", render::escape(place(event))),
        analytic: format!("behaviour.{}", behaviour.operation),
        severity: assessment.severity,
        confidence: assessment.confidence,
        reason: reason(&seen, assessment.because.as_deref(), &known, &score),
        operation: behaviour.operation.to_owned(),
        executable: behaviour.program().to_owned(),
        object,
        score: Some(score),
        techniques: behaviour.techniques.to_vec(),
        ..without_profile(event, known, uid)
    }
}

/// The finding of a workload that has no profile where nothing is learnt.
pub(crate) fn without_profile(event: &Event, known: Known<'_>, uid: String) -> Finding {
    Finding {
        uid,
        title: format!("{}: a workload without a profile runs", render::escape(place(event))),
        analytic: "behaviour.workload".into(),
        severity: Severity::Medium,
        confidence: 90,
        reason: "nothing is learnt, as profiles are locked, and there is none of this workload: it is not judged"
            .into(),
        workload: known.workload.to_owned(),
        operation: "run".into(),
        executable: String::new(),
        object: known.image.to_owned(),
        usual: known.usual,
        process: event.context.process.clone(),
        evidence: vec![evidence::of(event)],
        count: 1,
        first_seen_ns: event.time_ns,
        last_seen_ns: event.time_ns,
        container: event.context.container.clone(),
        rule: None,
        score: None,
        techniques: Vec::new(),
    }
}

/// The finding that a workload does more of an operation than a profile holds.
pub(crate) fn too_restless(operation: &str, event: &Event, known: Known<'_>, uid: String) -> Finding {
    let what = format!("the workload is too restless to be judged exactly (operation {operation})");
    Finding {
        title: format!("{}: {what}", render::escape(place(event))),
        analytic: "behaviour.restless".into(),
        severity: Severity::Low,
        reason: format!(
            "{what}: it does more of it than a profile holds, so the rest is judged by a sketch of what was seen, \
             which takes some new behaviour for seen; what is severe is raised as ever"
        ),
        operation: operation.to_owned(),
        object: operation.to_owned(),
        ..without_profile(event, known, uid)
    }
}

/// What people call the container, or the service of the host.
fn place(event: &Event) -> &str {
    let service = event.context.service.as_deref().unwrap_or("host");
    event.context.container.as_deref().map_or(service, Container::display_name)
}

/// What was done, in words: `/bin/sh ran /usr/bin/curl`.
fn sentence(behaviour: &Behaviour<'_>, object: &str) -> String {
    let who = match behaviour.program() {
        UNKNOWN => "an unknown process".into(),
        OTHERS => "other programs".into(),
        executable => render::escape(executable),
    };
    let what = match (object, behaviour.kind) {
        (OTHERS, ObjectKind::Executable) => "more programs".into(),
        (OTHERS, ObjectKind::Path | ObjectKind::SensitivePath) => "more files".into(),
        (OTHERS, ObjectKind::Peer) => "more and more peers".into(),
        (OTHERS, ObjectKind::Port) => "more ports".into(),
        (OTHERS, ObjectKind::Name) => "others".into(),
        (port, ObjectKind::Port) if port == peers::EPHEMERAL => "an ephemeral port".into(),
        (port, ObjectKind::Port) => format!("port {port}").into(),
        (word, ObjectKind::Name) => words::object(behaviour.words, word).unwrap_or_else(|| render::escape(word)),
        _ => render::escape(object),
    };
    if behaviour.kind == ObjectKind::Executable && who == OUTSIDE {
        return format!("{what} was started from outside the container");
    }
    words::sentence(behaviour, &who, &what)
}

fn reason(seen: &str, because: Option<&str>, known: &Known<'_>, score: &Score) -> String {
    let mut out = format!("{seen}, which this workload never did in {} of learning", render::duration(known.learnt_ns));
    if let Some(because) = because {
        let _ = write!(out, "; {because}");
    }
    match known.usual.as_slice() {
        [] => out += "; nothing of the kind had been usual",
        usual => {
            let _ = write!(out, "; usual: {}", render::escape(&usual.join(", ")));
        }
    }
    let parts: Vec<String> = score.parts.iter().map(|part| format!("{} ({:.1})", part.what, part.bits)).collect();
    let _ = write!(out, "; score {:.1} bits, threshold {:.1}: {}", score.bits, score.threshold, parts.join(", "));
    out
}
