use std::io::Write;

use super::*;

type Seen = (Option<i64>, String, String);

fn read_all(bytes: &[u8], labels: bool) -> (Result<(), String>, Vec<Seen>, Problems) {
    let (mut problems, mut seen) = (Problems::default(), Vec::new());
    let result = read_from(bytes, labels, &mut problems, |alert, labels| {
        let label = labels.map_or(String::new(), |(_, event)| String::from_utf8_lossy(event).into_owned());
        seen.push((alert.time_ms, String::from_utf8_lossy(alert.name).into_owned(), label));
    });
    (result, seen, problems)
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn plain_and_compressed_files_give_the_same() {
    let text = "time,name,ip,host,short\n1,a,b,c,d\n2.5,e,f,g,h\n";
    let (result, seen, problems) = read_all(text.as_bytes(), false);
    assert_eq!(result, Ok(()));
    assert_eq!(seen, [(Some(1_000), "a".into(), String::new()), (Some(2_500), "e".into(), String::new())]);
    assert_eq!((problems.malformed, problems.incomplete), (0, 0));
    assert_eq!(read_all(&packed(text), false).1, seen);
}

#[test]
fn columns_may_come_in_any_order_and_labels_are_read_only_when_asked_for() {
    let text = b"\xef\xbb\xbfevent_label,short,host,ip,name,time_label,time\nprobe,d,c,b,a,scan,7\n";
    assert_eq!(read_all(text, true).1, [(Some(7_000), "a".into(), "probe".into())]);
    assert_eq!(read_all(text, false).1, [(Some(7_000), "a".into(), String::new())]);
}

#[test]
fn labels_that_are_asked_for_must_be_there() {
    let (result, _, _) = read_all(b"time,name,ip,host,short\n1,a,b,c,d\n", true);
    let error = result.unwrap_err();
    assert!(error.contains("time_label") && error.contains("labels"), "{error}");
}

#[test]
fn a_wrong_row_is_named_and_still_judged() {
    let text = b"time,name,ip,host,short\nsoon,a,b,c,d\n1,a\n1,a,b,,\n2,e,f,g,h\n";
    let (result, seen, problems) = read_all(text, false);
    assert_eq!(result, Ok(()));
    assert_eq!(seen.len(), 4);
    assert_eq!(seen[0].0, None);
    assert_eq!((problems.malformed, problems.incomplete), (2, 2));
    assert_eq!(
        problems.described,
        [
            "line 2, column time: expected seconds since 1970 as a number, found \"soon\"",
            "line 3, column 3: expected 5 columns, found \"the end of the row\"",
        ]
    );
}

#[test]
fn times_that_are_no_times_are_refused() {
    for text in ["", "NaN", "inf", "-inf", "1e300", "9223372036854775807", "0x10"] {
        assert_eq!(milliseconds(text.as_bytes()), None, "{text}");
    }
    assert_eq!(milliseconds(b" 1642204801 "), Some(1_642_204_801_000));
    assert_eq!(milliseconds(b"-1.5"), Some(-1_500));
}

#[test]
fn what_is_no_table_is_refused_with_what_was_expected() {
    for bytes in [&b""[..], b"\x7fELF\x02\x01\x01\0\0\0", b"{\"time\": 1}\n", &[0; 100_000]] {
        let error = read_all(bytes, false).0.unwrap_err();
        assert!(error.contains("expected a header") && error.len() < 300, "{error}");
    }
}

#[test]
fn damaged_compression_gives_what_came_before_it_and_an_error() {
    let mut text = "time,name,ip,host,short\n".to_string();
    for line in 0..20_000 {
        text.push_str(&format!("{line},name{},ip,host,short\n", line * 7_919 % 10_007));
    }
    let mut bytes = packed(&text);
    bytes.truncate(bytes.len() / 2);
    let (result, seen, _) = read_all(&bytes, false);
    assert!(result.unwrap_err().contains("cannot be read on"));
    assert!(seen.len() > 1_000 && seen.len() < 20_000);
    assert!(read_all(b"\x1f\x8bnonsense", false).0.is_err());
}

#[test]
fn many_wrong_rows_are_counted_and_few_described() {
    let text = format!("time,name,ip,host,short\n{}", "x,a,b,c,d\n".repeat(1_000));
    let problems = read_all(text.as_bytes(), false).2;
    assert_eq!((problems.malformed, problems.described.len()), (1_000, DESCRIBED));
}
