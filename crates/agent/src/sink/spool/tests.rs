use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::*;

const ROOM: u64 = 1 << 20;

struct Test {
    folder: TempDir,
    counters: SinkCounters,
}

impl Test {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), counters: SinkCounters::default() }
    }

    fn open(&self) -> Spool {
        Spool::open(self.folder.path(), ROOM).unwrap()
    }

    fn append(&self, spool: &Spool, numbers: std::ops::Range<u32>) {
        numbers.for_each(|n| spool.append(text(n).as_bytes(), &self.counters));
    }

    /// The next alert, and its number.
    fn peek(&self, spool: &Spool) -> Option<(u32, SpooledAlert)> {
        let Next::Alert(entry) = spool.next(Some(Instant::now()), false, &self.counters) else { return None };
        Some((String::from_utf8_lossy(&entry.text).split(' ').next().unwrap().parse().unwrap(), entry))
    }

    fn take(&self, spool: &Spool, most: usize) -> Vec<u32> {
        let next = std::iter::from_fn(|| self.peek(spool).inspect(|(_, entry)| spool.acknowledge(entry)));
        next.take(most).map(|(number, _)| number).collect()
    }

    fn take_all(&self, spool: &Spool) -> Vec<u32> {
        self.take(spool, usize::MAX)
    }

    fn segments(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.folder.path()).unwrap().map(|e| e.unwrap().path());
        let mut segments: Vec<_> = files.filter(|p| p.extension().is_some_and(|e| e == "segment")).collect();
        segments.sort();
        segments
    }

    fn dropped(&self, why: &str) -> u64 {
        self.counters.all_dropped()[why]
    }
}

fn text(n: u32) -> String {
    format!("{n} {}", "x".repeat(1000))
}

#[test]
fn what_is_not_acknowledged_comes_again_in_order() {
    let test = Test::new();
    let spool = test.open();
    test.append(&spool, 0..5);
    assert_eq!(test.peek(&spool).unwrap().0, 0);
    assert_eq!(test.take(&spool, 2), [0, 1]);
    assert_eq!(spool.waiting(), 3);
    assert_eq!(test.take_all(&spool), [2, 3, 4]);
    assert_eq!(spool.waiting(), 0);
    assert!(test.counters.all_dropped().values().all(|n| *n == 0));
}

#[test]
fn a_restart_goes_on_where_the_last_ended() {
    let test = Test::new();
    // Not closed in any way: as after a kill.
    for round in 0..4 {
        let spool = test.open();
        test.append(&spool, round * 10..round * 10 + 10);
        let taken = test.take(&spool, 5);
        assert_eq!(taken, (round * 5..round * 5 + taken.len() as u32).collect::<Vec<_>>());
    }
    let spool = test.open();
    assert_eq!(spool.waiting(), 20);
    assert_eq!(test.take_all(&spool), (20..40).collect::<Vec<_>>());
    drop(spool);
    assert_eq!(test.open().waiting(), 0);
    assert_eq!(test.segments(), Vec::<PathBuf>::new(), "what is done with is removed");
    test.append(&test.open(), 40..41);
    assert_eq!(test.take_all(&test.open()), [40]);
}

#[test]
fn a_half_written_tail_is_skipped() {
    let test = Test::new();
    let spool = test.open();
    test.append(&spool, 0..3);
    drop(spool);
    let segment = &test.segments()[0];
    let bytes = fs::read(segment).unwrap();
    for missing in [1, 500, 1019] {
        fs::write(segment, &bytes[..bytes.len() - missing]).unwrap();
        let spool = test.open();
        assert_eq!(spool.waiting(), 2);
    }
    let spool = test.open();
    test.append(&spool, 7..9);
    assert_eq!(test.take_all(&spool), [0, 1, 7, 8], "what comes later is not hidden by it");
    assert!(test.counters.all_dropped().values().all(|n| *n == 0), "it was never whole");
}

#[test]
fn a_damaged_middle_costs_what_lay_there_and_is_counted() {
    let test = Test::new();
    let spool = test.open();
    test.append(&spool, 0..10);
    drop(spool);
    let segment = &test.segments()[0];
    let mut bytes = fs::read(segment).unwrap();
    // In the fourth and in the fifth.
    bytes[3_500..4_500].fill(0xff);
    fs::write(segment, bytes).unwrap();
    assert_eq!(test.take_all(&test.open()), [0, 1, 2, 5, 6, 7, 8, 9]);
    assert_eq!(test.dropped("damaged"), 2);
}

