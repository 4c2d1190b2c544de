//! Events in the one vocabulary: nested for JSON, dotted for CSV and tables.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use crate::{
    Event, Field, FieldKind, Value,
    vocabulary::{CONTEXT, Subject},
};

/// Nanoseconds since the Unix epoch as RFC 3339 with nanoseconds.
pub fn rfc3339(time_ns: u64) -> String {
    Timestamp::from_nanosecond(i128::from(time_ns)).map_or_else(|_| time_ns.to_string(), |t| format!("{t:.9}"))
}

/// A duration as people say it: its largest unit that loses little.
pub fn duration(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// An event as one JSON object: `time`, `tracker`, `event`, and the vocabulary nested.
pub fn to_json(event: &Event) -> Json {
    let mut out = Map::new();
    for (name, value) in flatten(event) {
        insert(&mut out, &name, value);
    }
    Json::Object(out)
}

/// An event's fields under their dotted names, absent ones left out.
pub fn flatten(event: &Event) -> Vec<(Cow<'_, str>, Json)> {
    let mut out: Vec<(Cow<'_, str>, Json)> = vec![
        ("time".into(), rfc3339(event.time_ns).into()),
        ("tracker".into(), (*event.schema.tracker).into()),
        ("event".into(), (*event.schema.name).into()),
    ];
    for field in &event.schema.fields {
        if is_internal(field) {
            continue;
        }
        if let Some(value) = field_json(event, field) {
            out.push((field.name.as_str().into(), value));
        }
    }
    let subject = Subject::of_event(event);
    for field in CONTEXT.iter().filter(|f| f.shown.in_events) {
        // What an exec starts stands in its record, and in its context, too.
        if event.schema.field(field.name).is_none()
            && let Some(value) = value_json(field.read(&subject))
        {
            out.push((field.name.into(), value));
        }
    }
    out
}

/// Header fields that only the agent needs have no name in the vocabulary: theirs begin with `_`.
pub fn is_internal(field: &Field) -> bool {
    field.name.starts_with('_')
}

/// One field as JSON, in the form people expect: names for signals, errors and flags, seconds stay nanoseconds.
pub fn field_json(event: &Event, field: &Field) -> Option<Json> {
    Some(match (field.kind, event.value(field)) {
        (FieldKind::Errno, Value::Unsigned(n)) => names::errno(n).into(),
        (FieldKind::Signal, Value::Unsigned(n)) => names::signal(n).into(),
        (FieldKind::OpenFlags, Value::Unsigned(n)) => names::open_flags(n).into(),
        (FieldKind::FileType, Value::Unsigned(n)) => names::file_type(n).into(),
        (FieldKind::FileMode, Value::Unsigned(n)) => format!("{n:04o}").into(),
        (FieldKind::Name | FieldKind::Flags, Value::Unsigned(n)) => field.name_of(n).into(),
        (_, value) => return value_json(value),
    })
}

/// A value as JSON; none where it is absent.
pub fn value_json(value: Value<'_>) -> Option<Json> {
    Some(match value {
        Value::Absent => return None,
        Value::Unsigned(n) => n.into(),
        Value::Signed(n) => n.into(),
        Value::Bool(b) => b.into(),
        Value::Text(t) => String::from_utf8_lossy(&t).into(),
        Value::List(l) => l.iter().map(|t| String::from_utf8_lossy(t)).collect::<Vec<_>>().into(),
        Value::Ip(ip) => ip.to_string().into(),
    })
}

/// Puts `value` at the dotted `name`. A name below one that already holds a value is kept whole beside it.
fn insert(out: &mut Map<String, Json>, name: &str, value: Json) {
    match name.split_once('.') {
        None => {
            out.insert(name.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = out.entry(first).or_insert_with(|| Json::Object(Map::new()));
            match inner {
                Json::Object(inner) => insert(inner, rest, value),
                _ => {
                    out.insert(name.to_owned(), value);
                }
            }
        }
    }
}

/// Whether a character commands a terminal, or hides text or its order from who reads it.
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text that is safe in a terminal: control characters, those that end lines, and those that are not seen or turn the order
/// of text around, are escaped.
pub fn escape(text: &str) -> Cow<'_, str> {
    escaped(text, hides, |out, c| out.extend(c.escape_default()))
}

/// JSON that is safe in a terminal, and means the same: serialisers leave what is above 0x7e as it is. Its own lines stay.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    escaped(
        json,
        |c| c != '\n' && hides(c),
        |out, c| {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        },
    )
}

fn escaped(text: &str, which: impl Fn(char) -> bool, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(&which) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if which(c) {
            escape(&mut out, c);
        } else {
            out.push(c);
        }
    }
    out.into()
}

pub mod names {
    //! Names for the kernel's numbers, the same on every architecture Ethogram runs on.

    use std::borrow::Cow;

