//! What speaks against one process: per kind of observation the few greatest surprises, corrected
//! for how often it was tried, summed with reasons.

use super::event::Op;

/// Surprises kept per kind; each next one weighs half as much.
const KEPT: usize = 3;
/// Most bits one kind of observation may add, so that one noisy kind never decides alone.
const CAP: f64 = 14.0;
/// Share of what a trusted program's identity surprises by: systems bring new programs of their own.
const TRUSTED: f64 = 0.35;
/// The same for a program in the own folder of a known one.
const FAMILIAR: f64 = 0.6;
/// Share of ordinary activity (files, keys, peers) for programs seen while learning, and for others.
const KNOWN: f64 = 0.3;
/// See `KNOWN`.
const UNKNOWN: f64 = 0.6;
/// Most bits that ordinary activity adds.
const ORDINARY_CAP: f64 = 6.0;
/// Bits of identity from which the prior counts fully.
const STAKES_FULL: f64 = 4.0;
/// Longest text kept with a reason, in bytes.
const TEXT: usize = 160;

/// How far a new program is to be expected where it lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Trust {
    /// Not at all: a folder that users write to, or a program that intrusions use.
    #[default]
    None,
    /// The own folder of a program that is known.
    Familiar,
    /// A folder that only administrators write to.
    System,
}

/// One surprise with what it was about.
#[derive(Clone, Debug, Default)]
struct Mark {
    bits: f64,
    hash: u64,
    text: Box<str>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    trials: u32,
    last: u64,
    marks: Vec<Mark>,
}

/// The surprises of one process.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    slots: Vec<(Op, Slot)>,
    /// Bits of prior for what the program is.
    pub stakes: f64,
    /// How far a new program of its kind is to be expected.
    pub trust: Trust,
    /// Whether the program was seen while learning.
    pub known: bool,
}

/// One reason for a score.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// Bits it adds.
    pub bits: f64,
    /// What kind of observation it is.
    pub op: Op,
    /// The name it is about.
    pub text: String,
}

impl Evidence {
    /// Adds an observation of `bits` about the name `text` whose generalised form hashes to `hash`.
    /// The same name again is no new trial.
    pub(super) fn add(&mut self, op: Op, bits: f64, hash: u64, text: &str) {
        let index = match self.slots.iter().position(|(o, _)| *o == op) {
            Some(i) => i,
            None => {
                self.slots.push((op, Slot::default()));
                self.slots.len() - 1
            }
        };
        let Some((_, slot)) = self.slots.get_mut(index) else {
            return;
        };
        if slot.last == hash && slot.trials > 0 {
            return;
        }
        slot.last = hash;
        slot.trials = slot.trials.saturating_add(1);
        if bits <= 0.5 || slot.marks.iter().any(|m| m.hash == hash) {
            return;
        }
        let at = slot.marks.iter().position(|m| m.bits < bits).unwrap_or(slot.marks.len());
        if at < KEPT {
            let end = (0..=TEXT.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
            slot.marks.insert(at, Mark { bits, hash, text: text[..end].into() });
            slot.marks.truncate(KEPT);
        }
    }

    /// Bits of one kind: the kept surprises, each less log2 of how many names were tried (the
    /// correction of Bonferroni), halved from one to the next.
    fn of_slot(op: Op, slot: &Slot) -> f64 {
        let tried = match op {
            Op::Image | Op::Parent | Op::Child => 0.0,
            _ => f64::from(slot.trials).log2().max(0.0),
        };
        let mut weight = 1.0;
        let mut sum = 0.0;
        for mark in &slot.marks {
            sum += weight * (mark.bits - tried).max(0.0);
            weight /= 2.0;
        }
        sum.min(CAP)
    }

    /// How much a kind counts for this process.
    fn weight(&self, op: Op) -> f64 {
        match op {
            Op::Image | Op::Child | Op::Parent => match self.trust {
                Trust::System => TRUSTED,
                Trust::Familiar => FAMILIAR,
                Trust::None => 1.0,
            },
            Op::Script | Op::Code | Op::UserModule | Op::Secrets | Op::Opened => 1.0,
            Op::Load | Op::Write | Op::Read | Op::Key | Op::Peer | Op::Open => {
                if self.known || self.trust == Trust::System { KNOWN } else { UNKNOWN }
            }
        }
    }

    /// All bits: what the process is and where it comes from, what it did, and what is at stake
    /// where it is unusual to be there at all.
    pub(super) fn score(&self) -> f64 {
        let (plain, severe) = self.parts();
        plain + severe
    }

    /// The score in two parts: identity, ordinary activity and prior; and acts that are severe
    /// in any process (code for users' folders, scripts, access to other processes).
    pub(super) fn parts(&self) -> (f64, f64) {
        let (mut identity, mut severe, mut ordinary, mut files) = (0.0, 0.0, 0.0, 0.0f64);
        for (op, slot) in &self.slots {
            let bits = self.weight(*op) * Self::of_slot(*op, slot);
            match op {
                Op::Image | Op::Child | Op::Parent => identity += bits,
                Op::Script | Op::Code | Op::UserModule | Op::Secrets | Op::Opened => severe += bits,
                // Most files are read and written: that is one surprise, not two.
                Op::Write | Op::Read => files = files.max(bits),
                Op::Load | Op::Key | Op::Peer | Op::Open => ordinary += bits,
            }
        }
        let prior = self.stakes * (identity / STAKES_FULL).min(1.0);
        (identity + prior + (ordinary + files).min(ORDINARY_CAP), severe)
    }

    /// Bits of what the process is and where it comes from alone.
    pub(super) fn identity(&self) -> f64 {
        self.slots
            .iter()
            .filter(|(op, _)| matches!(op, Op::Image | Op::Child | Op::Parent))
            .map(|(op, slot)| self.weight(*op) * Self::of_slot(*op, slot))
            .sum()
    }

    /// The reasons, greatest first.
    pub(super) fn reasons(&self) -> Vec<Reason> {
        let mut out: Vec<Reason> = self
            .slots
            .iter()
            .filter_map(|(op, s)| {
                let bits = self.weight(*op) * Self::of_slot(*op, s);
                let mark = s.marks.first()?;
                (bits > 0.5).then(|| Reason { bits, op: *op, text: mark.text.to_string() })
            })
            .collect();
        out.sort_by(|a, b| b.bits.total_cmp(&a.bits).then(a.op.cmp(&b.op)));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_tries_make_one_surprise_less_surprising() {
        let (mut busy, mut calm) = (Evidence::default(), Evidence::default());
        for i in 0..1000 {
            busy.add(Op::Code, 0.0, i, "usual");
        }
        busy.add(Op::Code, 8.0, 5000, "new");
        calm.add(Op::Code, 8.0, 5000, "new");
        assert!(calm.score() > 7.9);
        assert_eq!(busy.score(), 0.0);
    }

    #[test]
    fn one_kind_is_capped_and_memory_is_bounded() {
        let mut e = Evidence::default();
        for i in 0..100_000u64 {
            e.add(Op::Image, 50.0 + i as f64, i + 1, &"x".repeat(1000));
        }
        assert!(e.score() <= CAP);
        assert!(e.slots.iter().all(|(_, s)| s.marks.len() <= KEPT && s.marks.iter().all(|m| m.text.len() <= TEXT)));
    }

    #[test]
    fn the_prior_alone_is_nothing() {
        let e = Evidence { stakes: 10.0, ..Evidence::default() };
        assert_eq!(e.score(), 0.0);
    }
}
