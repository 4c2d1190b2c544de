//! Answers by the shape of the incident that they are about.

use std::collections::{BTreeMap, VecDeque};

use super::answer::Answer;

/// Answers that are kept; the oldest go.
const MAX_ANSWERS: usize = 512;

/// The latest answers, each with when it was asked for.
#[derive(Default)]
pub(super) struct Cache {
    answers: BTreeMap<String, (Answer, u64)>,
    order: VecDeque<String>,
}

impl Cache {
    pub(super) fn get(&self, shape: &str) -> Option<&(Answer, u64)> {
        self.answers.get(shape)
    }

    pub(super) fn insert(&mut self, shape: String, answer: Answer, asked_ns: u64) {
        if self.answers.insert(shape.clone(), (answer, asked_ns)).is_none() {
            self.order.push_back(shape);
        }
        while self.order.len() > MAX_ANSWERS {
            let Some(oldest) = self.order.pop_front() else { return };
            self.answers.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use ethogram_model::Verdict;

    use super::*;

    #[test]
    fn the_oldest_go() {
        let mut cache = Cache::default();
        let answer = || Answer { verdict: Verdict::Unclear, reason: String::new(), look_at: Vec::new() };
        (0..=MAX_ANSWERS as u64).for_each(|n| cache.insert(n.to_string(), answer(), n));
        cache.insert("7".to_owned(), answer(), 9_000);
        assert!(cache.get("0").is_none() && cache.get("1").is_some());
        assert_eq!(cache.get("7").map(|(_, asked_ns)| *asked_ns), Some(9_000));
        assert_eq!((cache.answers.len(), cache.order.len()), (MAX_ANSWERS, MAX_ANSWERS));
    }
}
