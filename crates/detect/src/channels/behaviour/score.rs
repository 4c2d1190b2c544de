//! How much a new behaviour says: how surprising it is, backed off to the nearest place that the profile knows, how rare it
//! is among workloads, and how severe its kind is.

use ethogram_model::{Score, ScorePart, Severity, render};

use super::{Behaviour, BehaviourChannel};
use crate::{
    learning::{Bits, Novelty},
    subject::program::UNKNOWN,
};

/// A score with what it is made of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scored {
    parts: Vec<Part>,
}

/// What one thing adds to a score.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) bits: Bits,
    /// In words.
    pub(crate) what: String,
}

impl Scored {
    /// Of a behaviour that the channel does not hold. `others` are how many other workloads were asked, and how many of them
    /// show it.
    pub(crate) fn of(
        behaviour: &Behaviour<'_>,
        channel: &BehaviourChannel,
        others: (u64, u64),
        severity: Severity,
    ) -> Self {
        Self::default().with(surprise(behaviour, channel)).with(rarity(others)).with(weight(severity))
    }

    /// With one thing more.
    pub(crate) fn with(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// All in all.
    pub(crate) fn bits(&self) -> Bits {
        self.parts.iter().map(|part| part.bits).sum()
    }

    /// For a finding.
    pub(crate) fn to_score(&self, threshold: Bits) -> Score {
        let parts = self.parts.iter().map(|part| ScorePart { bits: part.bits.tenths(), what: part.what.clone() });
        Score { bits: self.bits().tenths(), threshold: threshold.tenths(), parts: parts.collect() }
    }
}

fn surprise(behaviour: &Behaviour<'_>, channel: &BehaviourChannel) -> Part {
    let (what, place) = nearest(behaviour, channel);
    let (active, novel) = place.windows();
    Part { bits: place.surprise(), what: format!("{what} in {novel} of {active} windows") }
}

fn rarity((shown_by, others): (u64, u64)) -> Part {
    let what = format!("{shown_by} of {others} other workloads show it");
    Part { bits: Bits::of(2 * shown_by + 1, 2 * others + 2), what }
}

/// The innermost place of the channel that the behaviour belongs to, and what would be new there: from the file to its folder, to
/// what that lies in, to all that the executable does, as language models back off from long contexts to shorter ones (Katz,
/// "Estimation of probabilities from sparse data", 1987).
fn nearest(behaviour: &Behaviour<'_>, channel: &BehaviourChannel) -> (String, Novelty) {
    let Some(operation) = channel.equivalents(behaviour).into_iter().next() else {
        return ("another kind of operation was new".into(), channel.novelty);
    };
    let executable = operation.does(behaviour).next().or_else(|| operation.executables.get(UNKNOWN));
    let name = behaviour.operation;
    let that = if behaviour.is_code() { " that can be run" } else { "" };
    if let Some((folder, novelty)) = executable.and_then(|executable| executable.objects.novelty_around(behaviour)) {
        return (format!("something new to {name}{that} came to {}", render::escape(folder)), novelty);
    }
    match executable {
        Some(executable) if executable.objects.is_first_code(behaviour) => {
            let what = format!("something to {name}{that} was new to this executable");
            (what, executable.novelty.without_news())
        }
        Some(executable) => (format!("another object of {name} was new to this executable"), executable.novelty),
        None => (format!("another executable was new to {name}"), operation.novelty),
    }
}

/// How much likelier a behaviour of such a kind is in an attack than in ordinary life. Chosen so that what gives
/// away or decides much outweighs a place in which something new turns up in every other window.
fn weight(severity: Severity) -> Part {
    let bits = Bits::whole(match severity {
        Severity::Informational => -2,
        Severity::Low => 0,
        Severity::Medium => 3,
        Severity::High => 8,
        Severity::Critical => 12,
    });
    Part { bits, what: format!("{} severity", severity.name().to_ascii_lowercase()) }
}
