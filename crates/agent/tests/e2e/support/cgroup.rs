//! Cgroups that the tests make, in the hierarchy by which containers are identified.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::seconds;

/// A cgroup, removed when it is dropped and all its processes have ended; so are those above it that were not there.
pub(crate) struct Cgroup {
    path: PathBuf,
    made: Vec<PathBuf>,
}

impl Cgroup {
    /// One below that of a process.
    pub(crate) fn below(pid: u32, name: &str) -> Self {
        Self::make(Self::directory(pid).join(name))
    }

    /// The directory of the one that a process is in.
    pub(crate) fn directory(pid: u32) -> PathBuf {
        let lines = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let of = |wanted: &str| {
            lines.lines().find_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                controllers.split(',').any(|c| c == wanted).then(|| path.trim_start_matches('/').to_owned())
            })
        };
        let path = of("memory").or_else(|| of("")).unwrap();
        root().join(path)
    }

    /// One at the top of the hierarchy, or below another there.
    pub(crate) fn at_top(path: &str) -> Self {
        Self::make(root().join(path))
    }

    fn make(path: PathBuf) -> Self {
        let made = path.ancestors().take_while(|above| !above.exists()).map(Path::to_owned).collect();
        fs::create_dir_all(&path).unwrap_or_else(|e| panic!("cannot make {}: {e}", path.display()));
        Self { path, made }
    }

    /// Moves a process in.
    pub(crate) fn take_in(&self, pid: u32) {
        fs::write(self.path.join("cgroup.procs"), pid.to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for path in &self.made {
            let begin = Instant::now();
            // A runtime that removes a container removes what is below it as well.
            while fs::remove_dir(path).is_err_and(|e| e.kind() != io::ErrorKind::NotFound) {
                if begin.elapsed() > seconds(5) {
                    return eprintln!("cannot remove {}", path.display());
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn root() -> PathBuf {
    let of_version_1 = Path::new("/sys/fs/cgroup/memory");
    if of_version_1.exists() { of_version_1.to_owned() } else { "/sys/fs/cgroup".into() }
}
