//! Takes the accidental out of names: ids, numbers, dates and random suffixes become classes.
//!
//! A class stands for what varies from run to run: `<n>`, `<hex>`, `<uuid>`, `<date>`, and a random token is `*` beside
//! other text, `<id>` alone. A segment that is just `*`, or has `<any>`, comes from the profile's objects, never from here:
//! a file really named so is `\*`, or has `<\any>`.

mod date;
pub(crate) mod random;

use std::borrow::Cow;

use date::date;
use random::{Shape, is_hex, is_random};

/// Bytes kept of a path; longer ones are cut and end in `…`.
pub const MAX_PATH: usize = 512;

/// Digits from which a number inside a name is a class. Fewer are versions, encodings and ordinals: `libc.so.6`,
/// `ISO-8859-1`.
const LONG_NUMBER: usize = 5;
/// Of the curve that keys and their files are named after: `id_ed25519`.
const CURVE: &str = "25519";

/// Folders of the system, in which a number is a version: `/usr/lib/llvm-14`.
const OF_SYSTEM: [&str; 10] = ["usr", "opt", "lib", "lib64", "bin", "sbin", "etc", "boot", "proc", "sys"];

/// Generalises each segment of a path. Borrows where nothing changes, and gives the same when given its own result.
pub fn path(path: &str) -> Cow<'_, str> {
    let path = cut(path);
    let folders = if is_of_system(&path) { 0 } else { memchr::memchr_iter(b'/', path.as_bytes()).count() };
    let part = |(i, name)| if i < folders { numbered(segment(name)) } else { segment(name) };
    if names(&path).enumerate().all(|one| matches!(part(one), Cow::Borrowed(_))) {
        return path;
    }
    let mut out = String::with_capacity(path.len());
    for (i, name) in names(&path).enumerate() {
        if i > 0 {
            out.push('/');
        }
        out += &part((i, name));
    }
    // Classes can be longer than what they stand for.
    match cut(&out) {
        Cow::Owned(shorter) => Cow::Owned(shorter),
        Cow::Borrowed(_) => Cow::Owned(out),
    }
}

/// Generalises the folders of a path or pattern that is generalised else, as it was by earlier agents.
pub(crate) fn numbered_folders(pattern: &str) -> Cow<'_, str> {
    let Some((folders, file)) = pattern.rsplit_once('/').filter(|_| !is_of_system(pattern)) else {
        return Cow::Borrowed(pattern);
    };
    let folders: Vec<_> = folders.split('/').map(|name| numbered(Cow::Borrowed(name))).collect();
    format!("{}/{file}", folders.join("/")).into()
}

fn is_of_system(path: &str) -> bool {
    names(path.trim_start_matches('/')).next().is_some_and(|top| OF_SYSTEM.contains(&top))
}

/// The names that slashes part. Every event's path is looked at, and the standard library is slow at this.
fn names(path: &str) -> impl Iterator<Item = &str> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'/', path.as_bytes()).chain([path.len()]);
    ends.map(move |end| &path[std::mem::replace(&mut start, end + 1)..end])
}

/// Generalises a folder's name: one with a number behind a separator is one of many, `job-17`, `7_1`.
fn numbered(name: Cow<'_, str>) -> Cow<'_, str> {
    const SEPARATORS: [char; 4] = ['-', '_', '#', '@'];
    let is_numbered = name.rsplit_once(SEPARATORS).is_some_and(|(stem, number)| !stem.is_empty() && is_number(number));
    if !is_numbered {
        return name;
    }
    let mut out = String::with_capacity(name.len());
    for part in name.split_inclusive(SEPARATORS) {
        let word = part.trim_end_matches(SEPARATORS);
        out += if is_number(word) { number(word) } else { word };
        out += &part[word.len()..];
    }
    out.into()
}

/// Generalises an argument of a command line: its words, and the parts of paths and options in them.
pub fn argument(argument: &str) -> String {
    let mut out = String::with_capacity(argument.len());
    for piece in argument.split_inclusive(|c: char| c.is_whitespace() || "/=,:;'\"".contains(c)) {
        let word = piece.trim_end_matches(|c: char| c.is_whitespace() || "/=,:;'\"".contains(c));
        out += &segment(word);
        out += &piece[word.len()..];
    }
    out
}

/// Generalises one segment of a path.
pub fn segment(segment: &str) -> Cow<'_, str> {
    if segment == "*" {
        return Cow::Owned("\\*".into());
    }
    if segment.contains("<any>") {
        return Cow::Owned(segment.replace("<any>", "<\\any>"));
    }
    if is_number(segment) {
        return Cow::Owned(number(segment).into());
    }
    if segment.len() < 6 {
        return Cow::Borrowed(segment);
    }
    if let Some(named) = temporary(segment) {
        return named;
    }
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < segment.len() {
        let rest = &segment[at..];
        let token = rest.len() - rest.trim_start_matches(is_word).len();
        if token == 0 {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        }
        let Some((kept, length, class)) = class(&segment[..at], rest, token) else {
            at += token;
            continue;
        };
        out += &segment[copied..at + kept];
        out += if class == "*" && length == segment.len() { "<id>" } else { class };
        at += length;
        copied = at;
    }
    if copied == 0 {
        return Cow::Borrowed(segment);
    }
    out += &segment[copied..];
    out.into()
}

