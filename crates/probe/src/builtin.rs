//! The trackers that are part of the binary, and those that are loaded from files.

use std::{borrow::Cow, collections::BTreeMap, fs, panic::resume_unwind, path::Path, sync::Arc, thread};

use ethogram_model::{TrackerSchema, nearest::nearest};
use libbpf_rs::OpenObject;

use crate::{Error, Manifest, hook::Hook, kernel_types::KernelTypes, params, plan::Plan, schema};

include!(concat!(env!("OUT_DIR"), "/trackers.rs"));

/// A tracker that can be started: its object, its manifest, and the schema they make.
#[derive(Debug, Clone)]
pub struct TrackerObject {
    /// What it sends, counts and takes.
    pub schema: Arc<TrackerSchema>,
    pub(crate) manifest: Manifest,
    pub(crate) elf: Elf,
    /// The kernel's types that its programs may read, and its own.
    pub(crate) type_names: Vec<String>,
    pub(crate) hook: Option<Hook>,
}

impl TrackerObject {
    /// Makes a tracker of an object and its manifest.
    ///
    /// # Errors
    /// Where the object is not one of a tracker, or does not fit its manifest.
    pub fn new(name: &str, elf: &[u8], manifest: Manifest) -> Result<Self, Error> {
        Self::of(name, Elf::Plain(elf.into()), manifest)
    }

    pub(crate) fn of(name: &str, elf: Elf, manifest: Manifest) -> Result<Self, Error> {
        let object = elf.open(name, None)?;
        let schema = Arc::new(schema::read(name, &object, &manifest)?);
        let type_names = schema::type_names(&object);
        let object = Self { schema, manifest, elf, type_names, hook: None };
        object.check(&object.manifest.server)?;
        Ok(object)
    }

    /// Reads a tracker from a file `NAME.bpf.o`, with `NAME.toml` beside it if there is one.
    ///
    /// # Errors
    /// Where a file cannot be read, or is not a tracker.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bad = |problem: String| Error::BadObject { origin: path.display().to_string(), problem };
        let file = path.file_name().and_then(|f| f.to_str()).unwrap_or_default();
        let name = file.strip_suffix(".bpf.o").or(file.strip_suffix(".o")).unwrap_or(file);
        let elf = fs::read(path).map_err(|e| bad(format!("cannot be read: {e}")))?;
        let manifest = match fs::read_to_string(path.with_file_name(format!("{name}.toml"))) {
            Ok(text) => Manifest::parse(name, &text)?,
            Err(_) => Manifest::default(),
        };
        Self::new(name, &elf, manifest)
    }

    /// Values of its parameters in the server, where nobody says otherwise.
    pub fn server_params(&self) -> &BTreeMap<String, String> {
        &self.manifest.server
    }

    /// What it needs: of each need the ways to it in the order in which they are tried, and of each way the programs
    /// that are needed together.
    ///
    /// # Errors
    /// Where the object is not one of a tracker, or its manifest names a program that it does not have.
    pub fn needs(&self) -> Result<Vec<Vec<Vec<Program>>>, Error> {
        let object = self.elf.open(&self.schema.name, None)?;
        Ok(Plan::new(&object, &self.schema.name, &self.manifest)?.needs())
    }

    /// Checks values of its parameters without starting it.
    ///
    /// # Errors
    /// Names the parameter that there is not, or whose value does not fit.
    pub fn check(&self, values: &BTreeMap<String, String>) -> Result<(), Error> {
        params::apply(&self.schema, values, &mut [])
    }

    /// The same tracker with another object, as when it is replaced while the agent runs.
    ///
    /// # Errors
    /// Where the object is not one of a tracker, or does not fit the manifest.
    pub fn with_object(&self, elf: &[u8]) -> Result<Self, Error> {
        Ok(Self { hook: self.hook, ..Self::new(&self.schema.name, elf, self.manifest.clone())? })
    }
}

/// What the binary holds of a tracker.
struct Builtin {
    name: &'static str,
    elf: Elf,
    manifest: &'static str,
    hook: Option<Hook>,
}

impl Builtin {
    fn tracker(&self) -> Result<TrackerObject, Error> {
        let manifest = Manifest::parse(self.name, self.manifest)?;
        Ok(TrackerObject { hook: self.hook, ..TrackerObject::of(self.name, self.elf.clone(), manifest)? })
    }
}

/// An object's bytes.
#[derive(Debug, Clone)]
pub(crate) enum Elf {
    Plain(Arc<[u8]>),
    /// As part of the binary, compressed: most of the time nobody reads it.
    Packed {
        bytes: &'static [u8],
        /// When it is unpacked.
        size: usize,
    },
}

impl Elf {
    /// Opens the object of `tracker` without loading anything into the kernel.
    pub(crate) fn open(&self, tracker: &str, types: Option<&KernelTypes>) -> Result<OpenObject, Error> {
        schema::open(&self.bytes(tracker)?, types).map_err(|e| Error::BadObject {
            origin: format!("object of tracker '{tracker}'"),
            problem: format!("is not a BPF object: {e}"),
        })
    }

    /// The bytes of the object of `tracker`, unpacked.
    pub(crate) fn bytes(&self, tracker: &str) -> Result<Cow<'_, [u8]>, Error> {
        match self {
            Self::Plain(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Packed { bytes, size } => {
                let unpacked = zstd::bulk::decompress(bytes, *size);
                unpacked.map(Cow::Owned).map_err(|e| Error::BadObject {
                    origin: format!("object of tracker '{tracker}'"),
                    problem: format!("cannot be unpacked: {e}"),
                })
            }
        }
    }
}

/// A program of a tracker's object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name in C, or that of its list of system calls.
    pub name: String,
    /// Where it attaches: `tp_btf/sched_process_exec`.
    pub attach: String,
    /// What it costs others, if it is attached only for who wants all events.
    pub thorough: Option<Arc<str>>,
}

/// The trackers that are part of the binary, by name.
///
/// # Errors
/// Where one is not what it should be, which the tests of this crate rule out.
pub fn builtin() -> Result<Vec<TrackerObject>, Error> {
    // Starting waits for it, and each takes half a millisecond.
    let workers = thread::available_parallelism().map_or(1, |n| n.get());
    let share = TRACKERS.len().div_ceil(workers).max(1);
    thread::scope(|threads| {
        let read = |some: &'static [Builtin]| move || some.iter().map(Builtin::tracker).collect::<Vec<_>>();
        let shares: Vec<_> = TRACKERS.chunks(share).map(|some| threads.spawn(read(some))).collect();
        shares.into_iter().flat_map(|share| share.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// The one of that name, without reading the others.
#[cfg(test)]
pub(crate) fn builtin_named(name: &str) -> TrackerObject {
    TRACKERS.iter().find(|b| b.name == name).unwrap().tracker().unwrap()
}

/// The tracker of that name among `trackers`.
///
/// # Errors
/// Where there is none; the error names the nearest.
pub fn find<'a>(trackers: &'a [TrackerObject], name: &str) -> Result<&'a TrackerObject, Error> {
    trackers.iter().find(|t| &*t.schema.name == name).ok_or_else(|| {
        let known = || trackers.iter().map(|t| &*t.schema.name);
        Error::UnknownTracker {
            name: name.into(),
            near: nearest(name, known()),
            known: known().map(str::to_owned).collect(),
        }
    })
}
