//! Profiles as files on disk.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use ethogram_detect::{MAX_FILE_BYTES, Profile};

use crate::{failure::Usage, files, pipeline::now_ns};

/// Files read at most: as many as a server holds profiles.
const MAX_FILES: usize = 1_024;
/// Files whose problems are listed; of more, how many.
const MAX_TOLD: usize = 8;

/// Reads the text of a profile's file; `-` is standard input.
///
/// # Errors
/// The system's, or that it is longer than any profile, or no text.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    const MOST: u64 = MAX_FILE_BYTES as u64;
    if path == Path::new("-") {
        files::text(files::read_from(io::stdin().lock(), MOST)?)
    } else {
        files::read_text(path, MOST)
    }
}

/// Reads a profile.
///
/// # Errors
/// The file, and what is wrong with it.
pub(crate) fn profile(path: &Path) -> Result<Profile, String> {
    let text = text(path).map_err(|e| format!("cannot read the profile {}: {e}", path.display()))?;
    Profile::from_file(&text, now_ns()).map_err(|problems| format!("{}, {problems}", path.display()))
}

/// Reads the profiles in these files, and in the files `*.toml` of these folders.
///
/// # Errors
/// All that is wrong, file by file.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Profile>, Usage> {
    let (mut problems, mut profiles, mut of) = (Vec::new(), Vec::new(), BTreeMap::new());
    for path in all(paths, &mut problems) {
        match profile(&path) {
            Err(problem) => problems.push(problem),
            Ok(profile) => match of.insert(profile.workload.uid.clone(), path.clone()) {
                None => profiles.push(profile),
                Some(before) => {
                    let (one, other) = (before.display(), path.display());
                    problems.push(format!("{one} and {other} are profiles of the same workload: keep one of them"));
                }
            },
        }
    }
    if problems.is_empty() {
        return Ok(profiles);
    }
    let more = problems.len().saturating_sub(MAX_TOLD);
    problems.truncate(MAX_TOLD);
    let and = if more > 0 { format!("; and {more} more") } else { String::new() };
    Err(Usage(format!("configuration, [behaviour] profiles: {}{and}", problems.join("; "))))
}

/// All files, those of folders in the order of their names.
fn all(paths: &[PathBuf], problems: &mut Vec<String>) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for path in paths {
        let inside = match fs::metadata(path) {
            Ok(is) if is.is_dir() => folder(path),
            _ => Ok(vec![path.clone()]),
        };
        match inside {
            Ok(mut inside) => all.append(&mut inside),
            Err(error) => problems.push(format!("cannot read the folder {}: {error}", path.display())),
        }
    }
    if all.len() > MAX_FILES {
        problems.push(format!("there are {} files, at most {MAX_FILES} are read", all.len()));
        all.truncate(MAX_FILES);
    }
    all
}

fn folder(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut inside = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?.path();
        // What begins with a dot is how a ConfigMap keeps its versions.
        let is_hidden = entry.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        if entry.extension().is_some_and(|e| e == "toml") && !is_hidden && entry.is_file() {
            inside.push(entry);
        }
    }
    inside.sort();
    Ok(inside)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const GOOD: &str = "ethogram_profile = 1\n[workload]\nimage = 'web:1'\ndigest = 'sha256:00'\n\
                        [write]\n'/bin/a' = ['/srv/x']\n[objects]\nwrite = 'files'\n";

    #[test]
    fn folders_and_files_are_read_and_all_problems_reported_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        put("a.toml", GOOD);
        put("note.txt", "no profile");
        put(".b.toml", "neither");
        assert_eq!(read(&[folder.path().to_owned()]).unwrap().len(), 1);
        put("c.toml", &GOOD.replace("= 1", "= 7"));
        put("d.toml", GOOD);
        put("e.toml", "\u{1}");
        let problems = read(&[folder.path().to_owned(), "/nonexistent/f.toml".into()]).unwrap_err().to_string();
        for part in [
            "c.toml, line 1: it is of version 7",
            "a.toml and ",
            "d.toml are profiles of the same workload",
            "e.toml, line 1: it is damaged",
            "cannot read the profile /nonexistent/f.toml: No such file",
        ] {
            assert!(problems.contains(part), "{problems}");
        }
        assert!(read(&["/dev/zero".into()]).unwrap_err().to_string().contains("longer than 8 MiB"));
    }
}