    /// `ENOENT` for 2.
    pub fn errno(n: u64) -> Cow<'static, str> {
        const NAMES: [&str; 41] = [
            "",
            "EPERM",
            "ENOENT",
            "ESRCH",
            "EINTR",
            "EIO",
            "ENXIO",
            "E2BIG",
            "ENOEXEC",
            "EBADF",
            "ECHILD",
            "EAGAIN",
            "ENOMEM",
            "EACCES",
            "EFAULT",
            "ENOTBLK",
            "EBUSY",
            "EEXIST",
            "EXDEV",
            "ENODEV",
            "ENOTDIR",
            "EISDIR",
            "EINVAL",
            "ENFILE",
            "EMFILE",
            "ENOTTY",
            "ETXTBSY",
            "EFBIG",
            "ENOSPC",
            "ESPIPE",
            "EROFS",
            "EMLINK",
            "EPIPE",
            "EDOM",
            "ERANGE",
            "EDEADLK",
            "ENAMETOOLONG",
            "ENOLCK",
            "ENOSYS",
            "ENOTEMPTY",
            "ELOOP",
        ];
        const HIGHER: [(u64, &str); 17] = [
            (75, "EOVERFLOW"),
            (97, "EAFNOSUPPORT"),
            (98, "EADDRINUSE"),
            (99, "EADDRNOTAVAIL"),
            (100, "ENETDOWN"),
            (101, "ENETUNREACH"),
            (103, "ECONNABORTED"),
            (104, "ECONNRESET"),
            (110, "ETIMEDOUT"),
            (111, "ECONNREFUSED"),
            (113, "EHOSTUNREACH"),
            (116, "ESTALE"),
            (122, "EDQUOT"),
            (126, "ENOKEY"),
            (127, "EKEYEXPIRED"),
            (128, "EKEYREVOKED"),
            (129, "EKEYREJECTED"),
        ];
        if let Some(name) = usize::try_from(n).ok().and_then(|i| NAMES.get(i)) {
            return Cow::Borrowed(name);
        }
        HIGHER.iter().find(|(m, _)| *m == n).map_or_else(|| n.to_string().into(), |(_, name)| Cow::Borrowed(*name))
    }

    /// `SIGKILL` for 9.
    pub fn signal(n: u64) -> Cow<'static, str> {
        const NAMES: [&str; 32] = [
            "",
            "SIGHUP",
            "SIGINT",
            "SIGQUIT",
            "SIGILL",
            "SIGTRAP",
            "SIGABRT",
            "SIGBUS",
            "SIGFPE",
            "SIGKILL",
            "SIGUSR1",
            "SIGSEGV",
            "SIGUSR2",
            "SIGPIPE",
            "SIGALRM",
            "SIGTERM",
            "SIGSTKFLT",
            "SIGCHLD",
            "SIGCONT",
            "SIGSTOP",
            "SIGTSTP",
            "SIGTTIN",
            "SIGTTOU",
            "SIGURG",
            "SIGXCPU",
            "SIGXFSZ",
            "SIGVTALRM",
            "SIGPROF",
            "SIGWINCH",
            "SIGIO",
            "SIGPWR",
            "SIGSYS",
        ];
        usize::try_from(n)
            .ok()
            .and_then(|i| NAMES.get(i))
            .map_or_else(|| format!("SIGRTMIN+{}", n.saturating_sub(34)).into(), |name| Cow::Borrowed(*name))
    }

    /// The O_* bits of open(2) that x86-64 and arm64 share, without those of the access mode.
    pub const OPEN_FLAGS: [(u64, &str); 9] = [
        (0o100, "O_CREAT"),
        (0o200, "O_EXCL"),
        (0o400, "O_NOCTTY"),
        (0o1000, "O_TRUNC"),
        (0o2000, "O_APPEND"),
        (0o4000, "O_NONBLOCK"),
        (0o10000, "O_DSYNC"),
        (0o2000000, "O_CLOEXEC"),
        (0o10000000, "O_PATH"),
    ];

    /// The flags of an open, joined by `|`.
    pub fn open_flags(n: u64) -> String {
        let access = ["O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"][(n & 3) as usize];
        OPEN_FLAGS.iter().filter(|(bit, _)| n & bit != 0).fold(access.to_owned(), |all, (_, name)| all + "|" + name)
    }

    /// `regular` and so on, from the S_IFMT bits of a mode.
    pub fn file_type(n: u64) -> &'static str {
        match n & 0o170_000 {
            0o100_000 => "regular",
            0o040_000 => "directory",
            0o020_000 => "character",
            0o060_000 => "block",
            0o010_000 => "fifo",
            0o140_000 => "socket",
            0o120_000 => "symlink",
            _ => "anonymous",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands of a terminal, ends of lines, and what is not seen or turns text around.
    const HIDDEN: [char; 16] = [
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{9b}',
        '\u{61c}',
        '\u{200b}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{206f}',
        '\u{feff}',
        '\u{fffb}',
        '\u{e0041}',
    ];
    /// Their nearest neighbours, which people write.
    const SEEN: &str = " ~\u{a1}\u{61b}é日\u{2010}\u{2027}\u{202f}\u{2030}\u{2070}\u{fffc}🦀";

    #[test]
    fn what_commands_or_hides_is_escaped_and_all_else_stays() {
        for c in HIDDEN {
            assert_eq!(escape(&format!("a{c}b")), format!("a\\u{{{:x}}}b", c as u32));
        }
        assert!(matches!(escape(SEEN), Cow::Borrowed(SEEN)));
        assert_eq!(escape("a\nb\tc"), "a\\nb\\tc");
    }

    #[test]
    fn json_is_safe_in_a_terminal_and_means_the_same() {
        let value = Json::from([HIDDEN.iter().collect::<String>(), SEEN.into(), "\n\t\"".into()].to_vec());
        for json in [value.to_string(), format!("{value:#}\n")] {
            let safe = escape_json(&json);
            assert!(!safe.contains(HIDDEN) && safe.contains(SEEN), "{safe}");
            assert_eq!(serde_json::from_str::<Json>(&safe).ok(), Some(value.clone()));
            assert_eq!(safe.lines().count(), json.lines().count());
        }
    }
}
