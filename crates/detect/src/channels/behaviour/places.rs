//! What is known of places: which hold secrets, which decide what runs, which are for anything.

use std::net::IpAddr;

use crate::subject::program::{file_name, manages_users};

/// What reading this file gives away; nothing for an ordinary one.
pub fn secret(path: &str) -> Option<&'static str> {
    let name = file_name(path);
    let folder = folder_of_secrets(path);
    if folder == Some(".ssh") && is_public(name) {
        return None;
    }
    let by_place = by_place(path).or_else(|| match folder? {
        ".ssh" | ".gnupg" => Some("private keys"),
        _ => Some("credentials for a cloud"),
    });
    by_place.or_else(|| by_name(path, name))
}

/// The same by the folder of the system in which it lies.
fn by_place(path: &str) -> Option<&'static str> {
    let (top, rest) = path.strip_prefix('/')?.split_once('/')?;
    Some(match (top, rest) {
        ("etc", "shadow" | "shadow-" | "gshadow" | "gshadow-") => "password hashes",
        ("etc", "sudoers") => "rules for sudo",
        ("etc", _) if below(rest, "sudoers.d") => "rules for sudo",
        ("etc", _) if below(rest, "ssl/private") || below(rest, "kubernetes") => "private keys",
        ("run", _) if below(rest, "secrets") => GIVEN,
        ("var", _) if below(rest, "run/secrets") => GIVEN,
        ("var", _) if below(rest, "lib/kubelet") => "secrets of the node",
        ("proc", "kcore") | ("dev", "mem" | "kmem" | "port") => "the machine's memory",
        ("dev", device) if is_disk(device) => "a disk",
        _ => return None,
    })
}

/// The folder on the path, or that it leads to, in which users keep secrets; that of ssh before others.
fn folder_of_secrets(path: &str) -> Option<&'static str> {
    let mut found = None;
    for folder in path.as_bytes().split(|byte| *byte == b'/') {
        match folder {
            b".ssh" => return Some(".ssh"),
            b".gnupg" => found = Some(".gnupg"),
            b".aws" | b".azure" | b"gcloud" => found = found.or(Some(".aws")),
            _ => {}
        }
    }
    found
}

/// The same by what it is called, wherever it lies.
fn by_name(path: &str, name: &str) -> Option<&'static str> {
    Some(match name {
        "config.json" if path.ends_with("/.docker/config.json") => "credentials for registries",
        "config" if path.ends_with("/.kube/config") => "credentials for a cluster",
        "environ" if path.starts_with("/proc/") => "the environment of a process",
        "mem" if path.starts_with("/proc/") => "the memory of a process",
        "docker.sock" | "containerd.sock" | "crio.sock" | "podman.sock" => "control over all containers",
        "id_rsa" | "id_dsa" | "id_ecdsa" | "id_ed25519" => "private keys",
        ".netrc" | ".pgpass" | ".git-credentials" | ".my.cnf" | ".npmrc" | ".pypirc" => "stored passwords",
        _ if name.starts_with("ssh_host_") && name.ends_with("_key") => "private keys",
        _ if name.ends_with(".key") || name.ends_with(".kdbx") => "private keys",
        _ => return None,
    })
}

/// Whether it is a key with which a server shows who it is, and no user's, no cluster's and none of ssh.
pub(crate) fn is_tls_key(path: &str) -> bool {
    let is_of_others = ["/home", "/root", "/etc/ssh", "/etc/kubernetes"].iter().any(|folder| below(path, folder))
        || [".ssh", ".gnupg"].iter().any(|folder| has(path, folder));
    let is_named = below(path, "/etc/ssl/private") || path.ends_with(".key");
    is_named && !is_of_others && secret(path) == Some("private keys")
}

/// Whether a file of ssh holds nothing but public keys.
fn is_public(name: &str) -> bool {
    ["authorized_keys", "known_hosts"].iter().any(|public| name.starts_with(public)) || name.ends_with(".pub")
}

/// What files in /etc decide that nothing else is said of.
const SET_UP: &str = "how the system is set up";

/// What a container is given to read.
const GIVEN: &str = "secrets given to the container";

