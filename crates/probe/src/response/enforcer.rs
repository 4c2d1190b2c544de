//! The programs that decide by policies, as far as this kernel takes them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use ethogram_model::{Event, Value, schema::PolicyOperation};
use libbpf_rs::{Link, MapCore, MapFlags, MapHandle, Object, OpenObject};

use super::{
    POLICY,
    policy::{BEGIN, CHOWN, Group, KILL_CONNECT, KILL_EXEC, Policy, programs, write},
};
use crate::{
    Controller, Error, Manifest, TrackerObject,
    clock::{boot_ns, realtime_ns},
    kernel::{abilities, capture_log, explain},
    object::schema,
    read::{layout::Layout, ring::Ring},
    tables::{hash::HashKey, shared::table},
};

/// Bytes between the programs and the reader of what they did.
const RING_BYTES: u32 = 1 << 18;

/// Policies in force. Dropping it ends them.
#[derive(Debug)]
pub struct Enforcer {
    /// None where no policy can be enforced here.
    loaded: Option<Loaded>,
    /// Of each policy, why it cannot be enforced here.
    refused: Vec<Option<String>>,
}

/// What is set in the programs when they are loaded.
#[derive(Debug, Clone, Copy)]
struct Constants {
    controller: Option<Controller>,
    dry_run: bool,
    hash_key: HashKey,
}

#[derive(Debug)]
struct Loaded {
    /// None until they are attached.
    links: Vec<Link>,
    programs: BTreeSet<&'static str>,
    object: Object,
    subjects: MapHandle,
    begun: MapHandle,
    hits: MapHandle,
    layout: Layout,
}

/// What a policy led to.
#[derive(Debug, Clone)]
pub struct Enforcement {
    /// The policies' places in the list, a bit each.
    pub policies: u64,
    /// Whether the process was killed; otherwise the operation was refused.
    pub killed: bool,
    /// How long that took from the hook on.
    pub took: Duration,
    /// To what it was to be done: a path, or an address and port; empty where it counts for nothing.
    pub object: String,
    /// Who did it, and when, as trackers report it.
    pub event: Event,
}

impl Enforcer {
    /// Policies at most: each is a bit of a word.
    pub const MAX_POLICIES: usize = table::PEERS.entries as usize;
    /// Paths of all policies at most.
    pub const MAX_PATHS: usize = 4096;

    /// Puts policies in force: [`Enforcer::load`] and [`Enforcer::attach`].
    ///
    /// # Errors
    /// Where either fails.
    pub fn start(policies: &[Policy], controller: Option<Controller>, dry_run: bool) -> Result<Self, Error> {
        let mut loaded = Self::load(policies, controller, dry_run)?;
        loaded.attach()?;
        Ok(loaded)
    }

    /// Loads what the policies need. They apply to no container that is known yet, and to none at all before
    /// [`Enforcer::attach`]. `controller` is that of [`Settings`]. In a dry run what they lead to
    /// is reported, and not done.
    ///
    /// [`Settings`]: crate::Settings
    ///
    /// # Errors
    /// Where there are too many, or the kernel's tables cannot be made. That it does not take some programs is no error: see
    /// [`Enforcer::refusal`].
    pub fn load(policies: &[Policy], controller: Option<Controller>, dry_run: bool) -> Result<Self, Error> {
        let bad = |problem: String| Err(Error::BadObject { origin: "policies".into(), problem });
        if policies.len() > Self::MAX_POLICIES {
            return bad(format!("there are {}, and at most {} can be", policies.len(), Self::MAX_POLICIES));
        }
        let paths: usize = policies.iter().map(Policy::paths).sum();
        if paths > Self::MAX_PATHS {
            return bad(format!("they have {paths} paths, and at most {} can be", Self::MAX_PATHS));
        }
        let constants = Constants { controller, dry_run, hash_key: HashKey::random() };
        let object = TrackerObject::of("policy", POLICY.clone(), Manifest::default())?;
        let mut tried: BTreeMap<Group, Result<(), String>> = BTreeMap::new();
        let mut takes = |group: Group| tried.entry(group).or_insert_with(|| try_group(group, constants)).clone();
        let chosen: Vec<Result<Group, String>> = policies
            .iter()
            .map(|policy| {
                takes(BEGIN)?;
                if let (true, Some(group)) = (policy.exact, policy.after()) {
                    return takes(group).map(|()| group);
                }
                let group = programs(policy.operation);
                let refused = match takes(group) {
                    Ok(()) => return Ok(group),
                    Err(reason) => reason,
                };
                match policy.after() {
                    Some(KILL_EXEC) if takes(KILL_EXEC).is_ok() => Ok(KILL_EXEC),
                    _ => Err(refused),
                }
            })
            .collect();
        let mut groups: BTreeSet<Group> = chosen.iter().flatten().copied().collect();
        if groups.contains(&programs(PolicyOperation::Write)) && takes(CHOWN).is_ok() {
            groups.insert(CHOWN);
        }
        if !groups.is_empty() {
            groups.insert(BEGIN);
        }
        let held = policies.iter().zip(&chosen).enumerate();
        let held = held.filter_map(|(index, (policy, group))| Some((index, policy, *group.as_ref().ok()?)));
        let loaded = match groups.is_empty() {
            true => None,
            false => {
                let loaded = Loaded::new(&groups, &held.collect::<Vec<_>>(), &object, constants);
                Some(loaded.map_err(|reason| Error::Unsupported(format!("policies: {reason}")))?)
            }
        };
        Ok(Self { loaded, refused: chosen.into_iter().map(Result::err).collect() })
    }

