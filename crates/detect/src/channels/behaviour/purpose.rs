//! What programs of the system are there for: that one does it says little. All of it holds only where the file is the image's or
//! the host's, and unchanged, whatever a program calls itself.

use ethogram_model::{Event, Exec, ObjectKind};

use super::{Behaviour, BehaviourChannel, places};
use crate::{
    learning::Seen,
    subject::{
        program::{file_name, folder},
        system_program,
    },
};

/// They look at all processes, and at their environments for a name or a session.
const LIST_PROCESSES: &str = "ps top htop pgrep pkill w systemd systemctl systemd-detect-virt ischroot";
/// They check who somebody is, or change users.
const KNOW_USERS: &str = "login su sudo sshd sshd-session dropbear passwd chage chpasswd unix_chkpwd useradd usermod userdel \
                          adduser deluser groupadd groupmod groupdel gpasswd newgrp cron crond dpkg-preconfigure";
/// They bring programs and their files.
const INSTALL: &str =
    "dpkg dpkg-deb apt apt-get aptitude apk rpm dnf yum microdnf zypper pacman update-alternatives ldconfig";
/// They replace files by others: packed, or put aside, without a password.
const REPLACE: &str =
    "gzip gunzip pigz bzip2 pbzip2 xz unxz lzma zstd unzstd lz4 lzop compress uncompress logrotate savelog";
/// Secrets, and the programs that are there to read them.
const READ: [(&str, &str); 5] = [
    ("/etc/shadow", KNOW_USERS),
    ("/etc/gshadow", KNOW_USERS),
    ("/etc/sudoers", "sudo visudo"),
    ("/etc/ssh/ssh_host_", "sshd sshd-session"),
    ("/etc/dropbear/", "dropbear"),
];
/// Where programs of all kinds lie beside each other.
const COMMON: [&str; 8] =
    ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/usr/libexec", "/usr/lib"];

/// A list of processes looks at the environment of one.
pub(super) fn lists_processes(behaviour: &Behaviour<'_>, event: &Event) -> bool {
    behaviour.object.starts_with("/proc/")
        && behaviour.object.ends_with("/environ")
        && exec(event).and_then(system_program::name).is_some_and(|name| is_one_of(LIST_PROCESSES, name))
}

/// A program reads a secret that it is there to read.
pub(super) fn reads_its_own(behaviour: &Behaviour<'_>, event: &Event) -> bool {
    let mut readers = READ.iter().filter(|(path, _)| behaviour.object.starts_with(path)).peekable();
    readers.peek().is_some()
        && exec(event)
            .and_then(system_program::name)
            .is_some_and(|name| readers.any(|(_, programs)| is_one_of(programs, name)))
}

/// A server reads another TLS key of a folder of which it read one before: its certificate was renewed, or there is one more.
pub(crate) fn reads_another_of_its_keys(channel: &BehaviourChannel, behaviour: &Behaviour<'_>, event: &Event) -> bool {
    let (program, key) = (behaviour.program(), &*behaviour.object);
    let is_key = behaviour.kind == ObjectKind::SensitivePath && places::is_tls_key(key) && !gives_another_name(event);
    if !is_key || behaviour.is_vague || !exec(event).is_some_and(is_a_part) {
        return false;
    }
    let mut reads = channel.operations.get(behaviour.operation).into_iter().flat_map(|reads| reads.does(behaviour));
    let is_beside = |(known, seen): &(String, Seen)| {
        places::is_tls_key(known) && folder(known) == folder(key) && behaviour.is_as(seen)
    };
    channel.serves(program) && reads.any(|reads| reads.objects.by_frequency().iter().any(is_beside))
}

/// What a container was started with reads a TLS key: a server does so as it starts. What it forks meanwhile may serve somebody.
pub(crate) fn reads_its_key(behaviour: &Behaviour<'_>, event: &Event) -> bool {
    behaviour.kind == ObjectKind::SensitivePath
        && places::is_tls_key(&behaviour.object)
        && !gives_another_name(event)
        && event.context.process.as_deref().is_some_and(|p| p.pid == p.exec.pid && is_a_part(&p.exec))
}

/// Whether an event is a move, a link or a mount.
pub(crate) fn gives_another_name(event: &Event) -> bool {
    event.schema.behaviours.iter().any(|spec| spec.kind == ObjectKind::GuardedPath)
}

/// A program runs another that lies in the same folder, in which only what belongs together lies: the parts of a mail server, or of
/// a database.
pub(super) fn runs_its_helper(event: &Event) -> bool {
    let Some(process) = event.context.process.as_deref() else { return false };
    let Some(above) = process.replaced.as_ref().or_else(|| process.ancestors.first()) else { return false };
    let own = folder(&process.exec.path);
    own == folder(&above.path)
        && !COMMON.contains(&own)
        && process.exec.container_cgroup == above.container_cgroup
        && [&process.exec, above].iter().all(|exec| is_a_part(exec))
}

/// Whether it is a program of its own, and none that runs what its arguments say.
fn is_a_part(exec: &Exec) -> bool {
    system_program::name(exec).is_some_and(|name| name == file_name(&exec.path))
        && !system_program::is_interpreter(&exec.path)
}

/// A program packs files, puts them aside, or brings new ones.
pub(super) fn puts_files_aside(event: &Event) -> bool {
    let program = exec(event).filter(|exec| !exec.path.is_empty());
    program
        .is_some_and(|exec| installs(exec) || system_program::name(exec).is_some_and(|name| is_one_of(REPLACE, name)))
}

/// A program of the system brings other programs.
pub(crate) fn installs(exec: &Exec) -> bool {
    system_program::name(exec).is_some_and(|name| is_one_of(INSTALL, name))
}

fn exec(event: &Event) -> Option<&Exec> {
    event.context.process.as_deref().map(|process| &*process.exec)
}

fn is_one_of(words: &str, name: &str) -> bool {
    words.split_ascii_whitespace().any(|word| word == name)
}
