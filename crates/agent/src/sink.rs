//! Where alerts go: each place has threads and a bounded queue of its own, so a slow one does not hold up the others.
//!
//! A finding is sent once, when it is new, an incident when it opens, escalates and closes. What its receiver cannot take
//! waits in a spool on disk; only what goes to standard output does not, as its reader is there or is not.

mod alertmanager;
mod backoff;
mod counters;
mod file;
mod format;
mod heartbeat;
mod http;
mod incidents;
mod queue;
mod spool;
mod syslog;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use ethogram_model::{Finding, Heartbeat, Incident, Report, Severity, ocsf};
use jiff::Timestamp;

use self::{
    alertmanager::{Active, Alertmanager, Encoder},
    file::RotatingFile,
    format::{falco, otlp},
    heartbeat::Heartbeats,
    http::Client,
    incidents::SentIncidents,
    queue::{Closed, Delivery, Encode, Receiver, Sink, Wanted},
    spool::Spool,
    syslog::SyslogServer,
};
use crate::{
    config::{self, Alerts, Deliver, WebhookFormat},
    metrics::SinkMetrics,
};

/// Why a place cannot take alerts.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The file cannot be opened for appending.
    #[error("cannot write alerts to {}: {source}: check the path and its permissions, or change file in [alerts]", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What a receiver's section names cannot be used.
    #[error("configuration, [alerts.{sink}]: {source}")]
    Receiver {
        /// The receiver.
        sink: String,
        /// What, and why.
        source: io::Error,
    },
    /// The folder for what waits cannot be used.
    #[error("cannot keep alerts that wait in {}: {source}: check its permissions, or change path in [store]", path.display())]
    Spool {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gives no thread.
    #[error("cannot start a thread for alerts: {0}")]
    Thread(io::Error),
}

/// What there was before this start.
#[derive(Default)]
pub struct Earlier<'a> {
    /// The alerts that were raised.
    pub alerts: &'a [Finding],
    /// The incidents that are open again.
    pub incidents: &'a [Arc<Incident>],
    /// Which incidents each place had open, as [`Sinks::take_unsaved`] gave it.
    pub delivered: Option<&'a BTreeMap<String, String>>,
}

impl Earlier<'_> {
    /// The incidents that go on for a place, each with its severity in what was sent last.
    fn open(&self, sink: &str) -> Vec<(&Incident, Severity)> {
        let stored = self
            .delivered
            .and_then(|all| all.get(sink))
            .and_then(|stored| SentIncidents::read(stored).ok())
            .unwrap_or_default();
        let known = self.incidents.iter().filter_map(|incident| Some((&**incident, *stored.get(&incident.uid)?)));
        known.collect()
    }
}

/// All places that alerts go to.
#[derive(Default)]
pub struct Sinks {
    sinks: Vec<Sink>,
}