    /// Has them in force.
    ///
    /// # Errors
    /// Where the kernel does not take a program where it is to be called.
    pub fn attach(&mut self) -> Result<(), Error> {
        let Some(loaded) = &mut self.loaded else { return Ok(()) };
        let links = attach(&loaded.object, &loaded.programs);
        loaded.links = links.map_err(|reason| Error::Unsupported(format!("policies: {reason}")))?;
        Ok(())
    }

    /// Why this kernel cannot enforce a policy. None where it does.
    pub fn refusal(&self, policy: usize) -> Option<&str> {
        self.refused.get(policy)?.as_deref()
    }

    /// Says which policies, a bit each, hold for the cgroup of that id and all below it: it is known from then on, be it that none does.
    /// They hold for nothing that a runtime does there before [`Enforcer::begin`], or before something is executed there from another
    /// root than the host's.
    ///
    /// # Errors
    /// Where the kernel's table is full.
    pub fn assign(&self, cgroup: u64, policies: u64) -> Result<(), Error> {
        let Some(loaded) = &self.loaded else { return Ok(()) };
        let done = loaded.subjects.update(&cgroup.to_ne_bytes(), &policies.to_ne_bytes(), MapFlags::ANY);
        done.map_err(|source| Error::Kernel { doing: format!("setting policies for cgroup {cgroup}"), source })
    }

    /// Says that the container of that cgroup has begun: what is done there is no longer its runtime's work on it.
    ///
    /// # Errors
    /// Where the kernel's table cannot be written.
    pub fn begin(&self, cgroup: u64) -> Result<(), Error> {
        let Some(loaded) = &self.loaded else { return Ok(()) };
        let done = loaded.begun.update(&cgroup.to_ne_bytes(), &1u32.to_ne_bytes(), MapFlags::ANY);
        done.map_err(|source| Error::Kernel { doing: format!("having policies hold for cgroup {cgroup}"), source })
    }

    /// Takes over which containers have begun, from earlier policies that are still in force.
    ///
    /// # Errors
    /// Where the kernel's table cannot be written.
    pub fn inherit(&self, earlier: &Self) -> Result<(), Error> {
        let begun = earlier.loaded.iter().flat_map(|loaded| loaded.begun.keys());
        begun.filter_map(|key| key.try_into().ok()).try_for_each(|key| self.begin(u64::from_ne_bytes(key)))
    }

    /// No longer knows a cgroup: it is gone, or no container's.
    ///
    /// # Errors
    /// Where the kernel's table cannot be written.
    pub fn forget(&self, cgroup: u64) -> Result<(), Error> {
        let Some(loaded) = &self.loaded else { return Ok(()) };
        for table in [&loaded.subjects, &loaded.begun] {
            match table.delete(&cgroup.to_ne_bytes()) {
                Err(e) if e.kind() == libbpf_rs::ErrorKind::NotFound => {}
                done => done.map_err(|source| Error::Kernel {
                    doing: format!("ending policies for cgroup {cgroup}"),
                    source,
                })?,
            }
        }
        Ok(())
    }

    /// How often each policy has held.
    pub fn hits(&self) -> Vec<u64> {
        let count = |index: usize| {
            let hits = &self.loaded.as_ref()?.hits;
            let each = hits.lookup_percpu(&(index as u32).to_ne_bytes(), MapFlags::ANY).ok()??;
            let number = |bytes: &Vec<u8>| bytes.as_slice().try_into().map_or(0, u64::from_ne_bytes);
            Some(each.iter().map(number).sum())
        };
        (0..self.refused.len()).map(|index| count(index).unwrap_or(0)).collect()
    }

    /// What hands out what policies led to. None where none can be enforced here.
    ///
    /// # Errors
    /// Where the ring cannot be read.
    pub fn watch(&self) -> Result<Option<Watch>, Error> {
        self.loaded.as_ref().map(Loaded::watch).transpose()
    }
}

impl Loaded {
    fn new(
        groups: &BTreeSet<Group>,
        policies: &[(usize, &Policy, Group)],
        object: &TrackerObject,
        constants: Constants,
    ) -> Result<Self, String> {
        let programs: BTreeSet<&'static str> = groups.iter().copied().flatten().copied().collect();
        let in_kernel = load(&programs, constants)?;
        let map = |name: &str| handle(&in_kernel, name);
        let (operations, paths, peers) =
            (map(table::OPERATIONS.name)?, map(table::PATHS.name)?, map(table::PEERS.name)?);
        write(policies, &constants.hash_key, &operations, &paths, &peers).map_err(|e| e.to_string())?;
        let (subjects, begun, hits) = (map(table::SUBJECTS.name)?, map(table::BEGUN.name)?, map(table::HITS.name)?);
        let layout = Layout::new(&object.schema.events, None);
        Ok(Self { links: Vec::new(), programs, object: in_kernel, subjects, begun, hits, layout })
    }

