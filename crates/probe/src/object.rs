//! From a tracker's object to programs in the kernel: which of several ways this kernel has is found by trying.

use std::{
    collections::BTreeMap,
    io::Read as _,
    os::fd::{AsFd, OwnedFd},
};

use libbpf_rs::{Iter, Link, MapCore, MapHandle, Object, OpenObject, ProgramAttachType};

use crate::{
    Error, ProgramStatus, TrackerObject,
    counters::KernelCounters,
    dispatcher::{Dispatcher, Place},
    kernel::{capture_log, explain},
    layout::Layout,
    missed, params,
    plan::{Hook, How, Plan},
    sample::Sample,
    schema,
};

/// What the agent tells every object when it loads it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Environment<'a> {
    pub(crate) gate: &'a MapHandle,
    pub(crate) dispatcher: &'a Dispatcher,
    pub(crate) gated: bool,
    pub(crate) controller: u32,
    pub(crate) hierarchy: u32,
    pub(crate) wakeup_bytes: u32,
    pub(crate) ring_bytes: u32,
    /// Kinds of attach points that are not to be used.
    pub(crate) avoid: &'a [String],
}

/// An object in the kernel.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) object: Object,
    pub(crate) layout: Layout,
    pub(crate) ring: Option<MapHandle>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) counters: KernelCounters,
    /// The programs that were loaded.
    hooks: Vec<Hook>,
    /// Where the object stands in the dispatcher.
    place: Option<Place>,
}

/// The attached programs of an object. Dropping it detaches them.
#[derive(Debug)]
pub(crate) struct Attached {
    links: Vec<Link>,
    /// The programs that are attached by themselves, and not through the dispatcher.
    own: Vec<OwnedFd>,
    place: Option<Place>,
    hooks: Vec<Hook>,
    paused: bool,
    /// What links that are gone had missed.
    missed_before: u64,
    pub(crate) programs: Vec<ProgramStatus>,
}

/// Loads and attaches a tracker. `before_attach` runs when it is loaded, for what has to be done at the last moment.
pub(crate) fn start(
    tracker: &TrackerObject,
    values: &BTreeMap<String, String>,
    environment: Environment<'_>,
    mut before_attach: impl FnMut(),
) -> Result<(Loaded, Attached), Error> {
    let name = &*tracker.schema.name;
    let mut plan = Plan::new(&open(tracker)?, name, &tracker.manifest)?;
    plan.refuse_kinds(environment.avoid);
    loop {
        let mut loaded = load(tracker, values, environment, &mut plan)?;
        before_attach();
        match loaded.attach() {
            Ok((links, own)) => {
                let (place, hooks) = (loaded.place.take(), std::mem::take(&mut loaded.hooks));
                let programs = plan.status();
                let attached = Attached { links, own, place, hooks, paused: false, missed_before: 0, programs };
                return Ok((loaded, attached));
            }
            Err((hook, reason)) => plan.refuse(&hook, reason),
        }
    }
}

