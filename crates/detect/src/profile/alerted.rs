//! What of a workload was told.

use std::collections::BTreeMap;

use ethogram_model::ObjectKind;
use serde::{Deserialize, Serialize};

use super::{Operation, Profile, Seen, alike};
use crate::{Behaviour, Settings, uid};

/// A behaviour that was told.
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

/// What became of a behaviour that is told.
pub(crate) enum Raised {
    /// It is told for the first time, about this object: [`OTHERS`] where that executable had many alerts already.
    First { uid: String, object: String },
    /// It goes on.
    Again { uid: String, seen: Seen },
    /// There is no room to tell it.
    Full,
}

/// The object of the one alert for everything else that an executable with many alerts does.
pub(crate) const OTHERS: &str = "*";

impl Profile {
    /// Behaviours that were told.
    pub fn alerts(&self) -> usize {
        self.alerted.values().flat_map(|executables| executables.values()).map(|objects| objects.len()).sum()
    }

    /// What was told, without what these operations hold.
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

    /// What was told of a behaviour before.
    fn alerted_mut(&mut self, behaviour: &Behaviour<'_>) -> Option<&mut Alerted> {
        let operation = alike(behaviour).iter().find(|operation| {
            let objects = self.alerted.get(**operation).and_then(|e| e.get(&*behaviour.executable));
            objects.is_some_and(|o| o.contains_key(&*behaviour.object))
        })?;
        self.alerted.get_mut(*operation)?.get_mut(&*behaviour.executable)?.get_mut(&*behaviour.object)
    }

    /// Notes that a behaviour goes on that was told before. None where it was not.
    pub(crate) fn raise_again(&mut self, behaviour: &Behaviour<'_>, time_ns: u64) -> Option<Raised> {
        let alerted = self.alerted_mut(behaviour)?;
        alerted.seen.add(Seen::at(time_ns));
        Some(Raised::Again { uid: alerted.uid.clone(), seen: alerted.seen })
    }

    /// Notes that a behaviour is told. A grave one is told by itself, whatever else its executable did.
    pub(crate) fn raise(
        &mut self,
        behaviour: &Behaviour<'_>,
        time_ns: u64,
        grave: bool,
        settings: &Settings,
    ) -> Raised {
        let room = self.alerts() < settings.max_alerts;
        let objects = self.alerted.get_mut(behaviour.operation).and_then(|e| e.get_mut(&*behaviour.executable));
        let many = objects.as_ref().is_some_and(|o| o.len() >= settings.alerts_per_executable);
        let object = if many && !grave { OTHERS } else { &*behaviour.object };
        if let Some(alerted) = objects.and_then(|o| o.get_mut(object)) {
            alerted.seen.add(Seen::at(time_ns));
            return Raised::Again { uid: alerted.uid.clone(), seen: alerted.seen };
        }
        if !room {
            return Raised::Full;
        }
        let uid = uid::of([&self.workload.uid, behaviour.operation, &behaviour.executable, object]);
        let alerted = Alerted {
            uid: uid.clone(),
            seen: Seen::at(time_ns),
            kind: Some(behaviour.kind),
            is_guarded: behaviour.is_guarded,
        };
        let executables = self.alerted.entry(behaviour.operation.to_owned()).or_default();
        executables.entry(behaviour.executable.to_string()).or_default().insert(object.to_owned(), alerted);
        Raised::First { uid, object: object.to_owned() }
    }

    /// Takes what was told as usual. The one alert for everything else of an executable says too little for that, and is
    /// forgotten.
    pub(crate) fn learn_alerted(&mut self, settings: &Settings) {
        for (operation, executables) in std::mem::take(&mut self.alerted) {
            // That there was no profile is no behaviour, and done by nobody.
            for (executable, objects) in executables.into_iter().filter(|(name, _)| !name.is_empty()) {
                for (object, Alerted { seen, kind, is_guarded, .. }) in objects {
                    let Some(kind) = kind.filter(|_| object != OTHERS) else { continue };
                    let behaviour = Behaviour::by_name(&operation, &executable, &object, kind, is_guarded);
                    if !self.knows(&behaviour, |known| known.add(seen)) {
                        self.learn(&behaviour, seen, settings);
                    }
                }
            }
        }
    }
}
