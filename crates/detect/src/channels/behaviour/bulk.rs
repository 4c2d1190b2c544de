//! What only many events show together, within a short time: files in whose place others come, and data in names.
//!
//! Each event alone is ordinary. Once there are many, that is a behaviour like any other: it is learnt, known and raised as such.

mod files;
mod subdomains;

use std::borrow::Cow;

use ethogram_model::{BehaviourSpec, Event, ObjectKind, layout::BehaviourLayout};

use super::{Behaviour, BehaviourChannel, Reader, purpose, read, read::Bulk, words};
use files::Files;
use subdomains::Subdomains;

/// What a workload did of late that counts only where there is much of it. All of it is bounded.
#[derive(Debug, Default)]
pub(crate) struct Bulks {
    files: Files,
    subdomains: Subdomains,
}

/// What many events amount to: to what, and how many there were.
struct Sum {
    object: String,
    many: String,
}

impl Bulks {
    /// Takes in an event. Gives the behaviours that there are enough of with it: the first time, and whenever there are twice as
    /// many.
    pub(crate) fn observe<'e>(&mut self, event: &'e Event) -> Vec<Behaviour<'e>> {
        let parts = read::specs(event, &event.schema.layout().bulk_behaviours);
        let sums = parts.filter_map(|(spec, layout)| Some((spec, self.add(spec, layout, event)?)));
        sums.filter_map(|(spec, sum)| behaviour(spec, sum, event)).collect()
    }

    /// Lets go of what is over. Nanoseconds since the Unix epoch.
    pub(crate) fn forget(&mut self, now_ns: u64) {
        self.files.forget(now_ns);
        self.subdomains.forget(now_ns);
    }

    fn add(&mut self, spec: &BehaviourSpec, layout: &BehaviourLayout, event: &Event) -> Option<Sum> {
        let object = read::text(layout, event)?;
        let (place, now_ns) = (event.context.container.as_ref().map_or(0, |c| c.cgroup_id), event.time_ns);
        if spec.kind == ObjectKind::Subdomain {
            return self.subdomains.ask(&object, now_ns);
        }
        let (files, object) = (self.files.at(place, now_ns), tidy(object));
        match spec.kind {
            ObjectKind::RemovedFile => files.remove(&object),
            ObjectKind::NewFile => {
                let before = layout.from.and_then(|field| read::owned_text(event.value_at(field))).map(tidy);
                let sum = files.make(&object);
                let by_name = before.and_then(|before| files.give_up(&before));
                sum.or(by_name)
            }
            _ => {
                files.change(&object);
                None
            }
        }
    }
}

/// A path without what does not change it.
fn tidy(path: Cow<'_, str>) -> Cow<'_, str> {
    if !path.contains("/./") && !path.contains("//") {
        return path;
    }
    path.split('/').filter(|name| !matches!(*name, "" | ".")).fold(String::new(), |path, name| path + "/" + name).into()
}

fn behaviour<'e>(spec: &'e BehaviourSpec, sum: Sum, event: &'e Event) -> Option<Behaviour<'e>> {
    let (executable, is_vague) = read::actor(event, read::place(event)?)?;
    Some(Behaviour {
        operation: &spec.operation,
        executable,
        is_vague,
        object: Cow::Owned(sum.object),
        address: None,
        // As profiles hold and compare it.
        kind: ObjectKind::Name,
        is_start: false,
        is_guarded: true,
        reader: Reader::Any,
        sensitivity: None,
        severity: spec.severity,
        techniques: &spec.techniques,
        bulk: Some(Bulk { kind: spec.kind, many: sum.many }),
        words: spec.words.as_ref(),
    })
}

/// Why it says little that there was so much of it, where it does.
pub(crate) fn excuse(
    channel: &BehaviourChannel,
    behaviour: &Behaviour<'_>,
    event: &Event,
    is_session: bool,
) -> Option<&'static str> {
    let bulk = behaviour.bulk.as_ref()?;
    match bulk.kind {
        _ if is_session => Some("it was started from outside the container, as those who run it do"),
        ObjectKind::Subdomain => {
            channel.listens_on(behaviour, "53").then_some("it serves the DNS, and asks for others")
        }
        _ => purpose::puts_files_aside(event).then_some("the program of the system is there to replace files"),
    }
}

/// What is said where nothing of the kind was before, though the executable is known.
pub(crate) fn first<'b>(channel: &BehaviourChannel, behaviour: &Behaviour<'b>) -> Option<&'b str> {
    let bulk = behaviour.bulk.as_ref()?;
    let of_kind = || channel.first_of_kind(behaviour);
    match bulk.kind {
        ObjectKind::Subdomain => of_kind(),
        _ => of_kind().or_else(|| is_other_ending(channel, behaviour).then(|| words::first(behaviour))),
    }
}

/// Whether nothing of the workload ever replaced files by such.
fn is_other_ending(channel: &BehaviourChannel, behaviour: &Behaviour<'_>) -> bool {
    let ending = |object: &str| object.rsplit_once('.').map(|(_, ending)| ending.to_owned());
    let Some(known) = channel.operations.get(behaviour.operation) else { return !behaviour.is_vague };
    let mut objects = known.executables.values().flat_map(|executable| executable.objects.names());
    !behaviour.is_vague && !objects.any(|object| ending(object) == ending(&behaviour.object))
}
