//! What earlier agents kept under the name of one numbered folder is kept under the class of all of them.

use std::collections::BTreeMap;

use ethogram_model::ObjectKind;

use super::{Alerted, BehaviourChannel, Executable};
use crate::subject::normalise::numbered_folders;

type Raised = BTreeMap<String, BTreeMap<String, Alerted>>;

impl BehaviourChannel {
    /// Names folders as a class whose names are numbers behind a word: `/builds/job-<n>/run`.
    pub(crate) fn rename_numbered_folders(&mut self) {
        for (name, operation) in &mut self.operations {
            let kind = operation.kind(name);
            let mut executables: BTreeMap<String, Executable> = BTreeMap::new();
            for (name, mut executable) in std::mem::take(&mut operation.executables) {
                executable.objects.rename(|object| of_kind(kind, object));
                match executables.get_mut(&program(&name)) {
                    Some(known) => known.objects.merge(&executable.objects, usize::MAX),
                    None => _ = executables.insert(program(&name), executable),
                }
            }
            operation.executables = executables;
        }
        for (name, executables) in &mut self.alerted {
            let kind = self.operations.get(name).and_then(|operation| operation.kind(name));
            let mut raised = Raised::new();
            for (executable, objects) in std::mem::take(executables) {
                let known = raised.entry(program(&executable)).or_default();
                for (object, alerted) in objects {
                    known.entry(of_kind(alerted.kind.or(kind), &object)).or_insert(alerted);
                }
            }
            *executables = raised;
        }
    }
}

fn of_kind(kind: Option<ObjectKind>, object: &str) -> String {
    match kind {
        Some(ObjectKind::Executable) => program(object),
        Some(ObjectKind::Path | ObjectKind::SensitivePath | ObjectKind::GuardedPath) => {
            numbered_folders(object).into_owned()
        }
        _ => object.to_owned(),
    }
}

/// A program with what it is given: each of them is a path of its own.
fn program(label: &str) -> String {
    label.split(' ').map(numbered_folders).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{channels::behaviour::Behaviour, learning::Seen};

    #[test]
    fn what_was_known_of_one_job_is_known_of_all() {
        let mut channel = BehaviourChannel::default();
        let mut hold = |operation: &str, executable: &str, object: &str, kind| {
            let held = channel.operations.entry(operation.to_owned()).or_default();
            held.kind = Some(kind);
            let objects = &mut held.executables.entry(executable.to_owned()).or_default().objects;
            objects.insert(&Behaviour::by_name("", "", object, kind, kind != ObjectKind::Path), Seen::at(1));
        };
        hold("execute", "/bin/sh (sh) /builds/job-1/step.sh", "/builds/job-1/check (written)", ObjectKind::Executable);
        hold("execute", "/bin/sh (sh) /builds/job-2/step.sh", "/builds/job-2/check (written)", ObjectKind::Executable);
        hold("write", "/builds/job-1/check", "/builds/job-1/out", ObjectKind::Path);
        channel.rename_numbered_folders();
        let mut knows = |operation, executable, object, kind| {
            channel.knows(&Behaviour::by_name(operation, executable, object, kind, kind != ObjectKind::Path), |_| ())
        };
        let step = "/bin/sh (sh) /builds/job-<n>/step.sh";
        assert!(knows("execute", step, "/builds/job-<n>/check (written)", ObjectKind::Executable));
        assert!(!knows("execute", step, "/builds/job-<n>/other (written)", ObjectKind::Executable));
        assert!(knows("write", "/builds/job-<n>/check", "/builds/job-<n>/out", ObjectKind::Path));
        assert_eq!(channel.operations["execute"].executables.len(), 1);
    }
}
