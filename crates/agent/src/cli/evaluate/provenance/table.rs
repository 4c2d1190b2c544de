//! The two tables of foreign telemetry: nodes and events, tab-separated, gzipped or not.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

/// Longest gap between the start of a process and its first event that is believed, in microseconds.
const START_GAP: u64 = 60_000_000;
/// Clocks of a sensor and of its processes differ by zones of a multiple of this, in microseconds.
const ZONE: u64 = 1_800_000_000;
/// 100 ns steps between 1601 and 1970, for start times as Windows' FILETIME.
const FILETIME_EPOCH: u64 = 116_444_736_000_000_000;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A process; its name is the image.
    Process,
    /// A file, module or script.
    File,
    /// A registry key.
    Key,
    /// A peer, `address:port`.
    Socket,
    /// Anything else: events about it do not fit any type.
    Other,
}

/// One row of the table of nodes.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The identifier as written.
    pub(super) id: Box<str>,
    /// What it is.
    pub(super) kind: Kind,
    /// Path, key or `address:port`, in lower case.
    pub(super) name: Box<str>,
    /// The sensor's identifier of the process.
    pub(super) uuid: Box<str>,
    /// When it was first seen, in microseconds.
    pub(super) first_seen: u64,
    /// The first node that is the same process: one may be listed several times.
    pub(super) same: u32,
}

/// All nodes, with a look-up by identifier.
#[derive(Default)]
pub(super) struct Nodes {
    list: Vec<Node>,
    by_id: HashMap<Box<str>, u32>,
}

/// One row of the table of events.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Microseconds since 1970.
    pub(super) time: u64,
    /// The kind of event as written.
    pub(super) kind: String,
    /// Identifiers of source and destination of the flow of information.
    pub(super) source: String,
    /// See `source`.
    pub(super) destination: String,
    /// The sensor's identifier of the process that acted.
    pub(super) actor: String,
}

/// Rows of a file with what an error needs to name.
pub(super) struct Rows {
    path: PathBuf,
    reader: csv::Reader<Box<dyn Read>>,
    record: csv::ByteRecord,
    columns: &'static [&'static str],
}

impl Rows {
    /// Opens a file; gzip is told by its first two bytes.
    pub(super) fn open(path: &Path, columns: &'static [&'static str]) -> Result<Self, String> {
        let say = |e: std::io::Error| format!("{}: {e}", path.display());
        let mut magic = [0u8; 2];
        let gzipped = File::open(path).map_err(say)?.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
        let file = BufReader::with_capacity(1 << 16, File::open(path).map_err(say)?);
        let source: Box<dyn Read> = if gzipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Ok(Self::read(path, source, columns))
    }

    /// Rows of any source; `path` is for errors only.
    pub(super) fn read(path: &Path, source: Box<dyn Read>, columns: &'static [&'static str]) -> Self {
        let reader = csv::ReaderBuilder::new()
            .delimiter(b'\t')
            .quoting(false)
            .terminator(csv::Terminator::Any(b'\n'))
            .has_headers(false)
            .flexible(true)
            .from_reader(source);
        Rows { path: path.to_path_buf(), reader, record: csv::ByteRecord::new(), columns }
    }

    /// The next row's fields, or an error that names file and line.
    fn next(&mut self) -> Result<Option<Vec<String>>, String> {
        loop {
            let more =
                self.reader.read_byte_record(&mut self.record).map_err(|e| format!("{}: {e}", self.path.display()))?;
            if !more {
                return Ok(None);
            }
            let fields: Vec<String> =
                self.record.iter().map(|f| String::from_utf8_lossy(f).trim_end_matches('\r').to_string()).collect();
            if fields.first().map(String::as_str) == self.columns.first().copied() {
                continue;
            }
            if fields.len() != self.columns.len() {
                return Err(self.wrong(&format!(
                    "expected {} fields separated by tabs ({}), got {}",
                    self.columns.len(),
                    self.columns.join(", "),
                    fields.len()
                )));
            }
            return Ok(Some(fields));
        }
    }

    /// An error at the current row.
    fn wrong(&self, what: &str) -> String {
        let line = self.record.position().map_or(0, csv::Position::line);
        format!("{}, line {line}: {what}", self.path.display())
    }
}

