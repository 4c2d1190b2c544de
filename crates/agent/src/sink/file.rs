//! A file that alerts are appended to, one a line, and which gives way to a new one when it is full.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use ethogram_model::{Heartbeat, Report, ocsf};

use super::queue::{Delivery, Receiver};

/// The file and how it is rotated.
pub(super) struct RotatingFile {
    path: PathBuf,
    /// 0: as many as come.
    max_bytes: u64,
    /// Full files that are kept.
    keep: u32,
    file: File,
}

/// A report as one line.
pub(super) fn line(report: &Report) -> Vec<u8> {
    format!("{}\n", ocsf::from_report(report)).into_bytes()
}

/// A heartbeat as one line.
pub(super) fn heartbeat_line(heartbeat: &Heartbeat) -> Vec<u8> {
    format!("{}\n", ocsf::from_heartbeat(heartbeat)).into_bytes()
}

impl RotatingFile {
    pub(super) fn open(path: &Path, max_bytes: u64, keep: u32) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), max_bytes, keep, file: open(path)? })
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        // Another process may have renamed or removed it.
        let (open_one, there) = (self.file.metadata()?, fs::metadata(&self.path).ok());
        let mut bytes = open_one.len();
        if there.is_none_or(|there| (there.dev(), there.ino()) != (open_one.dev(), open_one.ino())) {
            self.file = open(&self.path)?;
            bytes = self.file.metadata()?.len();
        }
        let is_full = self.max_bytes > 0 && bytes > 0 && bytes + line.len() as u64 > self.max_bytes;
        if is_full && open_one.is_file() {
            self.rotate()?;
            bytes = 0;
        }
        self.file.write_all(line).inspect_err(|_| {
            // Half a line would stay for ever: it is written again.
            let _ = self.file.set_len(bytes);
        })
    }

    /// `FILE` becomes `FILE.1`, which becomes `FILE.2`, and so on.
    fn rotate(&mut self) -> io::Result<()> {
        if self.keep == 0 {
            return self.file.set_len(0);
        }
        for n in (1..self.keep).rev() {
            match fs::rename(self.numbered(n), self.numbered(n + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.numbered(1))?;
        self.file = open(&self.path)?;
        Ok(())
    }

    fn numbered(&self, n: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{n}"));
        name.into()
    }
}

impl Receiver for RotatingFile {
    fn deliver(&mut self, alert: &[u8]) -> Delivery {
        match self.append(alert) {
            Ok(()) => Delivery::Delivered,
            Err(error) => Delivery::failed(format!("{}: {error}", self.path.display())),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn alerts(path: &Path) -> Vec<String> {
        fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_full_file_gives_way_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.jsonl");
        let mut file = RotatingFile::open(&path, 25, 2).unwrap();
        for n in 0..9 {
            assert_eq!(file.deliver(format!("alert {n:03}\n").as_bytes()), Delivery::Delivered);
        }
        let at = |n: &str| alerts(&folder.path().join(format!("alerts.jsonl{n}")));
        assert_eq!(at(""), ["alert 008"]);
        assert_eq!(at(".1"), ["alert 006", "alert 007"]);
        assert_eq!(at(".2"), ["alert 004", "alert 005"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        // One that is longer than a file may be has a file of its own.
        file.deliver(&[b'x'; 100]);
        file.deliver(b"next\n");
        assert_eq!((at("").len(), at(".1")[0].len()), (1, 100));
    }

    #[test]
    fn none_is_kept_where_none_is_configured_and_all_where_there_is_no_limit() {
        let folder = tempfile::tempdir().unwrap();
        for (name, max_bytes, expected) in [("a", 10, 1), ("b", 0, 5)] {
            let path = folder.path().join(name);
            let mut file = RotatingFile::open(&path, max_bytes, 0).unwrap();
            (0..5).for_each(|_| assert_eq!(file.deliver(b"12345\n"), Delivery::Delivered));
            assert_eq!(alerts(&path).len(), expected);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_others_rotate_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut file = RotatingFile::open(&path, 0, 0).unwrap();
        file.deliver(b"1\n");
        fs::rename(&path, folder.path().join("b")).unwrap();
        file.deliver(b"2\n");
        fs::remove_file(&path).unwrap();
        file.deliver(b"3\n");
        assert_eq!((alerts(&path), alerts(&folder.path().join("b"))), (vec!["3".into()], vec!["1".into()]));
    }

    #[test]
    fn a_disk_that_is_full_is_a_failure_that_names_the_file() {
        let mut file = RotatingFile::open(Path::new("/dev/full"), 10, 1).unwrap();
        let Delivery::Failed { why, .. } = file.deliver(b"1\n") else { unreachable!("it cannot be written") };
        assert!(why.starts_with("/dev/full: No space left"), "{why}");
    }
}
