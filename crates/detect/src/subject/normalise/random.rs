//! Words that nobody made up: ids, hashes, data.

/// From so many characters on a word with digits in it is none that people made up.
const LONG: usize = 32;
/// Bits that a character of a name can carry: of sixteen, and of all that names are made of where case does not matter.
const HEX_BITS: usize = 4;
const OTHER_BITS: usize = 5;
/// What stands for one byte that is no letter.
const ESCAPE: char = '\\';

/// How many bits of data a label of a domain name can carry: only what is random in it counts, as words, numbers and addresses
/// are what names are made of.
pub(crate) fn information(label: &str) -> usize {
    let label = label.to_ascii_lowercase();
    let bytes = 8 * label.matches(ESCAPE).count();
    let bits = |word: &str| match word.len() {
        length if is_hex(word) => HEX_BITS * length,
        length if is_random(word) || length >= LONG && Shape::of(word).digits >= 2 => OTHER_BITS * length,
        _ => 0,
    };
    bytes + label.split(|c: char| !c.is_ascii_alphanumeric()).map(bits).sum::<usize>()
}

/// Whether a word is a hash or an id in hexadecimal, and neither `deadbeef` nor `decade2020`.
pub(super) fn is_hex(word: &str) -> bool {
    let one_case =
        !(word.contains(|c: char| c.is_ascii_uppercase()) && word.contains(|c: char| c.is_ascii_lowercase()));
    if word.len() < 8 || !one_case || !word.bytes().all(|b| b.is_ascii_hexdigit()) {
        return false;
    }
    let shape = Shape::of(word);
    match word.len() {
        8..12 => shape.digits >= 2 && shape.changes >= 2,
        12..32 => shape.digits >= 2,
        _ => true,
    }
}

/// Whether a word is made by a random generator: it changes between digits and letters, upper and lower, far more
/// often than names that people make up (`Log4j2Config`, `utf8mb4`, `md5sum`).
pub(super) fn is_random(word: &str) -> bool {
    if word.len() < 6 || !word.is_ascii() {
        return false;
    }
    let Shape { digits, upper, lower, changes } = Shape::of(word);
    let steps = word.len() - 1;
    if digits == 0 {
        false
    } else if upper > 0 && lower > 0 {
        changes >= 3 && if word.len() < 16 { changes * 2 > steps } else { changes * 5 > steps * 2 }
    } else {
        word.len() >= 8 && digits >= 3 && changes >= 4 && changes * 4 >= steps
    }
}

/// How a word is made of kinds of characters.
pub(super) struct Shape {
    pub(super) digits: usize,
    upper: usize,
    lower: usize,
    /// Changes from one kind to another, without that from a capital at the beginning.
    pub(super) changes: usize,
}

impl Shape {
    pub(super) fn of(word: &str) -> Self {
        let kind = |b: u8| (b.is_ascii_digit(), b.is_ascii_uppercase());
        let bytes = word.as_bytes();
        let count = |is: fn(&u8) -> bool| bytes.iter().filter(|b| is(b)).count();
        let changes = bytes.windows(2).filter(|w| kind(w[0]) != kind(w[1])).count();
        let capital = matches!(bytes, [a, b, ..] if a.is_ascii_uppercase() && b.is_ascii_lowercase());
        Self {
            digits: count(u8::is_ascii_digit),
            upper: count(u8::is_ascii_uppercase),
            lower: count(u8::is_ascii_lowercase),
            changes: changes - usize::from(capital),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_random_carries_data() {
        for label in
            ["www", "internal-load-balancer", "10-244-1-17", "node12", "4", "_sip", "8124", "autodiscover", "db-0"]
        {
            assert_eq!(information(label), 0, "{label}");
        }
        assert_eq!(information("c0505736f89390ec071d9f212521d9378483ab12776d0a9b"), 48 * 4);
        assert_eq!(information("nbswy3dpeb3w64tmmqqho33smqqgs4zamvxgg33emvsca5dpebugyzlm"), 56 * 5);
        assert_eq!(information("C0505736F89390EC"), information("c0505736f89390ec"), "case is no data");
        assert_eq!(information("\\001\\255\\007"), 24);
    }
}
