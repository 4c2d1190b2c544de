//! `[alerts]`: where alerts go.

use std::{collections::BTreeMap, path::PathBuf};

use ethogram_model::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Headers, Heartbeat, Period, Receiver, SEVERITIES, SyslogAddress, Url};

const DELIVERED: [&str; 2] = ["incidents", "findings"];
const FACILITIES: [&str; 12] = [
    "user", "daemon", "auth", "authpriv", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// Where alerts go. To standard output, the file and webhooks they go as OCSF Incident Findings or Detection Findings, one
/// JSON object each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Alerts {
    /// Whether they are written to the server's standard output.
    pub stdout: bool,
    /// A file they are appended to.
    pub file: Option<PathBuf>,
    /// Bytes that the file may have. Before it would have more, it becomes `FILE.1` and a new one is begun. 0: as many
    /// as come.
    pub file_max_bytes: u64,
    /// Full files that are kept: `FILE.1` is the latest.
    #[schemars(range(max = 1000))]
    pub file_keep: u32,
    /// What is sent: "incidents", one message when an incident opens, when it is more severe than before, and when it is
    /// over; or "findings", each finding when it is new. Each receiver can have its own.
    #[schemars(with = "String", extend("enum" = DELIVERED))]
    pub deliver: Deliver,
    /// The lowest severity that is sent anywhere: "informational", "low", "medium", "high" or "critical". Each receiver
    /// can have a higher one.
    #[schemars(with = "String", extend("enum" = SEVERITIES))]
    pub severity: Severity,
    /// Bytes of alerts that wait on disk for each place that cannot take them, below `store.path`. Beyond, the
    /// oldest are dropped and counted. At least 65536.
    #[schemars(range(min = 65_536))]
    pub spool_max_bytes: u64,
    /// How often the file and each receiver get a heartbeat, a small report that the agent works, so that its silence is
    /// noticed: a duration of one second or more, or "off". Each receiver can have its own. Standard output gets none.
    pub heartbeat: Heartbeat,
    /// HTTP receivers by names of your choice: each alert is sent as the body of a POST request.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub webhook: BTreeMap<Receiver, Webhook>,
    /// Prometheus Alertmanagers by names of your choice.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub alertmanager: BTreeMap<Receiver, Alertmanager>,
    /// Syslog servers by names of your choice; messages are those of RFC 5424.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub syslog: BTreeMap<Receiver, Syslog>,
    /// OpenTelemetry collectors by names of your choice; alerts are log records, sent by OTLP over HTTP as JSON.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub otlp: BTreeMap<Receiver, Otlp>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            stdout: true,
            file: None,
            file_max_bytes: 64 << 20,
            file_keep: 4,
            deliver: Deliver::Incidents,
            severity: Severity::Informational,
            spool_max_bytes: 64 << 20,
            heartbeat: Heartbeat::every_secs(5 * 60),
            webhook: BTreeMap::new(),
            alertmanager: BTreeMap::new(),
            syslog: BTreeMap::new(),
            otlp: BTreeMap::new(),
        }
    }
}

impl Alerts {
    /// Rotated files that may be kept: each is a rename when the next is begun.
    const MAX_KEEP: u32 = 1000;
    /// A smaller spool could not hold one alert with its evidence.
    const MIN_SPOOL: u64 = 1 << 16;

    /// What only several keys together show: the key, and what is wrong with it.
    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.spool_max_bytes < Self::MIN_SPOOL {
            return Err(("alerts.spool_max_bytes", "must be at least 65536"));
        }
        if self.file_keep > Self::MAX_KEEP {
            return Err(("alerts.file_keep", "must be at most 1000"));
        }
        Ok(())
    }
}

/// What is sent as alerts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deliver {
    /// Incidents: when they open, escalate and close.
    #[default]
    Incidents,
    /// Findings, each by itself.
    Findings,
}

/// How alerts are written for a webhook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookFormat {
    /// As OCSF has them.
    #[default]
    Ocsf,
    /// As Falco writes its own.
    Falco,
}

impl Webhook {
    /// How often it gets a heartbeat, where `usual` is what others get.
    pub(crate) fn heartbeat(&self, usual: Heartbeat) -> Heartbeat {
        self.heartbeat.unwrap_or(match self.format {
            WebhookFormat::Ocsf => usual,
            WebhookFormat::Falco => Heartbeat::OFF,
        })
    }
}

