//! Who started whom, where a source tells of a start and of the new process apart: both carry the
//! time of the start, and are joined by it.

use std::collections::VecDeque;

/// Starts and new processes that wait for each other, each at most.
const WAITING: usize = 256;
/// Two times of one start differ by at most this, in microseconds (on Windows telemetry 95 % of
/// the pairs known otherwise differ by less than 20 ms).
const TOLERANCE: u64 = 60_000;

/// Joins starts with new processes.
#[derive(Default)]
pub(super) struct Starts {
    parents: VecDeque<(u64, u32)>,
    children: VecDeque<(u64, u32)>,
}

impl Starts {
    /// `parent` started some process at `time`: the new process that waits for it, if there is one.
    pub(super) fn parent(&mut self, time: u64, parent: u32) -> Option<u32> {
        take(&mut self.children, time, parent).or_else(|| {
            push(&mut self.parents, time, parent);
            None
        })
    }

    /// `child` was started at `time`: the process that started one then, if there is one.
    pub(super) fn child(&mut self, time: u64, child: u32) -> Option<u32> {
        take(&mut self.parents, time, child).or_else(|| {
            push(&mut self.children, time, child);
            None
        })
    }

    /// Forgets that `child` waits: its parent became known otherwise.
    pub(super) fn settled(&mut self, child: u32) {
        self.children.retain(|&(_, c)| c != child);
    }
}

fn push(queue: &mut VecDeque<(u64, u32)>, time: u64, process: u32) {
    if queue.len() >= WAITING {
        queue.pop_front();
    }
    queue.push_back((time, process));
}

/// Takes the entry nearest in time, but never the process itself.
fn take(queue: &mut VecDeque<(u64, u32)>, time: u64, process: u32) -> Option<u32> {
    let (at, _) = queue
        .iter()
        .enumerate()
        .filter(|(_, (t, p))| *p != process && t.abs_diff(time) <= TOLERANCE)
        .min_by_key(|(i, (t, _))| (t.abs_diff(time), *i))?;
    queue.remove(at).map(|(_, p)| p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_meets_the_process_of_its_time_and_no_other() {
        let mut s = Starts::default();
        assert_eq!(s.parent(1_000_000, 1), None);
        assert_eq!(s.parent(2_000_000, 2), None);
        assert_eq!(s.child(2_010_000, 7), Some(2));
        assert_eq!(s.child(1_500_000, 8), None);
        assert_eq!(s.parent(1_490_000, 3), Some(8));
        assert_eq!(s.child(1_000_000, 1), None, "nobody starts himself");
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut s = Starts::default();
        for i in 0..100_000u32 {
            s.parent(u64::from(i) * 1_000_000, i);
        }
        assert!(s.parents.len() <= WAITING);
    }
}
