//! What of a workload was raised.

use std::collections::BTreeMap;

use ethogram_model::ObjectKind;
use serde::{Deserialize, Serialize};

use super::{Behaviour, BehaviourChannel, Operation, alike};
use crate::{
    Settings,
    channels::Channel,
    learning::Seen,
    uid,
    update::{OTHERS, QUIET_NS, SEVERE_OTHERS, is_many},
};

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
    /// By which users, and below which programs: what comes of another is a finding of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    by: Vec<String>,
}

/// What a behaviour that is raised is raised for.
#[derive(Clone, Copy)]
pub(crate) struct Raise<'a> {
    /// The uid of its workload.
    pub(crate) workload: &'a str,
    pub(crate) time_ns: u64,
    /// Whether its severity is high or above.
    pub(crate) is_severe: bool,
    /// By which user, and below which program.
    pub(crate) by: &'a str,
}

/// What became of a behaviour that is raised.
pub(crate) enum Dedup {
    /// It is raised for the first time, or the first time after a day. Where there are many already it is raised as one of all others.
    New { uid: String, executable: String, object: String },
    /// It goes on.
    Repeat { uid: String, seen: Seen },
}

/// Users and parents of one finding; what comes of further ones goes on with it.
const MAX_BY: usize = 8;

impl Alerted {
    fn new(uid: String, behaviour: &Behaviour<'_>, raise: Raise<'_>) -> Self {
        let (kind, is_guarded) = (Some(behaviour.kind), behaviour.is_guarded);
        Self { uid, seen: Seen::at(raise.time_ns), kind, is_guarded, by: vec![raise.by.to_owned()] }
    }

    /// Whether what comes at that time goes on with it: not after a day of quiet, nor from another user or parent.
    fn goes_on(&self, time_ns: u64, by: &str) -> bool {
        let is_known = self.by.is_empty() || self.by.len() >= MAX_BY || self.by.iter().any(|known| known == by);
        is_known && !self.was_quiet(time_ns)
    }

    fn was_quiet(&self, time_ns: u64) -> bool {
        time_ns.saturating_sub(self.seen.up_to_now().last_seen_ns) >= QUIET_NS
    }
}

/// The object under which a behaviour was raised: its own, or a file's beside it that differs only in what varies, as the reports of
/// jobs do.
fn raised_object<'o>(objects: &'o BTreeMap<String, Alerted>, behaviour: &Behaviour<'_>) -> Option<&'o str> {
    if let Some((known, _)) = objects.get_key_value(&*behaviour.object) {
        return Some(known);
    }
    let (folder, file) = behaviour
        .object
        .rsplit_once('/')
        .filter(|_| behaviour.kind == ObjectKind::Path && !behaviour.is_guarded && behaviour.sensitivity.is_none())?;
    let is_alike = |known: &&String| {
        known.rsplit_once('/').is_some_and(|(of_known, name)| of_known == folder && alike::common(name, file).is_some())
    };
    objects.keys().find(is_alike).map(String::as_str)
}

