//! Programs that are handed secrets in ways of their own, and programs that run others.

/// How a client is handed a secret.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// In the same word: `-pSECRET`.
    Attached(&'static str),
    /// In the next word: `-p SECRET`.
    Next(&'static str),
    /// After a sign in the same word or the next: `-u user:SECRET`.
    After(&'static str, u8),
    /// The word after one that is no option: `login SECRET`.
    Word(&'static str),
    /// The last word, where one of these stands before.
    Last(&'static [&'static str]),
    /// Between two signs of the first word that has both: `user/SECRET@db`.
    Between(u8, u8),
}

/// Programs that are handed secrets in the same ways.
#[derive(Debug)]
pub(super) struct Client {
    names: &'static [&'static str],
    pub(super) ways: &'static [Way],
    /// Options that sound as if a secret followed, and take no value.
    pub(super) flags: &'static [&'static str],
}

const fn client(names: &'static [&'static str], ways: &'static [Way]) -> Client {
    Client { names, ways, flags: &[] }
}

static CLIENTS: &[Client] = {
    use Way::{After, Attached, Between, Last, Next, Word};
    &[
        Client {
            names: &[
                "mysql",
                "mysqldump",
                "mysqladmin",
                "mysqlimport",
                "mysqlcheck",
                "mysqlpump",
                "mysqlshow",
                "mysqlslap",
                "mysqlbinlog",
                "mysqlsh",
                "mariadb",
                "mariadb-dump",
                "mariadb-admin",
                "mariadb-import",
                "mariadb-check",
                "mycli",
            ],
            ways: &[Attached("-p"), Word("password")],
            flags: &["--password"],
        },
        Client {
            names: &[
                "psql",
                "pg_dump",
                "pg_dumpall",
                "pg_restore",
                "pg_basebackup",
                "createdb",
                "dropdb",
                "createuser",
            ],
            ways: &[],
            flags: &["--password"],
        },
        client(
            &["mongo", "mongosh", "mongodump", "mongorestore", "mongoexport", "mongoimport", "mongostat", "cqlsh"],
            &[Next("-p")],
        ),
        client(&["redis-cli", "valkey-cli", "keydb-cli"], &[Next("-a"), Last(&["auth", "AUTH"])]),
        client(&["sqlcmd", "bcp", "isql", "ipmitool"], &[Next("-P"), Attached("-P")]),
        client(&["sqlplus", "exp", "imp", "expdp", "impdp", "sqlldr"], &[Between(b'/', b'@')]),
        client(
            &["curl"],
            &[
                After("-u", b':'),
                After("--user", b':'),
                After("-U", b':'),
                After("--proxy-user", b':'),
                After("-E", b':'),
                After("--cert", b':'),
                Next("--oauth2-bearer"),
                Next("--pass"),
            ],
        ),
        client(&["lftp"], &[After("-u", b','), After("--user", b',')]),
        client(&["http", "https", "xh"], &[After("-a", b':'), After("--auth", b':')]),
        client(&["sshpass"], &[Next("-p"), Attached("-p")]),
        client(&["plink", "pscp"], &[Next("-pw")]),
        client(&["rdesktop"], &[Next("-p")]),
        client(&["xfreerdp", "xfreerdp3"], &[Attached("/p:")]),
        client(
            &["ldapsearch", "ldapmodify", "ldapadd", "ldapdelete", "ldapwhoami", "ldapcompare", "ldapmodrdn"],
            &[Next("-w"), Attached("-w")],
        ),
        client(&["ldappasswd"], &[Next("-w"), Next("-s"), Next("-a"), Attached("-w")]),
        client(
            &["smbclient", "rpcclient", "smbget", "smbcacls", "smbtree", "net", "wmic", "winexe"],
            &[After("-U", b'%'), After("--user", b'%')],
        ),
        Client {
            names: &["openssl"],
            ways: &[
                After("-passin", b':'),
                After("-passout", b':'),
                After("-pass", b':'),
                After("-password", b':'),
                Next("-k"),
            ],
            flags: &["-pass", "-password"],
        },
        client(&["zip", "unzip"], &[Next("-P"), Attached("-P")]),
        client(&["7z", "7za", "7zr", "rar", "unrar"], &[Attached("-p"), Attached("-hp")]),
        client(
            &["skopeo", "buildah", "podman-remote"],
            &[After("--creds", b':'), After("--src-creds", b':'), After("--dest-creds", b':')],
        ),
        client(&["snmpwalk", "snmpget", "snmpset", "snmpbulkwalk"], &[Next("-c"), Next("-A"), Next("-X")]),
        client(&["useradd", "usermod"], &[Next("-p")]),
        client(&["nmcli"], &[Word("password")]),
        client(&["htpasswd"], &[Last(&["-b", "-nb", "-bn", "-cb", "-bc", "-Bb", "-bB", "-nbB", "-bnB", "-cbB"])]),
        client(&["twine"], &[Next("-p")]),
        client(&["vault", "bao", "cargo"], &[Word("login")]),
        client(&["nxc", "netexec", "crackmapexec", "smbmap", "evil-winrm"], &[Next("-p")]),
    ]
};

