//! Which incidents one receiver is sent, and why: when they open, escalate and close.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use ethogram_model::{Incident, IncidentChange, IncidentReport, Severity};

/// Incidents that may wait for room in the queue. No more are open at once, and as many may close meanwhile.
const MAX_WAITING: usize = 512;
/// Incidents that one receiver may have open: those, and those that wait to be closed.
const MAX_OPEN: usize = 1024;

/// Whether an incident is to be sent to a receiver, and why. `known` is its severity in what was sent before, where the
/// receiver has it open; the receiver gets none below `least`, and no further ones where that is none, and none that is one more
/// of what it heard of within a day.
///
/// All that decides this is here.
fn change(incident: &Incident, known: Option<Severity>, least: Option<Severity>) -> Option<IncidentChange> {
    match known {
        Some(from) if !incident.is_open => Some(IncidentChange::Closed { from }),
        Some(from) if incident.severity > from => Some(IncidentChange::Escalated { from }),
        Some(_) => None,
        // What became part of another is sent with that. One that is over before it was ever sent is opened first.
        None if incident.merged_into.is_some() => None,
        None => least
            .is_some_and(|least| incident.severity >= least && incident.is_news())
            .then_some(IncidentChange::Opened),
    }
}

/// What one receiver knows of incidents, and what it is still to be sent.
#[derive(Debug)]
pub(super) struct SentIncidents {
    /// The least severe incidents that it gets; none where it gets none.
    least: Option<Severity>,
    /// Those that it has open, each with its severity in what was sent last.
    open: BTreeMap<String, Severity>,
    /// Changes that were not sent yet, each incident once.
    waiting: VecDeque<Arc<Incident>>,
    is_dirty: bool,
}

impl SentIncidents {
    pub(super) fn new(least: Option<Severity>) -> Self {
        Self { least, open: BTreeMap::new(), waiting: VecDeque::new(), is_dirty: false }
    }

    /// Goes on with what a receiver had open, as [`Self::take_unsaved`] gave it. Nothing of that is trusted.
    pub(super) fn restore(&mut self, stored: &str) -> Result<(), serde_json::Error> {
        self.open = Self::read(stored)?;
        Ok(())
    }

    /// What a receiver had open, each with its severity in what was sent last.
    pub(super) fn read(stored: &str) -> Result<BTreeMap<String, Severity>, serde_json::Error> {
        let open: BTreeMap<String, Severity> = serde_json::from_str(stored)?;
        Ok(open.into_iter().take(MAX_OPEN).collect())
    }

    /// The uids of those that it has open.
    pub(super) fn open(&self) -> Vec<String> {
        self.open.keys().cloned().collect()
    }

    /// It never hears of it again.
    pub(super) fn forget(&mut self, uid: &str) {
        self.is_dirty |= self.open.remove(uid).is_some();
    }

    /// An incident changed. Whether there was room for it: else another one is given up.
    pub(super) fn put(&mut self, incident: &Arc<Incident>) -> bool {
        if let Some(older) = self.waiting.iter_mut().find(|older| older.uid == incident.uid) {
            *older = Arc::clone(incident);
            return true;
        }
        if change(incident, self.known(&incident.uid), self.least).is_none() {
            return true;
        }
        self.waiting.push_back(Arc::clone(incident));
        if self.waiting.len() <= MAX_WAITING {
            return true;
        }
        if let Some(given_up) = self.waiting.pop_front().filter(|incident| !incident.is_open) {
            self.forget(&given_up.uid);
        }
        false
    }

    /// What is to be sent next. It stays until it [`Self::was_sent`].
    pub(super) fn next(&mut self, at_ns: u64) -> Option<IncidentReport> {
        loop {
            let incident = self.waiting.front()?;
            if let Some(change) = change(incident, self.known(&incident.uid), self.least) {
                return Some(IncidentReport { incident: Arc::clone(incident), change, at_ns });
            }
            self.waiting.pop_front();
        }
    }

    /// The receiver gets it.
    pub(super) fn was_sent(&mut self, report: &IncidentReport) {
        let IncidentReport { incident, change, .. } = report;
        if matches!(change, IncidentChange::Closed { .. }) {
            self.forget(&incident.uid);
            // It would be opened again.
            self.waiting.pop_front();
        } else if self.open.len() < MAX_OPEN || self.open.contains_key(&incident.uid) {
            self.open.insert(incident.uid.clone(), incident.severity);
            self.is_dirty = true;
        } else {
            self.waiting.pop_front();
        }
    }

    /// What is to be stored, so that the next start can close what is open, where that changed.
    pub(super) fn take_unsaved(&mut self) -> Option<String> {
        std::mem::take(&mut self.is_dirty).then(|| serde_json::to_string(&self.open).unwrap_or_default())
    }