/// Whether it is what scripts do that start containers: they read the secrets that the container is given, write the configuration of a
/// service below /etc, set the time zone, and have users changed by the programs for it.
pub(crate) fn is_setup(path: &str, sensitivity: Option<&str>, executable: &str) -> bool {
    /// Folders of /etc that decide what runs, or who may do what.
    const OF_SYSTEM: [&str; 8] =
        ["alternatives", "init.d", "ld.so.conf.d", "pam.d", "profile.d", "security", "ssh", "systemd"];
    let of_service = path.strip_prefix("/etc/").and_then(|path| path.split_once('/')).map(|(folder, _)| folder);
    let is_of_service = of_service.is_some_and(|folder| !OF_SYSTEM.contains(&folder) && !folder.starts_with("rc"));
    match sensitivity {
        Some(GIVEN) => true,
        Some(SET_UP) if is_of_service || matches!(path, "/etc/localtime" | "/etc/timezone") => true,
        Some(_) => manages_users(executable) && (below(path, "/etc") || below(path, "/home")),
        None => false,
    }
}

/// What writing this file decides; nothing for an ordinary one.
pub fn control(path: &str) -> Option<&'static str> {
    const PROGRAMS: [&str; 10] = [
        "/bin",
        "/sbin",
        "/usr/bin",
        "/usr/sbin",
        "/usr/local/bin",
        "/usr/local/sbin",
        "/lib",
        "/lib64",
        "/usr/lib64",
        "/usr/local/lib",
    ];
    Some(match path {
        _ if below(path, "/etc/cron.d") || path.starts_with("/etc/cron") => "what runs by the clock",
        _ if below(path, "/var/spool/cron") || below(path, "/var/spool/at") => "what runs by the clock",
        _ if below(path, "/etc") => SET_UP,
        _ if PROGRAMS.iter().any(|p| below(path, p)) => "which programs run",
        _ if below(path, "/boot") => "how the machine starts",
        _ if below(path, "/proc/sys") || below(path, "/sys") || path == "/proc/sysrq-trigger" => {
            "how the kernel behaves"
        }
        _ if has(path, ".ssh") => "who may log in",
        _ => match file_name(path) {
            "release_agent" => "what the kernel runs when a cgroup is empty",
            name if name.ends_with(".ko") || name.ends_with(".ko.xz") => "what the kernel loads",
            ".bashrc" | ".profile" | ".bash_profile" | ".zshrc" => "what shells run",
            _ => return secret(path),
        },
    })
}

/// What a peer gives away to its clients; nothing for an ordinary one. The addresses are those at which clouds report
/// machines and containers who they are.
pub fn sensitive_peer(peer: IpAddr) -> Option<&'static str> {
    let is_metadata = match peer.to_canonical() {
        IpAddr::V4(address) => {
            matches!(address.octets(), [169, 254, 169, 254] | [169, 254, 170, 2 | 23] | [100, 100, 100, 200])
        }
        IpAddr::V6(address) => matches!(address.segments(), [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x23]),
    };
    is_metadata.then_some("the machine's credentials for its cloud")
}

/// Whether every file here is judged by its own name, however many there are.
pub fn is_guarded(path: &str) -> bool {
    control(path).is_some() || below(path, "/root") || is_shared_library(path)
}

/// Whether writing there leaves nothing behind: terminals, pipes and the devices that swallow everything.
pub fn is_sink(path: &str) -> bool {
    matches!(
        path,
        "/dev/null"
            | "/dev/zero"
            | "/dev/full"
            | "/dev/random"
            | "/dev/urandom"
            | "/dev/tty"
            | "/dev/console"
            | "/dev/ptmx"
    ) || below(path, "/dev/pts")
        || path.starts_with("pipe:[")
        || path.starts_with("socket:[")
        || path.starts_with("anon_inode:")
}

/// Whether programs put files there that are gone soon.
pub fn is_temporary(path: &str) -> bool {
    ["/tmp", "/var/tmp", "/run", "/var/run", "/dev/shm", "/proc", "/var/cache"]
        .iter()
        .any(|p| path == *p || below(path, p))
}

/// Whether what lies directly there is too different to be treated as one.
pub(crate) fn is_common_parent(directory: &str) -> bool {
    matches!(
        directory,
        "" | "/" | "/usr" | "/usr/local" | "/usr/lib" | "/var" | "/var/lib" | "/opt" | "/srv" | "/home" | "/dev"
    )
}

