//! The one program on the return of every system call, shared by all trackers that need it, attached while one does.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use libbpf_rs::{Link, MapCore, MapFlags, MapHandle, MapType, Object};

use crate::{
    Error,
    kernel::{capture_log, explain},
    schema,
    syscalls::NUMBERS,
};

include!(concat!(env!("OUT_DIR"), "/dispatcher.rs"));

/// Trackers that can share a system call: SYSCALL_LEVELS in `syscall.bpf.h`.
const LEVELS: usize = 4;
/// Places of one level in the kernel's table.
const SLOTS: u32 = 2 * NUMBERS;

/// Hands system calls to trackers' programs.
#[derive(Debug, Clone)]
pub(crate) struct Dispatcher(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    calls: Arc<MapHandle>,
    /// The programs that want each slot, by level.
    programs: BTreeMap<u32, [Option<Arc<OwnedFd>>; LEVELS]>,
    attached: Option<(Link, Object)>,
}

/// A program's place in the dispatcher. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Subscription {
    dispatcher: Dispatcher,
    level: usize,
    slots: Vec<u32>,
}

impl Dispatcher {
    pub(crate) fn new() -> Result<Self, Error> {
        let options = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as _,
            ..Default::default()
        };
        let entries = (LEVELS as u32 + 1) * SLOTS;
        let calls = MapHandle::create(MapType::ProgArray, Some("calls"), 4, 4, entries, &options)
            .map_err(|source| Error::Kernel { doing: "making the dispatcher's map".into(), source })?;
        let state = State { calls: Arc::new(calls), programs: BTreeMap::new(), attached: None };
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    /// The map that programs pass calls on through.
    pub(crate) fn calls(&self) -> Arc<MapHandle> {
        Arc::clone(&self.lock().calls)
    }

    /// The lowest level at which all these slots are free.
    pub(crate) fn free_level(&self, slots: impl Iterator<Item = u32> + Clone) -> Option<u32> {
        let state = self.lock();
        let is_free = |level: usize| slots.clone().all(|s| state.programs.get(&s).is_none_or(|p| p[level].is_none()));
        (0..LEVELS).find(|level| is_free(*level)).map(|level| level as u32)
    }

    /// Has a program, loaded for that level, called for these slots. The reason where the kernel refuses it.
    pub(crate) fn subscribe(&self, level: u32, slots: Vec<u32>, program: OwnedFd) -> Result<Subscription, String> {
        let level = level as usize;
        let program = Arc::new(program);
        let mut state = self.lock();
        for slot in &slots {
            if let Some(place) = state.programs.entry(*slot).or_default().get_mut(level) {
                *place = Some(Arc::clone(&program));
            }
        }
        let written = slots.iter().try_for_each(|slot| state.write(*slot));
        let ready = written.map_err(|e| e.to_string()).and_then(|()| state.attach());
        drop(state);
        let subscription = Subscription { dispatcher: self.clone(), level, slots };
        ready.map(|()| subscription)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.dispatcher.lock();
        for slot in &self.slots {
            if let Some(place) = state.programs.get_mut(slot).and_then(|p| p.get_mut(self.level)) {
                *place = None;
            }
            if let Err(error) = state.write(*slot) {
                tracing::warn!("taking a program out of the dispatcher: {error}");
            }
            if state.programs.get(slot).is_some_and(|p| p.iter().all(Option::is_none)) {
                state.programs.remove(slot);
            }
        }
        if state.programs.is_empty() {
            state.attached = None;
        }
    }
}

impl State {
    /// Makes the kernel's table agree: region 0 holds the first program of each slot, region n + 1 that of level n.
    fn write(&self, slot: u32) -> Result<(), libbpf_rs::Error> {
        let levels = self.programs.get(&slot).map(|p| p.as_slice()).unwrap_or_default();
        let first = levels.iter().flatten().next();
        let regions = std::iter::once(first).chain(levels.iter().map(Option::as_ref));
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

    fn attach(&mut self) -> Result<(), String> {
        if self.attached.is_some() {
            return Ok(());
        }
        let mut open = schema::open(DISPATCHER)?;
        for mut map in open.maps_mut() {
            if map.name() == "calls" {
                map.reuse_fd(self.calls.as_fd()).map_err(|e| e.to_string())?;
            }
        }
        let object = capture_log(|| open.load()).map_err(|(e, log)| explain(&e, &log))?;
        let attach = || object.progs_mut().next().map(|program| program.attach()).transpose();
        let link = capture_log(attach).map_err(|(e, log)| explain(&e, &log))?;
        let link = link.ok_or("the dispatcher has no program")?;
        self.attached = Some((link, object));
        Ok(())
    }
}
