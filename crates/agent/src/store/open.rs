//! Opens a store that may be anything: it is tried on a copy first, so that a damaged one stays as it was found.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{Arc, Once},
};

use ethogram_detect::Trail;
use ethogram_model::{AnnotatedIncident, Finding, StoredFinding};
use jiff::Timestamp;
use redb::{Builder, Database, ReadableDatabase, ReadableTable};

use super::{
    ACCEPTED, ALERTS, Batch, Contents, DELIVERED, INCIDENTS, META, Opened, PROFILES, Store, StoreError, TRAILS, TRIAGE,
    VERSION, save,
};
use crate::boot;

const FILE: &str = "ethogram.redb";
/// The copy that is tried. A crash may leave it behind; the next start replaces it.
const TRIAL: &str = "ethogram.redb.trial";
const LOCK: &str = "ethogram.lock";

/// Bytes of the file that are kept in memory.
const CACHE_BYTES: usize = 4 << 20;

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

pub(super) fn open(folder: &Path) -> Result<Opened, StoreError> {
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Unwritable { path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unwritable(folder))?;
    let (lock, boot) = (lock(folder)?, boot::id());
    let path = folder.join(FILE);

    let mut set_aside = None;
    if path.exists() {
        let trial = folder.join(TRIAL);
        fs::copy(&path, &trial).map_err(unwritable(&path))?;
        let verdict = attempt(&trial, &boot);
        fs::remove_file(&trial).map_err(unwritable(&trial))?;
        match verdict {
            Ok(_) => {}
            Err(Unfit::System(source)) => return Err(StoreError::Unwritable { path, source }),
            Err(Unfit::Damaged(why)) => {
                let aside = free_name(folder, Timestamp::now());
                fs::rename(&path, &aside).map_err(unwritable(&path))?;
                set_aside = Some((aside, why));
            }
        }
    }
    // The file is made here, and not by the database, for its mode.
    open_private(&path).map_err(unwritable(&path))?;
    match attempt(&path, &boot) {
        Ok((database, contents)) => {
            Ok(Opened { store: Store { path, boot, database: Some(database), _lock: lock }, contents, set_aside })
        }
        Err(Unfit::System(source)) => Err(StoreError::Unwritable { path, source }),
        Err(Unfit::Damaged(why)) => Err(StoreError::Unwritable { path, source: io::Error::other(why) }),
    }
}

/// Opens for writing, without emptying it; one that has to be made is for its owner alone.
fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The database locks itself, but it must neither be copied nor renamed under another process either.
fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let unwritable = |source| StoreError::Unwritable { path: path.clone(), source };
    let file = open_private(&path).map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(unwritable(source)),
    }
}

/// `ethogram.redb.damaged-20260131T120000Z`, and with a number where there is one already.
fn free_name(folder: &Path, now: Timestamp) -> PathBuf {
    let name = format!("{FILE}.damaged-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let first = folder.join(&name);
    if !first.exists() {
        return first;
    }
    // Ends: a folder does not hold that many.
    (2_u64..).map(|n| folder.join(format!("{name}-{n}"))).find(|p| !p.exists()).unwrap_or(first)
}

/// Why a file is no store of ours.
enum Unfit {
    Damaged(String),
    System(io::Error),
}

impl<E: Into<redb::Error>> From<E> for Unfit {
    fn from(error: E) -> Self {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match error.into() {
            redb::Error::Io(e)
                if matches!(e.kind(), PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull) =>
            {
                Self::System(e)
            }
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// Opens the file and reads all of it. On some damaged files the database panics: that is damage, too.
fn attempt(path: &Path, boot: &str) -> Result<(Database, Contents), Unfit> {
    let result = quietly(|| -> Result<_, Unfit> {
        let fresh = fs::metadata(path).is_ok_and(|m| m.len() == 0);
        let mut database = builder().create(path)?;
        if fresh {
            save(&database, &Batch::default(), boot)?;
        }
        if !database.check_integrity()? {
            return Err(Unfit::Damaged("its checksums are wrong".to_owned()));
        }
        let contents = contents(&database, boot)?;
        Ok((database, contents))
    });
    result.unwrap_or_else(|| Err(Unfit::Damaged("the database cannot make sense of it".to_owned())))
}

fn contents(database: &Database, boot: &str) -> Result<Contents, Unfit> {
    let transaction = database.begin_read()?;
    let version = transaction.open_table(META)?.get(VERSION.0)?.map(|v| v.value());
    if version != Some(VERSION.1) {
        let found = version.map_or("none".to_owned(), |v| v.to_string());
        return Err(Unfit::Damaged(format!("its version is {found}, and this agent writes {}", VERSION.1)));
    }
    let mut profiles = BTreeMap::new();
    for entry in transaction.open_table(PROFILES)?.iter()? {
        let (workload, json) = entry?;
        profiles.insert(workload.value().to_owned(), json.value().to_owned());
    }
    let (mut alerts, mut kept) = (Vec::new(), Vec::new());
    for entry in transaction.open_table(ALERTS)?.iter()? {
        let (_, json) = entry?;
        let alert: Finding =
            serde_json::from_str(json.value()).map_err(|e| Unfit::Damaged(format!("an alert in it: {e}")))?;
        // All evidence at once would take many times what the store does.
        kept.extend(StoredFinding::of(&alert));
        alerts.push(Finding { evidence: Vec::new(), ..alert });
    }
    let mut incidents = Vec::new();
    // Older agents made no such tables.
    let noted = transaction.open_table(TRIAGE).ok();
    if let Ok(table) = transaction.open_table(INCIDENTS) {
        for entry in table.iter()? {
            let (key, json) = entry?;
            let incident = serde_json::from_str(json.value());
            let incident = incident.map_err(|e| Unfit::Damaged(format!("an incident in it: {e}")))?;
            let triage = noted.as_ref().map(|table| table.get(key.value())).transpose()?.flatten();
            // An annotation that cannot be read is none: nothing depends on it.
            let triage = triage.and_then(|json| serde_json::from_str(json.value()).ok());
            incidents.push(AnnotatedIncident { incident: Arc::new(incident), triage });
        }
    }
    let mut trails = BTreeMap::new();
    if let Ok(table) = transaction.open_table(TRAILS) {
        for entry in table.iter()? {
            let (key, value) = entry?;
            let (of, json) = value.value();
            // One that cannot be read is none: the incident is over then, as it is after another boot.
            let Ok(trail) = serde_json::from_str::<Trail>(json) else { continue };
            let is_of_this_boot = !boot.is_empty() && of == boot;
            trails.insert(key.value().1.to_owned(), if is_of_this_boot { trail } else { trail.ended() });
        }
    }
    let mut delivered = BTreeMap::new();
    if let Ok(table) = transaction.open_table(DELIVERED) {
        for entry in table.iter()? {
            let (place, json) = entry?;
            delivered.insert(place.value().to_owned(), json.value().to_owned());
        }
    }
    let mut accepted = Vec::new();
    if let Ok(table) = transaction.open_table(ACCEPTED) {
        for entry in table.iter()? {
            let (_, json) = entry?;
            let acceptance = serde_json::from_str(json.value());
            accepted.push(acceptance.map_err(|e| Unfit::Damaged(format!("an acceptance in it: {e}")))?);
        }
    }
    Ok(Contents { profiles, alerts, kept, incidents, trails, delivered, accepted })
}

thread_local! {
    /// Whether a panic of this thread is expected, and not to be printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; none where it panicked. Nothing is printed then: the caller says what it means.
fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                previous(info);
            }
        }));
    });
    QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    QUIET.set(false);
    result.ok()
}
