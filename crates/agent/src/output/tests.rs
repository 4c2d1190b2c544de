use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use ethogram_model::{Container, Context, EventSchema, Exec, Field, FieldKind, Image, Process};

use super::*;

/// What was written, to look at while the writer is in use.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn output(format: Format, tracker: &TrackerSchema, terminal: Option<usize>) -> (Output, Page) {
    let page = Page::default();
    let target = Destination { to: Box::new(page.clone()), terminal };
    (Output { rows: rows(format, tracker, target), target: "a test".into() }, page)
}

fn field(name: &str, label: &str, kind: FieldKind, offset: usize, size: usize, header: bool) -> Field {
    let (name, label) = (name.into(), label.into());
    Field { name, label, kind, offset, size, doc: String::new(), names: Vec::new(), habit_key: false, header }
}

fn schema(name: &str, code: u16, sample: bool, own: Vec<Field>) -> Arc<EventSchema> {
    let mut fields = vec![
        field("process.pid", "pid", FieldKind::Unsigned, 0, 4, true),
        field("_start", "start", FieldKind::Unsigned, 4, 4, true),
        field("process.executable.name", "comm", FieldKind::Text, 8, 16, true),
    ];
    fields.extend(own);
    Arc::new(EventSchema {
        tracker: "demo".into(),
        name: name.into(),
        code,
        size: 64,
        sample,
        fields,
        behaviours: Vec::new(),
        rules: None,
        about: None,
        layout: Default::default(),
    })
}

fn connect() -> Arc<EventSchema> {
    schema(
        "connect",
        1,
        false,
        vec![
            field("network.peer.address", "peer", FieldKind::Ip, 24, 16, false),
            field("network.peer.port", "peer_port", FieldKind::Unsigned, 40, 2, false),
            field("latency", "latency", FieldKind::Duration, 48, 8, false),
            field("error.type", "error", FieldKind::Errno, 56, 4, false),
            field("tx_bytes", "tx_bytes", FieldKind::Unsigned, 60, 4, false),
        ],
    )
}

fn exec() -> Arc<EventSchema> {
    schema(
        "exec",
        2,
        false,
        vec![
            field("process.user.id", "uid", FieldKind::Unsigned, 24, 4, false),
            field("process.executable.path", "path", FieldKind::PathBuf, 28, 16, false),
            field("process.command_args", "args", FieldKind::Args, 44, 4, false),
            field("memfd", "memfd", FieldKind::Bool, 48, 1, false),
        ],
    )
}

fn files() -> Arc<EventSchema> {
    schema(
        "io",
        3,
        true,
        vec![
            field("reads", "reads", FieldKind::Unsigned, 24, 4, false),
            field("file.path", "filename", FieldKind::PathBuf, 28, 16, false),
            field("read_bytes", "read_bytes", FieldKind::Unsigned, 44, 4, false),
            field("file.type", "type", FieldKind::FileType, 48, 4, false),
        ],
    )
}

fn tracker(events: &[Arc<EventSchema>]) -> TrackerSchema {
    TrackerSchema {
        name: "demo".into(),
        summary: String::new(),
        default: true,
        role: None,
        events: events.to_vec(),
        params: Vec::new(),
    }
}