/// Whether the path lies in the directory, at any depth.
fn below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether a directory of that name is on the path, or is what it leads to.
fn has(path: &str, directory: &str) -> bool {
    path.as_bytes().split(|byte| *byte == b'/').any(|name| name == directory.as_bytes())
}

fn is_shared_library(path: &str) -> bool {
    below(path, "/usr/lib") && (path.ends_with(".so") || path.contains(".so."))
}

fn is_disk(name: &str) -> bool {
    ["sd", "vd", "xvd", "hd"].iter().any(|kind| {
        name.strip_prefix(kind)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()) && rest.len() <= 4)
    }) || ["nvme", "dm-", "mmcblk", "mapper/", "loop"].iter().any(|kind| {
        name.strip_prefix(kind)
            .is_some_and(|rest| kind.ends_with('/') || rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_and_their_neighbours_are_not() {
        for (secret_path, ordinary) in [
            ("/etc/shadow", "/etc/passwd"),
            ("/root/.ssh/id_rsa", "/root/.sshrc"),
            ("/root/.ssh/work", "/root/.ssh/authorized_keys"),
            ("/root/.ssh/id_ed25519", "/root/.ssh/id_ed25519.pub"),
            ("/home/u/.ssh/config", "/home/u/ssh/config"),
            ("/run/secrets/db", "/run/secretsdb"),
            ("/var/run/secrets/kubernetes.io/serviceaccount/token", "/var/run/nginx.pid"),
            ("/proc/12/environ", "/proc/12/status"),
            ("/srv/tls/server.key", "/srv/tls/server.pem"),
            ("/dev/sda1", "/dev/sdcard-reader"),
            ("/dev/nvme0n1", "/dev/null"),
            ("/run/docker.sock", "/run/mysqld.sock"),
            ("/root/.aws/credentials", "/srv/aws/credentials"),
            ("/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_rsa_key.pub"),
        ] {
            assert!(secret(secret_path).is_some(), "{secret_path}");
            assert_eq!(secret(ordinary), None, "{ordinary}");
        }
    }

    #[test]
    fn control_is_known_and_its_neighbours_are_not() {
        for (severe, ordinary) in [
            ("/etc/passwd", "/srv/etc/passwd"),
            ("/usr/bin/ls", "/usr/share/bin/ls"),
            ("/var/spool/cron/crontabs/root", "/var/spool/mail/root"),
            ("/home/u/.ssh/authorized_keys", "/home/u/authorized_keys"),
            ("/proc/sys/kernel/core_pattern", "/proc/1/oom_score_adj"),
        ] {
            assert!(control(severe).is_some(), "{severe}");
            assert_eq!(control(ordinary), None, "{ordinary}");
        }
    }

    #[test]
    fn what_a_start_sets_up_is_no_attack() {
        let is_setup = |path, by| super::is_setup(path, control(path), by);
        for (path, by) in [
            ("/etc/shop/shop.conf", "/usr/bin/bash"),
            ("/etc/timezone", "/usr/bin/cp"),
            ("/run/secrets/database", "/usr/bin/cat"),
            ("/etc/passwd", "/usr/sbin/usermod"),
            ("/etc/shadow", "/usr/sbin/usermod"),
            ("/home/new/.bashrc", "/usr/sbin/useradd"),
        ] {
            assert!(is_setup(path, by), "{path} {by}");
        }
        for (path, by) in [
            ("/etc/passwd", "/usr/bin/bash"),
            ("/etc/shadow", "/usr/bin/cat"),
            ("/etc/cron.d/job", "/usr/bin/bash"),
            ("/etc/pam.d/su", "/usr/bin/bash"),
            ("/etc/ld.so.preload", "/usr/bin/bash"),
            ("/root/.ssh/authorized_keys", "/usr/sbin/usermod"),
            ("/usr/bin/ls", "/usr/sbin/usermod"),
            ("/etc/passwd", "/tmp/usermod"),
        ] {
            assert!(!is_setup(path, by), "{path} {by}");
        }
    }

    #[test]
    fn sinks_leave_nothing_behind() {
        for path in ["/dev/null", "/dev/pts/0", "/dev/tty", "pipe:[123]"] {
            assert!(is_sink(path), "{path}");
        }
        for path in ["/dev/shm/x", "/dev/sda", "/dev/nullx", "memfd:x"] {
            assert!(!is_sink(path), "{path}");
        }
    }
}
