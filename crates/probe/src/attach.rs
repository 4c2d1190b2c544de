//! An object's programs as they are attached: how many ways there are to that, the rest of the loader need not know.

use std::{
    io::Read as _,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use libbpf_rs::{Iter, KprobeMultiOpts, Link, Object};

use crate::{
    Error, ProgramStatus, cgroup,
    dispatcher::Place,
    kernel::{capture_log, explain},
    missed,
    object::Loaded,
    plan::{Hook, How},
};

/// The attached programs of an object. Dropping it detaches them.
#[derive(Debug)]
pub(crate) struct Attached {
    hooked: Hooked,
    place: Option<Place>,
    hooks: Vec<Hook>,
    paused: bool,
    /// What links that are gone had missed.
    missed_before: u64,
    /// Iterators that are to run before each reading of the samples.
    pub(crate) walks: Vec<Link>,
    pub(crate) programs: Vec<ProgramStatus>,
}

/// What attaching gave.
#[derive(Debug, Default)]
struct Hooked {
    links: Vec<Link>,
    /// The programs that are attached by themselves, and not through the dispatcher.
    own: Vec<OwnedFd>,
    /// Links of iterators, by their names.
    walks: Vec<(String, Link)>,
}

impl Attached {
    /// Attaches all programs of an object; those that walk what was there before the agent run last, and those that
    /// are named in `repeat` can run again. Where one cannot be attached, none is.
    pub(crate) fn attach(loaded: &mut Loaded, repeat: &[String]) -> Result<Self, (Hook, String)> {
        let mut ordered: Vec<_> = loaded.hooks.iter().collect();
        ordered.sort_by_key(|hook| is_walk(hook));
        let mut hooked = attach_all(&loaded.object, &ordered, loaded.place.as_ref())?;
        let walks = hooked.walks.extract_if(.., |(name, _)| repeat.contains(name)).map(|(_, link)| link).collect();
        hooked.walks.clear();
        let (place, hooks) = (loaded.place.take(), std::mem::take(&mut loaded.hooks));
        Ok(Self { hooked, place, hooks, paused: false, missed_before: 0, walks, programs: Vec::new() })
    }

    /// Calls that the kernel did not run the programs for.
    pub(crate) fn missed(&self) -> u64 {
        self.missed_before + missed::total(&self.hooked.links, &self.hooked.own)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Detaches the programs; they stay loaded.
    pub(crate) fn pause(&mut self) {
        self.missed_before += self.hooked.links.iter().map(missed::by_link).sum::<u64>();
        self.hooked.links.clear();
        if let Some(place) = &self.place {
            place.uninstall();
        }
        self.paused = true;
    }

    /// Attaches the programs again, without another walk. Where one cannot be, all stay detached.
    pub(crate) fn resume(&mut self, object: &Object) -> Result<(), Error> {
        let hooks: Vec<_> = self.hooks.iter().filter(|hook| !is_walk(hook)).collect();
        match attach_all(object, &hooks, self.place.as_ref()) {
            Ok(hooked) => {
                (self.hooked, self.paused) = (hooked, false);
                Ok(())
            }
            Err((hook, reason)) => {
                self.pause();
                Err(Error::Unsupported(format!("{} could not be attached again: {reason}", hook.name)))
            }
        }
    }
}

/// Whether the hook's program runs over what is there already, and not when something happens.
fn is_walk(hook: &Hook) -> bool {
    hook.attach.starts_with("iter")
}

fn attach_all(object: &Object, hooks: &[&Hook], place: Option<&Place>) -> Result<Hooked, (Hook, String)> {
    let mut hooked = Hooked::default();
    let Hooked { links, own, walks } = &mut hooked;
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
                walks.push((hook.name.clone(), link));
            }
            How::Section => links.push(attach(|| program.attach()).map_err(refused)?),
            How::Cgroup => {
                let root = cgroup::root().map_err(refused)?;
                links.push(attach(|| program.attach_cgroup(root.as_raw_fd())).map_err(refused)?);
            }
            How::Returns(wanted) => {
                let symbols = wanted.functions();
                // Linux 6.18 has no cookies where none are given, and crashes whoever reads the link's fdinfo.
                let cookies = vec![0; symbols.len()];
                let options = || KprobeMultiOpts {
                    symbols: symbols.clone(),
                    cookies: cookies.clone(),
                    retprobe: true,
                    ..Default::default()
                };
                links.push(attach(|| program.attach_kprobe_multi_with_opts(options())).map_err(refused)?);
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
    Ok(hooked)
}

fn attach(attach: impl FnOnce() -> libbpf_rs::Result<Link>) -> Result<Link, String> {
    capture_log(attach).map_err(|(e, log)| explain(&e, &log))
}

/// Runs an iterator over all that it walks.
pub(crate) fn walk(link: &Link) -> Result<(), String> {
    let mut iter = Iter::new(link).map_err(|e| e.to_string())?;
    let mut sink = Vec::new();
    iter.read_to_end(&mut sink).map(|_| ()).map_err(|e| format!("walking what is there already: {e}"))
}
