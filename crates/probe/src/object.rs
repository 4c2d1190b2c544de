//! From a tracker's object to programs in the kernel: which of several alternatives this kernel has is found by trying.

use std::{collections::BTreeMap, io::Read as _, os::fd::AsFd};

use libbpf_rs::{Iter, Link, MapCore, MapHandle, Object, OpenObject};

use crate::{
    Error, ProgramState, ProgramStatus, TrackerObject,
    counters::KernelCounters,
    kernel::{capture_log, explain},
    layout::Layout,
    params,
    sample::Sample,
    schema,
};

/// What the agent tells every object when it loads it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Environment<'a> {
    pub(crate) gate: &'a MapHandle,
    pub(crate) gated: bool,
    pub(crate) controller: u32,
    pub(crate) hierarchy: u32,
    pub(crate) wakeup_bytes: u32,
    pub(crate) ring_bytes: u32,
}

/// An object in the kernel.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) object: Object,
    pub(crate) layout: Layout,
    pub(crate) ring: Option<MapHandle>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) counters: KernelCounters,
    sections: Vec<(String, String)>,
    refused: BTreeMap<String, String>,
}

/// The attached programs of an object. Dropping it detaches them.
#[derive(Debug)]
pub(crate) struct Attached {
    /// None while they are paused.
    links: Vec<Link>,
    pub(crate) programs: Vec<ProgramStatus>,
}

/// Loads and attaches a tracker. `before_attach` runs when it is loaded, for what has to be done at the last moment.
pub(crate) fn start(
    tracker: &TrackerObject,
    values: &BTreeMap<String, String>,
    environment: Environment<'_>,
    mut before_attach: impl FnMut(),
) -> Result<(Loaded, Attached), Error> {
    let mut refused = BTreeMap::new();
    loop {
        let loaded = load(tracker, values, environment, &mut refused)?;
        before_attach();
        match loaded.attach() {
            Ok(attached) => return Ok((loaded, attached)),
            Err((program, reason)) => _ = refused.insert(program, reason),
        }
    }
}

fn load(
    tracker: &TrackerObject,
    values: &BTreeMap<String, String>,
    environment: Environment<'_>,
    refused: &mut BTreeMap<String, String>,
) -> Result<Loaded, Error> {
    let name = &*tracker.schema.name;
    let bad = |problem: String| Error::BadObject { origin: format!("object of tracker '{name}'"), problem };
    loop {
        let mut open = schema::open(&tracker.elf).map_err(|e| bad(format!("is not a BPF object: {e}")))?;
        let sections = sections(&open);
        let wanted = choose(tracker, &sections, refused)?;
        prepare(&mut open, tracker, values, environment)?;
        for mut program in open.progs_mut() {
            let used = wanted.iter().any(|w| program.name() == w.as_str());
            program.set_autoload(used);
        }
        let names = schema::btf_of(&open).map(|b| schema::counter_names(&b, "__counters")).unwrap_or_default();
        match capture_log(|| open.load()) {
            Ok(object) => return finish(tracker, object, sections, names, refused.clone()),
            Err((error, log)) => {
                let culprits = culprits(tracker, &wanted, values, environment)?;
                if culprits.is_empty() {
                    return Err(Error::Unsupported(format!("tracker '{name}': {}", explain(&error, &log))));
                }
                refused.extend(culprits);
            }
        }
    }
}

fn sections(open: &OpenObject) -> Vec<(String, String)> {
    let text = |t: &std::ffi::OsStr| t.to_string_lossy().into_owned();
    open.progs().map(|p| (text(p.name()), text(p.section()))).collect()
}

/// The programs to load: every one that is in no choice, and of each choice the first that was not refused.
fn choose(
    tracker: &TrackerObject,
    sections: &[(String, String)],
    refused: &BTreeMap<String, String>,
) -> Result<Vec<String>, Error> {
    let unsupported = |names: &[&String]| {
        let reasons: Vec<_> = names
            .iter()
            .map(|n| format!("{n}: {}", refused.get(*n).map_or("is not in the object", String::as_str)))
            .collect();
        Error::Unsupported(format!("tracker '{}' cannot run here: {}", tracker.schema.name, reasons.join("; ")))
    };
    let choices = &tracker.manifest.choice;
    let mut wanted = Vec::new();
    for (program, _) in sections {
        if !choices.iter().any(|c| c.of.contains(program)) {
            if refused.contains_key(program) {
                return Err(unsupported(&[program]));
            }
            wanted.push(program.clone());
        }
    }
    for choice in choices {
        let first = choice.of.iter().find(|p| !refused.contains_key(*p) && sections.iter().any(|(n, _)| n == *p));
        match first {
            Some(program) => wanted.push(program.clone()),
            None => return Err(unsupported(&choice.of.iter().collect::<Vec<_>>())),
        }
    }
    Ok(wanted)
}