impl BehaviourChannel {
    /// What was raised, without what these operations hold.
    pub(super) fn alerted_but(
        &self,
        operations: &BTreeMap<String, Operation>,
    ) -> BTreeMap<String, BTreeMap<String, BTreeMap<String, Alerted>>> {
        let holds = |name: &str, executable: &str, object: &str, alerted: &Alerted| {
            let Some(kind) = alerted.kind.filter(|_| !is_many(object)) else { return false };
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
            let objects = executables.get(&*behaviour.executable)?;
            Some(objects.get(raised_object(objects, behaviour)?)?.kind)
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

    /// Whether what was raised of a behaviour before goes on with what comes now; none where nothing was.
    pub(crate) fn goes_on(&self, behaviour: &Behaviour<'_>, time_ns: u64, by: &str) -> Option<bool> {
        let executables = self.alerted.get(self.raised_as(behaviour)?)?;
        let objects = executables.get(&*behaviour.executable)?;
        Some(objects.get(raised_object(objects, behaviour)?)?.goes_on(time_ns, by))
    }

    /// What was raised of a behaviour before.
    fn alerted_mut(&mut self, behaviour: &Behaviour<'_>) -> Option<&mut Alerted> {
        let operation = self.raised_as(behaviour)?.to_owned();
        let objects = self.alerted.get_mut(&operation)?.get_mut(&*behaviour.executable)?;
        let object = raised_object(objects, behaviour)?.to_owned();
        objects.get_mut(&object)
    }

    /// Notes that a behaviour goes on that was raised before. None where it was not.
    pub(crate) fn raise_again(&mut self, behaviour: &Behaviour<'_>, time_ns: u64) -> Option<Dedup> {
        let alerted = self.alerted_mut(behaviour)?;
        alerted.seen.add(Seen::at(time_ns));
        Some(Dedup::Repeat { uid: alerted.uid.clone(), seen: alerted.seen })
    }

    /// Notes that a behaviour is raised. One of high severity is raised by itself, whatever else its executable did, and has room of
    /// its own in the workload. What goes beyond is one finding for all of it, of each operation.
    pub(crate) fn raise(&mut self, behaviour: &Behaviour<'_>, raise: Raise<'_>, settings: &Settings) -> Dedup {
        let of_executable =
            self.alerted.get(behaviour.operation).and_then(|executables| executables.get(&*behaviour.executable));
        let is_held = |object: &str| of_executable.is_some_and(|objects| objects.contains_key(object));
        let many = of_executable.is_some_and(|objects| objects.len() >= settings.alerts_per_executable);
        let object = if many && !raise.is_severe { OTHERS } else { &*behaviour.object };
        let room = settings.max_alerts.saturating_mul(if raise.is_severe { 2 } else { 1 });
        let (executable, object) = match () {
            () if is_held(object) || self.alerts() < room => (&*behaviour.executable, object),
            () if raise.is_severe => (OTHERS, SEVERE_OTHERS),
            () => (OTHERS, OTHERS),
        };
        let objects = self.alerted.entry(behaviour.operation.to_owned()).or_default();
        let objects = objects.entry(executable.to_owned()).or_default();
        let mut parts = vec![raise.workload, behaviour.operation, executable, object];
        let again = raise.time_ns.to_string();
        if let Some(alerted) = objects.get_mut(object) {
            if alerted.goes_on(raise.time_ns, raise.by) || is_many(object) && !alerted.was_quiet(raise.time_ns) {
                alerted.seen.add(Seen::at(raise.time_ns));
                return Dedup::Repeat { uid: alerted.uid.clone(), seen: alerted.seen };
            }
            parts.push(&again);
        }
        let uid = uid::of(parts);
        let mut alerted = Alerted::new(uid.clone(), behaviour, raise);
        if let Some(before) = objects.get(object).filter(|before| !before.was_quiet(raise.time_ns)) {
            alerted.by.extend_from_slice(&before.by);
        }
        objects.insert(object.to_owned(), alerted);
        Dedup::New { uid, executable: executable.to_owned(), object: object.to_owned() }
    }

    /// Takes what was raised as usual. The one alert for everything else of an executable says too little for that, and is
    /// forgotten.
    pub(super) fn learn_all_alerted(&mut self, window: u64, settings: &Settings) {
        for (operation, executables) in std::mem::take(&mut self.alerted) {
            // That there was no profile is no behaviour, and has no executable.
            for (executable, objects) in executables.into_iter().filter(|(name, _)| !name.is_empty()) {
                for (object, Alerted { seen, kind, is_guarded, .. }) in objects {
                    let Some(kind) = kind.filter(|_| !is_many(&object)) else { continue };
                    let behaviour = Behaviour::by_name(&operation, &executable, &object, kind, is_guarded);
                    if !self.knows(&behaviour, |known| known.add(seen)) {
                        self.learn(&behaviour, seen, window, settings);
                    }
                }
            }
        }
    }
}
