//! What tests of rules gave of texts in which secrets were masked afterwards.

use serde::{Deserialize, Serialize};

/// What a test gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// There was nothing to test.
    Absent,
    /// It did not hold.
    No,
    /// It held.
    Yes,
}

impl Answer {
    /// As a byte.
    pub fn to_byte(self) -> u8 {
        match self {
            Self::Absent => 0,
            Self::No => 1,
            Self::Yes => 2,
        }
    }

    /// The answer that a byte stands for.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Absent, Self::No, Self::Yes].into_iter().find(|answer| answer.to_byte() == byte)
    }
}

/// The answers of tests that give something else of the masked text, by what stands for the test. Secrets are nowhere in
/// it: it says of each test whether it held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Answers(Vec<(u64, Answer)>);

impl Answers {
    /// Answers kept at most.
    pub const MAX: usize = 4_096;

    /// Of these, in any order.
    pub fn new(answers: impl IntoIterator<Item = (u64, Answer)>) -> Self {
        let mut all: Vec<_> = answers.into_iter().take(Self::MAX).collect();
        all.sort_unstable();
        all.dedup_by_key(|(test, _)| *test);
        Self(all)
    }

    /// What a test gave; none where it gives the same of what is left.
    pub fn of(&self, test: u64) -> Option<Answer> {
        let place = self.0.binary_search_by_key(&test, |(test, _)| *test).ok()?;
        self.0.get(place).map(|(_, answer)| *answer)
    }

    /// All of them, by test.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Answer)> {
        self.0.iter().copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether all tests give the same.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_by_their_test() {
        let answers = Answers::new([(9, Answer::No), (2, Answer::Yes), (9, Answer::No)]);
        assert_eq!((answers.of(2), answers.of(9), answers.of(3)), (Some(Answer::Yes), Some(Answer::No), None));
        assert_eq!(answers.len(), 2);
        for answer in [Answer::Absent, Answer::No, Answer::Yes] {
            assert_eq!(Answer::from_byte(answer.to_byte()), Some(answer));
        }
        assert_eq!(Answer::from_byte(3), None);
    }
}
