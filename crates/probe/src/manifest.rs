//! `tracker.toml`: what a tracker's C cannot say.

use std::collections::BTreeMap;

use ethogram_model::{
    BehaviourSpec,
    schema::{NameFields, Role, RuleSpec},
};
use serde::Deserialize;

use crate::Error;

/// What a tracker's C cannot say.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// One line for people.
    #[serde(default)]
    pub summary: String,
    /// Whether the server starts it by itself.
    #[serde(default)]
    pub default: bool,
    /// Whether many events a second are usual: then its ring has the configured size, else an eighth of it.
    #[serde(default)]
    pub busy: bool,
    /// What the agent itself needs it for.
    pub role: Option<Role>,
    /// Values of its parameters when the server starts it, unless a user sets others.
    #[serde(default)]
    pub server: BTreeMap<String, String>,
    /// Programs of which one is enough. A program that is in no choice is needed.
    #[serde(default)]
    pub choice: Vec<Choice>,
    /// Iterators that run again before each reading of the samples, in this order.
    #[serde(default)]
    pub repeat: Vec<String>,
    /// The events that a program is for, where those are not all: it is attached only while one of them is subscribed to.
    #[serde(default)]
    pub serves: BTreeMap<String, Vec<String>>,
    /// Programs whose overhead falls on unrelated processes.
    pub high_overhead: Option<HighOverhead>,
    /// Which events are behaviours.
    #[serde(default)]
    pub behaviour: Vec<BehaviourSpec>,
    /// Fields of which the first that an event has, and that holds a text, says what the event is about.
    #[serde(default)]
    pub about: Vec<String>,
    /// Fields that say what addresses are called.
    #[serde(default)]
    pub names: Option<NameFields>,
    /// What its events are in the language of rules.
    #[serde(default)]
    pub rules: Vec<RuleSpec>,
}

/// Programs whose overhead falls on unrelated processes: each is attached, and what is needed together with it, only while all
/// that the tracker sees is subscribed to.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HighOverhead {
    /// What the overhead is, in a few words.
    pub reason: String,
    /// Their names in C.
    pub programs: Vec<String>,
}

/// Ways to the same on different kernels.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The cheapest first: the first that loads and attaches is used.
    pub of: Vec<Alternative>,
}

/// One alternative of a choice.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Alternative {
    /// A program, or a list of system calls, by its name in C.
    One(String),
    /// Several that are needed together. None at all: the tracker can go without.
    All(Vec<String>),
}

impl Alternative {
    /// The names of what it needs.
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::All(names) => names,
        }
    }
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// Where it is not TOML, or has a key that means nothing.
    pub fn parse(tracker: &str, text: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|e| Error::BadManifest { tracker: tracker.into(), problem: e.to_string() })
    }
}
