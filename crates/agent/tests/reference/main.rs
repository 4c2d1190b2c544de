//! `docs/reference`: generated from the trackers' objects and manifests, the configuration, the command line, the API
//! and the metrics, and compared with what is checked in. With `ETHOGRAM_UPDATE=1` it is written instead.
//!
//! Needs no root: the examples of events are those that the trackers' tests wrote, see `examples.rs` in the probe.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api;
mod commands;
mod configuration;
mod evasions;
mod metrics;
mod page;
mod trackers;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

/// How the pages are written.
const COMMAND: &str = "ETHOGRAM_UPDATE=1 cargo test -p ethogram-agent --test reference";

/// All pages, by their paths below `docs/reference`.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut pages = trackers::pages();
    pages.push(("configuration.md".into(), configuration::page()));
    pages.push(("commands.md".into(), commands::page()));
    pages.push(("api.md".into(), api::page()));
    pages.push(("openapi.json".into(), api::openapi()));
    pages.push(("metrics.md".into(), metrics::page()));
    pages.into_iter().map(|(name, text)| (name.into(), text)).collect()
}

/// The files below a folder, with what they hold, by their paths below it.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
        let name = PathBuf::from(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|(inner, text)| (name.join(inner), text)));
        } else {
            found.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
    found
}

#[test]
fn the_reference_is_what_the_sources_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    let (wanted, found) = (pages(), files(&folder));
    let stale = wanted.iter().filter(|(path, text)| found.get(*path) != Some(*text)).map(|(path, _)| path);
    let stale: Vec<_> = stale.chain(found.keys().filter(|path| !wanted.contains_key(*path))).collect();
    if env::var_os("ETHOGRAM_UPDATE").is_none() {
        assert!(
            stale.is_empty(),
            "in docs/reference, {stale:?} are not what the sources say; write them with\n  {COMMAND}"
        );
        return;
    }
    for path in stale {
        let file = folder.join(path);
        match wanted.get(path) {
            Some(text) => {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
            None => fs::remove_file(file).unwrap(),
        }
    }
}

#[test]
fn the_table_of_evasions_is_what_is_tried() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/evasions.md");
    let wanted = evasions::page();
    if env::var_os("ETHOGRAM_UPDATE").is_some() {
        fs::write(&file, &wanted).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == wanted, "docs/evasions.md is not what is tried; write it with\n  {COMMAND}");
}

#[test]
fn links_between_pages_lead_somewhere() {
    let pages = pages();
    for (path, text) in &pages {
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|l| !l.contains("://")) {
            let file = link.split('#').next().unwrap();
            let mut target = path.parent().unwrap().to_owned();
            for part in Path::new(file) {
                if part == ".." { _ = target.pop() } else { target.push(part) }
            }
            assert!(file.is_empty() || pages.contains_key(&target), "{} links to {link}", path.display());
        }
    }
}