    fn known(&self, uid: &str) -> Option<Severity> {
        self.open.get(uid).copied()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ethogram_model::{Origin, Recurrence};

    use super::*;

    fn incident(uid: &str, severity: Severity, is_open: bool) -> Arc<Incident> {
        Arc::new(Incident { severity, is_open, ..Incident::begun(uid.into(), Origin::Child, 1) })
    }

    /// What a receiver is sent of these, by uid.
    fn sent(followed: &mut SentIncidents, incidents: &[Arc<Incident>]) -> Vec<(String, IncidentChange)> {
        let mut out = Vec::new();
        for incident in incidents {
            assert!(followed.put(incident));
            while let Some(report) = followed.next(7) {
                followed.was_sent(&report);
                out.push((report.incident.uid.clone(), report.change));
            }
        }
        out
    }

    use IncidentChange::{Closed, Escalated, Opened};
    use Severity::{Critical, High, Low, Medium};

    #[test]
    fn it_is_sent_when_it_opens_escalates_and_closes_and_never_between() {
        let mut followed = SentIncidents::new(Some(Low));
        let a = |severity, is_open| incident("a", severity, is_open);
        let story = [a(Medium, true), a(Medium, true), a(Low, true), a(Medium, true), a(High, true), a(High, false)];
        let sent = sent(&mut followed, &story);
        let expected = [Opened, Escalated { from: Medium }, Closed { from: High }];
        assert_eq!(sent, expected.map(|change| ("a".to_owned(), change)));
        assert!(followed.open.is_empty() && followed.waiting.is_empty());
    }

    #[test]
    fn one_below_the_minimum_is_opened_when_it_crosses_it_and_else_never_sent() {
        let mut followed = SentIncidents::new(Some(High));
        let below = [incident("mild", Medium, true), incident("mild", Medium, false)];
        assert_eq!(sent(&mut followed, &below), []);
        let crossing = [incident("a", Low, true), incident("a", Critical, true), incident("a", Critical, false)];
        let expected = [Opened, Closed { from: Critical }];
        assert_eq!(sent(&mut followed, &crossing), expected.map(|change| ("a".to_owned(), change)));
    }

    #[test]
    fn what_was_heard_of_within_a_day_is_sent_only_where_it_is_news() {
        let again = |uid: &str, is_news| {
            let recurrence_of = Some(Recurrence { of: "first".into(), is_news });
            Arc::new(Incident { recurrence_of, ..Incident::clone(&incident(uid, High, true)) })
        };
        let mut followed = SentIncidents::new(Some(Low));
        assert_eq!(sent(&mut followed, &[again("a", false), again("b", true)]), [("b".to_owned(), Opened)]);
        // It does something else as well, and is another deed by that.
        assert_eq!(sent(&mut followed, &[incident("a", High, true)]), [("a".to_owned(), Opened)]);
    }

    #[test]
    fn what_becomes_part_of_another_is_closed_where_it_was_open_and_else_never_sent() {
        let mut followed = SentIncidents::new(Some(Low));
        let merged = |uid: &str| {
            let merged_into = Some("first".to_owned());
            Arc::new(Incident { merged_into, ..Incident::clone(&incident(uid, High, false)) })
        };
        assert_eq!(sent(&mut followed, &[merged("unknown")]), []);
        let story = [incident("a", Medium, true), merged("a")];
        let expected = [Opened, Closed { from: Medium }];
        assert_eq!(sent(&mut followed, &story), expected.map(|change| ("a".to_owned(), change)));
    }

    #[test]
    fn one_that_is_over_before_anybody_heard_of_it_is_not_lost() {
        let mut followed = SentIncidents::new(Some(Low));
        let expected = [Opened, Closed { from: High }].map(|change| ("a".to_owned(), change));
        assert_eq!(sent(&mut followed, &[incident("a", High, false)]), expected);
        assert_eq!(sent(&mut followed, &[incident("b", Severity::Informational, false)]), []);
    }

    #[test]
    fn who_gets_none_still_gets_the_end_of_what_it_has() {
        let mut before = SentIncidents::new(Some(Low));
        sent(&mut before, &[incident("a", High, true), incident("b", High, true), incident("b", High, false)]);
        let stored = before.take_unsaved().unwrap();
        assert_eq!(before.take_unsaved(), None, "nothing changed since");
        let mut followed = SentIncidents::new(None);
        followed.restore(&stored).unwrap();
        assert_eq!(followed.open(), ["a"]);
        assert_eq!(sent(&mut followed, &[incident("c", Critical, true)]), []);
        assert_eq!(sent(&mut followed, &[incident("a", High, false)]), [("a".to_owned(), Closed { from: High })]);
        assert_eq!(followed.take_unsaved().as_deref(), Some("{}"));
        assert!(followed.restore("rubbish").is_err());
    }

    #[test]
    fn what_finds_no_room_waits_in_its_latest_state_and_is_bounded() {
        let mut followed = SentIncidents::new(Some(Low));
        followed.put(&incident("a", Low, true));
        let first = followed.next(7).unwrap();
        assert_eq!(followed.next(7).as_ref(), Some(&first), "it was not sent");
        followed.put(&incident("a", Critical, true));
        assert_eq!(followed.next(7).unwrap().incident.severity, Critical);
        followed.put(&incident("a", Critical, false));
        assert_eq!(sent(&mut followed, &[]), []);
        let lost = (0..10_000).filter(|n| !followed.put(&incident(&n.to_string(), High, true))).count();
        assert_eq!((followed.waiting.len(), lost), (MAX_WAITING, 10_001 - MAX_WAITING));
        let mut endless = SentIncidents::new(Some(Low));
        let all: Vec<_> = (0..10_000).map(|n| incident(&n.to_string(), High, true)).collect();
        sent(&mut endless, &all);
        assert_eq!(endless.open.len(), MAX_OPEN);
    }
}