/// A record of `schema` with bytes at offsets, and a tail.
fn event(schema: &Arc<EventSchema>, parts: &[(usize, &[u8])], tail: &[u8]) -> Event {
    let mut record = vec![0; schema.size];
    record[..4].copy_from_slice(&4711_u32.to_le_bytes());
    record[8..12].copy_from_slice(b"wget");
    for (at, bytes) in parts {
        record[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    record.extend_from_slice(tail);
    let container = Container {
        id: "0123456789abcdef".into(),
        name: Some("web-1".into()),
        image: Some(Image { name: "busybox:1".into(), digest: "sha256:x".into() }),
        labels: BTreeMap::new(),
        ..Container::default()
    };
    let exec = Exec { path: "/bin/busybox".into(), args: vec!["=cmd()".into()], ..Exec::default() };
    let process = Process { pid: 4711, start_ns: 1, parent_pid: 1, exec: Arc::new(exec), ..Process::default() };
    let context =
        Context { container: Some(Arc::new(container)), process: Some(Arc::new(process)), ..Context::default() };
    let time_ns = 1_700_000_000_123_456_789;
    Event { schema: schema.clone(), time_ns, record: record.into(), context }
}

fn connected() -> Event {
    let mut ip = [0; 16];
    ip[10..].copy_from_slice(&[255, 255, 10, 0, 0, 7]);
    let latency = 1_234_567_u64.to_le_bytes();
    event(&connect(), &[(24, &ip), (40, &[0x50, 0]), (48, &latency), (60, &12_595_u32.to_le_bytes())], b"")
}

fn executed(args: &[u8]) -> Event {
    let reference = [64, 0, args.len() as u8, 0];
    event(&exec(), &[(28, b"wget\0bin\0/\0"), (44, &reference), (48, &[1])], args)
}

#[test]
fn a_table_row_says_who_and_what() {
    let (mut out, page) = output(Format::Table, &tracker(&[connect(), exec()]), None);
    out.write(&connected()).unwrap();
    out.write(&executed(b"wget\0-q\0http://a b\0")).unwrap();
    insta::assert_snapshot!(page.text(), @r"
    TIME (UTC)   CONTAINER              PID COMM            EVENT   DETAILS
    22:13:20.123 web-1                 4711 wget            connect 10.0.0.7:80 latency=1.2ms tx_bytes=12.3K
    22:13:20.123 web-1                 4711 wget            exec    /bin/wget wget -q 'http://a b' uid=0 memfd
    ");
}

#[test]
fn long_or_hostile_rows_stay_within_the_line() {
    let long: Vec<u8> = b"wget\0\x1b[2Jevil\nname\0".iter().copied().chain([b'x'; 200]).collect();
    let (mut out, page) = output(Format::Table, &tracker(&[exec()]), None);
    out.write(&executed(&long)).unwrap();
    let text = page.text();
    let row = text.lines().nth(1).unwrap();
    assert_eq!(row.chars().count(), 120);
    assert!(row.ends_with('…') && !row.contains('\u{1b}'), "{row}");
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn a_terminal_sees_the_header_again_and_a_file_does_not() {
    for (terminal, headers) in [(Some(100), 3), (None, 1)] {
        let (mut out, page) = output(Format::Table, &tracker(&[connect()]), terminal);
        for _ in 0..101 {
            out.write(&connected()).unwrap();
        }
        assert_eq!(page.text().lines().filter(|l| l.starts_with("TIME")).count(), headers);
    }
}

#[test]
fn samples_are_blocks_with_a_column_for_each_field() {
    let (mut out, page) = output(Format::Table, &tracker(&[files()]), None);
    let sample = |reads: u8, path: &[u8]| {
        event(&files(), &[(24, &[reads]), (28, path), (44, &[0, 40]), (48, &0o100_644_u32.to_le_bytes())], b"")
    };
    out.write(&sample(3, b"motd\0etc\0/\0")).unwrap();
    assert_eq!(page.text(), "", "a block is printed when its interval ends");
    out.write(&sample(200, b"a\0/\0")).unwrap();
    out.end_interval().unwrap();
    out.write(&sample(1, b"b\0/\0")).unwrap();
    out.end_interval().unwrap();
    out.end_interval().unwrap();
    insta::assert_snapshot!(page.text(), @r"
    time (UTC)     pid container_name reads read_bytes type    comm            filename
    22:13:20      4711 web-1              3      10.0K regular wget            /etc/motd
    22:13:20      4711 web-1            200      10.0K regular wget            /a

    time (UTC)     pid container_name reads read_bytes type    comm            filename
    22:13:20      4711 web-1              1      10.0K regular wget            /b
    ");
}

#[test]
fn a_long_path_of_a_sample_keeps_its_name() {
    let long = schema("io", 3, true, vec![field("file.path", "filename", FieldKind::PathBuf, 24, 200, false)]);
    let long = Arc::new(EventSchema { size: 224, ..(*long).clone() });
    let path = [b"name\0".as_slice(), &[b'd'; 150], b"\0/\0"].concat();
    let (mut out, page) = output(Format::Table, &tracker(std::slice::from_ref(&long)), None);
    out.write(&event(&long, &[(24, &path)], b"")).unwrap();
    out.end_interval().unwrap();
    let row = page.text().lines().nth(1).unwrap().to_owned();
    assert!(row.chars().count() == 120 && row.contains(" …d") && row.ends_with("ddd/name"), "{row}");
}

#[test]
fn json_is_one_object_a_line() {
    let (mut out, page) = output(Format::Json, &tracker(&[connect()]), None);
    out.write(&connected()).unwrap();
    out.write(&executed(b"a\nb\0")).unwrap();
    let lines: Vec<serde_json::Value> = page.text().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["time"], "2023-11-14T22:13:20.123456789Z");
    assert_eq!(lines[0]["network"]["peer"]["address"], "10.0.0.7");
    assert_eq!(lines[1]["process"]["command_args"][0], "a\nb");
}

#[test]
fn csv_has_one_header_for_all_events() {
    let (mut out, page) = output(Format::Csv, &tracker(&[connect(), exec()]), None);
    out.write(&connected()).unwrap();
    out.write(&executed(b"wget\0a,\"b\"\nc\0")).unwrap();
    out.flush().unwrap();
    let text = page.text();
    assert!(text.starts_with("time,tracker,event,process.pid,process.executable.name,process.executable.path,"));
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|h| h == name).unwrap();
    let rows: Vec<_> = reader.records().map(|r| r.unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(&rows[0][at("network.peer.port")], "80");
    assert_eq!(&rows[0][at("container.name")], "web-1");
    assert_eq!(&rows[1][at("network.peer.port")], "");
    assert_eq!(&rows[1][at("process.command_args")], "wget a,\"b\"\nc");
    assert!(!header.iter().any(|h| h.starts_with('_')), "internal fields are shown");
}

#[test]
fn csv_runs_no_formula() {
    let (mut out, page) = output(Format::Csv, &tracker(&[exec()]), None);
    for first in ["=1+1", "+1", "-q", "@x", "\tx", "\rx", "plain"] {
        let mut args = first.as_bytes().to_vec();
        args.push(0);
        out.write(&executed(&args)).unwrap();
    }
    out.flush().unwrap();
    let text = page.text();
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let at = reader.headers().unwrap().iter().position(|h| h == "process.command_args").unwrap();
    let cells: Vec<String> = reader.records().map(|r| r.unwrap()[at].to_owned()).collect();
    assert_eq!(cells, ["'=1+1", "'+1", "'-q", "'@x", "'\tx", "'\rx", "plain"]);
}

#[test]
fn csv_of_nothing_still_has_its_header() {
    let (mut out, page) = output(Format::Csv, &tracker(&[connect()]), None);
    out.flush().unwrap();
    out.flush().unwrap();
    assert_eq!(page.text().lines().count(), 1);
}

#[test]
fn a_reader_that_has_gone_is_no_failure_and_a_full_disk_is() {
    struct Fails(io::ErrorKind);
    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }
    for format in [Format::Table, Format::Json, Format::Csv] {
        let result = |kind| {
            let target = Destination { to: Box::new(Fails(kind)), terminal: None };
            let mut out = Output { rows: rows(format, &tracker(&[connect()]), target), target: "here".into() };
            // More than any buffer on the way holds.
            (0..1000).try_for_each(|_| out.write(&connected())).and_then(|()| out.flush()).unwrap_err()
        };
        assert!(matches!(result(io::ErrorKind::BrokenPipe), OutputError::ReaderGone), "{format:?}");
        assert!(result(io::ErrorKind::StorageFull).to_string().starts_with("cannot write to here: "), "{format:?}");
    }
    let missing = Output::new(Format::Json, &tracker(&[]), Some(Path::new("/nonexistent/x"))).err().unwrap();
    assert_eq!(missing.to_string(), "cannot create /nonexistent/x: No such file or directory (os error 2)");
}

#[test]
fn parquet_has_the_columns_of_csv_with_their_types() {
    use ::parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::Field as Cell,
    };

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.parquet");
    let tracker = tracker(&[connect(), exec()]);
    let mut out = Output::parquet(&tracker, &path).unwrap();
    out.write(&connected()).unwrap();
    out.write(&executed(b"wget\0a b\0")).unwrap();
    out.close().unwrap();

    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    let columns: Vec<Vec<(&str, &Cell)>> =
        rows.iter().map(|r| r.get_column_iter().map(|(name, cell)| (name.as_str(), cell)).collect()).collect();
    let names: Vec<&str> = columns[0].iter().map(|(name, _)| *name).collect();
    assert_eq!(names, csv::header(&tracker));
    let cell = |row: usize, name: &str| columns[row].iter().find(|(n, _)| *n == name).unwrap().1;
    assert_eq!(*cell(0, "network.peer.port"), Cell::ULong(80));
    assert_eq!(*cell(0, "network.peer.address"), Cell::Str("10.0.0.7".into()));
    assert_eq!(*cell(0, "memfd"), Cell::Null);
    assert_eq!(*cell(1, "memfd"), Cell::Bool(true));
    assert_eq!(*cell(1, "network.peer.port"), Cell::Null);
    let Cell::ListInternal(args) = cell(1, "process.command_args") else { panic!("no list: {:?}", columns[1]) };
    assert_eq!(args.elements(), [Cell::Str("wget".into()), Cell::Str("a b".into())]);
    assert!(format!("{:?}", cell(0, "time")).contains("1700000000123456789"), "{:?}", cell(0, "time"));
}
