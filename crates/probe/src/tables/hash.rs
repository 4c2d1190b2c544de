//! The hash by which the kernel's tables know things, as `include/hash.bpf.h` has it.

use std::hash::{BuildHasher, RandomState};

/// What attackers must not know: with it, they could choose a thing that stands for another.
#[derive(Clone, Copy)]
pub(crate) struct HashKey {
    /// Where a hash begins.
    pub(crate) salt: u64,
    secrets: [u64; 2],
}

/// A key is in no log.
impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashKey").finish_non_exhaustive()
    }
}

impl HashKey {
    /// Another one each time.
    pub(crate) fn random() -> Self {
        // It is seeded by the operating system, and what it gives does not show that seed.
        let source = RandomState::new();
        Self { salt: source.hash_one(0), secrets: [source.hash_one(1), source.hash_one(2)] }
    }

    /// The constants of objects that it is written to.
    pub(crate) fn constants(&self) -> [(&'static str, Vec<u8>); 2] {
        let secrets = self.secrets.into_iter().flat_map(u64::to_ne_bytes);
        [("agent_salt", self.salt.to_ne_bytes().to_vec()), ("agent_secrets", secrets.collect())]
    }

    /// The hash with one word more.
    pub(crate) fn mixed(&self, hash: u64, word: u64) -> u64 {
        let [for_hash, for_word] = self.secrets;
        let product = u128::from(hash ^ for_hash) * u128::from(word ^ for_word);
        product as u64 ^ (product >> 64) as u64
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{
        collections::HashMap,
        io::Write as _,
        process::{Command, Stdio},
    };

    use super::*;

    /// Numbers, the same in each run.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ z >> 31
        }

        fn key(&mut self) -> HashKey {
            HashKey { salt: self.next(), secrets: [self.next(), self.next()] }
        }
    }

    fn hash(key: &HashKey, words: &[u64]) -> u64 {
        words.iter().fold(key.salt, |hash, word| key.mixed(hash, *word))
    }

    /// All words that differ from these by one bit, or by two, in one word or in two.
    fn close_to(words: [u64; 2]) -> impl Iterator<Item = [u64; 2]> {
        let both = u128::from(words[0]) << 64 | u128::from(words[1]);
        let one = (0..128).map(|bit| 1u128 << bit);
        let two = (0..128).flat_map(|bit| (0..bit).map(move |other| 1u128 << bit | 1 << other));
        one.chain(two).map(move |flips| [((both ^ flips) >> 64) as u64, (both ^ flips) as u64])
    }

    #[test]
    fn no_difference_of_one_or_two_bits_is_an_equality_whatever_the_key() {
        let mut numbers = Numbers(1);
        for round in 0..40 {
            let key = numbers.key();
            // What attackers choose is seldom random: names and addresses are small, or mostly zeroes.
            let words = match round % 4 {
                0 => [0, 0],
                1 => [u64::MAX, u64::MAX],
                2 => [numbers.next() & 0xff, numbers.next() & 0xff],
                _ => [numbers.next(), numbers.next()],
            };
            let mut seen = HashMap::from([(hash(&key, &words), words)]);
            for other in close_to(words) {
                // Words that follow change nothing about it.
                for tail in [vec![], vec![0], vec![numbers.next()]] {
                    let [a, b] = [words, other].map(|w| hash(&key, &[&w[..], &tail].concat()));
                    assert_ne!(a, b, "{words:x?} and {other:x?}, {tail:x?}");
                }
                // Nor is it otherwise where the first word hides behind the hash.
                let pair = |[a, b]: [u64; 2]| key.mixed(key.salt ^ a, b);
                assert_ne!(pair(words), pair(other), "{words:x?} and {other:x?}");
                // Neither are two of those that differ.
                if let Some(twin) = seen.insert(hash(&key, &other), other) {
                    panic!("{twin:x?} and {other:x?}");
                }
            }
        }
    }

    #[test]
    fn words_in_another_order_or_number_are_others() {
        let mut numbers = Numbers(2);
        for _ in 0..20_000 {
            let key = numbers.key();
            let (a, b) = (numbers.next() & 0xffff | 1, numbers.next());
            let all = [vec![a, b], vec![b, a], vec![a], vec![b], vec![a, b, 0], vec![0, a, b], vec![a ^ b, 0], vec![]];
            let hashes: HashMap<_, _> = all.iter().map(|words| (hash(&key, words), words)).collect();
            assert_eq!(hashes.len(), all.len(), "{a:x} {b:x}");
        }
    }

    #[test]
    fn another_key_has_other_hashes() {
        let (one, other) = (HashKey::random(), HashKey::random());
        assert_ne!(hash(&one, &[1, 2]), hash(&other, &[1, 2]));
        assert!(!format!("{one:?}").contains(&one.salt.to_string()), "a key is in no log");
    }

    /// Compiles the C for this machine and has it hash the same words.
    #[test]
    fn it_is_the_hash_that_the_programs_have() {
        const MAIN: &str = r#"
            #include <stdint.h>
            #include <stdio.h>
            typedef uint64_t u64;
            typedef uint32_t u32;
            #define __always_inline inline
            #define __noinline __attribute__((noinline))
            #define const
            #define volatile
            #include "hash.bpf.h"
            int main(void)
            {
                u64 hash, word;
                while (scanf("%lx %lx %lx %lx", &agent_secrets[0], &agent_secrets[1], &hash, &word) == 4)
                    printf("%lx\n", mixed(hash, word));
                return 0;
            }
        "#;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("hash");
        let include = concat!(env!("CARGO_MANIFEST_DIR"), "/include");
        let mut compiler = Command::new(std::env::var("CLANG").unwrap_or_else(|_| "clang".into()))
            .args(["-O1", "-I", include, "-x", "c", "-", "-o"])
            .arg(&program)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        compiler.stdin.take().unwrap().write_all(MAIN.as_bytes()).unwrap();
        assert!(compiler.wait().unwrap().success());
        let (mut numbers, edges) = (Numbers(3), [0, 1, u64::from(u32::MAX), 1 << 63, u64::MAX]);
        let mut words: Vec<[u64; 4]> = (0..2000).map(|_| [(); 4].map(|()| numbers.next())).collect();
        words.extend(edges.iter().flat_map(|a| edges.map(|b| [0, 0, *a, b])));
        words.extend(edges.iter().flat_map(|a| edges.map(|b| [*a, b, u64::MAX, 1])));
        let asked: String = words.iter().map(|[a, b, c, d]| format!("{a:x} {b:x} {c:x} {d:x}\n")).collect();
        let input = folder.path().join("input");
        std::fs::write(&input, asked).unwrap();
        let output = Command::new(program).stdin(std::fs::File::open(input).unwrap()).output().unwrap();
        let here = words.iter().map(|[a, b, hash, word]| HashKey { salt: 0, secrets: [*a, *b] }.mixed(*hash, *word));
        let here: Vec<_> = here.map(|hash| format!("{hash:x}")).collect();
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().collect::<Vec<_>>(), here);
    }
}
