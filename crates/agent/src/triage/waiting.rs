//! Incidents that wait until they have been quiet for a moment, so that the whole is there when the model is asked.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc, time::Duration};

use ethogram_model::Incident;
use tokio::time::Instant;

/// Incidents that wait at most.
const MAX_WAITING: usize = 256;
/// For how long one has to keep its shape.
const QUIET: Duration = Duration::from_secs(5);
/// After so long it is asked about, however often it changes.
const LONGEST: Duration = Duration::from_secs(60);

/// An incident that is to be triaged.
pub(crate) struct Question {
    pub(super) incident: Arc<Incident>,
    pub(super) shape: String,
}

impl Question {
    pub(super) fn workload(&self) -> &str {
        self.incident.workloads.first().map_or("", String::as_str)
    }
}

/// Those that wait, by uid.
pub(super) struct Waiting {
    by_uid: BTreeMap<String, Entry>,
    quiet: Duration,
}

struct Entry {
    question: Question,
    since: Instant,
    changed: Instant,
}

impl Default for Waiting {
    fn default() -> Self {
        Self::until_quiet_for(QUIET)
    }
}

impl Waiting {
    pub(super) fn until_quiet_for(quiet: Duration) -> Self {
        Self { by_uid: BTreeMap::new(), quiet }
    }

    fn due(&self, entry: &Entry) -> Instant {
        (entry.changed + self.quiet).min(entry.since + LONGEST)
    }

    /// One comes, or changed. Returns whether there was room for it.
    pub(super) fn put(&mut self, question: Question, now: Instant) -> bool {
        let uid = &question.incident.uid;
        if question.incident.merged_into.is_some() {
            self.by_uid.remove(uid);
            return true;
        }
        if let Some(known) = self.by_uid.get_mut(uid) {
            (known.question, known.changed) = (question, now);
            return true;
        }
        if self.by_uid.len() >= MAX_WAITING {
            return false;
        }
        self.by_uid.insert(uid.clone(), Entry { question, since: now, changed: now });
        true
    }

    /// When the first is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_uid.values().map(|entry| self.due(entry)).min()
    }

    /// Takes out one that is due: of the workload with the fewest requests so far, the most severe.
    pub(super) fn take(&mut self, now: Instant, used_by: impl Fn(&str) -> usize) -> Option<Question> {
        let due = self.by_uid.iter().filter(|(_, entry)| self.due(entry) <= now);
        let key = |question: &Question| (used_by(question.workload()), Reverse(question.incident.severity));
        let (uid, _) = due.min_by_key(|(_, entry)| key(&entry.question))?;
        let uid = uid.clone();
        self.by_uid.remove(&uid).map(|entry| entry.question)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ethogram_model::{Incident, Origin, Severity};

    use super::*;

    fn question(uid: &str, workload: &str, severity: Severity) -> Question {
        let workloads = vec![workload.to_owned()];
        let incident = Incident { severity, workloads, ..Incident::begun(uid.into(), Origin::Child, 1) };
        Question { incident: incident.into(), shape: String::new() }
    }

    #[test]
    fn one_is_due_once_it_is_quiet_or_has_waited_long_enough() {
        let (mut waiting, start) = (Waiting::default(), Instant::now());
        let none_used = |_: &str| 0;
        assert!(waiting.put(question("a", "web", Severity::Low), start));
        assert!(waiting.take(start + QUIET / 2, none_used).is_none());
        for n in 0..40 {
            let now = start + 2 * Duration::from_secs(n);
            waiting.put(question("a", "web", Severity::Low), now);
            let due = waiting.next().unwrap();
            assert_eq!(due, (now + QUIET).min(start + LONGEST));
        }
        assert!(waiting.take(start + LONGEST, none_used).is_some());
        assert!(waiting.next().is_none());
    }

    #[test]
    fn who_has_been_asked_about_less_comes_first_and_then_what_is_severe() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        waiting.put(question("a", "noisy", Severity::Critical), now);
        waiting.put(question("b", "quiet", Severity::Low), now);
        waiting.put(question("c", "quiet", Severity::High), now);
        let used_by = |workload: &str| usize::from(workload == "noisy");
        let mut order = Vec::new();
        while let Some(question) = waiting.take(now + QUIET, used_by) {
            order.push(question.incident.uid.clone());
        }
        assert_eq!(order, ["c", "b", "a"]);
    }

    #[test]
    fn what_became_part_of_another_waits_no_more_and_beyond_the_room_none_does() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        for n in 0..MAX_WAITING {
            assert!(waiting.put(question(&n.to_string(), "web", Severity::Low), now));
        }
        assert!(!waiting.put(question("more", "web", Severity::Low), now));
        let merged = Incident {
            merged_into: Some("1".into()),
            ..Incident::clone(&question("0", "web", Severity::Low).incident)
        };
        assert!(waiting.put(Question { incident: merged.into(), shape: String::new() }, now));
        assert!(waiting.put(question("more", "web", Severity::Low), now));
    }
}