/// How a request over HTTP is made, whatever it is for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Http {
    /// Headers to send.
    pub headers: Headers,
    /// A file with a token for the `Authorization` header.
    pub token_file: Option<PathBuf>,
    /// A file with the certificates that are trusted.
    pub ca_file: Option<PathBuf>,
}

/// A receiver over HTTP: its own keys, and those that all of them have. These are not flattened into it, as serde would
/// then not say which key is unknown, and in which line.
macro_rules! http_receiver {
    ($(#[doc = $doc:literal])* pub struct $name:ident { $($own:tt)* }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub struct $name {
            $($own)*
            /// Headers to send with each request.
            #[serde(default, skip_serializing_if = "Headers::is_empty")]
            pub headers: Headers,
            /// A file with a token, sent as `Authorization: Bearer TOKEN`. It is read for each request.
            #[serde(default)]
            pub token_file: Option<PathBuf>,
            /// A file with the certificates, in PEM, that the receiver's may be signed by; without it, those that the
            /// system trusts.
            #[serde(default)]
            pub ca_file: Option<PathBuf>,
            /// What is sent there, if not what `alerts.deliver` says: "incidents" or "findings".
            #[serde(default)]
            #[schemars(with = "Option<String>", extend("enum" = DELIVERED))]
            pub deliver: Option<Deliver>,
            /// The lowest severity that is sent there, if not all that `alerts.severity` lets through.
            #[serde(default)]
            #[schemars(with = "Option<String>", extend("enum" = SEVERITIES))]
            pub severity: Option<Severity>,
            /// How often it gets a heartbeat, if not as `alerts.heartbeat` says: a duration, or "off".
            #[serde(default)]
            pub heartbeat: Option<Heartbeat>,
        }

        impl $name {
            pub(crate) fn http(&self) -> Http {
                Http {
                    headers: self.headers.clone(),
                    token_file: self.token_file.clone(),
                    ca_file: self.ca_file.clone(),
                }
            }
        }
    };
}

http_receiver! {
    /// An HTTP receiver.
    pub struct Webhook {
        /// Where requests go, such as `https://siem.example/ingest`.
        pub url: Url,
        /// "ocsf", or "falco" for receivers that know Falco's alerts, such as falcosidekick. These take all that they
        /// get for alerts, and so get heartbeats only where `heartbeat` is set here.
        #[serde(default)]
        #[schemars(with = "String", extend("enum" = ["ocsf", "falco"]))]
        pub format: WebhookFormat,
    }
}

http_receiver! {
    /// A Prometheus Alertmanager.
    pub struct Alertmanager {
        /// Its address, such as `http://127.0.0.1:9093`; `/api/v2/alerts` is added.
        pub url: Url,
        /// How long after it was last seen a finding's alert is resolved. Until then it is active, and sent again every
        /// minute. An incident's is active until the incident is over, and for so long where the agent is gone.
        #[serde(default = "an_hour")]
        pub resolve_after: Period,
    }
}

const fn an_hour() -> Period {
    Period::from_secs(60 * 60)
}

/// Which part of a system a syslog message is said to come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of RFC 5424 and syslog(3)")]
pub enum Facility {
    User = 1,
    Daemon = 3,
    Auth = 4,
    Authpriv = 10,
    #[default]
    Local0 = 16,
    Local1 = 17,
    Local2 = 18,
    Local3 = 19,
    Local4 = 20,
    Local5 = 21,
    Local6 = 22,
    Local7 = 23,
}

/// A syslog server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Syslog {
    /// `udp://127.0.0.1:514`, `tcp://logs.example:601` or `unix:///dev/log`.
    pub address: SyslogAddress,
    /// The facility of its messages: "user", "daemon", "auth", "authpriv", or "local0" to "local7".
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = FACILITIES))]
    pub facility: Facility,
    /// What is sent there, if not what `alerts.deliver` says: "incidents" or "findings".
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("enum" = DELIVERED))]
    pub deliver: Option<Deliver>,
    /// The lowest severity that is sent there, if not all that `alerts.severity` lets through.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("enum" = SEVERITIES))]
    pub severity: Option<Severity>,
    /// How often it gets a heartbeat, if not as `alerts.heartbeat` says: a duration, or "off".
    #[serde(default)]
    pub heartbeat: Option<Heartbeat>,
}

http_receiver! {
    /// An OpenTelemetry collector.
    pub struct Otlp {
        /// Its address, such as `http://127.0.0.1:4318`; `/v1/logs` is added.
        pub endpoint: Url,
    }
}