/// What a normalised segment may be as well, where its directory holds such names already: a random name can look
/// ordinary, and a hash can have digits only.
pub(crate) fn looser(segment: &str) -> Vec<String> {
    let mut out = Vec::new();
    if let Some((class, _)) = temporary_tail(segment) {
        out.push(class.to_owned());
    }
    let mut at = 0;
    while at < segment.len() {
        let rest = &segment[at..];
        let class = ["<n>", "<hex>"].into_iter().find(|class| rest.starts_with(class));
        let length = class.map_or_else(|| rest.len() - rest.trim_start_matches(is_word).len(), str::len);
        let (word, after) = rest.split_at(length);
        let mut may_be = |class: &str| out.push(format!("{}{class}{after}", &segment[..at]));
        let shape = Shape::of(word);
        if class == Some("<n>") || word.len() >= 6 && shape.digits > 0 && word.bytes().all(|b| b.is_ascii_hexdigit()) {
            may_be("<hex>");
        }
        if class.is_some() || word.len() >= 6 && word.is_ascii() && shape.changes > 0 {
            may_be(if word.len() == segment.len() { "<id>" } else { "*" });
        }
        at += length.max(rest.chars().next().map_or(1, char::len_utf8));
    }
    out
}

/// The class of the token between `before` and the rest, at whose start it is `token` bytes long: how many of its bytes
/// stay before the class, up to where it reaches (a date has several tokens), and its name.
fn class(before: &str, rest: &str, token: usize) -> Option<(usize, usize, &'static str)> {
    if let Some(length) = date(rest.as_bytes()) {
        return Some((0, length, "<date>"));
    }
    if let Some(length) = uuid(rest.as_bytes()) {
        return Some((0, length, "<uuid>"));
    }
    let word = &rest[..token];
    if is_number(word) {
        // Of an inode, of a log that was put away, or of the process that changes users.
        let of_accounts = ["passwd.", "shadow.", "group.", "subuid.", "subgid."];
        let counts =
            before.ends_with('[') || before.ends_with("log.") || of_accounts.iter().any(|f| before.ends_with(f));
        return (word.len() >= LONG_NUMBER || counts).then_some((0, token, number(word)));
    }
    if is_hex(word) {
        return Some((0, token, "<hex>"));
    }
    let letters = word.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    if word.len() - letters >= LONG_NUMBER
        && &word[letters..] != CURVE
        && word[..letters].chars().all(char::is_alphabetic)
    {
        return Some((letters, token, "<n>"));
    }
    is_random(word).then_some((0, token, "*"))
}

/// The names that mktemp, mkstemp and Python's tempfile make, and pip with that: known by their beginning and length.
fn temporary(segment: &str) -> Option<Cow<'_, str>> {
    if let Some((kind, tail)) = segment.rsplit_once('-').filter(|(kind, _)| kind.starts_with("pip-")) {
        return is_of_python(tail).then(|| format!("{kind}-*").into());
    }
    let (class, tail) = temporary_tail(segment)?;
    // Without such a character it may as well be a word: see `looser`.
    tail.chars().any(|c| c.is_ascii_digit() || c.is_ascii_uppercase()).then(|| class.to_owned().into())
}

/// The class of a name that may be one of those, and the characters of it that would be random.
fn temporary_tail(segment: &str) -> Option<(&'static str, &str)> {
    let tail = segment.strip_prefix("tmp")?;
    match tail.strip_prefix('.') {
        Some(t) if matches!(t.len(), 6 | 8 | 10) && t.bytes().all(|b| b.is_ascii_alphanumeric()) => Some(("tmp.*", t)),
        None if is_of_python(tail) => Some(("tmp*", tail)),
        _ => None,
    }
}

fn is_of_python(tail: &str) -> bool {
    tail.len() == 8 && tail.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric()
}

/// The class of a number. One so long is one of those that have letters elsewhere: `00000001000000000000000A`.
fn number(digits: &str) -> &'static str {
    if digits.len() < 20 { "<n>" } else { "<hex>" }
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())
}

