//! Profiles and alerts on disk: one file, written in transactions, that survives a kill and is never trusted.

mod open;
mod writer;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::Arc,
};

use ethogram_detect::{Acceptance, Trail};
use ethogram_model::{AnnotatedIncident, Finding, StoredFinding};
use redb::{Database, ReadableTable, ReadableTableMetadata, TableDefinition};

pub use writer::Writer;

/// Workload to its profile, as JSON.
const PROFILES: TableDefinition<'_, &str, &str> = TableDefinition::new("profiles");
/// When first seen and uid, to the finding as JSON: so that the oldest comes first.
const ALERTS: TableDefinition<'_, (u64, &str), &str> = TableDefinition::new("alerts");
/// When first seen and uid, to the incident as JSON.
const INCIDENTS: TableDefinition<'_, (u64, &str), &str> = TableDefinition::new("incidents");
/// Place of alerts to the incidents that it has open, as JSON.
const DELIVERED: TableDefinition<'_, &str, &str> = TableDefinition::new("delivered");
/// The same key, to what a model wrote about the incident, as JSON.
const TRIAGE: TableDefinition<'_, (u64, &str), &str> = TableDefinition::new("triage");
/// The same key, to the boot that it is of, and by what the incident goes on, as JSON.
const TRAILS: TableDefinition<'_, (u64, &str), (&str, &str)> = TableDefinition::new("trails");
/// What was accepted by its id, as JSON.
const ACCEPTED: TableDefinition<'_, &str, &str> = TableDefinition::new("accepted");
/// What is known of the store itself.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// The key in `META` of the layout's version, and the version this agent writes.
const VERSION: (&str, u64) = ("version", 1);

/// An open store. No other process can open it as long as this lives.
pub struct Store {
    path: PathBuf,
    /// The boot of the host that this is.
    boot: String,
    /// Closed after a failure: redb needs to be opened again then.
    database: Option<Database>,
    _lock: File,
}

/// What a store held when it was opened.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Contents {
    /// Workload to its profile, as JSON.
    pub profiles: BTreeMap<String, String>,
    /// The alerts, oldest first, without their evidence.
    pub alerts: Vec<Finding>,
    /// The same as they are kept.
    pub kept: Vec<StoredFinding>,
    /// The incidents, oldest first.
    pub incidents: Vec<AnnotatedIncident>,
    /// What is stored of these besides, by their uids; of an earlier boot, what is left of it.
    pub trails: BTreeMap<String, Trail>,
    /// Place of alerts to the incidents that it has open, as JSON.
    pub delivered: BTreeMap<String, String>,
    /// What was accepted.
    pub accepted: Vec<Acceptance>,
}

/// What an opening gave.
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What it held.
    pub contents: Contents,
    /// Where a damaged store was put, and what was wrong with it.
    pub set_aside: Option<(PathBuf, String)>,
}

/// What is to be saved together.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    /// Workload to its profile as JSON; none where it was forgotten.
    pub profiles: BTreeMap<String, Option<String>>,
    /// Alerts that are new or have gone on, by when they were first seen, and uid.
    pub alerts: BTreeMap<(u64, Arc<str>), StoredFinding>,
    /// Alerts for which there is no room any more.
    pub gone: BTreeSet<(u64, Arc<str>)>,
    /// Incidents that are new or have gone on, by when they were first seen, and uid; none where there is no room any more.
    pub incidents: BTreeMap<(u64, Arc<str>), Option<AnnotatedIncident>>,
    /// What is stored of these besides.
    pub trails: BTreeMap<(u64, Arc<str>), Arc<Trail>>,
    /// Place of alerts to the incidents that it has open, as JSON, where that changed.
    pub delivered: BTreeMap<String, String>,
    /// What was accepted by its id; none where it was revoked.
    pub accepted: BTreeMap<String, Option<Acceptance>>,
}

impl Batch {
    /// Whether there is nothing to save.
    pub fn is_empty(&self) -> bool {
        let Self { profiles, alerts, gone, incidents, trails: _, delivered, accepted } = self;
        let has_incidents = !incidents.is_empty() || !delivered.is_empty();
        profiles.is_empty() && alerts.is_empty() && gone.is_empty() && !has_incidents && accepted.is_empty()
    }

    /// Adds what came later: it counts where both have something. Of more alerts than a store holds, some are left out.
    pub fn merge(&mut self, later: Self) {
        self.profiles.extend(later.profiles);
        self.alerts.retain(|key, _| !later.gone.contains(key));
        self.gone.retain(|key| !later.alerts.contains_key(key));
        self.gone.extend(later.gone);
        self.alerts.extend(later.alerts);
        self.trails.retain(|key, _| !later.incidents.contains_key(key));
        self.incidents.extend(later.incidents);
        self.trails.extend(later.trails);
        self.delivered.extend(later.delivered);
        self.accepted.extend(later.accepted);
        while self.alerts.len() > Store::MAX_ALERTS {
            self.alerts.pop_first();
        }
    }