/// Sets parameters, the agent's own constants and the maps that it owns or sizes.
fn prepare(
    open: &mut OpenObject,
    tracker: &TrackerObject,
    values: &BTreeMap<String, String>,
    environment: Environment<'_>,
) -> Result<(), Error> {
    let kernel = |source| Error::Kernel { doing: format!("preparing tracker '{}'", tracker.schema.name), source };
    let offsets = schema::btf_of(open).map(|b| schema::rodata_offsets(&b)).unwrap_or_default();
    let constants = [
        ("agent_tgid", std::process::id()),
        ("agent_gate", environment.gated.into()),
        ("agent_cgroup_controller", environment.controller),
        ("agent_cgroup_hierarchy", environment.hierarchy),
        ("agent_wakeup_bytes", environment.wakeup_bytes),
    ];
    let sends = tracker.schema.events.iter().any(|e| !e.sample);
    let mut set = false;
    for mut map in open.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        if name == "gate" {
            map.reuse_fd(environment.gate.as_fd()).map_err(kernel)?;
        } else if name == "events" && sends {
            map.set_max_entries(environment.ring_bytes).map_err(kernel)?;
        } else if name == "events" {
            map.set_autocreate(false).map_err(kernel)?;
        } else if name.ends_with(".rodata")
            && let Some(rodata) = map.initial_value_mut()
        {
            for (constant, value) in constants {
                if let Some(bytes) = offsets.get(constant).and_then(|(at, _)| rodata.get_mut(*at..at + 4)) {
                    bytes.copy_from_slice(&value.to_ne_bytes());
                }
            }
            params::apply(&tracker.schema, values, rodata)?;
            set = true;
        }
    }
    if !set {
        params::apply(&tracker.schema, values, &mut [])?;
    }
    Ok(())
}

/// Which of the programs this kernel refuses, each loaded alone.
fn culprits(
    tracker: &TrackerObject,
    wanted: &[String],
    values: &BTreeMap<String, String>,
    environment: Environment<'_>,
) -> Result<BTreeMap<String, String>, Error> {
    let mut culprits = BTreeMap::new();
    for name in wanted {
        let Ok(mut open) = schema::open(&tracker.elf) else { continue };
        prepare(&mut open, tracker, values, environment)?;
        for mut program in open.progs_mut() {
            let used = program.name() == name.as_str();
            program.set_autoload(used);
        }
        if let Err((error, log)) = capture_log(|| open.load()) {
            culprits.insert(name.clone(), explain(&error, &log));
        }
    }
    Ok(culprits)
}

fn finish(
    tracker: &TrackerObject,
    object: Object,
    sections: Vec<(String, String)>,
    names: Vec<(String, usize)>,
    refused: BTreeMap<String, String>,
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
    Ok(Loaded { object, layout, ring, samples, counters, sections, refused })
}

impl Loaded {
    /// Attaches all loaded programs; those that walk what was there before the agent run last, once.
    fn attach(&self) -> Result<Attached, (String, String)> {
        let mut links = Vec::new();
        let mut programs = Vec::new();
        let mut ordered: Vec<_> = self.sections.iter().collect();
        ordered.sort_by_key(|(_, section)| is_walk(section));
        for (name, section) in ordered {
            let program = self.object.progs_mut().find(|p| p.name() == name.as_str() && p.autoload());
            let state = match (program, self.refused.get(name)) {
                (Some(program), _) => {
                    let link =
                        capture_log(|| program.attach()).map_err(|(e, log)| (name.clone(), explain(&e, &log)))?;
                    if is_walk(section) {
                        walk(&link).map_err(|e| (name.clone(), e))?;
                    } else {
                        links.push(link);
                    }
                    ProgramState::Attached
                }
                (None, Some(reason)) => ProgramState::Refused(reason.clone()),
                (None, None) => ProgramState::Unneeded,
            };
            programs.push(ProgramStatus { name: name.clone(), attach: section.clone(), state });
        }
        Ok(Attached { links, programs })
    }
}

impl Attached {
    /// Detaches the programs; they stay loaded.
    pub(crate) fn pause(&mut self) {
        self.links.clear();
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.links.is_empty()
    }

    /// Attaches the programs again, without another walk. Where one cannot be, all stay detached.
    pub(crate) fn resume(&mut self, object: &Object) -> Result<(), Error> {
        let hooked = |p: &&ProgramStatus| p.state == ProgramState::Attached && !is_walk(&p.attach);
        let mut links = Vec::new();
        for wanted in self.programs.iter().filter(hooked) {
            if let Some(program) = object.progs_mut().find(|p| p.name() == wanted.name.as_str()) {
                let again = |source| Error::Kernel { doing: format!("attaching {} again", wanted.name), source };
                links.push(program.attach().map_err(again)?);
            }
        }
        self.links = links;
        Ok(())
    }
}

/// Whether a program of this section runs once, over what was there before the agent.
fn is_walk(section: &str) -> bool {
    section.starts_with("iter")
}

fn walk(link: &Link) -> Result<(), String> {
    let mut iter = Iter::new(link).map_err(|e| e.to_string())?;
    let mut sink = Vec::new();
    iter.read_to_end(&mut sink).map(|_| ()).map_err(|e| format!("walking what is there already: {e}"))
}