impl Sinks {
    /// Opens all that the configuration asks for. What waits for its receiver lies in folders below `store`. Whether receivers are there is not asked: they may come later.
    ///
    /// # Errors
    /// If a file or folder cannot be used.
    pub fn start(alerts: &Alerts, store: &Path, earlier: &Earlier<'_>) -> Result<Self, SinkError> {
        let mut opening = Opening { alerts, folder: store.join("spool"), sinks: Vec::new() };
        if alerts.stdout {
            opening.sinks.push(Sink::direct("stdout", opening.wanted(None, None), io::stdout())?);
        }
        if let Some(path) = &alerts.file {
            let file = RotatingFile::open(path, alerts.file_max_bytes, alerts.file_keep);
            let file = file.map_err(|source| SinkError::File { path: path.clone(), source })?;
            let heartbeats = alerts.heartbeat.get().map(|every| Heartbeats::new(every, file::heartbeat_line));
            let wanted = opening.wanted(None, None);
            opening.add("file".to_owned(), wanted, file::line, file, heartbeats)?;
        }
        for (name, webhook) in &alerts.webhook {
            let name = format!("webhook.{name}");
            let receiver = Webhook(client(&name, webhook.url.as_str(), &webhook.http())?);
            let encode = match webhook.format {
                WebhookFormat::Ocsf => |report: &Report| ocsf::from_report(report).to_string().into_bytes(),
                WebhookFormat::Falco => falco::encode,
            };
            let write = match webhook.format {
                WebhookFormat::Ocsf => |beat: &Heartbeat| ocsf::from_heartbeat(beat).to_string().into_bytes(),
                WebhookFormat::Falco => falco::heartbeat,
            };
            let heartbeats = webhook.heartbeat(alerts.heartbeat).get().map(|every| Heartbeats::new(every, write));
            let wanted = opening.wanted(webhook.deliver, webhook.severity);
            opening.add(name, wanted, encode, receiver, heartbeats)?;
        }
        for (name, alertmanager) in &alerts.alertmanager {
            let name = format!("alertmanager.{name}");
            let client = client(&name, &alertmanager.url.below("/api/v2/alerts"), &alertmanager.http())?;
            let encoder = Encoder { active: Active::default(), resolve_after: alertmanager.resolve_after.get() };
            let wanted = opening.wanted(alertmanager.deliver, alertmanager.severity);
            encoder.restore(earlier.alerts.iter().filter(|finding| wanted.wants(finding.severity)));
            encoder.resume(&earlier.open(&name));
            let receiver = Alertmanager::new(client, &encoder);
            let heartbeats = opening.heartbeats(alertmanager.heartbeat, format::alertmanager::heartbeat);
            opening.add(name, wanted, encoder, receiver, heartbeats)?;
        }
        for (name, syslog) in &alerts.syslog {
            let facility = syslog.facility;
            let encode = move |report: &Report| format::syslog::encode(report, facility);
            let receiver = SyslogServer::new(syslog.address.clone());
            let write = move |heartbeat: &Heartbeat| format::syslog::heartbeat(heartbeat, facility);
            let heartbeats = opening.heartbeats(syslog.heartbeat, write);
            let wanted = opening.wanted(syslog.deliver, syslog.severity);
            opening.add(format!("syslog.{name}"), wanted, encode, receiver, heartbeats)?;
        }
        for (name, collector) in &alerts.otlp {
            let name = format!("otlp.{name}");
            let receiver = Otlp(client(&name, &collector.endpoint.below("/v1/logs"), &collector.http())?);
            let heartbeats = opening.heartbeats(collector.heartbeat, otlp::heartbeat);
            let wanted = opening.wanted(collector.deliver, collector.severity);
            opening.add(name, wanted, otlp::encode, receiver, heartbeats)?;
        }
        opening.warn_of_others();
        Ok(Self { sinks: opening.sinks })
    }

    /// Goes on with what each place had open, as [`Self::take_unsaved`] gave it: `known` has what became of an incident
    /// meanwhile, or that of which it became part. Of one that is not known any more nothing can be sent.
    pub fn restore(&mut self, delivered: &BTreeMap<String, String>, known: impl Fn(&str) -> Option<Arc<Incident>>) {
        let at_ns = now_ns();
        for sink in &mut self.sinks {
            let Some(stored) = delivered.get(&sink.name) else { continue };
            if let Err(error) = sink.incidents.restore(stored) {
                tracing::warn!(sink = sink.name, "which incidents it has open cannot be read from the store: {error}");
            }
            for uid in sink.incidents.open() {
                match known(&uid) {
                    Some(incident) if incident.uid == uid => sink.send_incident(&incident, at_ns),
                    Some(whole) => {
                        let merged_into = Some(whole.uid.clone());
                        let part = Incident { uid, merged_into, is_open: false, ..Incident::clone(&whole) };
                        sink.send_incident(&Arc::new(part), at_ns);
                    }
                    None => sink.incidents.forget(&uid),
                }
            }
        }
    }

    /// Which incidents each place has open, where that changed since the last call: to be stored with them.
    pub fn take_unsaved(&mut self) -> BTreeMap<String, String> {
        let unsaved = |sink: &mut Sink| Some((sink.name.clone(), sink.incidents.take_unsaved()?));
        self.sinks.iter_mut().filter_map(unsaved).collect()
    }

    /// Hands what became of incidents to every place that is to have it, without waiting for any, and what there was no
    /// room for before.
    pub fn send_incidents(&mut self, incidents: &[Arc<Incident>]) {
        let at_ns = now_ns();
        for sink in &mut self.sinks {
            sink.send_waiting(at_ns);
            incidents.iter().for_each(|incident| sink.send_incident(incident, at_ns));
        }
    }

    /// Hands a finding to every place that is to have it, without waiting for any.
    pub fn send(&self, report: &Report) {
        for sink in &self.sinks {
            sink.send(report);
        }
    }

    /// Passes on that a finding goes on, to the places that have to know.
    pub fn seen(&self, uid: &str, last_seen_ns: u64) {
        let mut followers = self.sinks.iter().filter(|s| s.follows).peekable();
        if followers.peek().is_some() {
            let uid = Arc::from(uid);
            followers.for_each(|sink| sink.seen(&uid, last_seen_ns));
        }
    }

