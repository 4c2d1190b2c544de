//! Whether a profile knows its workload: by windows of the time in which the agent looked at it.

use ethogram_model::ObjectKind;
use serde::{Deserialize, Serialize};

use super::{Profile, peers};
use crate::{Behaviour, behaviour::OUTSIDE, model::finding::duration};

/// How far a profile is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is being learnt, and what is new is not told; with a predecessor, only what is grave.
    #[default]
    Learning,
    /// It judges, but the agent saw only part of what the workload does: no start of any of its containers, or events
    /// were lost. What the next start brings is learnt, unless it is grave.
    Partial,
    /// It judges.
    Stable,
    /// It judges, but much that is new has come of late: the workload has changed, and somebody should look.
    Drifted,
}

impl State {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Partial => "partial",
            Self::Stable => "stable",
            Self::Drifted => "drifted",
        }
    }
}

/// What happened within a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    number: u64,
    /// Behaviours seen.
    seen: u64,
    /// Of these, such as the profile did not hold.
    new: u64,
    /// Whether events were lost.
    lossy: bool,
}

/// Windows of a learning period.
pub(crate) const WINDOWS: u64 = 10;
/// Of so many behaviours, one may be new in a quiet window.
const SEEN_FOR_ONE_NEW: u64 = 1_000;
/// Learning periods after which a workload is judged even if it never was quiet: what is always new is no surprise.
const MOST_PERIODS: u64 = 4;
/// New behaviours within a window that make a judged workload one that has changed, and of how many seen one is.
const DRIFT: (u64, u64) = (16, 100);

/// A window is never shorter, nanoseconds.
const SHORTEST_NS: u64 = 100_000_000;

/// How long windows are, nanoseconds.
pub(crate) fn window_ns(learning_period_ns: u64) -> u64 {
    learning_period_ns.div_ceil(WINDOWS).max(SHORTEST_NS)
}

impl Window {
    fn is_quiet(&self) -> bool {
        !self.lossy && (self.new == 0 || self.new.saturating_mul(SEEN_FOR_ONE_NEW) < self.seen)
    }

    fn is_drift(&self) -> bool {
        self.new >= DRIFT.0 && self.new.saturating_mul(DRIFT.1) > self.seen
    }
}

impl Profile {
    /// How far it is.
    pub fn state(&self) -> State {
        match () {
            () if !self.is_judged => State::Learning,
            () if self.is_drifted => State::Drifted,
            () if (self.starts == 0 || self.is_lossy) && self.approved_ns.is_none() => State::Partial,
            () => State::Stable,
        }
    }

    /// What it lacks to be stable, in words.
    pub(crate) fn missing(&self, learning_period_ns: u64) -> Vec<String> {
        let mut out = Vec::new();
        let quiet = [self.window, self.before].iter().rev().take_while(|w| w.is_quiet()).count();
        let windows =
            || format!("two windows of {} in a row with next to nothing new", duration(window_ns(learning_period_ns)));
        match self.state() {
            State::Learning => {
                let left_ns = learning_period_ns.saturating_sub(self.watched_ns);
                if left_ns > 0 {
                    out.push(format!("{} more of looking", duration(left_ns.max(1_000_000_000))));
                } else if quiet < 2 {
                    out.push(windows());
                }
                if self.starts == 0 {
                    out.push("no start of a container seen".to_owned());
                }
            }
            State::Partial => {
                if self.starts == 0 {
                    out.push("no start of a container seen".to_owned());
                }
                if self.is_lossy {
                    out.push("events were lost while it was learnt: reset it, or approve it as it is".to_owned());
                }
            }
            State::Drifted => out.push(format!("much is new of late: {}, or that somebody approves it", windows())),
            State::Stable => {}
        }
        out
    }

    /// The number of the window that it is in.
    pub(crate) fn window(&self) -> u64 {
        self.window.number
    }

