use super::*;

const ROOM: u64 = 1 << 16;

fn open(folder: &Path) -> FramedLog {
    FramedLog::open(folder, ROOM).unwrap()
}

fn append(log: &mut FramedLog, numbers: std::ops::Range<u64>) {
    numbers.for_each(|n| log.append(n, format!("{n:01000}").as_bytes()).unwrap());
}

fn numbers(log: &FramedLog) -> Vec<u64> {
    log.segments().flat_map(|s| log.frames(LogPosition::beginning(s)).unwrap()).map(|frame| frame.number).collect()
}

#[test]
fn a_segment_that_is_full_is_followed_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    assert!(!FramedLog::is_in(folder.path()));
    append(&mut log, 0..20);
    assert!(FramedLog::is_in(folder.path()));
    // Nine entries of 1020 bytes are the first to reach an eighth of the room.
    assert_eq!(log.segments().collect::<Vec<_>>(), [0, 9, 18]);
    assert_eq!((log.following(0), log.following(18)), (Some(9), None));
    assert_eq!(log.bytes(), 20 * 1020);
    assert!(log.has_room(&[0; 1000]) && !log.has_room(&vec![0; ROOM as usize - 20 * 1020]));
    assert!(log.can_hold(&vec![0; ROOM as usize - 20]) && !log.can_hold(&vec![0; ROOM as usize - 19]));
    log.remove(0);
    assert_eq!(numbers(&log), (9..20).collect::<Vec<_>>());
}

#[test]
fn a_restart_goes_on_in_the_last_segment() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..5 {
        append(&mut open(folder.path()), n..n + 1);
    }
    let mut log = open(folder.path());
    assert_eq!((log.segments().collect::<Vec<_>>(), numbers(&log)), (vec![0], vec![0, 1, 2, 3, 4]));
    log.end_segment();
    append(&mut log, 5..7);
    assert_eq!(log.segments().collect::<Vec<_>>(), [0, 5]);
    assert_eq!(numbers(&open(folder.path())), (0..7).collect::<Vec<_>>());
}

#[test]
fn a_torn_tail_hides_nothing_that_comes_behind_it() {
    for torn in (1..1020).step_by(53) {
        let folder = tempfile::tempdir().unwrap();
        append(&mut open(folder.path()), 0..3);
        let segment = folder.path().join(file_name(0));
        let bytes = fs::read(&segment).unwrap();
        fs::write(&segment, &bytes[..bytes.len() - torn]).unwrap();
        let mut log = open(folder.path());
        assert_eq!(numbers(&log), [0, 1], "{torn} bytes are missing");
        append(&mut log, 2..4);
        assert_eq!(numbers(&open(folder.path())), [0, 1, 2, 3], "{torn} bytes are missing");
    }
}

#[test]
fn a_frame_is_found_from_a_position_on_however_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = FramedLog::open(folder.path(), 1 << 30).unwrap();
    append(&mut log, 0..2);
    log.append(2, &vec![b'x'; 3 << 20]).unwrap();
    append(&mut log, 3..5);
    let begin = LogPosition::beginning(0);
    let second = log.find(begin, |frame| frame.number == 1).unwrap().unwrap();
    let third = log.find(begin.behind(&second), |_| true).unwrap().unwrap();
    assert_eq!((third.number, third.text.len()), (2, 3 << 20));
    assert_eq!(log.find(begin, |frame| frame.number == 4).unwrap().unwrap().number, 4);
    assert_eq!(log.find(begin, |frame| frame.number == 5).unwrap(), None);
    assert!(log.find(LogPosition::beginning(9), |_| true).is_err(), "there is no such segment");
}
