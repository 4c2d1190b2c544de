//! From a tracker's object to programs in the kernel: which of several alternatives this kernel has is found by trying.

use std::{collections::BTreeMap, os::fd::AsFd, ptr::null_mut};

use libbpf_rs::{AsRawLibbpf as _, MapCore, MapType, Object, OpenObject, OpenProgramMut, ProgramAttachType};
use libbpf_sys::bpf_program__set_insns;

use super::{
    TrackerObject,
    attach::Attached,
    dispatcher::{Dispatcher, Place},
    loaded::Loaded,
    params,
    plan::{Hook, How, Plan},
    schema,
};
use crate::{
    Controller, Error,
    kernel::{capture_log, explain, symbols::Symbols, types::KernelTypes},
    tables::{Tables, shared::table, subscription::Subscription},
};

/// What the agent sets in every object when it loads it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Environment<'a> {
    pub(crate) tables: &'a Tables,
    /// The tracker's place in the tables.
    pub(crate) place: u32,
    pub(crate) dispatcher: &'a Dispatcher,
    pub(crate) types: Option<&'a KernelTypes>,
    pub(crate) filters_containers: bool,
    pub(crate) controller: Option<Controller>,
    pub(crate) hierarchy: u32,
    pub(crate) wakeup_bytes: u32,
    pub(crate) ring_bytes: u32,
    /// Kinds of attach points that are not to be used.
    pub(crate) avoid: &'a [String],
}

/// Loads a tracker and attaches what is wanted of it. `before_attach` runs when it is loaded, for what has to be done at the last moment.
pub(crate) fn start(
    tracker: &TrackerObject,
    values: &BTreeMap<String, String>,
    (subscription, high_overhead): (&Subscription, bool),
    environment: Environment<'_>,
    mut before_attach: impl FnMut(),
) -> Result<(Loaded, Attached), Error> {
    let name = &*tracker.schema.name;
    let first = open(tracker, environment)?;
    let mut plan = Plan::new(&first, name, &tracker.manifest)?;
    plan.refuse_kinds(environment.avoid);
    plan.refuse_tracepoints(environment.types);
    // An object can be loaded once: the one that was opened for the plan serves the first attempt.
    let mut opened = Some(first);
    loop {
        let mut loaded = load(tracker, values, environment, &mut plan, &mut opened)?;
        before_attach();
        match Attached::attach(&mut loaded, &tracker.manifest.repeat, (subscription, high_overhead)) {
            Ok(mut attached) => {
                attached.programs = plan.status();
                return Ok((loaded, attached));
            }
            Err(refused) => plan.refuse(&refused.0, refused.1),
        }
    }
}

fn open(tracker: &TrackerObject, environment: Environment<'_>) -> Result<OpenObject, Error> {
    let types = environment.types.filter(|types| types.cover(&tracker.type_names));
    tracker.elf.open(&tracker.schema.name, types)
}

fn load(
    tracker: &TrackerObject,
    values: &BTreeMap<String, String>,
    environment: Environment<'_>,
    plan: &mut Plan,
    opened: &mut Option<OpenObject>,
) -> Result<Loaded, Error> {
    loop {
        let hooks = plan.choose()?;
        let place = place(tracker, environment.dispatcher, &hooks)?;
        let level = place.as_ref().map_or(0, Place::level);
        let open = opened.take().map_or_else(|| open(tracker, environment), Ok)?;
        let open = prepare(open, tracker, values, environment, &hooks, level)?;
        let names = schema::btf_of(&open).map(|b| schema::counter_names(&b, "__counters")).unwrap_or_default();
        match capture_log(|| open.load()) {
            Ok(object) => return Loaded::finish(tracker, object, names, hooks, place),
            Err((error, log)) => {
                let culprits = culprits(tracker, values, environment, &hooks, level)?;
                if culprits.is_empty() {
                    let name = &tracker.schema.name;
                    return Err(Error::Unsupported(format!("tracker '{name}': {}", explain(&error, &log))));
                }
                culprits.into_iter().for_each(|(hook, reason)| plan.refuse(&hook, reason));
            }
        }
    }
}

/// Room in the dispatcher for those programs that need it.
fn place(tracker: &TrackerObject, dispatcher: &Dispatcher, hooks: &[Hook]) -> Result<Option<Place>, Error> {
    let dispatched = hooks.iter().filter_map(|h| match &h.how {
        How::Dispatched(wanted) => Some(wanted.slots.keys().copied()),
        _ => None,
    });
    let slots: Vec<_> = dispatched.flatten().collect();
    if slots.is_empty() {
        return Ok(None);
    }
    let full = || {
        let name = &tracker.schema.name;
        Error::Unsupported(format!("tracker '{name}': too many trackers want the same system calls; stop one of them"))
    };
    dispatcher.reserve(slots).map(Some).ok_or_else(full)
}

/// Which of the programs this kernel refuses, each loaded alone.
fn culprits(
    tracker: &TrackerObject,
    values: &BTreeMap<String, String>,
    environment: Environment<'_>,
    hooks: &[Hook],
    level: u32,
) -> Result<Vec<(Hook, String)>, Error> {
    let mut culprits = Vec::new();
    for hook in hooks {
        let open =
            prepare(open(tracker, environment)?, tracker, values, environment, std::slice::from_ref(hook), level)?;
        if let Err((error, log)) = capture_log(|| open.load()) {
            culprits.push((hook.clone(), explain(&error, &log)));
        }
    }
    Ok(culprits)
}

