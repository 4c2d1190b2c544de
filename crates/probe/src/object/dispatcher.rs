//! The one program on the return of every system call, shared by all trackers that need it, attached while one does.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::Arc,
};

use libbpf_rs::{Link, MapCore, MapFlags, MapHandle, Object};
use parking_lot::{Mutex, MutexGuard};

use super::{elf, missed};
use crate::{
    Error,
    kernel::{capture_log, explain},
    tables::shared::{SYSCALL_LEVELS, SYSCALL_NUMBERS, table},
};

include!(concat!(env!("OUT_DIR"), "/dispatcher.rs"));

/// Trackers that can share a system call.
const LEVELS: usize = SYSCALL_LEVELS as usize;
/// Numbers of an architecture.
const NUMBERS: u32 = SYSCALL_NUMBERS as u32;
/// Places of one level in the kernel's table.
const SLOTS: u32 = 2 * NUMBERS;

/// Hands system calls to trackers' programs.
#[derive(Debug, Clone)]
pub(crate) struct Dispatcher(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    calls: Arc<MapHandle>,
    /// Which program has each slot, by level.
    slots: BTreeMap<u32, [Entry; LEVELS]>,
    object: Option<Object>,
    /// The program's table of numbers that a tracker hooks.
    wanted: Option<MapHandle>,
    /// None while no program is to be called.
    link: Option<Link>,
}

#[derive(Debug, Default)]
enum Entry {
    #[default]
    Free,
    /// For an object that is being loaded.
    Reserved,
    Program(Arc<OwnedFd>),
}

/// An object's place in the dispatcher: one level, at all slots that its programs want. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Place {
    dispatcher: Dispatcher,
    level: usize,
    slots: Vec<u32>,
}