/// Columns of the table of nodes.
pub(super) const NODE_COLUMNS: [&str; 5] = ["id", "type", "name", "uuid", "first_seen_us"];
/// Columns of the table of events.
pub(super) const EVENT_COLUMNS: [&str; 5] = ["time_us", "type", "src", "dst", "actor_uuid"];

impl Nodes {
    /// Reads all nodes.
    pub(super) fn load(mut rows: Rows) -> Result<Self, String> {
        let mut nodes = Nodes::default();
        let mut same: HashMap<String, u32> = HashMap::new();
        while let Some(fields) = rows.next()? {
            let [id, kind, name, uuid, seen] = fields.as_slice() else {
                continue;
            };
            let kind = match kind.as_str() {
                "process" => Kind::Process,
                "file" => Kind::File,
                "regkey" => Kind::Key,
                "socket" => Kind::Socket,
                "" => {
                    return Err(rows.wrong("expected a type such as process, file, regkey or socket, got nothing"));
                }
                _ => Kind::Other,
            };
            let first_seen = if seen.is_empty() {
                0
            } else {
                seen.parse()
                    .map_err(|_| rows.wrong(&format!("expected first_seen_us in microseconds, got {seen:?}")))?
            };
            let number = u32::try_from(nodes.list.len()).map_err(|_| rows.wrong("more than 4,294,967,295 nodes"))?;
            let first = match (kind, one_process(uuid)) {
                (Kind::Process, Some(key)) => *same.entry(key).or_insert(number),
                _ => number,
            };
            if nodes.by_id.insert(id.as_str().into(), number).is_some() {
                return Err(rows.wrong(&format!("node {id:?} was listed before")));
            }
            nodes.list.push(Node {
                id: id.as_str().into(),
                kind,
                name: name.to_lowercase().into(),
                uuid: if kind == Kind::Process { uuid.as_str().into() } else { Box::default() },
                first_seen,
                same: first,
            });
        }
        Ok(nodes)
    }

    /// The number of the node with this identifier.
    pub(super) fn number(&self, id: &str) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// The node of this number.
    pub(super) fn get(&self, number: u32) -> Option<&Node> {
        self.list.get(number as usize)
    }

    /// All nodes in the order of the file.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Node)> {
        (0u32..).zip(&self.list)
    }
}

/// The parts of a process's identifier that name the process: all but the fourth of five, which
/// differs between listings of one process.
fn one_process(uuid: &str) -> Option<String> {
    let parts: Vec<&str> = uuid.split('-').collect();
    match parts.as_slice() {
        [a, b, c, _, e] => Some(format!("{a}-{b}-{c}-{e}")),
        _ => None,
    }
}

impl Node {
    /// When the process was started, if that was within a minute before its first event at `now`:
    /// from the FILETIME at the identifier's end, whatever its zone, or from `first_seen`.
    pub(super) fn started(&self, now: u64) -> Option<u64> {
        let created = self
            .uuid
            .rsplit('-')
            .next()
            .filter(|h| h.len() == 15 || h.len() == 16)
            .and_then(|h| u64::from_str_radix(h, 16).ok())
            .and_then(|t| t.checked_sub(FILETIME_EPOCH))
            .map(|t| t / 10);
        match created {
            Some(created) => {
                let after = (i128::from(now) - i128::from(created)).rem_euclid(i128::from(ZONE)) as u64;
                if after <= START_GAP {
                    now.checked_sub(after)
                } else if ZONE - after <= START_GAP / 60 {
                    Some(now + (ZONE - after))
                } else {
                    None
                }
            }
            None => Some(self.first_seen).filter(|s| s.abs_diff(now) <= START_GAP),
        }
    }
}

impl Iterator for Rows {
    type Item = Result<Row, String>;

    /// The next event.
    fn next(&mut self) -> Option<Self::Item> {
        let fields = match Rows::next(self) {
            Ok(Some(f)) => f,
            Ok(None) => return None,
            Err(e) => return Some(Err(e)),
        };
        let [time, kind, source, destination, actor] = <[String; 5]>::try_from(fields).ok()?;
        Some(match time.parse() {
            Ok(time) => Ok(Row { time, kind, source, destination, actor }),
            Err(_) => Err(self.wrong(&format!("expected time_us in microseconds since 1970, got {time:?}"))),
        })
    }
}