/// Sets parameters, the agent's own constants, the maps that it owns or sizes, and which programs to load.
fn prepare(
    mut open: OpenObject,
    tracker: &TrackerObject,
    values: &BTreeMap<String, String>,
    environment: Environment<'_>,
    hooks: &[Hook],
    level: u32,
) -> Result<OpenObject, Error> {
    let name = &tracker.schema.name;
    let kernel = |source| Error::Kernel { doing: format!("preparing tracker '{name}'"), source };
    for mut program in open.progs_mut() {
        let hook = hooks.iter().find(|h| program.name() == h.program.as_str());
        program.set_autoload(hook.is_some());
        if hook.is_none() {
            free_instructions(&program);
        }
        #[cfg(test)]
        program.set_log_level(crate::tests::verifier::STATISTICS);
        if hook.is_some_and(|h| matches!(h.how, How::Returns(_))) {
            program.set_attach_type(ProgramAttachType::KprobeMulti);
        }
    }
    let rodata = constants(&open, environment, hooks, level);
    let sends = tracker.schema.events.iter().any(|e| !e.sample);
    let mut values_set = false;
    for mut map in open.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        if let Some((table, shared)) = environment.tables.find(&name) {
            // The verifier would take what the object puts into a table of its own for what the agent's table holds.
            if (map.key_size(), map.value_size()) != (table.key, table.value) {
                let problem = format!("its map '{name}' is not that of the agent's which is called so; rename it");
                return Err(Error::BadObject {
                    origin: format!("object of tracker '{}'", tracker.schema.name),
                    problem,
                });
            }
            map.reuse_fd(shared.as_fd()).map_err(kernel)?;
        } else if name == table::CALLS.name {
            map.reuse_fd(environment.dispatcher.calls().as_fd()).map_err(kernel)?;
        } else if name == table::EVENTS.name && sends {
            map.set_max_entries(environment.ring_bytes).map_err(kernel)?;
        } else if name == table::EVENTS.name {
            map.set_autocreate(false).map_err(kernel)?;
        } else if name.ends_with(".rodata")
            && let Some(data) = map.initial_value_mut()
        {
            for (at, bytes) in &rodata {
                if let Some(place) = data.get_mut(*at..at + bytes.len()) {
                    place.copy_from_slice(bytes);
                }
            }
            params::apply(&tracker.schema, values, data)?;
            values_set = true;
        }
    }
    if !values_set {
        params::apply(&tracker.schema, values, &mut [])?;
    }
    Ok(open)
}

/// Frees the instructions of a program that is not to be loaded, which libbpf would keep as long as the object: of most
/// programs there are several, of which a kernel takes one.
fn free_instructions(program: &OpenProgramMut<'_>) {
    // SAFETY: the program is of an object that is not loaded, so that its instructions may be replaced; by none, they are
    // freed. Those of programs that are not loaded are never read.
    _ = unsafe { bpf_program__set_insns(program.as_libbpf_object().as_ptr(), null_mut(), 0) };
}

/// What the agent writes into the object's read-only data, and where.
fn constants(open: &OpenObject, environment: Environment<'_>, hooks: &[Hook], level: u32) -> Vec<(usize, Vec<u8>)> {
    let offsets = schema::btf_of(open).map(|b| schema::rodata_offsets(&b)).unwrap_or_default();
    let mut constants = Vec::new();
    let numbers = [
        ("agent_tgid", std::process::id()),
        ("agent_filters_containers", environment.filters_containers.into()),
        ("agent_cgroup_controller", Controller::number(environment.controller)),
        ("agent_cgroup_hierarchy", environment.hierarchy),
        ("agent_page_size", rustix::param::page_size() as u32),
        ("agent_wakeup_bytes", environment.wakeup_bytes),
        ("agent_tracker", environment.place),
        ("agent_level", level),
    ];
    for (name, value) in numbers {
        if let Some((at, _)) = offsets.get(name) {
            constants.push((*at, value.to_ne_bytes().to_vec()));
        }
    }
    if let Some((at, _)) = offsets.get("agent_rename_lock") {
        constants.push((*at, Symbols::of_kernel().rename_lock.to_ne_bytes().to_vec()));
    }
    for (name, value) in environment.tables.subscriptions.hash_key.constants() {
        if let Some((at, _)) = offsets.get(name) {
            constants.push((*at, value));
        }
    }
    for hook in hooks {
        if let How::Returns(wanted) | How::EachReturn(wanted) | How::Dispatched(wanted) = &hook.how
            && let Some((at, size)) = offsets.get(&format!("{}_which", hook.name))
        {
            let slots = wanted.slots.iter().filter(|(slot, _)| (**slot as usize) < *size);
            constants.extend(slots.map(|(slot, which)| (at + *slot as usize, vec![*which])));
        }
    }
    constants
}

/// Empties the tables in which the object's programs remember what they met. What they counted stays.
pub(crate) fn forget(object: &Object, tables: &Tables) {
    let remembers = |map: &libbpf_rs::Map<'_>| {
        let name = map.name().to_string_lossy();
        let is_sample = ["_first", "_second"].iter().any(|end| name.ends_with(end));
        matches!(map.map_type(), MapType::Hash | MapType::LruHash) && !is_sample && tables.find(&name).is_none()
    };
    for map in object.maps().filter(remembers) {
        let keys: Vec<_> = map.keys().collect();
        // What is gone meanwhile is forgotten as well.
        keys.iter().for_each(|key| _ = map.delete(key));
    }
}