    /// When the next heartbeat is due; none where no place gets any.
    pub fn next_heartbeat(&self) -> Option<Instant> {
        self.sinks.iter().filter_map(Sink::next_heartbeat).min()
    }

    /// Hands a heartbeat to the places for which one is due, without waiting for any.
    pub fn beat(&mut self, heartbeat: Heartbeat) {
        let heartbeat = Arc::new(Heartbeat { host: format::host_name(), ..heartbeat });
        let now = Instant::now();
        self.sinks.iter_mut().for_each(|sink| sink.beat(&heartbeat, now));
    }

    /// How many reports each place did not get, since the start.
    pub fn dropped(&self) -> BTreeMap<String, u64> {
        self.sinks.iter().map(|s| (s.name.clone(), s.counters.all_dropped().values().sum())).collect()
    }

    /// How each place is doing.
    pub fn metrics(&self) -> BTreeMap<String, SinkMetrics> {
        self.sinks.iter().map(|sink| (sink.name.clone(), sink.metrics())).collect()
    }

    /// Waits until all that was sent is where it should be, but no longer than `patience` in all. What a receiver does not
    /// take until then waits in its spool for the next start.
    pub fn finish(mut self, patience: Duration) {
        self.send_incidents(&[]);
        let deadline = Instant::now() + patience;
        // All queues are closed first, so that all places finish at the same time.
        let ends: Vec<Closed> = self.sinks.into_iter().map(Sink::close).collect();
        ends.into_iter().for_each(|end| end.wait(deadline));
    }
}

/// Sinks as they are opened.
struct Opening<'a> {
    alerts: &'a Alerts,
    folder: PathBuf,
    sinks: Vec<Sink>,
}

impl Opening<'_> {
    fn add(
        &mut self,
        name: String,
        wanted: Wanted,
        encode: impl Encode,
        receiver: impl Receiver,
        heartbeats: Option<Heartbeats>,
    ) -> Result<(), SinkError> {
        let path = self.folder.join(&name);
        let spool =
            Spool::open(&path, self.alerts.spool_max_bytes).map_err(|source| SinkError::Spool { path, source })?;
        if spool.waiting() > 0 {
            tracing::info!(sink = name, "{} alerts from before wait to be delivered", spool.waiting());
        }
        self.sinks.push(Sink::spooled(&name, wanted, spool, encode, receiver, heartbeats)?);
        Ok(())
    }

    /// The heartbeats of a receiver, which may have asked for its own.
    fn heartbeats(
        &self,
        asked_for: Option<config::Heartbeat>,
        write: impl Fn(&Heartbeat) -> Vec<u8> + Send + 'static,
    ) -> Option<Heartbeats> {
        let every = asked_for.unwrap_or(self.alerts.heartbeat).get()?;
        Some(Heartbeats::new(every, write))
    }

    /// What a receiver is to be sent, which may have asked for its own.
    fn wanted(&self, deliver: Option<Deliver>, severity: Option<Severity>) -> Wanted {
        Wanted {
            deliver: deliver.unwrap_or(self.alerts.deliver),
            least: severity.map_or(self.alerts.severity, |severity| severity.max(self.alerts.severity)),
        }
    }

    /// What waits for a receiver that was taken out of the configuration is not thrown away.
    fn warn_of_others(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            if !self.sinks.iter().any(|s| name == *s.name) && Spool::holds_something(&path) {
                tracing::warn!("{} holds alerts of a receiver that is not configured any more", path.display());
            }
        }
    }
}

fn now_ns() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default()
}

fn client(sink: &str, url: &str, settings: &config::Http) -> Result<Client, SinkError> {
    Client::new(url, settings).map_err(|source| SinkError::Receiver { sink: sink.to_owned(), source })
}

/// A receiver that takes a report as the body of a request.
struct Webhook(Client);

impl Receiver for Webhook {
    fn deliver(&mut self, alert: &[u8]) -> Delivery {
        self.0.post(alert.to_vec()).map_or_else(|outcome| outcome, |_| Delivery::Delivered)
    }
}

/// A collector of OpenTelemetry's.
struct Otlp(Client);

impl Receiver for Otlp {
    fn deliver(&mut self, alert: &[u8]) -> Delivery {
        match self.0.post(otlp::request(alert)) {
            Ok(answer) => otlp::rejection(&answer).map_or(Delivery::Delivered, Delivery::Refused),
            Err(outcome) => outcome,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
