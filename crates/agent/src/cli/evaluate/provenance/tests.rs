//! Tables that are right, and tables that are not.

use std::io::{Cursor, Write};
use std::path::Path;

use ethogram_detect::provenance::Config;

use super::replay::{Output, Replay};
use super::table::{EVENT_COLUMNS, NODE_COLUMNS, Nodes, Row, Rows};

const NODES: &str = "id\ttype\tname\tuuid\tfirst_seen_us
1\tprocess\tc:\\windows\\explorer.exe\tA-B-1-0-1\t0
2\tprocess\tc:\\windows\\system32\\cmd.exe\tA-B-2-0-2\t0
3\tfile\tc:\\users\\a\\x.txt\tx\t0
4\tregkey\thklm\\run\tx\t0
5\tsocket\t1.2.3.4:443\tx\t0
6\tprocess\tc:\\windows\\system32\\cmd.exe\tA-B-2-9-2\t0
";

fn nodes(text: &str) -> Result<Nodes, String> {
    Nodes::load(Rows::read(Path::new("nodes.tsv"), Box::new(Cursor::new(text.to_string())), &NODE_COLUMNS))
}

fn rows(text: &str) -> Result<Vec<Row>, String> {
    Rows::read(Path::new("events.tsv"), Box::new(Cursor::new(text.to_string())), &EVENT_COLUMNS).collect()
}

fn replay(events: &str, until: u64) -> Output {
    let nodes = nodes(NODES).unwrap();
    let mut r = Replay::new(&nodes, until, Config::default());
    for row in rows(events).unwrap() {
        r.row(&row);
    }
    r.finish()
}

#[test]
fn malformed_rows_name_file_line_and_what_was_expected() {
    let e = nodes("id\ttype\tname\tuuid\tfirst_seen_us\n1\tprocess\tx\n").err().unwrap();
    assert!(e.contains("nodes.tsv, line 2") && e.contains("expected 5 fields") && e.contains("got 3"), "{e}");
    let e = nodes("1\t\tx\tu\t0\n").err().unwrap();
    assert!(e.contains("line 1") && e.contains("process, file, regkey or socket"), "{e}");
    let e = nodes("1\tfile\tx\tu\tsoon\n").err().unwrap();
    assert!(e.contains("microseconds") && e.contains("soon"), "{e}");
    let e = nodes("1\tfile\tx\tu\t0\n1\tfile\ty\tu\t0\n").err().unwrap();
    assert!(e.contains("line 2") && e.contains("listed before"), "{e}");
    let e = rows("5\tfilemod\t1\t3\tu\nx\tfilemod\t1\t3\tu\n").unwrap_err();
    assert!(e.contains("events.tsv, line 2") && e.contains("time_us"), "{e}");
    let e = Rows::open(Path::new("/nonexistent/file"), &NODE_COLUMNS).err().unwrap();
    assert!(e.contains("/nonexistent/file"), "{e}");
}

#[test]
fn a_header_is_optional_and_gzip_is_recognised() {
    assert_eq!(
        rows("5\tfilemod\t1\t3\tu\n").unwrap(),
        rows("time_us\ttype\tsrc\tdst\tactor_uuid\n5\tfilemod\t1\t3\tu\n").unwrap()
    );
    let path = std::env::temp_dir().join(format!("provenance-test-{}.gz", std::process::id()));
    let mut gz = flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
    gz.write_all(NODES.as_bytes()).unwrap();
    gz.finish().unwrap();
    let loaded = Nodes::load(Rows::open(&path, &NODE_COLUMNS).unwrap());
    std::fs::remove_file(&path).unwrap();
    assert!(loaded.unwrap().number("5").is_some());
}

#[test]
fn a_truncated_gzip_is_an_error_with_the_file() {
    let path = std::env::temp_dir().join(format!("provenance-cut-{}.gz", std::process::id()));
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(NODES.as_bytes()).unwrap();
    let whole = gz.finish().unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let loaded = Nodes::load(Rows::open(&path, &NODE_COLUMNS).unwrap());
    std::fs::remove_file(&path).unwrap();
    assert!(loaded.err().unwrap().contains("provenance-cut"));
}

#[test]
fn odd_events_are_counted_and_said_and_do_not_stop() {
    let o = replay(
        "10\tfilemod\t1\t3\tA-B-1-0-1\n20\tfilemod\t99\t3\tu\n15\tfilemod\t2\t3\tA-B-2-0-2\n30\tteleport\t1\t3\tu\n40\tregmod\t3\t4\tu\n50\tprocstart\t3\t5\tu\n60\tnetconn\t5\t1\tA-B-1-0-1\n",
        12,
    );
    assert_eq!((o.counts.events, o.counts.trained, o.counts.judged), (7, 1, 6));
    assert_eq!((o.counts.unknown_nodes, o.counts.backwards, o.counts.misfits), (1, 1, 2));
    assert_eq!(o.counts.unknown_types.get("teleport"), Some(&1));
    assert_eq!(o.notes.len(), 4, "{:?}", o.notes);
}

#[test]
fn training_that_ends_before_or_behind_all_events_is_said() {
    let events = "10\tfilemod\t1\t3\tA-B-1-0-1\n20\tfilemod\t2\t3\tA-B-2-0-2\n";
    let before = replay(events, 5);
    assert!(before.notes[0].contains("before all events"), "{:?}", before.notes);
    assert_eq!(before.processes.len(), 3);
    let behind = replay(events, 500);
    assert!(behind.notes[0].contains("behind all events"), "{:?}", behind.notes);
    assert!(behind.processes.is_empty());
    assert!(replay("", 5).notes[0].contains("no events"));
}

#[test]
fn two_listings_of_one_process_share_a_score() {
    let o = replay("10\tfilemod\t1\t3\tA-B-1-0-1\n20\tregmod\t6\t4\tA-B-2-9-2\n", 15);
    let score = |id: &str| o.processes.iter().find(|p| p.id == id).map(|p| p.score);
    assert!(score("2").is_some());
    assert_eq!(score("2"), score("6"));
    assert_eq!(score("1"), None, "not seen since training ended");
}

#[test]
fn nodes_of_other_types_are_read_and_events_about_them_do_not_fit() {
    let nodes = nodes("1\tprocess\tc:\\x.exe\tA-B-1-0-1\t0\n2\tplanet\tmars\tu\t0\n").unwrap();
    let mut r = Replay::new(&nodes, 5, Config::default());
    for row in rows("10\tfilemod\t1\t2\tA-B-1-0-1\r\n").unwrap() {
        r.row(&row);
    }
    assert_eq!(r.finish().counts.misfits, 1);
}

#[test]
fn names_that_are_not_utf_8_are_read() {
    let mut bytes = b"1\tfile\tc:\\".to_vec();
    bytes.extend([0xff, 0xfe]);
    bytes.extend(b"\tu\t0\n");
    let rows = Rows::read(Path::new("n"), Box::new(Cursor::new(bytes)), &NODE_COLUMNS);
    assert!(Nodes::load(rows).unwrap().number("1").is_some());
}