    /// The agent has looked for so much longer. Goes through the windows that are over by now.
    pub(crate) fn watch(&mut self, ns: u64, learning_period_ns: u64) -> bool {
        let length = window_ns(learning_period_ns);
        let untested_until_ns = self.watched_ns.max(learning_period_ns / 2);
        self.watched_ns = self.watched_ns.saturating_add(ns);
        let tested_ns = self.watched_ns.saturating_sub(untested_until_ns);
        self.normal_news_ns = self.normal_news_ns.saturating_add(tested_ns);
        let mut changed = false;
        if learning_period_ns == 0 && !self.is_judged {
            self.end_learning(self.watched_ns);
            changed = true;
        }
        let now = self.watched_ns / length;
        while self.window.number < now {
            changed |= self.end_window(length, learning_period_ns);
            if self.is_idle() {
                // Nothing happens from here on.
                let next = self.window.number + 1;
                let halves = if self.predecessor.is_some() { 2 } else { 1 };
                let enough = learning_period_ns.div_ceil(length * halves).max(next);
                if !self.is_judged && enough <= now {
                    self.end_learning(enough.saturating_mul(length));
                    changed = true;
                }
                if next <= now {
                    changed |= std::mem::take(&mut self.is_drifted);
                }
                self.window.number = now;
            }
        }
        if !self.is_judged {
            self.learnt_ns = self.watched_ns;
        }
        changed
    }

    /// Whether nothing has happened in this window and the one before.
    fn is_idle(&self) -> bool {
        [self.window, self.before].iter().all(|window| Window { number: 0, ..*window } == Window::default())
    }

    /// Whether what is new to it says how much is new of normal behaviour: it has been learnt for half of the period.
    pub(crate) fn is_tested(&self, learning_period_ns: u64) -> bool {
        self.watched_ns >= learning_period_ns / 2
    }

    /// Whether what it holds or how it judges changed.
    fn end_window(&mut self, length: u64, learning_period_ns: u64) -> bool {
        let over = self.window;
        // Two windows in a row have to be quiet.
        let is_quiet = over.is_quiet() && self.before.is_quiet();
        self.before = over;
        self.window = Window { number: over.number + 1, ..Window::default() };
        let end_ns = self.window.number.saturating_mul(length);
        if !self.is_judged {
            // What another version has learnt counts for half.
            let (least, most) = match self.predecessor {
                Some(_) => (learning_period_ns / 2, learning_period_ns),
                None => (learning_period_ns, learning_period_ns.saturating_mul(MOST_PERIODS)),
            };
            let (is_long, is_overdue) = (end_ns >= least, end_ns >= most);
            if is_long && is_quiet || is_overdue {
                self.is_lossy = over.lossy || self.before.lossy;
                self.end_learning(end_ns);
                return true;
            }
            return false;
        }
        let was = self.is_drifted;
        self.is_drifted = over.is_drift() || was && !is_quiet;
        was != self.is_drifted
    }

    fn end_learning(&mut self, at_ns: u64) {
        self.is_judged = true;
        self.learnt_ns = at_ns;
        self.predecessor = None;
    }

    /// A start of one of its containers was seen. With the first, what comes with it is new to a profile that was learnt from
    /// containers that ran already.
    pub(crate) fn note_start(&mut self, lenient_ns: u64) {
        if self.starts == 0 && self.is_judged {
            self.lenient_until_ns = self.watched_ns.saturating_add(lenient_ns);
        }
        self.starts = self.starts.saturating_add(1);
    }

    /// Whether something new is learnt, and not judged. What is grave or the first of its kind is not, where it comes with a
    /// start or another version; and with a start neither is what came from outside, or goes beyond the own network.
    pub(crate) fn learns(&self, behaviour: &Behaviour<'_>, is_odd: bool, is_locked: bool) -> bool {
        if is_locked || self.approved_ns.is_some() {
            return false;
        }
        if behaviour.is_start || !self.is_judged && self.predecessor.is_none() {
            return true;
        }
        let is_of_start = self.watched_ns < self.lenient_until_ns
            && behaviour.executable != OUTSIDE
            && !(behaviour.kind == ObjectKind::Peer && peers::is_public(&behaviour.object));
        !is_odd && (is_of_start || self.predecessor.is_some())
    }

    /// Somebody has said that it is right.
    pub(crate) fn approve(&mut self, now_ns: u64) {
        if !self.is_judged {
            self.end_learning(self.watched_ns);
        }
        self.approved_ns = Some(now_ns);
        self.is_drifted = false;
    }

    /// So many behaviours were seen in this window.
    pub(crate) fn count_seen(&mut self, times: u64) {
        self.observations = self.observations.saturating_add(times);
        self.window.seen = self.window.seen.saturating_add(times);
    }

    /// One was new.
    pub(crate) fn count_new(&mut self) {
        self.window.new = self.window.new.saturating_add(1);
    }

    /// Events were lost in this window.
    pub(crate) fn count_loss(&mut self) {
        self.window.lossy = true;
    }
}
