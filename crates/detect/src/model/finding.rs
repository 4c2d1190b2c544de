//! How grave a new behaviour is, and how it is told.

use std::fmt::Write;

use ethogram_model::{Container, Event, Finding, ObjectKind, Score, Severity, render};

use crate::{
    Behaviour, Profile,
    behaviour::{OUTSIDE, UNKNOWN, is_in_writable_layer, places},
    profile::{OTHERS, peers},
};

/// Objects named as what had been usual.
const USUAL: usize = 5;

/// How grave a behaviour is, how sure that is, and what makes it so.
pub(crate) struct Assessment {
    pub(crate) severity: Severity,
    confidence: u8,
    because: Option<String>,
}

impl Assessment {
    pub(crate) fn of(behaviour: &Behaviour<'_>, event: &Event) -> Self {
        let (severity, confidence, because) = match behaviour.kind {
            ObjectKind::Executable if behaviour.object.starts_with("memfd:") => {
                (Severity::High, 90, Some("the program lies in memory only, in no file".to_owned()))
            }
            ObjectKind::Executable if is_in_writable_layer(event) => {
                let because = "the program is not part of the image: it lies in the container's writable layer";
                (Severity::High, 90, Some(because.to_owned()))
            }
            ObjectKind::Executable => (Severity::Medium, 70, None),
            ObjectKind::SensitivePath => {
                (Severity::High, 80, behaviour.stake.map(|what| format!("it gives away {what}")))
            }
            ObjectKind::Path => match behaviour.stake {
                Some(what) => (Severity::High, 80, Some(format!("it concerns {what}"))),
                None if places::is_temporary(&behaviour.object) => (Severity::Low, 40, None),
                None => (Severity::Medium, 50, None),
            },
            ObjectKind::Peer if behaviour.stake.is_some() => {
                (Severity::High, 80, behaviour.stake.map(|what| format!("it gives away {what}")))
            }
            ObjectKind::Peer if peers::is_loopback(behaviour.address.as_ref().unwrap_or(&behaviour.object)) => {
                (Severity::Low, 50, None)
            }
            ObjectKind::Peer => (Severity::Medium, 60, None),
            ObjectKind::Port if behaviour.operation == "accept" => (Severity::Low, 50, None),
            ObjectKind::Port => (Severity::Medium, 60, None),
            ObjectKind::Name => (Severity::Medium, 70, None),
        };
        // Who did it is half of a behaviour.
        let confidence = if behaviour.is_vague { confidence / 2 } else { confidence };
        Self { severity, confidence, because }
    }

    /// The same where its executable never did anything like it.
    pub(crate) fn graver(self, because: &str) -> Self {
        if self.severity != Severity::Medium {
            return self;
        }
        Self { severity: Severity::High, confidence: self.confidence, because: Some(because.to_owned()) }
    }
}

/// The finding of a behaviour that the profile does not hold.
pub(crate) fn make(
    behaviour: &Behaviour<'_>,
    assessment: Assessment,
    score: Score,
    event: &Event,
    profile: &Profile,
    uid: String,
    object: String,
) -> Finding {
    let usual = profile.usual(behaviour, USUAL);
    let seen = sentence(behaviour, &object);
    let learnt_ns = profile.inherited_ns.saturating_add(profile.learnt_ns);
    Finding {
        title: format!("{}: {seen}", render::escape(place(event))),
        analytic: format!("behaviour.{}", behaviour.operation),
        severity: assessment.severity,
        confidence: assessment.confidence,
        reason: reason(&seen, assessment.because.as_deref(), &usual, learnt_ns, &score),
        operation: behaviour.operation.to_owned(),
        executable: behaviour.executable.to_string(),
        object,
        usual,
        score: Some(score),
        ..without_profile(event, profile, uid)
    }
}

/// The finding of a workload that has no profile where nothing is learnt.
pub(crate) fn without_profile(event: &Event, profile: &Profile, uid: String) -> Finding {
    Finding {
        uid,
        title: format!("{}: a workload without a profile runs", render::escape(place(event))),
        analytic: "behaviour.workload".into(),
        severity: Severity::Medium,
        confidence: 90,
        reason: "nothing is learnt, as profiles are locked, and there is none of this workload: it is not judged"
            .into(),
        workload: profile.workload.name.clone(),
        operation: "run".into(),
        executable: String::new(),
        object: profile.workload.image.clone(),
        usual: Vec::new(),
        process: event.context.process.clone(),
        evidence: vec![render::to_json(event)],
        count: 1,
        first_seen_ns: event.time_ns,
        last_seen_ns: event.time_ns,
        container: event.context.container.clone(),
        rule: None,
        score: None,
        techniques: Vec::new(),
    }
}

/// What people call the container, or the service of the host.
fn place(event: &Event) -> &str {
    let service = event.context.service.as_deref().unwrap_or("host");
    event.context.container.as_deref().map_or(service, Container::display_name)
}

/// What was done, in words: `/bin/sh ran /usr/bin/curl`.
fn sentence(behaviour: &Behaviour<'_>, object: &str) -> String {
    let who = match &*behaviour.executable {
        UNKNOWN => "an unknown process".into(),
        executable => render::escape(executable),
    };
    let what = match (object, behaviour.kind) {
        (OTHERS, ObjectKind::Executable) => "more programs".into(),
        (OTHERS, ObjectKind::Path | ObjectKind::SensitivePath) => "more files".into(),
        (OTHERS, ObjectKind::Peer) => "more and more peers".into(),
        (OTHERS, ObjectKind::Port) => "more ports".into(),
        (OTHERS, ObjectKind::Name) => "others".into(),
        ("writable_executable", ObjectKind::Name) => "writable and executable at once".into(),
        ("made_executable", ObjectKind::Name) => "executable once it was written".into(),
        ("executable_memfd", ObjectKind::Name) => "from a file in memory only".into(),
        (port, ObjectKind::Port) if port == peers::EPHEMERAL => "an ephemeral port".into(),
        (port, ObjectKind::Port) => format!("port {port}").into(),
        _ => render::escape(object),
    };
    match behaviour.operation {
        "execute" if who == OUTSIDE => format!("{what} was started from outside the container"),
        "execute" => format!("{who} ran {what}"),
        "write" => format!("{who} wrote {what}"),
        "read" => format!("{who} read {what}"),
        "connect" => format!("{who} connected to {what}"),
        "listen" => format!("{who} listened on {what}"),
        "accept" => format!("{who} accepted a connection on {what}"),
        "generate" => format!("{who} made code in memory ({what})"),
        "trace" => format!("{who} reached into the memory of {what}"),
        other => format!("{who} did {} to {what}", render::escape(other)),
    }
}

fn reason(seen: &str, because: Option<&str>, usual: &[String], learnt_ns: u64, score: &Score) -> String {
    let mut out = format!("{seen}, which this workload never did in {} of learning", duration(learnt_ns));
    if let Some(because) = because {
        let _ = write!(out, "; {because}");
    }
    match usual {
        [] => out += "; nothing of the kind had been usual",
        usual => {
            let _ = write!(out, "; usual: {}", render::escape(&usual.join(", ")));
        }
    }
    let parts: Vec<String> = score.parts.iter().map(|part| format!("{} ({:.1})", part.what, part.bits)).collect();
    let _ = write!(out, "; {:.1} bits where {:.1} are told: {}", score.bits, score.threshold, parts.join(", "));
    out
}

/// A duration as people say it: its largest unit that loses little.
pub(crate) fn duration(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