impl Attached {
    /// Calls that the kernel did not run the programs for.
    pub(crate) fn missed(&self) -> u64 {
        self.missed_before + missed::total(&self.links, &self.own)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Detaches the programs; they stay loaded.
    pub(crate) fn pause(&mut self) {
        self.missed_before += self.links.iter().map(missed::by_link).sum::<u64>();
        self.links.clear();
        if let Some(place) = &self.place {
            place.uninstall();
        }
        self.paused = true;
    }

    /// Attaches the programs again, without another walk. Where one cannot be, all stay detached.
    pub(crate) fn resume(&mut self, object: &Object) -> Result<(), Error> {
        let hooks: Vec<_> = self.hooks.iter().filter(|hook| !is_walk(hook)).collect();
        match attach_all(object, &hooks, self.place.as_ref()) {
            Ok((links, own)) => {
                (self.links, self.own, self.paused) = (links, own, false);
                Ok(())
            }
            Err((hook, reason)) => {
                self.pause();
                Err(Error::Unsupported(format!("{} could not be attached again: {reason}", hook.name)))
            }
        }
    }
}

fn open(tracker: &TrackerObject) -> Result<OpenObject, Error> {
    schema::open(&tracker.elf).map_err(|e| Error::BadObject {
        origin: format!("object of tracker '{}'", tracker.schema.name),
        problem: format!("is not a BPF object: {e}"),
    })
}

fn load(
    tracker: &TrackerObject,
    values: &BTreeMap<String, String>,
    environment: Environment<'_>,
    plan: &mut Plan,
) -> Result<Loaded, Error> {
    loop {
        let hooks = plan.choose()?;
        let place = place(tracker, environment.dispatcher, &hooks)?;
        let level = place.as_ref().map_or(0, Place::level);
        let open = prepare(tracker, values, environment, &hooks, level)?;
        let names = schema::btf_of(&open).map(|b| schema::counter_names(&b, "__counters")).unwrap_or_default();
        match capture_log(|| open.load()) {
            Ok(object) => return finish(tracker, object, names, hooks, place),
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
        let open = prepare(tracker, values, environment, std::slice::from_ref(hook), level)?;
        if let Err((error, log)) = capture_log(|| open.load()) {
            culprits.push((hook.clone(), explain(&error, &log)));
        }
    }
    Ok(culprits)
}

/// Opens the object and sets parameters, the agent's own constants, the maps that it owns or sizes, and which programs
/// to load.
fn prepare(
    tracker: &TrackerObject,
    values: &BTreeMap<String, String>,
    environment: Environment<'_>,
    hooks: &[Hook],
    level: u32,
) -> Result<OpenObject, Error> {
    let name = &tracker.schema.name;
    let kernel = |source| Error::Kernel { doing: format!("preparing tracker '{name}'"), source };
    let mut open = open(tracker)?;
    for mut program in open.progs_mut() {
        let hook = hooks.iter().find(|h| program.name() == h.program.as_str());
        program.set_autoload(hook.is_some());
        if hook.is_some_and(|h| matches!(h.how, How::Returns(_))) {
            program.set_attach_type(ProgramAttachType::KprobeMulti);
        }
    }
    let rodata = constants(&open, environment, hooks, level);
    let sends = tracker.schema.events.iter().any(|e| !e.sample);
    let mut values_set = false;
    for mut map in open.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        if name == "gate" {
            map.reuse_fd(environment.gate.as_fd()).map_err(kernel)?;
        } else if name == "calls" {
            map.reuse_fd(environment.dispatcher.calls().as_fd()).map_err(kernel)?;
        } else if name == "events" && sends {
            map.set_max_entries(environment.ring_bytes).map_err(kernel)?;
        } else if name == "events" {
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

/// What the agent writes into the object's read-only data, and where.
fn constants(open: &OpenObject, environment: Environment<'_>, hooks: &[Hook], level: u32) -> Vec<(usize, Vec<u8>)> {
    let offsets = schema::btf_of(open).map(|b| schema::rodata_offsets(&b)).unwrap_or_default();
    let mut constants = Vec::new();
    let numbers = [
        ("agent_tgid", std::process::id()),
        ("agent_gate", environment.gated.into()),
        ("agent_cgroup_controller", environment.controller),
        ("agent_cgroup_hierarchy", environment.hierarchy),
        ("agent_wakeup_bytes", environment.wakeup_bytes),
        ("agent_level", level),
    ];
    for (name, value) in numbers {
        if let Some((at, _)) = offsets.get(name) {
            constants.push((*at, value.to_ne_bytes().to_vec()));
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

fn finish(
    tracker: &TrackerObject,
    object: Object,
    names: Vec<(String, usize)>,
    hooks: Vec<Hook>,
    place: Option<Place>,
) -> Result<Loaded, Error> {
    let kernel =
        |source| Error::Kernel { doing: format!("opening the maps of tracker '{}'", tracker.schema.name), source };
    let bad =
        |problem: String| Error::BadObject { origin: format!("object of tracker '{}'", tracker.schema.name), problem };
    let handle = |name: &str| {
        let map = object.maps().find(|m| m.name() == name);
        map.ok_or_else(|| bad(format!("has no map '{name}'"))).and_then(|m| MapHandle::try_from(&m).map_err(kernel))
    };
    let counters = KernelCounters { map: handle("counters")?, names };
    let ring = if tracker.schema.events.iter().any(|e| !e.sample) { Some(handle("events")?) } else { None };
    let mut samples = Vec::new();
    for event in tracker.schema.events.iter().filter(|e| e.sample) {
        let slot = handle(&format!("{}_tables", event.name))?;
        let [first, second] = ["first", "second"].map(|which| handle(&format!("{}_{which}", event.name)));
        samples.push(Sample::new(event.clone(), slot, first?, second?));
    }
    let layout = Layout::new(&tracker.schema.events);
    Ok(Loaded { object, layout, ring, samples, counters, hooks, place })
}

impl Loaded {
    /// Attaches all loaded programs; those that walk what was there before the agent run last, once.
    fn attach(&self) -> Result<(Vec<Link>, Vec<OwnedFd>), (Hook, String)> {
        let mut ordered: Vec<_> = self.hooks.iter().collect();
        ordered.sort_by_key(|hook| is_walk(hook));
        attach_all(&self.object, &ordered, self.place.as_ref())
    }
}

/// Whether the hook's program runs once, over what was there before the agent.
fn is_walk(hook: &Hook) -> bool {
    hook.attach.starts_with("iter")
}

/// Attaches programs in this order: their links, and those that are attached by themselves.
fn attach_all(
    object: &Object,
    hooks: &[&Hook],
    place: Option<&Place>,
) -> Result<(Vec<Link>, Vec<OwnedFd>), (Hook, String)> {
    let (mut links, mut own) = (Vec::new(), Vec::new());
    for hook in hooks {
        let refused = |reason| ((*hook).clone(), reason);
        let Some(program) = object.progs_mut().find(|p| p.name() == hook.program.as_str()) else {
            return Err(refused("is not in the object".into()));
        };
        let fd = program.as_fd().try_clone_to_owned().map_err(|e| refused(format!("keeping its descriptor: {e}")))?;
        match &hook.how {
            How::Section if is_walk(hook) => {
                let link = attach(|| program.attach()).map_err(refused)?;
                walk(&link).map_err(refused)?;
            }
            How::Section => links.push(attach(|| program.attach()).map_err(refused)?),
            How::Returns(wanted) => {
                let functions = wanted.functions();
                links.push(attach(|| program.attach_kprobe_multi(true, functions.clone())).map_err(refused)?);
            }
            How::EachReturn(wanted) => {
                for function in wanted.functions() {
                    links.push(attach(|| program.attach_kprobe(true, &function)).map_err(refused)?);
                }
            }
            How::Dispatched(wanted) => {
                let place = place.ok_or_else(|| refused("has no place in the dispatcher".into()))?;
                place.install(wanted.slots.keys().copied(), fd).map_err(refused)?;
                continue;
            }
        }
        own.push(fd);
    }
    Ok((links, own))
}

fn attach(attach: impl FnOnce() -> libbpf_rs::Result<Link>) -> Result<Link, String> {
    capture_log(attach).map_err(|(e, log)| explain(&e, &log))
}

fn walk(link: &Link) -> Result<(), String> {
    let mut iter = Iter::new(link).map_err(|e| e.to_string())?;
    let mut sink = Vec::new();
    iter.read_to_end(&mut sink).map(|_| ()).map_err(|e| format!("walking what is there already: {e}"))
}
