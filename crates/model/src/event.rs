//! One record from the kernel, with its context.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    Context, EventSchema, Field, FieldKind, Value,
    layout::{Slot, unsigned},
};

/// One record from the kernel, checked against its schema, and the context in which it happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// The layout of `record`.
    pub schema: Arc<EventSchema>,
    /// When it happened, nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// The record: a fixed part of `schema.size` bytes, and a tail.
    pub record: Box<[u8]>,
    /// Who did it.
    pub context: Context,
}

/// Who did it, as a record's header holds it; zero where it does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Header {
    /// The cgroup in which it happened.
    pub cgroup: u64,
    /// The process, in the host's namespace.
    pub pid: u32,
    /// When the process started, nanoseconds since boot.
    pub start_ns: u64,
    /// Its parent.
    pub parent_pid: u32,
    /// Its real user.
    pub user_id: u32,
}

/// Which file an event is about, whatever that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    /// By what others have as well who know no generation.
    pub id: FileId,
    /// Differs from that of the file that had the inode before; zero where that is not known.
    pub generation: u32,
    /// How many names it has.
    pub names: u32,
}

/// A file by its inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// The device of its file system, as the kernel numbers it.
    pub device: u32,
    /// The number of its inode there.
    pub inode: u64,
}

impl Event {
    /// Who did it, read by offset.
    pub fn header(&self) -> Header {
        let (layout, record) = (self.schema.layout(), &*self.record);
        Header {
            cgroup: layout.cgroup.read(record).unwrap_or(0),
            pid: layout.pid.read(record).unwrap_or(0) as u32,
            start_ns: layout.process_start.read(record).unwrap_or(0),
            parent_pid: layout.parent_pid.read(record).unwrap_or(0) as u32,
            user_id: layout.user_id.read(record).unwrap_or(0) as u32,
        }
    }

    /// What stands for who did what to what, where the kernel said that.
    pub fn habit(&self) -> Option<u64> {
        self.schema.layout().habit.read(&self.record).filter(|key| *key != 0)
    }

    /// What stands for the file that it is about, and how that is used, where the kernel said that.
    pub fn object(&self) -> Option<u64> {
        self.schema.layout().object.read(&self.record).filter(|key| *key != 0)
    }

    /// Which file it is about, where the kernel said that.
    pub fn file(&self) -> Option<FileIdentity> {
        let (slots, record) = (&self.schema.layout().file, &*self.record);
        let number = |slot: &Slot| slot.read(record).unwrap_or(0) as u32;
        let inode = slots.inode.read(record).filter(|inode| *inode != 0)?;
        let id = FileId { device: number(&slots.device), inode };
        Some(FileIdentity { id, generation: number(&slots.generation), names: number(&slots.names) })
    }

    /// The name of the thread that did it.
    pub fn thread_name(&self) -> Value<'_> {
        self.schema.layout().thread_name.map_or(Value::Absent, |place| self.value_at(place))
    }

    /// The value of the field at that place in the schema.
    pub fn value_at(&self, place: usize) -> Value<'_> {
        self.schema.fields.get(place).map_or(Value::Absent, |field| self.value(field))
    }

    /// The value of the field of that vocabulary name; [`Value::Absent`] where this event has none. It looks through all
    /// names: what every event is asked for is in its schema's layout.
    pub fn get(&self, name: &str) -> Value<'_> {
        self.schema.field(name).map_or(Value::Absent, |f| self.value(f))
    }

    /// A path just as the caller gave it, with its `.` and `..`, where the field is such a one.
    pub fn as_asked(&self, field: &Field) -> Value<'_> {
        let within = match field.kind {
            FieldKind::PathAt => 4,
            FieldKind::RequestedPath => 8,
            _ => return Value::Absent,
        };
        let reference = self.record.get(field.offset + within..).and_then(|r| r.get(..4));
        let asked = reference.and_then(|r| tail(&self.record, r)).map(until_nul);
        asked.filter(|text| !text.is_empty()).map_or(Value::Absent, |text| Value::Text(Cow::Borrowed(text)))
    }

    /// The value of a field of this event's schema. Bytes that do not hold what they should give [`Value::Absent`].
    pub fn value(&self, field: &Field) -> Value<'_> {
        read(&self.record, field)
    }
}

