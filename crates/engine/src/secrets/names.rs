//! Names that make what follows them a secret, and values that are none whatever they are called.

/// Ends of names; `-` and `.` count as `_`.
const ENDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "privatekey",
    "access_key",
    "accesskey",
    "secret_key",
    "secretkey",
    "account_key",
    "accountkey",
    "auth_key",
    "encryption_key",
    "signing_key",
    "master_key",
    "shared_key",
    "storepass",
    "keypass",
    "key_passwd",
    "become_pass",
    "client_key_data",
];
/// Last words of names: `db_pass` is one, `bypass` is none.
const LAST_WORDS: &[&str] = &["pass", "pwd", "psk"];
/// Beginnings of names that say something about a secret and hand over none.
const ABOUT: &[&str] = &[
    "no_",
    "with_",
    "without_",
    "ask_",
    "use_",
    "show_",
    "has_",
    "prompt_",
    "print_",
    "generate_",
    "eos_",
    "bos_",
    "pad_",
    "unk_",
    "next_",
    "starting_",
    "stop_",
    "continuation_",
    "cancel_",
    "image_pull_",
];
/// Parameters of an address that are secrets there and nowhere else.
const PARAMETERS: &[&str] = &["key", "sig", "signature", "auth", "jwt", "pass", "pwd", "x_amz_signature"];
/// Variables whose names only end so, beyond [`ENDS`].
const VARIABLE_ENDS: &[&str] = &["key", "_key_id", "_pass", "_pwd", "_auth", "credential", "credentials"];
/// What variables name that say where a secret lies.
const PLACES: &[&str] = &["_file", "_path", "_dir"];
/// Words that stand for no secret.
const WORDS: &[&str] =
    &["true", "false", "yes", "no", "none", "null", "nil", "on", "off", "undefined", "prompt", "ask", "stdin", "env"];
/// Folders at the root: what begins with one is a path, and says at most where a secret lies.
const ROOTS: &[&str] = &[
    "/dev/",
    "/proc/",
    "/etc/",
    "/run/",
    "/var/",
    "/tmp/",
    "/usr/",
    "/opt/",
    "/home/",
    "/root/",
    "/srv/",
    "/mnt/",
    "/app/",
    "/bin/",
    "/sbin/",
    "/sys/",
    "/secrets/",
];

/// Ends of files in which secrets lie.
const FILES: &[&str] = &[".pem", ".key", ".crt", ".p12", ".jks", ".json", ".txt", ".yaml", ".yml"];

fn plain(name: &[u8]) -> Vec<u8> {
    let start = name.iter().position(|b| *b != b'-').unwrap_or(name.len());
    let same = |b: &u8| if matches!(b, b'-' | b'.') { b'_' } else { b.to_ascii_lowercase() };
    name[start..].iter().map(same).collect()
}

/// Whether a name says that its value is a secret: `--db-password` does, `--token-file` does not.
pub(super) fn is_secret_name(name: &[u8]) -> bool {
    let plain = plain(name);
    let last = plain.rsplit(|b| *b == b'_').next().unwrap_or_default();
    let is_one =
        ENDS.iter().any(|end| plain.ends_with(end.as_bytes())) || LAST_WORDS.iter().any(|word| last == word.as_bytes());
    // The shell's own folder.
    is_one && name != b"PWD" && !ABOUT.iter().any(|start| plain.starts_with(start.as_bytes()))
}

/// Whether a parameter of an address is a secret.
pub(super) fn is_secret_parameter(name: &[u8]) -> bool {
    PARAMETERS.iter().any(|parameter| plain(name) == parameter.as_bytes())
}

/// Whether a name is written as variables of the environment are, and speaks of a secret.
pub(super) fn is_secret_in_capitals(name: &[u8]) -> bool {
    let is_in_capitals = name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_');
    is_in_capitals && name.contains(&b'_') && is_secret_variable(name)
}

/// Whether a variable's name speaks of a secret, and not of where one lies.
pub(super) fn is_secret_variable(name: &[u8]) -> bool {
    const SPEAK: &[&str] = &["password", "passwd", "passphrase", "secret", "token", "apikey"];
    let plain = plain(name);
    let ends = |end: &&str| plain.ends_with(end.as_bytes());
    let speaks = SPEAK.iter().any(|word| plain.windows(word.len()).any(|w| w == word.as_bytes()));
    (speaks || VARIABLE_ENDS.iter().any(ends)) && !PLACES.iter().any(ends)
}

/// Whether a value is no secret by what it is: a short number, a word of options, a path.
pub(super) fn is_plain_value(value: &[u8]) -> bool {
    let is_short_number = value.len() < 4 && value.iter().all(u8::is_ascii_digit);
    let is_word = WORDS.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()));
    let starts = |start: &str| value.starts_with(start.as_bytes());
    let is_place =
        ROOTS.iter().any(|root| starts(root)) || ["./", "../", "~/", "file:", "env:"].into_iter().any(starts);
    let is_file = FILES.iter().any(|end| value.ends_with(end.as_bytes()));
    // Of a build's secrets, options name the id.
    let is_named = ["id=", "type=", "source=", "src="].into_iter().any(starts);
    is_short_number || is_word || is_place || is_file || is_named
}