#[test]
fn a_lost_segment_is_counted_and_a_lost_position_sends_again() {
    let test = Test::new();
    let spool = test.open();
    test.append(&spool, 0..400);
    test.take(&spool, 5);
    drop(spool);
    assert!(test.segments().len() >= 3, "{:?}", test.segments());
    let second = &test.segments()[1];
    let lost = fs::read(second).unwrap().windows(4).filter(|w| w == b"\xffeth").count();
    fs::remove_file(second).unwrap();
    fs::write(test.folder.path().join("position"), "rubbish").unwrap();
    let taken = test.take_all(&test.open());
    assert_eq!((taken.first(), taken.last()), (Some(&0), Some(&399)));
    assert_eq!(taken.len() + lost, 400);
    assert_eq!(test.dropped("damaged"), lost as u64);
}

#[test]
fn alerts_that_do_not_belong_where_they_lie_are_left() {
    let test = Test::new();
    let spool = test.open();
    test.append(&spool, 0..400);
    test.take(&spool, 3);
    drop(spool);
    let segments = test.segments();
    // Numbers that are done, and numbers far away, before those that are due.
    let (first, last) = (fs::read(&segments[0]).unwrap(), fs::read(segments.last().unwrap()).unwrap());
    fs::write(&segments[1], [&last, &first, &fs::read(&segments[1]).unwrap()[..]].concat()).unwrap();
    let spool = test.open();
    assert_eq!(test.take_all(&spool), (3..400).collect::<Vec<_>>());
    assert!(test.counters.all_dropped().values().all(|n| *n == 0));
}

#[test]
fn any_files_are_borne() {
    let test = Test::new();
    let files = ["position", "00000000000000000000.segment", "18446744073709551615.segment", "x.segment", "3.segment"];
    for (n, name) in files.iter().enumerate() {
        fs::write(test.folder.path().join(name), vec![0xff; n * 1000]).unwrap();
    }
    let spool = test.open();
    test.append(&spool, 0..3);
    assert_eq!(test.take_all(&spool), [0, 1, 2]);
}

#[test]
fn beyond_its_room_the_oldest_go_and_are_counted() {
    let test = Test::new();
    let spool = test.open();
    test.append(&spool, 0..3000);
    assert!(spool.bytes() <= ROOM);
    let taken = test.take_all(&spool);
    assert!(taken.len() > 800, "no more than needed goes: {} are left", taken.len());
    assert_eq!(taken, (3000 - taken.len() as u32..3000).collect::<Vec<_>>(), "the latest are kept, in order");
    assert_eq!(test.dropped("spool_full") + taken.len() as u64, 3000);
    spool.append(&vec![b'x'; ROOM as usize + 1], &test.counters);
    assert_eq!(test.dropped("too_long"), 1);
    test.append(&spool, 3000..3001);
    assert_eq!(test.take_all(&spool), [3000]);
}

#[test]
fn what_is_dropped_while_under_way_is_not_acknowledged_twice() {
    let test = Test::new();
    let spool = test.open();
    test.append(&spool, 0..10);
    let (_, entry) = test.peek(&spool).unwrap();
    test.append(&spool, 10..2000);
    let before = spool.waiting();
    spool.acknowledge(&entry);
    assert_eq!(spool.waiting(), before);
    assert_eq!(test.take_all(&spool).len() as u64, before);
}

#[test]
fn where_the_disk_takes_nothing_a_few_wait_in_memory() {
    let test = Test::new();
    let spool = test.open();
    test.append(&spool, 0..3);
    // The folder is gone, and with it whatever lay there.
    fs::rename(test.folder.path(), test.folder.path().with_extension("away")).unwrap();
    spool.state.lock().log.end_segment();
    test.append(&spool, 3..2000);
    fs::rename(test.folder.path().with_extension("away"), test.folder.path()).unwrap();
    assert_eq!(test.take_all(&spool), (0..3 + 1024).collect::<Vec<_>>());
    assert_eq!(test.dropped("disk_full"), 2000 - 3 - 1024);
    test.append(&spool, 0..2);
    assert_eq!(test.take_all(&spool), [0, 1]);
    assert!(!test.segments().is_empty(), "the disk is tried again");
}

#[test]
fn a_waiting_reader_is_woken() {
    let test = Test::new();
    let spool = test.open();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            test.append(&spool, 0..1);
        });
        assert!(matches!(spool.next(None, false, &test.counters), Next::Alert(_)));
    });
    assert_eq!(test.take(&spool, 1), [0]);
    let begin = Instant::now();
    assert!(matches!(spool.next(Some(begin + Duration::from_millis(50)), false, &test.counters), Next::Nothing));
    assert!(begin.elapsed() >= Duration::from_millis(50));
    spool.close();
    spool.pause(Duration::from_secs(60));
    assert!(matches!(spool.next(None, false, &test.counters), Next::Closed));
    assert!(begin.elapsed() < Duration::from_secs(20));
}
