//! The one configuration file: what can be set, its defaults, and how it is read.
//!
//! The doc comments of the keys are what `ethogram schema config` prints.

mod alerts;
mod glob;
mod heartbeat;
mod keys;
mod period;
mod problem;
mod read;
mod receivers;
mod response;
mod tls;
mod trackers;
mod triage;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use ethogram_detect::Settings as ModelSettings;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};

pub use alerts::{Alertmanager, Alerts, Deliver, Facility, Http, Otlp, Syslog, Webhook, WebhookFormat};
pub use glob::Glob;
pub use heartbeat::Heartbeat;
pub use keys::Key;
pub use period::Period;
pub use problem::ConfigError;
pub use receivers::{Headers, Receiver, SyslogAddress, Url};
pub use response::{Act, Action, Mode, Policy, PolicyOperation, Response, Ruling};
pub use tls::Tls;
pub use trackers::{ParamValue, Trackers};
pub use triage::Triage;

/// Severities as they are written.
const SEVERITIES: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

/// The configuration of `ethogram server`. Every key has a default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Config {
    /// What is learnt, and for how long.
    pub behaviour: Behaviour,
    /// Alerts that belong to one deed.
    pub incidents: Incidents,
    /// Which trackers run, and with which parameters.
    pub trackers: Trackers,
    /// What is collected.
    pub collection: Collection,
    /// Where the container runtimes are queried for names, images and labels.
    pub runtimes: RuntimeSettings,
    /// Rules: what is known to be bad.
    pub rules: Rules,
    /// Where alerts go.
    pub alerts: Alerts,
    /// What is done about findings, besides alerts.
    pub response: Response,
    /// Which language model writes a note beside each incident. It is off without `url`, and decides nothing: docs/triage.md says
    /// what is sent, and what an answer may do.
    pub triage: Triage,
    /// Where profiles and alerts are kept.
    pub store: Store,
    /// Where the HTTP API listens.
    pub api: Api,
    /// Where Prometheus finds the metrics.
    pub metrics: Metrics,
}

/// What is learnt, and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Behaviour {
    /// How long a workload is learnt, at least, before new behaviour raises alerts. Learning goes on until two
    /// tenths of that time bring next to nothing new.
    pub learning_period: Period,
    /// Deprecated: it is `incidents.per_day` now, and is taken for that for one version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts_per_day: Option<u32>,
    /// After how long a behaviour that is not seen any more is forgotten.
    pub forget_after: Period,
    /// Whether habits, which a workload is known to do all day, are counted in the kernel and neither sent nor judged
    /// again.
    pub habituation: bool,
    /// Whether nothing is learnt: workloads are judged by the profiles that there are, and one without a profile raises
    /// an alert.
    pub locked: bool,
    /// Profiles as files, such as `ethogram profile export` writes, and folders of them (`*.toml`). They count as
    /// approved, and are imported at every start.
    pub profiles: Vec<PathBuf>,
}

impl Default for Behaviour {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            learning_period: Period::from_secs(DAY),
            alerts_per_day: None,
            forget_after: Period::from_secs(30 * DAY),
            habituation: true,
            locked: false,
            profiles: Vec::new(),
        }
    }
}

/// Alerts that belong to one deed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Incidents {
    /// The budget: how many incidents of medium severity and above a day the ordinary life of a host may lead to. How
    /// much a score has to be for that is calibrated for each workload, on an equal share, by what was normal of it
    /// while it was learnt. Incidents with a part of high severity or above are not held back.
    pub per_day: u32,
    /// Bytes that open incidents and what connects them may take. Beyond, the weakest of the workload with most become
    /// summaries, and are closed then. At least 65536.
    #[schemars(range(min = 65_536, max = 1_073_741_824))]
    pub max_bytes: u32,
}

impl Default for Incidents {
    fn default() -> Self {
        Self { per_day: 1, max_bytes: 4 << 20 }
    }
}

impl Config {
    /// How is learnt and judged.
    pub(crate) fn model_settings(&self) -> ModelSettings {
        let Behaviour { learning_period, alerts_per_day, forget_after, habituation, locked, .. } = &self.behaviour;
        if alerts_per_day.is_some() {
            tracing::warn!("behaviour.alerts_per_day is deprecated: set incidents.per_day, which replaces it");
        }
        ModelSettings {
            learning_period_ns: learning_period.as_ns(),
            incidents_per_day: alerts_per_day.unwrap_or(self.incidents.per_day),
            incident_bytes: usize::try_from(self.incidents.max_bytes).unwrap_or(usize::MAX),
            forget_after_ns: forget_after.as_ns(),
            habituation: *habituation,
            is_locked: *locked,
            ..ModelSettings::default()
        }
    }
}

/// What is collected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Collection {
    /// Whether events of processes outside containers are collected too.
    pub host: bool,
    /// Bytes of a busy tracker's ring between kernel and agent, others have an eighth: a power of two from 4096 to
    /// 1073741824.
    #[schemars(range(min = 4096, max = 1_073_741_824))]
    pub ring_bytes: u32,
    /// Attach points that are not to be used where there is another: kinds (`fexit`, `kretprobe.multi`, `sys_exit`), or
    /// single ones (`fexit/vfs_read`), as `ethogram doctor` shows them.
    pub avoid: Vec<String>,
}

impl Default for Collection {
    fn default() -> Self {
        Self { host: false, ring_bytes: 1 << 20, avoid: Vec::new() }
    }
}