/// Reads a field from a record. Never panics: a reference that points outside the record is absent.
pub fn read<'a>(record: &'a [u8], field: &Field) -> Value<'a> {
    let Some(bytes) = record.get(field.offset..).and_then(|r| r.get(..field.size)) else {
        return Value::Absent;
    };
    match field.kind {
        FieldKind::Duration | FieldKind::Id | FieldKind::FileMode if bytes.iter().all(|b| *b == u8::MAX) => {
            Value::Absent
        }
        FieldKind::Unsigned
        | FieldKind::OpenFlags
        | FieldKind::FileType
        | FieldKind::FileMode
        | FieldKind::Duration
        | FieldKind::Id => Value::Unsigned(unsigned(bytes)),
        FieldKind::Errno | FieldKind::Signal => match unsigned(bytes) {
            0 => Value::Absent,
            n => Value::Unsigned(n),
        },
        FieldKind::Name | FieldKind::Flags => match unsigned(bytes) {
            0 if !field.names.iter().any(|(n, _)| *n == 0) => Value::Absent,
            n => Value::Unsigned(n),
        },
        FieldKind::Names => names(bytes, field),
        FieldKind::Signed => Value::Signed(signed(bytes)),
        FieldKind::Bool => Value::Bool(unsigned(bytes) != 0),
        FieldKind::Text => match until_nul(bytes) {
            [] => Value::Absent,
            text => Value::Text(Cow::Borrowed(text)),
        },
        FieldKind::PathBuf => path(bytes),
        FieldKind::Str => tail(record, bytes).map_or(Value::Absent, |t| Value::Text(Cow::Borrowed(until_nul(t)))),
        FieldKind::Path => tail(record, bytes).map_or(Value::Absent, path),
        FieldKind::PathAt => path_at(record, bytes, false),
        FieldKind::PathCut if is_cut(record, bytes) => Value::Bool(true),
        FieldKind::PathCut => Value::Absent,
        FieldKind::RequestedPath => requested_path(record, bytes),
        FieldKind::Args => tail(record, bytes).map_or(Value::Absent, |t| {
            let t = t.strip_suffix(b"\0").unwrap_or(t);
            Value::List(t.split(|b| *b == 0).map(Cow::Borrowed).collect())
        }),
        FieldKind::Ip => <[u8; 16]>::try_from(bytes).map_or(Value::Absent, |b| {
            let ip = Ipv6Addr::from(b);
            Value::Ip(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4))
        }),
    }
}

fn signed(bytes: &[u8]) -> i64 {
    let unused = 64 - 8 * bytes.len().clamp(1, 8);
    (unsigned(bytes) << unused) as i64 >> unused
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    memchr::memchr(0, bytes).map_or(bytes, |end| &bytes[..end])
}

/// Follows a reference into the tail: two little-endian 16-bit numbers, offset from the record's start and length.
fn tail<'a>(record: &'a [u8], reference: &[u8]) -> Option<&'a [u8]> {
    let offset = unsigned(reference.get(..2)?) as usize;
    let length = unsigned(reference.get(2..4)?) as usize;
    if length == 0 {
        return None;
    }
    record.get(offset..)?.get(..length)
}

/// The names, sorted, of the numbers whose byte is set.
fn names(bytes: &[u8], field: &Field) -> Value<'static> {
    let set = bytes.iter().enumerate().filter(|(_, byte)| **byte != 0);
    let mut names: Vec<_> = set.map(|(number, _)| field.name_of(number as u64)).collect();
    names.sort_unstable();
    Value::List(names.into_iter().map(|name| Cow::Owned(name.into_bytes())).collect())
}

/// How the kernel side ends a path, see `record.bpf.h`: the walk reached the root, met its limit, or the file has no
/// place in the process's tree.
const ROOTED: &[u8] = b"/";
const CUT: &[u8] = b"\x01";
/// A reference to a text for which the record had no room.
const LEFT_OUT: [u8; 4] = [u8::MAX; 4];

/// Whether a path of any kind is cut; its size says which kind it is.
fn is_cut(record: &[u8], bytes: &[u8]) -> bool {
    let is_cut_at = |reference: &[u8]| tail(record, reference).is_some_and(ends_cut);
    let is_asked_cut = |references: &[u8]| {
        let Some((base, asked)) = references.split_at_checked(4) else { return false };
        let is_absolute = tail(record, asked).is_some_and(|asked| asked.starts_with(b"/"));
        asked == LEFT_OUT || (is_cut_at(base) && !is_absolute)
    };
    match bytes.len() {
        4 => is_cut_at(bytes),
        8 => is_asked_cut(bytes),
        12 => bytes.split_at_checked(4).is_some_and(|(path, rest)| is_cut_at(path) || is_asked_cut(rest)),
        _ => ends_cut(bytes),
    }
}

/// Whether names that the kernel wrote leaf first end where the walk was cut.
fn ends_cut(bytes: &[u8]) -> bool {
    let names = until_empty(bytes);
    names.strip_suffix(CUT).is_some_and(|before| before.is_empty() || before.ends_with(b"\0"))
}

