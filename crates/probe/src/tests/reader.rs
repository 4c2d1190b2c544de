//! The thread that reads, as far as no kernel decides it: other kernels are not asked.

use std::thread;

use crossbeam_channel::bounded;

use super::*;

#[test]
fn the_reader_answers_but_for_as_long_as_it_waits_for_room() {
    let (output, events) = bounded(1);
    let collector = Collector::new(settings(), builtin().unwrap(), output).unwrap();
    collector.ping().unwrap();
    collector.start("process", Start { urgent: true, ..Start::default() }).unwrap();
    let deadline = Instant::now() + patience();
    thread::scope(|threads| {
        let (answer, answered) = bounded(1);
        loop {
            assert!(Instant::now() < deadline, "it answers with its output full");
            Shell::waiting("cat /etc/hostname").go();
            let (answer, collector) = (answer.clone(), &collector);
            threads.spawn(move || answer.send(collector.ping().is_ok()));
            // The first batch fills the queue, and the second one waits.
            match answered.recv_timeout(Duration::from_millis(300)) {
                Ok(has_answered) => assert!(has_answered),
                Err(_) => break,
            }
        }
        while answered.try_recv().is_err() {
            _ = events.recv_timeout(Duration::from_millis(10));
            assert!(Instant::now() < deadline, "it goes on once there is room");
        }
        // Nobody takes events any more, and the reader is not to wait for that.
        drop(events);
    });
}
