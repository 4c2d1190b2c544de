//! What of a workload was raised.

use std::collections::BTreeMap;

use ethogram_model::ObjectKind;
use serde::{Deserialize, Serialize};

use super::{Behaviour, BehaviourChannel, Operation};
use crate::{Settings, channels::Channel, learning::Seen, uid};

/// A behaviour that was raised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerted {
    /// Of its finding.
    pub uid: String,
    /// How often and when.
    pub seen: Seen,
    /// What its object is.
    #[serde(default)]
    pub kind: Option<ObjectKind>,
    /// Whether its object is never one among many.
    #[serde(default)]
    pub is_guarded: bool,
}

/// What became of a behaviour that is raised.
pub(crate) enum Dedup {
    /// It is raised for the first time, about this object: [`OTHERS`] where that executable had many alerts already.
    New { uid: String, object: String },
    /// It goes on.
    Repeat { uid: String, seen: Seen },
    /// There is no room for another.
    Full,
}

/// The object of the one alert for everything else that an executable with many alerts does.
pub(crate) const OTHERS: &str = "*";

impl BehaviourChannel {
    /// What was raised, without what these operations hold.
    pub(super) fn alerted_but(
        &self,
        operations: &BTreeMap<String, Operation>,
    ) -> BTreeMap<String, BTreeMap<String, BTreeMap<String, Alerted>>> {
        let holds = |name: &str, executable: &str, object: &str, alerted: &Alerted| {
            let Some(kind) = alerted.kind.filter(|_| object != OTHERS) else { return false };
            let behaviour = Behaviour::by_name(name, executable, object, kind, alerted.is_guarded);
            let executable = operations.get(name).and_then(|o| o.executables.get(executable));
            executable.is_some_and(|e| e.objects.get(&behaviour).is_some())
        };
        let mut out = self.alerted.clone();
        for (name, executables) in &mut out {
            for (executable, objects) in executables.iter_mut() {
                objects.retain(|object, alerted| !holds(name, executable, object, alerted));
            }
            executables.retain(|_, objects| !objects.is_empty());
        }
        out.retain(|_, executables| !executables.is_empty());
        out
    }

    /// Whether a behaviour was raised before.
    pub(crate) fn was_raised(&self, behaviour: &Behaviour<'_>) -> bool {
        self.raised_as(behaviour).is_some()
    }

    /// The operation under which a behaviour was raised before: its own, or one that stands for it.
    fn raised_as(&self, behaviour: &Behaviour<'_>) -> Option<&str> {
        let find = |executables: &BTreeMap<String, BTreeMap<String, Alerted>>| {
            executables.get(&*behaviour.executable)?.get(&*behaviour.object).map(|alerted| alerted.kind)
        };
        if behaviour.kind != ObjectKind::Port {
            let (name, executables) = self.alerted.get_key_value(behaviour.operation)?;
            return find(executables).map(|_| name.as_str());
        }
        let nothing = Operation::default();
        let raised = self.alerted.iter().filter_map(|(name, executables)| {
            let operation = self.operations.get(name).unwrap_or(&nothing);
            let kind = find(executables)?.or_else(|| operation.kind(name));
            let stands_for = name == behaviour.operation || kind == Some(ObjectKind::Port);
            stands_for.then(|| (operation.rank(name), name))
        });
        raised.min().map(|(_, name)| name.as_str())
    }

    /// What was raised of a behaviour before.
    fn alerted_mut(&mut self, behaviour: &Behaviour<'_>) -> Option<&mut Alerted> {
        let operation = self.raised_as(behaviour)?.to_owned();
        self.alerted.get_mut(&operation)?.get_mut(&*behaviour.executable)?.get_mut(&*behaviour.object)
    }

    /// Notes that a behaviour goes on that was raised before. None where it was not.
    pub(crate) fn raise_again(&mut self, behaviour: &Behaviour<'_>, time_ns: u64) -> Option<Dedup> {
        let alerted = self.alerted_mut(behaviour)?;
        alerted.seen.add(Seen::at(time_ns));
        Some(Dedup::Repeat { uid: alerted.uid.clone(), seen: alerted.seen })
    }

    /// Notes that a behaviour of the workload with that uid is raised. One of high severity is raised by itself, whatever else its
    /// executable did.
    pub(crate) fn raise(
        &mut self,
        workload: &str,
        behaviour: &Behaviour<'_>,
        time_ns: u64,
        is_severe: bool,
        settings: &Settings,
    ) -> Dedup {
        let room = self.alerts() < settings.max_alerts;
        let objects = self.alerted.get_mut(behaviour.operation).and_then(|e| e.get_mut(&*behaviour.executable));
        let many = objects.as_ref().is_some_and(|o| o.len() >= settings.alerts_per_executable);
        let object = if many && !is_severe { OTHERS } else { &*behaviour.object };
        if let Some(alerted) = objects.and_then(|o| o.get_mut(object)) {
            alerted.seen.add(Seen::at(time_ns));
            return Dedup::Repeat { uid: alerted.uid.clone(), seen: alerted.seen };
        }
        if !room {
            return Dedup::Full;
        }
        let uid = uid::of([workload, behaviour.operation, &behaviour.executable, object]);
        let alerted = Alerted {
            uid: uid.clone(),
            seen: Seen::at(time_ns),
            kind: Some(behaviour.kind),
            is_guarded: behaviour.is_guarded,
        };
        let executables = self.alerted.entry(behaviour.operation.to_owned()).or_default();
        executables.entry(behaviour.executable.to_string()).or_default().insert(object.to_owned(), alerted);
        Dedup::New { uid, object: object.to_owned() }
    }

    /// Takes what was raised as usual. The one alert for everything else of an executable says too little for that, and is
    /// forgotten.
    pub(super) fn learn_all_alerted(&mut self, window: u64, settings: &Settings) {
        for (operation, executables) in std::mem::take(&mut self.alerted) {
            // That there was no profile is no behaviour, and has no executable.
            for (executable, objects) in executables.into_iter().filter(|(name, _)| !name.is_empty()) {
                for (object, Alerted { seen, kind, is_guarded, .. }) in objects {
                    let Some(kind) = kind.filter(|_| object != OTHERS) else { continue };
                    let behaviour = Behaviour::by_name(&operation, &executable, &object, kind, is_guarded);
                    if !self.knows(&behaviour, |known| known.add(seen)) {
                        self.learn(&behaviour, seen, window, settings);
                    }
                }
            }
        }
    }
}
