//! What was seen of an operation beyond what a profile holds: a Bloom filter, which may take a little for seen that was not,
//! and nothing for new that was.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::Behaviour;

/// Words of 64 bits: 4 KiB.
const WORDS: usize = 512;
const BITS: u64 = 64 * WORDS as u64;
/// Bits of each behaviour.
const HASHES: u64 = 5;
/// Bits set from which on nothing is added: one in 32 new behaviours is taken for seen then, and no more.
const FULL: u32 = (BITS / 2) as u32;

/// A sketch of what was seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sketch {
    /// Of the hash, so that nobody can choose what is taken for seen.
    key: (u64, u64),
    words: Vec<u64>,
}

impl Sketch {
    /// An empty one. Its key comes of when something was seen, to the nanosecond, which no program chooses, and a recording repeats.
    pub(super) fn new(behaviour: &Behaviour<'_>, time_ns: u64) -> Self {
        let seed = (time_ns, time_ns.rotate_left(32));
        let key = (keyed_hash(seed, &name(behaviour)), keyed_hash((!seed.0, seed.1), &name(behaviour)));
        Self { key, words: vec![0; WORDS] }
    }

    /// Adds a behaviour. False where there is no room.
    pub(super) fn insert(&mut self, behaviour: &Behaviour<'_>) -> bool {
        if self.words.iter().map(|word| word.count_ones()).sum::<u32>() >= FULL {
            return false;
        }
        for bit in self.bits(behaviour) {
            if let Some(word) = self.words.get_mut((bit / 64) as usize) {
                *word |= 1 << (bit % 64);
            }
        }
        true
    }

    /// Whether a behaviour was seen.
    pub(super) fn contains(&self, behaviour: &Behaviour<'_>) -> bool {
        self.bits(behaviour)
            .all(|bit| self.words.get((bit / 64) as usize).is_some_and(|word| word >> (bit % 64) & 1 == 1))
    }

    /// Two hashes are as good as many: Kirsch and Mitzenmacher, "Less hashing, same performance", 2006.
    fn bits(&self, behaviour: &Behaviour<'_>) -> impl Iterator<Item = u64> + use<> {
        let hash = keyed_hash(self.key, &name(behaviour));
        let (first, step) = (hash >> 32, hash & u64::from(u32::MAX) | 1);
        (0..HASHES).map(move |n| (first + n * step) % BITS)
    }
}

fn name(behaviour: &Behaviour<'_>) -> Vec<u8> {
    [behaviour.executable.as_bytes(), behaviour.object.as_bytes()].join(&0)
}

impl Sketch {
    /// Its key and its words, in hexadecimal.
    pub(super) fn to_text(&self) -> String {
        let words = [self.key.0, self.key.1].into_iter().chain(self.words.iter().copied());
        words.map(|word| format!("{word:016x}")).collect()
    }

    pub(super) fn of_text(text: &str) -> Option<Self> {
        let word = |digits: &[u8]| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let words: Vec<u64> = text.as_bytes().chunks(16).map(word).collect::<Option<_>>()?;
        let ([one, two], words) = words.split_first_chunk()?;
        (words.len() == WORDS).then(|| Self { key: (*one, *two), words: words.to_vec() })
    }
}

impl Serialize for Sketch {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.to_text().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Sketch {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::of_text(&text).ok_or_else(|| D::Error::custom("no sketch of 4 KiB with its key, in hexadecimal"))
    }
}

/// SipHash-2-4: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012.
fn keyed_hash((k0, k1): (u64, u64), data: &[u8]) -> u64 {
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let (chunks, rest) = data.as_chunks::<8>();
    for chunk in chunks {
        absorb(&mut v, u64::from_le_bytes(*chunk));
    }
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    absorb(&mut v, u64::from_le_bytes(last) | (data.len() as u64) << 56);
    v[2] ^= 0xff;
    (0..4).for_each(|_| round(&mut v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn absorb(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    round(v);
    round(v);
    v[0] ^= word;
}

fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ethogram_model::ObjectKind;

    use super::*;

    fn run(program: &str) -> Behaviour<'_> {
        Behaviour::by_name("execute", "/bin/sh", program, ObjectKind::Executable, true)
    }

    #[test]
    fn the_hash_is_siphash() {
        let key = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let data: Vec<u8> = (0..15).collect();
        assert_eq!(keyed_hash(key, &data), 0xa129_ca61_49be_45e5);
        assert_eq!(keyed_hash(key, &[]), 0x726f_db47_dd0e_0e31);
    }

    #[test]
    fn what_was_seen_is_known_and_little_else() {
        let mut sketch = Sketch::new(&run("/a"), 1);
        let names: Vec<String> = (0..10_000).map(|n| format!("/opt/x{n}")).collect();
        let fitted = names.iter().take_while(|name| sketch.insert(&run(name))).count();
        assert!(fitted > 4_000, "{fitted}");
        assert!(names[..fitted].iter().all(|name| sketch.contains(&run(name))));
        let others = (0..10_000).filter(|n| sketch.contains(&run(&format!("/tmp/y{n}")))).count();
        assert!(others < 500, "{others}");
        assert!(!Sketch::new(&run("/a"), 1).contains(&run("/a")));
    }

    #[test]
    fn it_is_stored_and_keyed() {
        let (mut one, mut other) = (Sketch::new(&run("/a"), 1), Sketch::new(&run("/a"), 2));
        assert!(one.insert(&run("/a")) && other.insert(&run("/a")));
        assert_ne!(one.words, other.words);
        let stored = serde_json::to_string(&one).unwrap();
        assert!(stored.len() < 9_000, "{}", stored.len());
        assert_eq!(serde_json::from_str::<Sketch>(&stored).unwrap(), one);
        for wrong in ["\"\"", "\"00\"", "7"] {
            assert!(serde_json::from_str::<Sketch>(wrong).is_err(), "{wrong}");
        }
    }
}
