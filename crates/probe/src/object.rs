//! A tracker's object: what it is made of, how it is loaded, and how its programs are attached.

pub(crate) mod attach;
pub(crate) mod builtin;
mod cycle;
pub(crate) mod dispatcher;
pub(crate) mod elf;
pub(crate) mod load;
pub(crate) mod loaded;
mod missed;
mod params;
pub(crate) mod plan;
pub(crate) mod schema;

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use ethogram_model::TrackerSchema;

use self::{
    elf::Elf,
    plan::{Plan, Program},
};
use crate::{Error, Manifest, hook::Hook};

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

    /// Default values of its parameters in the server.
    pub fn server_params(&self) -> &BTreeMap<String, String> {
        &self.manifest.server
    }

    /// What it needs: of each need the alternatives to it in the order in which they are tried, and of each alternative the programs
    /// that are needed together.
    ///
    /// # Errors
    /// Where the object is not one of a tracker, or its manifest names a program that it does not have.
    pub fn requirements(&self) -> Result<Vec<Vec<Vec<Program>>>, Error> {
        let object = self.elf.open(&self.schema.name, None)?;
        Ok(Plan::new(&object, &self.schema.name, &self.manifest)?.requirements())
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
