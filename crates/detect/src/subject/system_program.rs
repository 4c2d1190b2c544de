//! The name of a program that nobody in the container has put there: what may be excused by a name.
//!
//! A process can call itself what it likes, and a file may lie anywhere under any name. So the name is that of the file
//! itself, links resolved, and only where the file is the image's (or the host's), unchanged, and among the programs of
//! the system.

use ethogram_model::Exec;

/// Where images and distributions put programs.
const FOLDERS: [&str; 9] =
    ["/usr/", "/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/", "/opt/", "/nix/store/"];
/// One file for many programs: which one it is, it takes from what it is called by.
const MANY: [&str; 2] = ["busybox", "toybox"];
/// They run the script that their arguments name.
const INTERPRETERS: [&str; 12] =
    ["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "perl", "python", "ruby", "node", "php"];
/// Servers for logins.
const LOGIN: [&str; 7] = ["sshd", "sshd-session", "dropbear", "login", "in.telnetd", "telnetd", "mosh-server"];
/// Options in the first line of a script that take no text of a program.
const OPTIONS: [&str; 10] = ["-w", "-T", "-wT", "-Tw", "-e", "-u", "-eu", "-ue", "-E", "-x"];
/// Those of Python, which a shell would take for something else.
const OPTIONS_OF_PYTHON: [&str; 6] = ["-s", "-Es", "-sE", "-I", "-sP", "-B"];

/// The name, where it is such a program.
pub(crate) fn name(exec: &Exec) -> Option<&str> {
    if is_brought(exec) || !is_of_the_system(&exec.path) {
        return None;
    }
    let file = last(&exec.path);
    let argument = |n: usize| exec.args.get(n).map_or("", String::as_str);
    if MANY.contains(&file) {
        let called = last(argument(0));
        let first = if MANY.contains(&called) { argument(1) } else { called };
        let is_applet = !first.is_empty() && !first.starts_with('-');
        return Some(if is_applet { last(first) } else { file });
    }
    let interpreter = bare(file);
    if INTERPRETERS.contains(&interpreter) {
        let is_option =
            |text: &str| OPTIONS.contains(&text) || (interpreter == "python" && OPTIONS_OF_PYTHON.contains(&text));
        let script = if is_option(argument(1)) { argument(2) } else { argument(1) };
        // What a user's own script is called says nothing; then it is the interpreter that runs.
        if is_of_the_system(script) && !script.contains("/../") {
            return Some(last(script));
        }
    }
    Some(file)
}

/// Whether it is a server that starts programs for users who log in.
pub fn serves_logins(exec: &Exec) -> bool {
    name(exec).is_some_and(|name| LOGIN.contains(&name))
}

/// Whether a program runs what its arguments or its input say.
pub(crate) fn is_interpreter(path: &str) -> bool {
    INTERPRETERS.contains(&bare(last(path))) || MANY.contains(&last(path))
}

/// Whether its file is not what the image has: written in the container, without a name, or on a mount of a container that can
/// be written to.
fn is_brought(exec: &Exec) -> bool {
    let is_on_volume = exec.is_on_writable_mount && exec.container_cgroup != 0;
    exec.in_writable_layer || exec.in_memory || exec.is_unlinked || exec.is_path_cut || is_on_volume
}

/// Whether a path leads to where programs of the system are. What lies right in the root is part of the image: that folder
/// cannot be a volume.
fn is_of_the_system(path: &str) -> bool {
    let is_in_root = path.starts_with('/') && path.rfind('/') == Some(0) && path.len() > 1;
    is_in_root || FOLDERS.iter().any(|folder| path.starts_with(folder))
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// A name without the target before it and the version behind it.
pub(crate) fn bare(name: &str) -> &str {
    let of_target = ["-linux-gnu-", "-linux-musl-", "-linux-gnueabihf-"];
    let name = of_target.iter().find_map(|target| name.split_once(target)).map_or(name, |(_, rest)| rest);
    let version = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let version = version.strip_suffix('-').unwrap_or(version);
    if version.is_empty() { name } else { version }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(path: &str, args: &[&str]) -> Exec {
        Exec { path: path.into(), args: args.iter().map(|arg| (*arg).to_owned()).collect(), ..Exec::default() }
    }

    #[test]
    fn a_program_has_a_name_only_where_it_is_the_images() {
        let name_of = |path: &str, args: &[&str]| name(&exec(path, args)).map(str::to_owned);
        let is = |path: &str, args: &[&str], wanted: &str| {
            assert_eq!(name_of(path, args).as_deref(), Some(wanted), "{path} {args:?}");
        };
        is("/usr/sbin/sshd", &["sshd", "-D"], "sshd");
        is("/usr/sbin/sshd", &["cron"], "sshd");
        is("/etcd", &["etcd"], "etcd");
        // Links are resolved: this is what `ln -s /bin/cat /tmp/sshd` comes to.
        is("/bin/cat", &["/tmp/sshd", "/etc/shadow"], "cat");
        is("/bin/busybox", &["adduser", "x"], "adduser");
        is("/bin/busybox", &["/bin/busybox", "passwd"], "passwd");
        is("/bin/busybox", &["busybox", "--install"], "busybox");
        is("/usr/bin/perl", &["/usr/bin/perl", "-w", "/usr/sbin/adduser", "x"], "adduser");
        is("/usr/bin/python3.11", &["/usr/bin/python3", "-Es", "/usr/bin/dnf"], "dnf");
        // Neither text of a program nor a script from elsewhere is the system's.
        is("/usr/bin/perl", &["perl", "-e", "1", "/usr/sbin/adduser"], "perl");
        is("/usr/bin/bash", &["bash", "-s", "/usr/sbin/adduser"], "bash");
        is("/usr/bin/bash", &["bash", "/tmp/adduser"], "bash");
        is("/usr/bin/bash", &["bash", "/usr/../tmp/adduser"], "bash");
        for path in ["/tmp/sshd", "/srv/sshd", "/data/apt", "/home/u/apt", "memfd:sshd", "…/sshd", "", "sshd"] {
            assert_eq!(name_of(path, &["sshd"]), None, "{path}");
        }
        let mut changed = exec("/usr/sbin/sshd", &["sshd"]);
        changed.in_writable_layer = true;
        assert_eq!(name(&changed), None);
        changed = Exec { in_memory: true, in_writable_layer: false, ..changed };
        assert_eq!(name(&changed), None);
        changed = Exec { is_unlinked: true, in_memory: false, ..changed };
        assert_eq!(name(&changed), None);
        changed = Exec { is_on_writable_mount: true, container_cgroup: 1, is_unlinked: false, ..changed };
        assert_eq!(name(&changed), None);
        // On the host, where programs are may be a mount of its own.
        changed.container_cgroup = 0;
        assert_eq!(name(&changed), Some("sshd"));
    }

    #[test]
    fn versions_and_targets_are_left_out() {
        for (name, wanted) in [
            ("x86_64-linux-gnu-gcc-12", "gcc"),
            ("x86_64-linux-gnu-g++-12", "g++"),
            ("python3.11", "python"),
            ("php-fpm8.3", "php-fpm"),
            ("sshd", "sshd"),
            ("7", "7"),
        ] {
            assert_eq!(bare(name), wanted);
        }
    }
}
