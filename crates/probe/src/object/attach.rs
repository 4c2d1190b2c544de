//! An object's programs as they are attached: in how many ways, the rest of the loader need not know.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libbpf_rs::{KprobeMultiOpts, Link, Object};

use super::{
    dispatcher::Place,
    loaded::Loaded,
    missed,
    plan::{Hook, How},
};
use crate::{
    Error, ProgramState, ProgramStatus,
    kernel::{capture_log, cgroup, explain, kprobe},
    read::sample::walk,
    tables::subscription::Subscription,
};

/// A program that cannot be attached, and why.
type Refused = Box<(Hook, String)>;

/// The programs of an object, attached as far as what they are for has subscribers. Dropping it detaches them.
#[derive(Debug)]
pub(crate) struct Attached {
    hooked: Vec<Hooked>,
    /// Programs that list what is there already.
    walkers: Vec<Link>,
    place: Option<Place>,
    subscription: Subscription,
    high_overhead: bool,
    paused: bool,
    /// What links that are gone had missed.
    missed_before: u64,
    /// What the dispatcher had missed before it ran the programs.
    dispatched_before: u64,
    /// Iterators that are to run before each reading of the samples.
    pub(crate) walks: Vec<Link>,
    pub(crate) programs: Vec<ProgramStatus>,
}

/// A program that runs when something happens.
#[derive(Debug)]
struct Hooked {
    hook: Hook,
    program: OwnedFd,
    /// Whether it is attached; without links that is through the dispatcher.
    attached: bool,
    links: Vec<Link>,
}

impl Attached {
    /// Attaches the programs of an object; those that walk what was there before the agent run last, and those that
    /// are named in `repeat` can run again. Where one cannot be attached, none is. What is wanted comes with whether
    /// programs are attached that others pay for.
    pub(crate) fn attach(
        loaded: &mut Loaded,
        repeat: &[String],
        subscription: (&Subscription, bool),
    ) -> Result<Self, Refused> {
        let mut this = Self {
            hooked: Vec::new(),
            walkers: Vec::new(),
            place: None,
            subscription: subscription.0.clone(),
            high_overhead: subscription.1,
            paused: false,
            missed_before: 0,
            dispatched_before: loaded.place.as_ref().map_or(0, Place::missed),
            walks: Vec::new(),
            programs: Vec::new(),
        };
        this.place = loaded.place.take();
        let (walks, hooks): (Vec<_>, Vec<_>) = std::mem::take(&mut loaded.hooks).into_iter().partition(Hook::is_walk);
        for hook in hooks {
            match descriptor(&loaded.object, &hook) {
                Ok(program) => this.hooked.push(Hooked { hook, program, attached: false, links: Vec::new() }),
                Err(reason) => return Err(Box::new((hook, reason))),
            }
        }
        this.apply(&loaded.object)?;
        for hook in walks {
            let link = match program(&loaded.object, &hook).and_then(|program| attach(|| program.attach())) {
                Ok(link) => link,
                Err(reason) => return Err(Box::new((hook, reason))),
            };
            if !this.is_idle() {
                walk(&link).map_err(|reason| Box::new((hook.clone(), reason)))?;
            }
            if repeat.contains(&hook.name) { this.walks.push(link) } else { this.walkers.push(link) }
        }
        Ok(this)
    }

