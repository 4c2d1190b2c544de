//! The few fields of an OCI runtime specification that say what a container runs.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A container's `config.json`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Spec {
    #[serde(default)]
    process: Option<Process>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
struct Process {
    #[serde(default)]
    args: Option<Vec<String>>,
}

impl Spec {
    /// Entrypoint and arguments, not bounded yet.
    pub(super) fn take_command(&mut self) -> Vec<String> {
        self.process.take().and_then(|p| p.args).unwrap_or_default()
    }

    /// What the runtime noted of it.
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }
}