    /// Leaves alerts out that do not fit into so many bytes: of the gravest, the first stay. Gives how many went.
    fn bound(&mut self, bytes: usize) -> usize {
        // Read once each: a disk is full rarely, and there are few by then.
        let severity = |alert: &StoredFinding| alert.read().map(|finding| Reverse(finding.severity));
        let mut all: Vec<_> = std::mem::take(&mut self.alerts).into_iter().collect();
        all.sort_by_cached_key(|((first_seen_ns, _), alert)| (severity(alert), *first_seen_ns));
        let before = all.len();
        let mut room = bytes;
        for (key, alert) in all {
            if let Some(left) = room.checked_sub(alert.bytes()) {
                room = left;
                self.alerts.insert(key, alert);
            }
        }
        before - self.alerts.len()
    }
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("the store {} is in use by another process: stop that one, or set another path in [store]", .0.display())]
    InUse(PathBuf),
    /// The system does not let us.
    #[error("cannot write the store {}: {source}: make room or permissions, or set another path in [store]", path.display())]
    Unwritable {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was open, and a transaction failed.
    #[error("cannot save to the store {}: {why}", path.display())]
    Save {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl Store {
    /// Alerts kept. Which go where there are more, the server says; the oldest are the last resort.
    pub const MAX_ALERTS: usize = 10_000;

    /// Opens the store in the folder `path`, which is made if it is not there.
    ///
    /// A store that is damaged, or of a later version, is set aside under a name of its own, byte for byte as it was,
    /// and an empty one is begun.
    ///
    /// # Errors
    /// If it is in use, or the system does not let us write there.
    pub fn open(path: &Path) -> Result<Opened, StoreError> {
        open::open(path)
    }

    /// Saves all of it, or nothing. Gives the number of old alerts that had to go.
    ///
    /// # Errors
    /// If that failed, with the reason. The next save may succeed.
    pub fn save(&mut self, batch: &Batch) -> Result<u64, StoreError> {
        let saved = std::panic::catch_unwind(AssertUnwindSafe(|| -> Result<u64, redb::Error> {
            let database = match self.database.take() {
                Some(database) => database,
                None => open::builder().open(&self.path)?,
            };
            let evicted = save(&database, batch, &self.boot)?;
            self.database = Some(database);
            Ok(evicted)
        }));
        let why = match saved {
            Ok(Ok(evicted)) => return Ok(evicted),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the database failed in itself".to_owned(),
        };
        Err(StoreError::Save { path: self.path.clone(), why })
    }
}

fn save(database: &Database, batch: &Batch, boot: &str) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let mut evicted = 0;
    {
        let mut profiles = transaction.open_table(PROFILES)?;
        for (workload, profile) in &batch.profiles {
            match profile {
                Some(json) => drop(profiles.insert(workload.as_str(), json.as_str())?),
                None => drop(profiles.remove(workload.as_str())?),
            }
        }
        let mut alerts = transaction.open_table(ALERTS)?;
        for (first_seen_ns, uid) in &batch.gone {
            drop(alerts.remove((*first_seen_ns, &**uid))?);
        }
        for ((first_seen_ns, uid), alert) in &batch.alerts {
            // Findings hold nothing that JSON cannot, so this cannot fail; if it did, the rest would still count.
            let Some(json) = alert.read().and_then(|finding| serde_json::to_string(&finding).ok()) else { continue };
            alerts.insert((*first_seen_ns, &**uid), json.as_str())?;
        }
        while alerts.len()? > Store::MAX_ALERTS as u64 {
            drop(alerts.pop_first()?);
            evicted += 1;
        }
        let mut incidents = transaction.open_table(INCIDENTS)?;
        let mut triage = transaction.open_table(TRIAGE)?;
        let mut trails = transaction.open_table(TRAILS)?;
        for (at, annotated) in &batch.incidents {
            let key = (at.0, &*at.1);
            match annotated.as_ref().and_then(|annotated| serde_json::to_string(&annotated.incident).ok()) {
                Some(json) => drop(incidents.insert(key, json.as_str())?),
                None => drop(incidents.remove(key)?),
            }
            let noted = annotated.as_ref().and_then(|annotated| annotated.triage.as_ref());
            match noted.and_then(|noted| serde_json::to_string(noted).ok()) {
                Some(json) => drop(triage.insert(key, json.as_str())?),
                None => drop(triage.remove(key)?),
            }
            match batch.trails.get(at).and_then(|trail| serde_json::to_string(trail).ok()) {
                Some(json) => drop(trails.insert(key, (boot, json.as_str()))?),
                None => drop(trails.remove(key)?),
            }
        }
        let mut delivered = transaction.open_table(DELIVERED)?;
        for (place, json) in &batch.delivered {
            delivered.insert(place.as_str(), json.as_str())?;
        }
        let mut accepted = transaction.open_table(ACCEPTED)?;
        for (id, acceptance) in &batch.accepted {
            match acceptance.as_ref().and_then(|a| serde_json::to_string(a).ok()) {
                Some(json) => drop(accepted.insert(id.as_str(), json.as_str())?),
                None => drop(accepted.remove(id.as_str())?),
            }
        }
        let mut meta = transaction.open_table(META)?;
        if meta.get(VERSION.0)?.is_none() {
            meta.insert(VERSION.0, VERSION.1)?;
        }
    }
    transaction.commit()?;
    Ok(evicted)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