    /// Calls that the kernel did not run the programs for.
    pub(crate) fn missed(&self) -> u64 {
        let by_link = self.hooked.iter().flat_map(|h| &h.links).map(missed::by_link).sum::<u64>();
        // Those that are run by the dispatcher are missed where that is, whichever call it was about.
        let own = self.hooked.iter().filter(|h| !matches!(h.hook.how, How::Dispatched(_)));
        let dispatched = self.place.as_ref().map_or(0, Place::missed).saturating_sub(self.dispatched_before);
        self.missed_before + by_link + dispatched + own.map(|h| missed::by_program(h.program.as_fd())).sum::<u64>()
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether nothing is attached because what it is for has no subscriber.
    pub(crate) fn is_idle(&self) -> bool {
        !self.paused && !self.hooked.is_empty() && !self.hooked.iter().any(|h| h.attached)
    }

    /// Detaches the programs; they stay loaded.
    pub(crate) fn pause(&mut self) {
        self.paused = true;
        self.detach_all();
    }

    /// Attaches the programs again, without another walk. Where one cannot be, all stay detached.
    pub(crate) fn resume(&mut self, object: &Object) -> Result<(), Error> {
        self.paused = false;
        self.apply(object).map(drop).map_err(|refused| {
            self.pause();
            again(&refused)
        })
    }

    /// Walks what is there already once more.
    pub(crate) fn walk_again(&self) -> Result<(), Error> {
        self.walkers.iter().try_for_each(|walker| walk(walker).map_err(Error::Unsupported))
    }

    /// Attaches what is for events that are subscribed to, and detaches the rest. `forget` is called before the first program is attached
    /// again, as what the tables hold is old by then. Where one cannot be attached, all stay detached.
    pub(crate) fn set_subscription(
        &mut self,
        object: &Object,
        subscription: Subscription,
        forget: impl FnOnce(),
    ) -> Result<(), Error> {
        self.subscription = subscription;
        if self.is_idle() {
            forget();
        }
        let found_work = self.apply(object).map_err(|refused| {
            self.detach_all();
            again(&refused)
        })?;
        if found_work { self.walk_again() } else { Ok(()) }
    }

    /// The state of each program.
    pub(crate) fn status(&self) -> Vec<ProgramStatus> {
        let mut programs = self.programs.clone();
        for Hooked { hook, .. } in self.hooked.iter().filter(|h| !self.is_needed(&h.hook)) {
            let state = match &hook.high_overhead {
                Some(reason) if self.subscription.any(hook.serves.as_deref()) => {
                    ProgramState::Withheld(reason.to_string())
                }
                _ => ProgramState::Idle,
            };
            let same = programs.iter_mut().filter(|p| p.name == hook.name && p.attach == hook.attach);
            // In another alternative it may be one that is not used.
            same.filter(|p| p.state == ProgramState::Attached).for_each(|program| program.state = state.clone());
        }
        programs
    }

    fn is_needed(&self, hook: &Hook) -> bool {
        let is_allowed = hook.high_overhead.is_none() || self.high_overhead || self.subscription == Subscription::All;
        is_allowed && self.subscription.any(hook.serves.as_deref())
    }

    /// Makes the kernel agree with the subscription. Returns whether a program was attached.
    fn apply(&mut self, object: &Object) -> Result<bool, Refused> {
        let mut found_work = false;
        let wants: Vec<_> = self.hooked.iter().map(|h| !self.paused && self.is_needed(&h.hook)).collect();
        for (hooked, wanted) in self.hooked.iter_mut().zip(wants) {
            if wanted && !hooked.attached {
                hooked.attach(object, self.place.as_ref()).map_err(|reason| Box::new((hooked.hook.clone(), reason)))?;
                found_work = true;
            } else if !wanted && hooked.attached {
                self.missed_before += hooked.detach(self.place.as_ref());
            }
        }
        Ok(found_work)
    }

    fn detach_all(&mut self) {
        for hooked in self.hooked.iter_mut().filter(|h| h.attached) {
            self.missed_before += hooked.detach(self.place.as_ref());
        }
    }
}

impl Hooked {
    fn attach(&mut self, object: &Object, place: Option<&Place>) -> Result<(), String> {
        let Self { hook, links, .. } = self;
        let program = program(object, hook)?;
        match &hook.how {
            How::Section => links.push(attach(|| program.attach())?),
            How::Cgroup => {
                let root = cgroup::root()?;
                links.push(attach(|| program.attach_cgroup(root.as_raw_fd()))?);
            }
            How::Returns(wanted) => {
                let symbols = wanted.functions();
                // Linux 6.18 has no cookies where none are given, and crashes readers of the link's fdinfo.
                let cookies = vec![0; symbols.len()];
                let options = || KprobeMultiOpts {
                    symbols: symbols.clone(),
                    cookies: cookies.clone(),
                    retprobe: true,
                    ..Default::default()
                };
                links.push(attach(|| program.attach_kprobe_multi_with_opts(options()))?);
            }
            How::EachReturn(wanted) => {
                for function in wanted.functions() {
                    let by_address = kprobe::attach_return(&program, &function);
                    links.push(by_address.map_or_else(|| attach(|| program.attach_kprobe(true, &function)), Ok)?);
                }
            }
            How::Dispatched(wanted) => {
                let place = place.ok_or("has no place in the dispatcher")?;
                let program = self.program.try_clone().map_err(|e| format!("keeping its descriptor: {e}"))?;
                place.install(wanted.slots.keys().copied(), program)?;
            }
        }
        self.attached = true;
        Ok(())
    }

    /// Returns how many calls its links had missed.
    fn detach(&mut self, place: Option<&Place>) -> u64 {
        let missed = self.links.iter().map(missed::by_link).sum();
        self.links.clear();
        if let (How::Dispatched(wanted), Some(place)) = (&self.hook.how, place) {
            place.uninstall(wanted.slots.keys().copied());
        }
        self.attached = false;
        missed
    }
}

fn again(refused: &Refused) -> Error {
    let (hook, reason) = &**refused;
    Error::Unsupported(format!("{} could not be attached again: {reason}", hook.name))
}

fn program<'o>(object: &'o Object, hook: &Hook) -> Result<libbpf_rs::ProgramMut<'o>, String> {
    let program = object.progs_mut().find(|p| p.name() == hook.program.as_str());
    program.ok_or_else(|| "is not in the object".into())
}

fn descriptor(object: &Object, hook: &Hook) -> Result<OwnedFd, String> {
    program(object, hook)?.as_fd().try_clone_to_owned().map_err(|e| format!("keeping its descriptor: {e}"))
}

fn attach(attach: impl FnOnce() -> libbpf_rs::Result<Link>) -> Result<Link, String> {
    capture_log(attach).map_err(|(e, log)| explain(&e, &log))
}