/// Puts a path together whose components the kernel wrote leaf first, each ended by NUL.
fn path(bytes: &[u8]) -> Value<'_> {
    let names = until_empty(bytes);
    if names.is_empty() {
        return Value::Absent;
    }
    let (mut rest, last) = match memchr::memrchr(0, names) {
        Some(at) => (Some(&names[..at]), &names[at + 1..]),
        None => (None, names),
    };
    let mut out = Vec::with_capacity(names.len() + "…".len());
    if last == CUT {
        out.extend_from_slice("…".as_bytes());
    } else if last != ROOTED {
        // A walk that ended nowhere: a memfd, a pipe, a file of another mount namespace.
        out.extend_from_slice(last);
        if rest.is_none() {
            return Value::Text(Cow::Owned(out));
        }
    }
    if rest.is_none() {
        out.push(b'/');
    }
    while let Some(names) = rest {
        let start = memchr::memrchr(0, names);
        out.push(b'/');
        out.extend_from_slice(&names[start.map_or(0, |at| at + 1)..]);
        rest = start.map(|at| &names[..at]);
    }
    Value::Text(Cow::Owned(out))
}

/// Names that are each ended by NUL, up to the first that is empty.
fn until_empty(bytes: &[u8]) -> &[u8] {
    let mut start = 0;
    for end in memchr::memchr_iter(0, bytes) {
        if end == start {
            return &bytes[..start.saturating_sub(1)];
        }
        start = end + 1;
    }
    bytes.strip_suffix(b"\0").unwrap_or(bytes)
}

/// Joins a directory, written leaf first, and a path that was asked for. Where `..` is kept, it is seen that the path goes up.
fn path_at<'a>(record: &'a [u8], references: &[u8], keeps_parents: bool) -> Value<'a> {
    let Some((base, asked)) = references.split_at_checked(4) else { return Value::Absent };
    let asked = tail(record, asked).map(until_nul).unwrap_or_default();
    let is_absolute = asked.starts_with(b"/");
    let base = match tail(record, base).filter(|_| !is_absolute).map(path) {
        Some(Value::Text(base)) => base,
        _ => Cow::default(),
    };
    if base.is_empty() && asked.is_empty() {
        return Value::Absent;
    }
    let is_rooted = is_absolute || base.starts_with(b"/");
    let mut joined = Vec::with_capacity(base.len() + asked.len() + 1);
    for part in base.split(|b| *b == b'/').chain(asked.split(|b| *b == b'/')).filter(|p| !p.is_empty() && *p != b".") {
        if part == b".." && !keeps_parents {
            // Where a path begins that has no root is not known: nothing leads up from there.
            match memchr::memrchr(b'/', &joined) {
                Some(slash) => joined.truncate(slash),
                None if is_rooted => joined.clear(),
                None => {}
            }
            continue;
        }
        if is_rooted || !joined.is_empty() {
            joined.push(b'/');
        }
        joined.extend_from_slice(part);
    }
    if is_rooted && joined.is_empty() {
        joined.push(b'/');
    }
    Value::Text(Cow::Owned(joined))
}

/// A path as asked for, if that is not how it was resolved: with all `..`, which lead elsewhere where links are on the way.
fn requested_path<'a>(record: &'a [u8], references: &[u8]) -> Value<'a> {
    let Some((resolved, asked)) = references.split_at_checked(4) else { return Value::Absent };
    if asked.chunks(4).all(|reference| tail(record, reference).is_none()) {
        return Value::Absent;
    }
    let resolved = tail(record, resolved).unwrap_or_default();
    let plain = asked.get(4..).and_then(|asked| tail(record, asked)).map(until_nul).unwrap_or_default();
    if is_path(resolved, plain) {
        return Value::Absent;
    }
    match path_at(record, asked, true) {
        Value::Text(asked) if path(resolved) != Value::Text(Cow::Borrowed(&asked)) => Value::Text(asked),
        _ => Value::Absent,
    }
}

