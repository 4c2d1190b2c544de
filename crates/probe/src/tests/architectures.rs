//! Every C file compiles for every architecture, whichever one this machine has. Needs no root.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;

#[test]
fn every_object_builds_for_every_architecture() {
    let (clang, architectures) = CLANG;
    let sources = sources(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(sources.len() >= builtin().unwrap().len());
    let object = tempfile::NamedTempFile::new().unwrap();
    // For this one, the build has done it.
    let own = if cfg!(target_arch = "x86_64") { "-D__TARGET_ARCH_x86" } else { "-D__TARGET_ARCH_arm64" };
    let others: Vec<_> = architectures.iter().filter(|flags| !flags.contains(&own)).collect();
    assert!(!others.is_empty());
    for flags in others.into_iter().copied() {
        for source in &sources {
            let output = Command::new(clang).args(flags).arg(source).arg("-o").arg(object.path()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{} with {flags:?}:\n{said}", source.display());
        }
    }
}

/// Every `.bpf.c` below a folder of the crate.
fn sources(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap()) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().is_some_and(|p| p.ends_with(".bpf.c")) {
                found.push(path);
            }
        }
    }
    found
}
