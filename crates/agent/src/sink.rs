//! Where alerts go: each place has a thread and a bounded queue of its own, so that a slow one hinders nobody.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use ethogram_model::{Finding, ocsf};

use crate::config::Alerts;

/// Findings that may wait for one place.
const QUEUE: usize = 1024;

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
    /// The system gives no thread.
    #[error("cannot start a thread for alerts: {0}")]
    Thread(io::Error),
}

/// All places that alerts go to.
#[derive(Default)]
pub struct Sinks {
    sinks: Vec<Sink>,
}

impl Sinks {
    /// Opens all that the configuration asks for.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn start(alerts: &Alerts) -> Result<Self, SinkError> {
        let mut sinks = Vec::new();
        if alerts.stdout {
            sinks.push(Sink::start("stdout", io::stdout())?);
        }
        if let Some(path) = &alerts.file {
            sinks.push(Sink::start("file", open(path)?)?);
        }
        Ok(Self { sinks })
    }

    /// Hands a finding to every place, without waiting for any.
    pub fn send(&self, finding: &Arc<Finding>) {
        for sink in &self.sinks {
            sink.send(finding);
        }
    }

    /// How many findings each place could not take, since the start.
    pub fn dropped(&self) -> BTreeMap<String, u64> {
        self.sinks.iter().map(|s| (s.name.to_owned(), s.dropped.load(Ordering::Relaxed))).collect()
    }

    /// Waits until all that was sent is written, but no longer than `patience` in all.
    pub fn finish(self, patience: Duration) {
        let deadline = Instant::now() + patience;
        // All queues are closed first, so that all places finish at the same time.
        let ends: Vec<_> = self.sinks.into_iter().map(|s| (s.name, s.ended)).collect();
        for (name, ended) in ends {
            if ended.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_err() {
                tracing::warn!(sink = name, "some alerts could not be written before the end");
            }
        }
    }
}

fn open(path: &Path) -> Result<impl Write + use<>, SinkError> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    file.map_err(|source| SinkError::File { path: path.to_owned(), source })
}

/// One place.
struct Sink {
    name: &'static str,
    queue: SyncSender<Arc<Finding>>,
    dropped: Arc<AtomicU64>,
    /// Gives a word once everything is written.
    ended: Receiver<()>,
}

impl Sink {
    fn start(name: &'static str, to: impl Write + Send + 'static) -> Result<Self, SinkError> {
        let (queue, findings) = sync_channel::<Arc<Finding>>(QUEUE);
        let (end, ended) = sync_channel(1);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        let work = move || {
            write_all(name, to, findings.iter(), &lost);
            // Nobody need be waiting for it.
            let _ = end.try_send(());
        };
        thread::Builder::new().name(format!("sink-{name}")).spawn(work).map_err(SinkError::Thread)?;
        Ok(Self { name, queue, dropped, ended })
    }

    fn send(&self, finding: &Arc<Finding>) {
        if self.queue.try_send(Arc::clone(finding)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes each finding as one line. One that cannot be written is counted, and the next one tried.
fn write_all(name: &str, mut to: impl Write, findings: impl Iterator<Item = Arc<Finding>>, dropped: &AtomicU64) {
    let mut failing = false;
    for finding in findings {
        let line = format!("{}\n", ocsf::from_finding(&finding));
        match to.write_all(line.as_bytes()).and_then(|()| to.flush()) {
            Ok(()) => failing = false,
            Err(error) => {
                dropped.fetch_add(1, Ordering::Relaxed);
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(sink = name, "cannot write alerts: {error}");
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use ethogram_model::{Container, Severity};

    use super::*;

    fn finding(n: u64) -> Arc<Finding> {
        Arc::new(Finding {
            uid: format!("f{n}"),
            title: "t".into(),
            analytic: "behaviour.execute".into(),
            severity: Severity::High,
            confidence: 90,
            reason: "a line\nbreak".into(),
            workload: "w".into(),
            operation: "execute".into(),
            executable: "/bin/sh".into(),
            object: "/bin/nc".into(),
            usual: Vec::new(),
            container: Some(Arc::new(Container::default())),
            rule: None,
            techniques: Vec::new(),
            process: None,
            evidence: Vec::new(),
            count: 1,
            first_seen_ns: 1,
            last_seen_ns: 1,
        })
    }

    /// A place that takes nothing until it is opened.
    #[derive(Clone, Default)]
    struct Gate(Arc<(Mutex<bool>, Condvar)>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let open = self.0.0.lock().unwrap();
            drop(self.0.1.wait_while(open, |open| !*open).unwrap());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn alerts_are_appended_to_the_file_one_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.jsonl");
        for n in 0..2 {
            let sinks = Sinks::start(&Alerts { stdout: false, file: Some(path.clone()) }).unwrap();
            sinks.send(&finding(n));
            sinks.finish(LONG);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[1]["class_uid"], &lines[1]["finding_info"]["uid"]), (&2004.into(), &"f1".into()));
    }

    #[test]
    fn a_stuck_place_counts_what_it_misses_and_hinders_no_other() {
        let gate = Gate::default();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let stuck = Sink::start("stuck", gate.clone()).unwrap();
        let sinks = Sinks { sinks: vec![stuck] };
        let sent = QUEUE as u64 + 100;
        (0..sent).for_each(|n| sinks.send(&finding(n)));
        // One may be in the hands of the thread.
        assert!((99..=100).contains(&sinks.dropped()["stuck"]), "{:?}", sinks.dropped());

        let other = Sinks::start(&Alerts { stdout: false, file: Some(path.clone()) }).unwrap();
        other.send(&finding(1));
        other.finish(LONG);
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 1);

        *gate.0.0.lock().unwrap() = true;
        gate.0.1.notify_all();
        sinks.finish(LONG);
    }

    #[test]
    fn a_place_that_fails_is_counted() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sink = Sink::start("full", Full).unwrap();
        let dropped = Arc::clone(&sink.dropped);
        let sinks = Sinks { sinks: vec![sink] };
        (0..3).for_each(|n| sinks.send(&finding(n)));
        sinks.finish(LONG);
        assert_eq!(dropped.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let alerts = Alerts { stdout: false, file: Some("/nonexistent/alerts".into()) };
        let error = Sinks::start(&alerts).err().unwrap().to_string();
        assert!(error.starts_with("cannot write alerts to /nonexistent/alerts: No such file"), "{error}");
    }
}