    fn watch(&self) -> Result<Watch, Error> {
        let ring = handle(&self.object, table::EVENTS.name).map_err(Error::Unsupported)?;
        let ring = Ring::new(&ring).map_err(|source| Error::System { doing: "mapping the policies' ring", source })?;
        Ok(Watch { ring, layout: self.layout.clone() })
    }
}

/// Records that are taken from the ring at once.
const AT_ONCE: usize = 4096;

/// Reads what policies led to.
#[derive(Debug)]
pub struct Watch {
    ring: Ring,
    layout: Layout,
}

impl Watch {
    /// What policies have led to since the last call; of a flood, the rest comes with the next one. It does not wait.
    pub fn take(&mut self) -> Vec<Enforcement> {
        let to_epoch = realtime_ns().saturating_sub(boot_ns());
        let mut taken = Vec::new();
        self.ring.read(AT_ONCE, |record| {
            taken.extend(self.layout.event(record).map(|event| enforcement(event, to_epoch)));
        });
        taken
    }
}

fn enforcement(mut event: Event, to_epoch: u64) -> Enforcement {
    event.time_ns += to_epoch;
    let number = |name: &str| event.get(name).as_u64().unwrap_or(0);
    let address = match event.get("network.peer.address") {
        Value::Ip(address) if number("network.peer.port") != 0 => {
            Some(SocketAddr::new(address, number("network.peer.port") as u16).to_string())
        }
        _ => None,
    };
    let object = address.unwrap_or_else(|| event.get("file.path").to_text().into_owned());
    Enforcement {
        policies: number("_policies"),
        killed: event.get("policy.killed") == Value::Bool(true),
        took: Duration::from_nanos(number("policy.latency")),
        object,
        event,
    }
}

/// Tries whether the kernel takes the programs of a group.
fn try_group(group: Group, constants: Constants) -> Result<(), String> {
    if ![BEGIN, KILL_EXEC, KILL_CONNECT].contains(&group)
        && let Some(reason) = abilities::refusal("lsm")
    {
        return Err(reason.to_owned());
    }
    let programs = group.iter().copied().collect();
    let object = load(&programs, constants)?;
    attach(&object, &programs).map(drop)
}

/// Loads each program alone, as far as this kernel takes it.
#[cfg(test)]
pub(crate) fn load_each_program() {
    let others = [BEGIN, KILL_EXEC, KILL_CONNECT, CHOWN].into_iter().flatten();
    let all = PolicyOperation::ALL.into_iter().flat_map(programs).chain(others);
    for program in all {
        _ = load(
            &BTreeSet::from([*program]),
            Constants { controller: None, dry_run: false, hash_key: HashKey::random() },
        );
    }
}

fn load(programs: &BTreeSet<&str>, constants: Constants) -> Result<Object, String> {
    let mut open: OpenObject = POLICY.open("policy", None).map_err(|e| e.to_string())?;
    for mut program in open.progs_mut() {
        let wanted = program.name().to_str().is_some_and(|name| programs.contains(name));
        program.set_autoload(wanted);
        #[cfg(test)]
        program.set_log_level(crate::tests::verifier::STATISTICS);
    }
    let offsets = schema::btf_of(&open).map(|b| schema::rodata_offsets(&b)).unwrap_or_default();
    for mut map in open.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        if name == table::EVENTS.name {
            map.set_max_entries(RING_BYTES).map_err(|e| e.to_string())?;
        } else if name == table::CONTAINER_FILTER.name {
            map.set_max_entries(1).map_err(|e| e.to_string())?;
        } else if name.ends_with(".rodata")
            && let Some(data) = map.initial_value_mut()
        {
            let numbers: [(_, u32); _] = [
                ("agent_cgroup_controller", Controller::number(constants.controller)),
                ("agent_dry_run", constants.dry_run.into()),
            ];
            let values = numbers.into_iter().map(|(name, value)| (name, value.to_ne_bytes().to_vec()));
            for (name, value) in values.chain(constants.hash_key.constants()) {
                let place = offsets.get(name).and_then(|(at, _)| data.get_mut(*at..at + value.len()));
                place.ok_or_else(|| format!("the object has no constant '{name}'"))?.copy_from_slice(&value);
            }
        }
    }
    capture_log(|| open.load()).map_err(|(e, log)| explain(&e, &log))
}

fn attach(object: &Object, programs: &BTreeSet<&str>) -> Result<Vec<Link>, String> {
    let wanted = object.progs_mut().filter(|p| p.name().to_str().is_some_and(|name| programs.contains(name)));
    wanted.map(|program| capture_log(|| program.attach()).map_err(|(e, log)| explain(&e, &log))).collect()
}

fn handle(object: &Object, name: &str) -> Result<MapHandle, String> {
    let map = object.maps().find(|m| m.name() == name).ok_or_else(|| format!("the object has no map '{name}'"))?;
    MapHandle::try_from(&map).map_err(|e| e.to_string())
}