/// The bytes from the start that are a UUID, and end where a word ends.
fn uuid(text: &[u8]) -> Option<usize> {
    let bytes = text.get(..36)?;
    let fits = bytes.iter().enumerate().all(|(i, b)| match i {
        8 | 13 | 18 | 23 => matches!(b, b'-' | b'_'),
        _ => b.is_ascii_hexdigit(),
    });
    (fits && text.get(36).is_none_or(|b| b.is_ascii() && !b.is_ascii_alphanumeric())).then_some(36)
}

/// Shortens a path to [`MAX_PATH`] bytes, at a `/` where there is one.
fn cut(path: &str) -> Cow<'_, str> {
    const MARK: &str = "…";
    if path.len() <= MAX_PATH {
        return Cow::Borrowed(path);
    }
    let mut end = MAX_PATH - MARK.len();
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    let kept = path[..end].rfind('/').filter(|slash| *slash > 0).map_or(&path[..end], |slash| &path[..=slash]);
    Cow::Owned(format!("{kept}{MARK}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_accidental_becomes_a_class() {
        for (name, pattern) in [
            ("/proc/1/status", "/proc/<n>/status"),
            ("/proc/8123/task/8124/comm", "/proc/<n>/task/<n>/comm"),
            ("/dev/pts/0", "/dev/pts/<n>"),
            ("/tmp/tmp.Xa81jK", "/tmp/tmp.*"),
            ("/tmp/tmp.gHq0PlMvT2", "/tmp/tmp.*"),
            ("/tmp/tmpk3v_9x2a", "/tmp/tmp*"),
            ("/tmp/pip-build-tracker-hxwiit7d/x", "/tmp/pip-build-tracker-*/x"),
            ("/tmp/sess_ab12cd34ef56gh78ij90klmn12", "/tmp/sess_*"),
            ("/tmp/ccA1bX9q.o", "/tmp/*.o"),
            ("/tmp/go-build3141592653/b001", "/tmp/go-build<n>/b001"),
            ("/tmp/npm-31415-a8f3k2q9", "/tmp/npm-<n>-*"),
            ("/var/log/app-2026-05-01.log", "/var/log/app-<date>.log"),
            ("/var/log/app-20260501.log", "/var/log/app-<date>.log"),
            ("/b/dump_2026-05-01T12:30:59Z.sql", "/b/dump_<date>.sql"),
            ("/b/dump_2026-05-01_12-30-59.sql", "/b/dump_<date>.sql"),
            ("/b/dump-20260501123059", "/b/dump-<date>"),
            ("/b/dump-20260501T1230.gz", "/b/dump-<date>.gz"),
            ("/data/123e4567-e89b-12d3-a456-426614174000.json", "/data/<uuid>.json"),
            ("/objects/3f/786850e387550fdab836ed7e6dc881de23001b", "/objects/3f/<hex>"),
            ("/c/a1b2c3d4", "/c/<hex>"),
            ("/c/DEADBEEFDEADBEEFDEADBEEFDEADBEEF", "/c/<hex>"),
            ("/cache/xK93jfA0qPz7Lm2B/blob", "/cache/<id>/blob"),
            ("/run/secrets/sa/..2026_05_01_12_30_59.123456789/token", "/run/secrets/sa/..<date>.<n>/token"),
            ("/core.123456", "/core.<n>"),
            ("pipe:[1]", "pipe:[<n>]"),
            ("socket:[912345]", "socket:[<n>]"),
            ("…/b/31337", "…/b/<n>"),
            ("/var/log/access.log.1", "/var/log/access.log.<n>"),
            ("/var/log/syslog.12.gz", "/var/log/syslog.<n>.gz"),
            ("/wal/000000010000000000000001", "/wal/<hex>"),
            ("/wal/00000001000000000000000A", "/wal/<hex>"),
            ("/tmp/*", "/tmp/\\*"),
            ("/etc/passwd.7", "/etc/passwd.<n>"),
            ("/etc/gshadow.412", "/etc/gshadow.<n>"),
            ("/builds/job-17/run", "/builds/job-<n>/run"),
            ("/srv/_work/7_1/shop/run", "/srv/_work/<n>_<n>/shop/run"),
            ("/srv/nightly_2_build@3/run", "/srv/nightly_<n>_build@<n>/run"),
        ] {
            assert_eq!(path(name), pattern, "{name}");
        }
    }

    #[test]
    fn ordinary_names_stay() {
        for name in [
            "/",
            "",
            "/var/www/index.html",
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/usr/lib/libssl.so.1.1",
            "/usr/lib/libicudata.so.67.1",
            "/usr/bin/python3",
            "/usr/bin/python3.11",
            "/usr/share/zoneinfo/Etc/GMT+12",
            "/usr/lib/gconv/ISO8859-15.so",
            "/usr/share/i18n/ISO-8859-1",
            "/opt/cafe/babe/deadbeef",
            "/opt/facade/decade2020/feedface",
            "/srv/Utf8Decoder.class",
            "/srv/Base64Encoder.class",
            "/srv/Log4j2Config.xml",
            "/srv/MD5Util.class",
            "/srv/getElementById2.js",
            "/bin/md5sum",
            "/bin/sha256sum",
            "/db/utf8mb4_bin",
            "/opt/win32x64/x86_64",
            "/tmp/tmp.config",
            "/tmp/tmpfiles.d",
            "/etc/rc3.d/S01nginx",
            "/var/log/access.log",
            "/etc/catalog1",
            "/var/lib/app-1.27.0-rc2",
            "/srv/README.md",
            "/srv/wal/base/worker12",
            "/root/.ssh/id_ed25519",
            "/etc/ssh/ssh_host_ed25519_key.pub",
            "memfd:x",
            "/tmp/grüße-aus-köln",
            "/usr/lib/llvm-14/bin/clang",
            "/opt/openjdk-17/bin/java",
            "/srv/app-1.2/run",
            "/srv/job1/run",
            "/srv/-1/run",
            "/srv/part-7",
        ] {
            assert_eq!(path(name), name);
            assert!(matches!(path(name), Cow::Borrowed(_)), "{name} is copied for nothing");
        }
    }

    #[test]
    fn what_earlier_agents_kept_is_brought_up() {
        for (kept, wanted) in [
            ("/builds/job-17/*/run", "/builds/job-<n>/*/run"),
            ("/builds/*", "/builds/*"),
            ("/usr/lib/llvm-14/bin/clang", "/usr/lib/llvm-14/bin/clang"),
            ("(outside)", "(outside)"),
        ] {
            assert_eq!(numbered_folders(kept), wanted);
        }
    }

    #[test]
    fn arguments_keep_their_words() {
        assert_eq!(argument("daemon off;"), "daemon off;");
        assert_eq!(argument("--port=8080"), "--port=<n>");
        assert_eq!(argument("/data/31337/x"), "/data/<n>/x");
        assert_eq!(argument("--token=a1b2c3d4e5f6"), "--token=<hex>");
        assert_eq!(argument("  "), "  ");
    }

    #[test]
    fn what_looks_ordinary_may_be_random() {
        assert_eq!(looser("1234567a"), ["<hex>", "<id>"]);
        assert_eq!(looser("<n>"), ["<hex>", "<id>"]);
        assert_eq!(looser("ccAbCdef.o"), ["*.o"]);
        assert_eq!(looser("sess_abcdef1"), ["sess_<hex>", "sess_*"]);
        assert_eq!(looser("tmpkevqxw_a"), ["tmp*"]);
        assert_eq!(looser("tmp.gHqPlMvT")[0], "tmp.*");
        for word in ["payload", "sess_backdoor", "Config", "<date>", "index.html", "tmpfs", "tmpfiles.d", "", "ä…"] {
            assert_eq!(looser(word), [""; 0], "{word}");
        }
    }

    #[test]
    fn long_paths_are_cut_with_a_mark() {
        let long = format!("/a{}", "/directory".repeat(100));
        let cut = path(&long);
        assert!(cut.len() <= MAX_PATH && cut.ends_with("directory/…"), "{cut}");
        assert_eq!(path(&"ä".repeat(1000)).len(), MAX_PATH - 1);
    }

    proptest! {
        #[test]
        fn never_panics_and_is_idempotent(text in "\\PC*") {
            let once = path(&text).into_owned();
            prop_assert_eq!(path(&once), once.as_str());
            argument(&text);
        }

        #[test]
        fn is_idempotent_on_what_looks_like_names(text in "(/?[a-zA-Z0-9<>*._\\-\\[\\]:T]{0,40}){0,20}") {
            let once = path(&text).into_owned();
            prop_assert!(once.len() <= MAX_PATH);
            prop_assert_eq!(path(&once), once.as_str());
        }

        #[test]
        fn is_idempotent_on_numbers_and_dates(text in "(20[0-9]{2}[-_.]?[01][0-9][-_.]?[0-3][0-9]|[0-9]{2}|[0-9a-f]{4,12}|[-_.T/Z:]){0,12}") {
            let once = path(&text).into_owned();
            prop_assert_eq!(path(&once), once.as_str());
        }
    }
}