/// Whether names that the kernel wrote leaf first are this path from the root, without a `.` or a slash too many.
fn is_path(names: &[u8], path: &[u8]) -> bool {
    let Some(names) = until_empty(names).strip_suffix(b"\0/") else { return false };
    let mut rest = path;
    for name in names.split(|b| *b == 0) {
        match rest.strip_suffix(name).and_then(|rest| rest.strip_suffix(b"/")) {
            Some(before) if !name.is_empty() && name != b"." => rest = before,
            _ => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: FieldKind, offset: usize, size: usize) -> Field {
        let (name, label) = ("f".into(), "f".into());
        let (doc, names) = (String::new(), Vec::new());
        Field { name, label, kind, offset, size, doc, names, habit_key: false, header: false }
    }

    fn text(record: &[u8], f: &Field) -> String {
        read(record, f).to_text().into_owned()
    }

    #[test]
    fn numbers_are_little_endian_and_keep_their_sign() {
        assert_eq!(read(&[1, 2, 0, 0], &field(FieldKind::Unsigned, 0, 4)), Value::Unsigned(0x201));
        assert_eq!(read(&[0xfe, 0xff, 0xff, 0xff], &field(FieldKind::Signed, 0, 4)), Value::Signed(-2));
    }

    #[test]
    fn an_id_or_a_mode_of_all_ones_is_none() {
        for kind in [FieldKind::Id, FieldKind::FileMode] {
            assert_eq!(read(&[0xff; 4], &field(kind, 0, 4)), Value::Absent);
            assert_eq!(read(&[0; 4], &field(kind, 0, 4)), Value::Unsigned(0));
        }
    }

    #[test]
    fn numbers_that_stand_for_something_have_names() {
        let names = vec![(1, "read".to_owned()), (2, "write".to_owned())];
        let flags = Field { names: names.clone(), ..field(FieldKind::Flags, 0, 4) };
        assert_eq!(flags.name_of(3), "read|write");
        assert_eq!(flags.name_of(10), "write|0x8");
        assert_eq!(read(&[0; 4], &flags), Value::Absent);
        let one = Field { names, ..field(FieldKind::Name, 0, 4) };
        assert_eq!((one.name_of(2), one.name_of(3)), ("write".to_owned(), "3".to_owned()));
    }

    #[test]
    fn a_set_of_numbers_is_shown_by_their_names() {
        let names = vec![(0, "read".to_owned()), (1, "write".to_owned()), (2, "close".to_owned())];
        let set = Field { names, ..field(FieldKind::Names, 1, 4) };
        let Value::List(shown) = read(&[9, 1, 0, 7, 1], &set) else { panic!("not a list") };
        assert_eq!(shown, [b"3".as_slice(), b"close", b"read"]);
        assert_eq!(read(&[9, 0, 0, 0, 0], &set), Value::List(Vec::new()));
        assert_eq!(read(&[9, 1], &set), Value::Absent);
    }

    #[test]
    fn paths_are_put_together_from_the_leaf() {
        let at = |record: &[u8]| text(record, &field(FieldKind::PathBuf, 0, record.len()));
        assert_eq!(at(b"passwd\0etc\0/\0\0\0"), "/etc/passwd");
        assert_eq!(at(b"/\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "/");
        assert_eq!(at(b"c\0b\0\x01\0\0\0\0\0\0\0\0\0\0\0"), "…/b/c");
        assert_eq!(at(b"memfd:x\0\0\0\0\0\0\0\0\0"), "memfd:x");
        assert_eq!(at(b"x\0sub\0other"), "other/sub/x");
        assert_eq!(at(b"x\0/"), "/x");
        assert_eq!(at(b"x\0\0etc\0/\0"), "x");
        assert_eq!(at(b"\x01\0"), "…/");
        assert_eq!(at(b"\0/\0"), "");
    }

    #[test]
    fn a_path_that_is_cut_says_so_and_no_name_makes_it_so() {
        let cut = |record: &[u8], size: usize| read(record, &field(FieldKind::PathCut, 0, size)) == Value::Bool(true);
        assert!(cut(b"b\0a\0\x01\0\0\0\0\0", 10));
        assert!(cut(b"\x01\0\0\0\0", 5));
        assert!(!cut(b"b\0a\0/\0\0\0\0\0", 10));
        assert!(!cut(b"memfd:x\0", 8 + 5));
        assert!(!cut(b"b\0a\x01\0/\0\0\0", 9));
        let referred = |path: &[u8]| [&[4, 0, path.len() as u8, 0], path].concat();
        assert!(cut(&referred(b"b\0\x01\0"), 4));
        assert!(!cut(&referred(b"b\0/\0"), 4) && !cut(&referred(b"\x01b\0/\0"), 4) && !cut(&[0; 4], 4));
        let at = |base: &[u8], asked: &[u8]| {
            let (first, second) = (base.len() as u8, asked.len() as u8);
            [&[8, 0, first, 0, 8 + first, 0, second, 0], base, asked].concat()
        };
        assert!(cut(&at(b"b\0\x01\0", b"x\0"), 8));
        assert!(!cut(&at(b"b\0\x01\0", b"/x\0"), 8) && !cut(&at(b"b\0/\0", b"x\0"), 8));
        assert!(cut(&[8, 0, 0, 0, 255, 255, 255, 255], 8));
        assert!(cut(&[8, 0, 0, 0, 8, 0, 0, 0, 255, 255, 255, 255], 12) && !cut(&[0; 12], 12));
    }

    #[test]
    fn what_was_asked_for_is_joined_with_where() {
        let at = |base: &[u8], asked: &[u8]| {
            let mut record = vec![8, 0, base.len() as u8, 0, 8 + base.len() as u8, 0, asked.len() as u8, 0];
            record.extend_from_slice(base);
            record.extend_from_slice(asked);
            text(&record, &field(FieldKind::PathAt, 0, 8))
        };
        assert_eq!(at(b"lib\0var\0/\0", b"a/./b//../c\0"), "/var/lib/a/c");
        assert_eq!(at(b"lib\0var\0/\0", b"/etc/passwd\0"), "/etc/passwd");
        assert_eq!(at(b"lib\0var\0/\0", b"../../../..\0"), "/");
        assert_eq!(at(b"", b"/x/\0"), "/x");
        assert_eq!(at(b"lib\0var\0/\0", b""), "/var/lib");
        assert_eq!(at(b"", b"x\0"), "x");
        assert_eq!(at(b"c\0\x01\0", b"../d\0"), "…/d");
        assert_eq!(read(&[0; 8], &field(FieldKind::PathAt, 0, 8)), Value::Absent);
    }

    #[test]
    fn what_was_asked_for_is_shown_where_it_is_something_else() {
        let requested_from = |base: &[u8], resolved: &[u8], asked: &[u8]| {
            let base_at = 12 + resolved.len() as u8;
            let asked_at = base_at + base.len() as u8;
            let mut record = vec![12, 0, resolved.len() as u8, 0, base_at, 0, base.len() as u8, 0];
            record.extend([asked_at, 0, asked.len() as u8, 0]);
            [resolved, base, asked].iter().for_each(|bytes| record.extend_from_slice(bytes));
            text(&record, &field(FieldKind::RequestedPath, 0, 12))
        };
        let requested = |resolved: &[u8], asked: &[u8]| requested_from(b"", resolved, asked);
        assert_eq!(requested_from(b"www\0srv\0/\0", b"x\0etc\0/\0", b"../../etc/x\0"), "/srv/www/../../etc/x");
        assert_eq!(requested_from(b"etc\0/\0", b"x\0etc\0/\0", b"./x\0"), "");
        assert_eq!(requested(b"x\0etc\0/\0", b"/tmp/link/x\0"), "/tmp/link/x");
        assert_eq!(requested(b"x\0etc\0/\0", b"/etc/./x\0"), "");
        assert_eq!(requested(b"x\0etc\0/\0", b""), "");
        assert_eq!(requested(b"x\0etc\0/\0", b"/etc/x\0"), "");
        assert_eq!(requested(b"x\0etc\0/\0", b"//etc/x\0"), "");
        assert_eq!(requested(b"x\0etc\0/\0", b"/srv/etc/x\0"), "/srv/etc/x");
        assert_eq!(requested(b"x\0etc\0/\0", b"/c/x\0"), "/c/x");
        assert_eq!(requested(b"x\0etc\0/\0", b"/etc/../etc/x\0"), "/etc/../etc/x");
        assert_eq!(requested(b"etc\0srv\0", b"srv/etc\0"), "");
        assert_eq!(requested(b"/\0", b"/\0"), "");
    }

    #[test]
    fn references_outside_the_record_are_absent() {
        for reference in [[200, 0, 4, 0], [4, 0, 255, 255], [0, 0, 0, 0]] {
            for kind in [FieldKind::Str, FieldKind::Path, FieldKind::Args] {
                assert_eq!(read(&reference, &field(kind, 0, 4)), Value::Absent);
            }
        }
        assert_eq!(read(&[1], &field(FieldKind::Unsigned, 0, 4)), Value::Absent);
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        let mut record = [0; 16];
        record[10] = 255;
        record[11] = 255;
        record[12..].copy_from_slice(&[127, 0, 0, 1]);
        assert_eq!(read(&record, &field(FieldKind::Ip, 0, 16)), Value::Ip("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn arguments_keep_empty_ones() {
        let record = b"\x04\0\x07\0ls\0\0-l\0";
        let Value::List(args) = read(record, &field(FieldKind::Args, 0, 4)) else { panic!("not a list") };
        assert_eq!(args, [b"ls".as_slice(), b"", b"-l"]);
    }
}