/// Where the container runtimes are queried for names, images and labels. An empty path: that runtime is not queried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct RuntimeSettings {
    /// The unix socket of the Docker daemon.
    pub docker_socket: PathBuf,
    /// The unix socket of containerd.
    pub containerd_socket: PathBuf,
    /// The unix socket of the Podman service.
    pub podman_socket: PathBuf,
    /// The folder in which Podman keeps its containers, read where no Podman service runs.
    pub podman_storage: PathBuf,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            docker_socket: "/run/docker.sock".into(),
            containerd_socket: "/run/containerd/containerd.sock".into(),
            podman_socket: "/run/podman/podman.sock".into(),
            podman_storage: "/var/lib/containers/storage".into(),
        }
    }
}

/// Rules: what is known to be bad.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Rules {
    /// Whether the built-in rules are in force.
    pub shipped: bool,
    /// Rule files in Falco's language, and folders of them, read in this order on top of each other. They are watched.
    pub files: Vec<PathBuf>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { shipped: true, files: Vec::new() }
    }
}

/// Where profiles and alerts are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Store {
    /// The folder of the store, and of alerts that wait for their receivers. It is made if it is not there.
    pub path: PathBuf,
}

impl Default for Store {
    fn default() -> Self {
        Self { path: "/var/lib/ethogram".into() }
    }
}

/// Where the HTTP API listens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Api {
    /// A unix socket that only its owner can use.
    pub socket: PathBuf,
    /// An address and port to listen on as well, such as "127.0.0.1:8529". It needs `token_file`, and `tls` where it is
    /// not a loopback address.
    #[schemars(with = "Option<String>")]
    pub listen: Option<SocketAddr>,
    /// A file with the token that requests over TCP must bear.
    pub token_file: Option<PathBuf>,
    /// TLS at `listen`.
    pub tls: Option<Tls>,
}

impl Default for Api {
    fn default() -> Self {
        Self { socket: "/run/ethogram/api.sock".into(), listen: None, token_file: None, tls: None }
    }
}

/// Where Prometheus finds the metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Metrics {
    /// Address and port, at which /metrics is served without authentication. Empty: nowhere but in the API.
    #[serde(with = "optional_address")]
    #[schemars(with = "String")]
    pub listen: Option<SocketAddr>,
    /// TLS at `listen`.
    pub tls: Option<Tls>,
    /// Whether they may be read without TLS where `listen` is not a loopback address. They say which rules have found
    /// what, and so show an attacker what is noticed.
    pub insecure: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from(([127, 0, 0, 1], 8528))), tls: None, insecure: false }
    }
}

impl Metrics {
    /// Whether anyone on the network can read them, and that is not what the configuration says.
    pub(crate) fn are_exposed(&self) -> bool {
        self.tls.is_none() && !self.insecure && self.listen.is_some_and(|at| !is_loopback(at))
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

mod optional_address {
    //! An address and port, or an empty string for none.
    use std::net::SocketAddr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(from)?;
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = |_| D::Error::custom(format!("{text:?} is not an address and port such as \"127.0.0.1:8528\""));
        text.parse().map(Some).map_err(wrong)
    }

    pub(super) fn serialize<S: Serializer>(address: &Option<SocketAddr>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&address.map(|a| a.to_string()).unwrap_or_default())
    }
}

impl Config {
    /// Where the configuration is looked for when none is named.
    pub const DEFAULT_FILE: &str = "/etc/ethogram/ethogram.toml";

    /// Reads the file at `path`; without one, [`Config::DEFAULT_FILE`] if it is there, and else the defaults.
    ///
    /// # Errors
    /// One line: the file, and if it could be read the line, the key, what is wrong with it and what would be right.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        match path {
            Some(path) => read::file(path),
            None if Path::new(Self::DEFAULT_FILE).exists() => read::file(Path::new(Self::DEFAULT_FILE)),
            None => Ok(Self::default()),
        }
    }

    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        read::text(path, text)
    }

    /// The JSON schema of the file.
    pub fn json_schema() -> serde_json::Value {
        let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
        let mut schema = settings.into_generator().into_root_schema_for::<Self>();
        schema.insert("title".into(), "ethogram.toml".into());
        schema.to_value()
    }

    /// What only several keys together show: the key, and what is wrong with it.
    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let ring = self.collection.ring_bytes;
        if !ring.is_power_of_two() || !(4096..=1 << 30).contains(&ring) {
            return Err(("collection.ring_bytes", "must be a power of two from 4096 to 1073741824"));
        }
        if self.api.listen.is_some() && self.api.token_file.is_none() {
            return Err(("api.listen", "needs api.token_file: the API is not served over TCP without a token"));
        }
        if self.api.tls.is_none() && self.api.listen.is_some_and(|at| !is_loopback(at)) {
            return Err(("api.listen", "needs [api.tls] beyond loopback: anyone on the way could read the token"));
        }
        if self.api.socket.as_os_str().is_empty() {
            return Err(("api.socket", "must not be empty: the commands talk to the server through it"));
        }
        if self.store.path.as_os_str().is_empty() {
            return Err(("store.path", "must not be empty"));
        }
        if !(1 << 16..=1 << 30).contains(&self.incidents.max_bytes) {
            return Err(("incidents.max_bytes", "must be from 65536 to 1073741824"));
        }
        self.alerts.check()?;
        self.triage.check()?;
        self.response.check()
    }
}
