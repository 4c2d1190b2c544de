//! How severe a new behaviour is.

use ethogram_model::{Event, Exec, ObjectKind, Severity};

use super::{Behaviour, peers, places, purpose};
use crate::subject::program::is_in_writable_layer;

/// How severe a behaviour is, how sure that is, and what makes it so.
#[derive(Clone)]
pub(crate) struct Assessment {
    pub(crate) severity: Severity,
    pub(super) confidence: u8,
    pub(super) because: Option<String>,
}

/// Whether what runs lies in no file.
fn is_in_memory(event: &Event) -> bool {
    event.context.process.as_ref().is_some_and(|process| process.exec.in_memory)
        || event.get("process.executable.memfd").is_truthy()
}

/// Why a program that lies in a file is none of the image's, where that is known.
fn why_brought(exec: &Exec) -> Option<&'static str> {
    if exec.is_unlinked {
        return Some("the program's file has no name any more");
    }
    let is_in_memory = matches!(exec.file_system.as_str(), "tmpfs" | "ramfs" | "hugetlbfs");
    if is_in_memory && exec.is_on_writable_mount && exec.container_cgroup != 0 {
        return Some("the program lies on a file system in memory");
    }
    exec.is_path_cut.then_some("the program lies so deep that its path is cut")
}

impl Assessment {
    pub(crate) fn of(behaviour: &Behaviour<'_>, event: &Event) -> Self {
        let (severity, confidence, because) = match behaviour.kind {
            ObjectKind::Executable if is_in_memory(event) => {
                (Severity::High, 90, Some("the program lies in memory only, in no file".to_owned()))
            }
            ObjectKind::Executable if is_in_writable_layer(event) => {
                let because = "the program is not part of the image: it lies in the container's writable layer";
                (Severity::High, 90, Some(because.to_owned()))
            }
            ObjectKind::Executable => match event.context.process.as_ref().and_then(|p| why_brought(&p.exec)) {
                Some(because) => (Severity::High, 80, Some(because.to_owned())),
                None if purpose::runs_its_helper(event) => {
                    (Severity::Low, 40, Some("it is a helper that lies beside the program".to_owned()))
                }
                None => (Severity::Medium, 70, None),
            },
            ObjectKind::SensitivePath if purpose::lists_processes(behaviour, event) => {
                (Severity::Low, 40, Some("a list of processes looks at their environments".to_owned()))
            }
            ObjectKind::SensitivePath if purpose::reads_its_own(behaviour, event) => {
                (Severity::Low, 40, Some("the program of the system is there to read it".to_owned()))
            }
            ObjectKind::SensitivePath => {
                (Severity::High, 80, behaviour.sensitivity.map(|what| format!("it gives away {what}")))
            }
            ObjectKind::Path | ObjectKind::GuardedPath => match behaviour.sensitivity {
                Some(what) => (Severity::High, 80, Some(format!("it concerns {what}"))),
                None if places::is_temporary(&behaviour.object) => (Severity::Low, 40, None),
                None => (Severity::Medium, 50, None),
            },
            ObjectKind::Peer if behaviour.sensitivity.is_some() => {
                (Severity::High, 80, behaviour.sensitivity.map(|what| format!("it gives away {what}")))
            }
            ObjectKind::Peer if peers::is_loopback(behaviour.address.as_ref().unwrap_or(&behaviour.object)) => {
                (Severity::Low, 50, None)
            }
            ObjectKind::Peer => (Severity::Medium, 60, None),
            ObjectKind::Port => (Severity::Medium, 60, None),
            _ => (Severity::Medium, 70, None),
        };
        let because = because.or_else(|| behaviour.bulk.as_ref().map(|bulk| bulk.many.clone()));
        // What its object says of it goes before what its tracker says of all of its kind.
        let (severity, confidence) = match behaviour.severity {
            Some(severity) if because.is_none() || behaviour.bulk.is_some() => (severity, 50),
            _ => (severity, confidence),
        };
        // Who did it is half of a behaviour.
        let confidence = if behaviour.is_vague { confidence / 2 } else { confidence };
        Self { severity, confidence, because }
    }

    /// The same where people set the container up from outside, with its own programs.
    pub(crate) fn of_setup_from_outside(self) -> Self {
        let because = "it is set up from outside the container, by its own programs";
        Self { severity: self.severity.min(Severity::Medium), because: Some(because.to_owned()), ..self }
    }

    /// The same where a server reads another of its keys.
    pub(crate) fn of_another_key(self) -> Self {
        let because = "the server read another key of this folder before";
        Self { severity: self.severity.min(Severity::Medium), because: Some(because.to_owned()), ..self }
    }

    /// The same where a process reads it that the one which usually does has forked.
    pub(crate) fn of_forked_reader(self) -> Self {
        let what = self.because.map(|what| format!("; {what}")).unwrap_or_default();
        Self {
            because: Some(format!("only the program's main process read it, and none that this forked{what}")),
            ..self
        }
    }

    /// The same where there is a harmless reason for so much of it.
    pub(crate) fn of_excused_bulk(self, because: &str) -> Self {
        Self { severity: self.severity.min(Severity::Low), ..self }.saying(because)
    }

    /// The same where its executable never did anything like it.
    pub(crate) fn raise_severity(self, because: &str) -> Self {
        if self.severity != Severity::Medium {
            return self;
        }
        Self { severity: Severity::High, ..self }.saying(because)
    }

    /// With this beside what is said of it already.
    fn saying(self, because: &str) -> Self {
        let before = self.because.filter(|before| before != because).map(|before| before + "; ").unwrap_or_default();
        Self { because: Some(before + because), ..self }
    }
}