impl Dispatcher {
    pub(crate) fn new() -> Result<Self, Error> {
        let state = State {
            calls: Arc::new(table::CALLS.make()?),
            slots: BTreeMap::new(),
            object: None,
            wanted: None,
            link: None,
        };
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    /// The map that programs pass calls on through.
    pub(crate) fn calls(&self) -> Arc<MapHandle> {
        Arc::clone(&self.lock().calls)
    }

    /// A place for programs that want these slots. None where too many trackers share one of them.
    pub(crate) fn reserve(&self, slots: Vec<u32>) -> Option<Place> {
        let mut state = self.lock();
        let is_free = |level: &usize| {
            let taken = |slot| state.slots.get(slot).is_some_and(|levels| !matches!(levels[*level], Entry::Free));
            !slots.iter().any(taken)
        };
        let level = (0..LEVELS).find(is_free)?;
        for slot in &slots {
            state.slots.entry(*slot).or_default()[level] = Entry::Reserved;
        }
        drop(state);
        Some(Place { dispatcher: self.clone(), level, slots })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl Place {
    /// System calls for which the kernel did not run the dispatcher, nor any of the programs.
    pub(crate) fn missed(&self) -> u64 {
        let state = self.dispatcher.lock();
        let programs = state.object.iter().flat_map(libbpf_rs::Object::progs);
        programs.map(|program| missed::by_program(program.as_fd())).sum()
    }

    /// Where the programs stand among those that share a call: they must be loaded for it.
    pub(crate) fn level(&self) -> u32 {
        self.level as u32
    }

    /// Has a program called for slots of this place. The reason where the kernel refuses it.
    pub(crate) fn install(&self, slots: impl Iterator<Item = u32>, program: OwnedFd) -> Result<(), String> {
        let program = Arc::new(program);
        let mut state = self.dispatcher.lock();
        for slot in slots.filter(|slot| self.slots.contains(slot)) {
            state.slots.entry(slot).or_default()[self.level] = Entry::Program(Arc::clone(&program));
            state.write(slot).map_err(|e| e.to_string())?;
        }
        state.attach()?;
        state.write_wanted().map_err(|e| e.to_string())
    }
}

impl Place {
    /// Has no program called for these slots until the next [`Place::install`]; the place stays its own.
    pub(crate) fn uninstall(&self, slots: impl Iterator<Item = u32>) {
        self.set(slots, || Entry::Reserved);
        self.dispatcher.lock().detach_where_idle();
    }

    fn set(&self, slots: impl Iterator<Item = u32>, entry: impl Fn() -> Entry) {
        let mut state = self.dispatcher.lock();
        for slot in slots.filter(|slot| self.slots.contains(slot)) {
            if let Some(levels) = state.slots.get_mut(&slot) {
                levels[self.level] = entry();
            }
            if let Err(error) = state.write(slot) {
                tracing::warn!("taking a program out of the dispatcher: {error}");
            }
        }
        if let Err(error) = state.write_wanted() {
            tracing::warn!("telling the dispatcher which calls are wanted: {error}");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.set(self.slots.iter().copied(), || Entry::Free);
        let mut state = self.dispatcher.lock();
        state.slots.retain(|_, levels| levels.iter().any(|l| !matches!(l, Entry::Free)));
        state.detach_where_idle();
        if state.slots.is_empty() {
            (state.object, state.wanted) = (None, None);
        }
    }
}

impl State {
    /// Makes the kernel's table agree: region 0 holds the first program of each slot, region n + 1 that of level n.
    fn write(&self, slot: u32) -> Result<(), libbpf_rs::Error> {
        let none = Default::default();
        let levels = self.slots.get(&slot).unwrap_or(&none).each_ref().map(|entry| match entry {
            Entry::Program(program) => Some(program),
            Entry::Free | Entry::Reserved => None,
        });
        let first = levels.iter().flatten().next().copied();
        let regions = std::iter::once(first).chain(levels);
        for (region, program) in regions.enumerate() {
            let key = (region as u32 * SLOTS + slot).to_ne_bytes();
            match program {
                Some(fd) => {
                    self.calls.update(&key, &fd.as_fd().as_raw_fd().to_ne_bytes(), MapFlags::ANY)?;
                }
                None => match self.calls.delete(&key) {
                    Err(e) if e.kind() != libbpf_rs::ErrorKind::NotFound => return Err(e),
                    _ => {}
                },
            }
        }
        Ok(())
    }

    /// Makes the program's table agree.
    fn write_wanted(&self) -> Result<(), libbpf_rs::Error> {
        let Some(wanted) = &self.wanted else { return Ok(()) };
        let mut numbers = [0u8; NUMBERS as usize];
        for (slot, levels) in &self.slots {
            if levels.iter().any(|entry| matches!(entry, Entry::Program(_))) {
                numbers[(slot % NUMBERS) as usize] = 1;
            }
        }
        wanted.update(&0u32.to_ne_bytes(), &numbers, MapFlags::ANY)
    }

    fn attach(&mut self) -> Result<(), String> {
        if self.object.is_none() {
            let object = self.load()?;
            let wanted = object.maps().find(|m| m.name().to_string_lossy().ends_with(".data.subscribed"));
            let wanted = wanted.ok_or("the dispatcher has no table of wanted calls")?;
            self.wanted = Some(MapHandle::try_from(&wanted).map_err(|e| e.to_string())?);
            self.object = Some(object);
        }
        if self.link.is_none() {
            let program = self.object.as_ref().and_then(|object| object.progs_mut().next());
            let program = program.ok_or("the dispatcher has no program")?;
            self.link = Some(capture_log(|| program.attach()).map_err(|(e, log)| explain(&e, &log))?);
        }
        Ok(())
    }

    fn detach_where_idle(&mut self) {
        let called = |entry: &Entry| matches!(entry, Entry::Program(_));
        if !self.slots.values().flatten().any(called) {
            self.link = None;
        }
    }

    fn load(&self) -> Result<Object, String> {
        let mut open = elf::open(DISPATCHER, None)?;
        #[cfg(test)]
        open.progs_mut().for_each(|mut program| program.set_log_level(crate::tests::verifier::STATISTICS));
        for mut map in open.maps_mut() {
            if map.name() == table::CALLS.name {
                map.reuse_fd(self.calls.as_fd()).map_err(|e| e.to_string())?;
            }
        }
        capture_log(|| open.load()).map_err(|(e, log)| explain(&e, &log))
    }
}
