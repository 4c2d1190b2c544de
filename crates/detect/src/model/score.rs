//! How much a new behaviour says: how surprising it is, backed off to the nearest place that the profile knows, how rare it
//! is among workloads, and how grave its kind is.

use ethogram_model::{Score, ScorePart, Severity};

use crate::{
    Behaviour, Profile,
    behaviour::UNKNOWN,
    profile::{Bits, Novelty, alike},
};

/// A score with what it is made of.
#[derive(Debug, Clone)]
pub(super) struct Scored {
    pub(super) bits: Bits,
    parts: [(Bits, String); 3],
}

impl Scored {
    /// Of a behaviour that the profile does not hold. `others` are how many other workloads were asked, and how many of them
    /// show it.
    pub(super) fn of(
        behaviour: &Behaviour<'_>,
        profile: &Profile,
        (shown_by, others): (u64, u64),
        severity: Severity,
    ) -> Self {
        let (what, place) = nearest(behaviour, profile);
        let (active, novel) = place.windows();
        let surprise = (place.surprise(), format!("{what} in {novel} of {active} windows"));
        let rarity =
            (Bits::of(2 * shown_by + 1, 2 * others + 2), format!("{shown_by} of {others} other workloads show it"));
        let gravity = (gravity(severity), format!("{} severity", severity.name().to_ascii_lowercase()));
        let parts = [surprise, rarity, gravity];
        Self { bits: parts.iter().map(|(bits, _)| *bits).sum(), parts }
    }

    /// For a finding.
    pub(super) fn told(self, threshold: Bits) -> Score {
        let parts = self.parts.into_iter().map(|(bits, what)| ScorePart { bits: bits.tenths(), what });
        Score { bits: self.bits.tenths(), threshold: threshold.tenths(), parts: parts.collect() }
    }
}

/// The innermost place of the profile that the behaviour belongs to, and what would be new there.
fn nearest(behaviour: &Behaviour<'_>, profile: &Profile) -> (String, Novelty) {
    let Some(operation) = alike(behaviour).iter().find_map(|operation| profile.operations.get(*operation)) else {
        return ("another kind of operation was new".into(), profile.novelty);
    };
    let executable = [&*behaviour.executable, UNKNOWN].into_iter().find_map(|name| operation.executables.get(name));
    let name = behaviour.operation;
    match executable {
        Some(executable) => (format!("another object of {name} was new to this executable"), executable.novelty),
        None => (format!("another executable was new to {name}"), operation.novelty),
    }
}

/// How much likelier a behaviour of such a kind is in an attack than in ordinary life, as bits. Chosen so that what gives
/// away or decides much outweighs a place in which something new turns up in every other window.
fn gravity(severity: Severity) -> Bits {
    Bits::whole(match severity {
        Severity::Informational => -2,
        Severity::Low => 0,
        Severity::Medium => 3,
        Severity::High => 8,
        Severity::Critical => 12,
    })
}