/// Those that log in to a registry, a cluster or a cloud: `-p` is the password only there.
static LOGIN: Client = client(&[], &[Way::Next("-p"), Way::Attached("-p"), Way::After("--creds", b':')]);
const LOGS_IN: &[&str] =
    &["docker", "podman", "nerdctl", "helm", "oc", "az", "cf", "crane", "oras", "regctl", "buildah", "skopeo"];
static CREATES_SECRETS: Client = client(&[], &[Way::After("--from-literal", b'=')]);

/// Programs that run the program that their arguments name.
const WRAPPERS: &[&str] = &[
    "sudo",
    "doas",
    "env",
    "exec",
    "command",
    "nohup",
    "time",
    "timeout",
    "nice",
    "ionice",
    "setsid",
    "stdbuf",
    "xargs",
    "chroot",
    "unshare",
    "nsenter",
    "tini",
    "dumb-init",
    "docker-init",
    "gosu",
    "su-exec",
    "setpriv",
    "busybox",
    "toybox",
    "strace",
    "ltrace",
    "flock",
    "chrt",
    "taskset",
    "proxychains",
    "proxychains4",
    "torsocks",
    "then",
    "do",
    "if",
    "while",
];
/// Those of them that run it in a container: an option's value may have a program's name there.
const RUNNERS: &[&str] = &["docker", "podman", "nerdctl", "kubectl", "oc", "crictl", "ctr", "docker-compose"];

/// Programs that others run with options of their own.
const RUN_BY_CLIENTS: &[&str] = &["ssh", "scp", "sftp", "rsync", "ssh-copy-id", "autossh"];

/// Programs that take a program's text for an argument: what looks like a value there may be a command.
const INTERPRETERS: &[&str] = &[
    "sh", "bash", "rbash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "pwsh", "python", "pypy",
    "perl", "ruby", "php", "node", "nodejs", "deno", "bun", "lua", "luajit", "awk", "gawk", "mawk", "tclsh", "su",
    "runuser", "ssh", "script", "watch", "eval", "expect", "at", "parallel", "socat", "nc", "ncat",
];

/// What stands for the program in a command.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) client: Option<&'static Client>,
    /// The place of its word.
    pub(super) at: usize,
    pub(super) is_interpreter: bool,
}

/// The program that a command's words run.
pub(super) fn program(words: &[&[u8]]) -> Program {
    let first = words.iter().position(|word| !is_assignment(word)).unwrap_or(0);
    let Some(name) = words.get(first).map(|word| base_name(word)) else { return Program::default() };
    let is_wrapper = is_in(WRAPPERS, name);
    let is_runner = is_in(RUNNERS, name);
    if is_wrapper || is_runner {
        for (at, word) in words.iter().enumerate().skip(first + 1) {
            let is_value = is_runner && words[at - 1].starts_with(b"-") && words[at - 1] != b"--";
            let found = of_name(base_name(word), words, at);
            if !is_value && (found.client.is_some() || found.is_interpreter) {
                return found;
            }
        }
    }
    of_name(name, words, first)
}

/// How many of a client's words are its own, where it runs another program.
pub(super) fn own_words(texts: &[&[u8]]) -> usize {
    let other = texts.iter().skip(1).position(|word| is_in(RUN_BY_CLIENTS, base_name(word)));
    other.map_or(texts.len(), |at| at + 1)
}

fn of_name(name: &[u8], words: &[&[u8]], at: usize) -> Program {
    let has = |wanted: &str| words.iter().skip(at + 1).any(|word| *word == wanted.as_bytes());
    let known = CLIENTS.iter().find(|client| is_in(client.names, name));
    let client = match name {
        b"kubectl" | b"oc" if has("create") && has("secret") => Some(&CREATES_SECRETS),
        _ if is_in(LOGS_IN, name) && has("login") => Some(&LOGIN),
        _ => known,
    };
    Program { client, at, is_interpreter: is_interpreter(name) }
}

fn is_interpreter(name: &[u8]) -> bool {
    // Versions stand at the end: `python3.11`, `lua5.4`, `php8`.
    let bare = name.iter().rposition(|b| !b.is_ascii_digit() && !matches!(b, b'.' | b'-')).map_or(0, |at| at + 1);
    is_in(INTERPRETERS, &name[..bare]) || is_in(INTERPRETERS, name)
}

fn is_in(names: &[&str], name: &[u8]) -> bool {
    names.iter().any(|known| name == known.as_bytes())
}

fn base_name(word: &[u8]) -> &[u8] {
    let name = word.rsplit(|b| *b == b'/').next().unwrap_or_default();
    // Shells of a login are called by a name that begins so.
    name.strip_prefix(b"-").unwrap_or(name)
}

fn is_assignment(word: &[u8]) -> bool {
    let name = word.split(|b| *b == b'=').next().unwrap_or_default();
    name.len() < word.len() && !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}
