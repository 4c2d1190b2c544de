//! Names that differ only in what varies from run to run: `temp-24.rdb` and `temp-25.rdb`, `upload-xgtccuy2` and
//! `upload-b7sd9f6g`. One alone does not show it, two do.

/// The shortest random part of a name.
const SHORTEST: usize = 6;
/// Random characters that Python's tempfile puts into a name.
const RANDOM: usize = 8;
/// How the names of temporary files end.
const TEMPORARY: &str = ".tmp";
/// From so many characters before a random part on, a name has a beginning of its own.
const NAMED: usize = 3;

/// What stands for two names that differ in nothing but numbers and random parts; none where they differ otherwise, or not
/// at all. Either may be such a pattern already.
pub(crate) fn common(a: &str, b: &str) -> Option<String> {
    if a == b || a.len() > 256 || b.len() > 256 {
        return None;
    }
    if let Some(pattern) = with_random_part(a, b).or_else(|| with_random_part(b, a)) {
        return Some(pattern);
    }
    let (mut out, mut varies) = (String::with_capacity(a.len()), false);
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let (one, other) = (take(&mut a), take(&mut b));
        match () {
            () if one == other => out += one,
            () => {
                out += &united(one, other, out.len() >= NAMED)?;
                varies = true;
            }
        }
    }
    let whole = if out == "*" { "<id>".to_owned() } else { out };
    (a.is_empty() && b.is_empty() && varies).then_some(whole)
}

/// The names that programs make of a beginning of their own and random characters: `upload-47_fsx1h`, `report-aawy4f_m.csv`.
/// Once two are known, whatever begins and ends so is one more.
fn with_random_part(a: &str, b: &str) -> Option<String> {
    if let Some((beginning, ending)) = a.split_once('*') {
        if is_stem(beginning) && is_ending(ending) {
            let random = b.strip_prefix(beginning).and_then(|b| b.strip_suffix(ending));
            return random.filter(|word| may_be_of_mkstemp(word)).map(|_| a.to_owned());
        }
        let is_named = is_beginning(beginning) && is_ending(ending) || ending == TEMPORARY && beginning.len() >= NAMED;
        let fits = |b: &str| b.strip_prefix(beginning).and_then(|b| b.strip_suffix(ending)).is_some_and(may_be_random);
        return (is_named && fits(b)).then(|| a.to_owned());
    }
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let separator = a.get(..same)?.rfind(['-', '.']);
    let beginning = separator.and_then(|at| a.get(..=at)).filter(|beginning| is_beginning(beginning));
    let after = beginning.and_then(|beginning| random_after(beginning, a, b));
    after.or_else(|| before_temporary(a, b)).or_else(|| after_stem(a, b))
}

/// The names that `sed -i`, compilers and their like make of a stem of letters and what mkstemp gives, with nothing between:
/// `sedNioQjH`, `ccAbCdef.s`.
fn after_stem(a: &str, b: &str) -> Option<String> {
    let ending = a.find('.').and_then(|dot| a.get(dot..)).unwrap_or_default();
    let (a, b) = (a.strip_suffix(ending)?, b.strip_suffix(ending)?);
    let at = a.len().checked_sub(SHORTEST).filter(|_| a.len() == b.len())?;
    let ((stem, one), (of_other, other)) = (a.split_at_checked(at)?, b.split_at_checked(at)?);
    let is_made = |word: &str| is_of_mkstemp(word) && !is_of_words(word);
    // By chance one of two has no capital and no digit now and then.
    let are_made = is_made(one) && may_be_of_mkstemp(other) || is_made(other) && may_be_of_mkstemp(one);
    (stem == of_other && is_stem(stem) && is_ending(ending) && are_made).then(|| format!("{stem}*{ending}"))
}

/// What stands for names that are random but for their ending, where this may be one of them.
pub(crate) fn class_of_ending(name: &str) -> Option<String> {
    let (random, ending) = name.split_at(name.find('.')?);
    (random.len() >= SHORTEST && random.bytes().all(|b| b.is_ascii_alphanumeric())).then(|| format!("*{ending}"))
}

/// A short word of small letters, to which something is added.
fn is_stem(text: &str) -> bool {
    (2..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase())
}

fn may_be_of_mkstemp(word: &str) -> bool {
    word.len() == SHORTEST && word.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether the letters are words with capitals, as people write them: `BarBaz`.
fn is_of_words(word: &str) -> bool {
    let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let mut lengths = vec![0];
    for byte in letters.bytes() {
        if byte.is_ascii_uppercase() && lengths != [0] {
            lengths.push(0);
        }
        if let Some(length) = lengths.last_mut() {
            *length += 1;
        }
    }
    letters.bytes().all(|b| b.is_ascii_alphabetic()) && lengths.iter().all(|length| *length > 2)
}

/// Random characters behind the same beginning: as many as Python's tempfile makes, or mkstemp.
fn random_after(beginning: &str, a: &str, b: &str) -> Option<String> {
    type IsMade = fn(&str) -> bool;
    let makers: [(usize, IsMade); 2] = [(RANDOM, is_random), (SHORTEST, is_of_mkstemp)];
    makers.into_iter().find_map(|(length, is_made)| {
        let (one, ending) = a.get(beginning.len()..)?.split_at_checked(length)?;
        let (other, of_other) = b.get(beginning.len()..)?.split_at_checked(length)?;
        (is_ending(ending) && ending == of_other && is_made(one) && is_made(other))
            .then(|| format!("{beginning}*{ending}"))
    })
}

/// The same for names that end like those of temporary files, where nothing separates the random characters: `RECORDmrz3wsqi.tmp`.
fn before_temporary(a: &str, b: &str) -> Option<String> {
    let (a, b) = (a.strip_suffix(TEMPORARY)?, b.strip_suffix(TEMPORARY)?);
    let at = a.len().checked_sub(RANDOM).filter(|at| *at >= NAMED && a.len() == b.len())?;
    let ((beginning, one), (of_other, other)) = (a.split_at_checked(at)?, b.split_at_checked(at)?);
    let may_be = |word: &str| word.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    let is_one = beginning == of_other && may_be(one) && may_be(other) && (is_random(one) || is_random(other));
    is_one.then(|| format!("{beginning}*{TEMPORARY}"))
}

fn is_beginning(text: &str) -> bool {
    text.len() > NAMED && text.ends_with(['-', '.', '_'])
}

/// Whether mkstemp may have made it: letters of both sizes or digits, and no word with a capital or a number at its end.
fn is_of_mkstemp(word: &str) -> bool {
    let rest = word.trim_end_matches(|c: char| c.is_ascii_digit()).get(1..).unwrap_or_default();
    let has_lower = word.bytes().any(|b| b.is_ascii_lowercase());
    let is_odd = |b: u8| b.is_ascii_digit() || b.is_ascii_uppercase() && has_lower;
    word.bytes().all(|b| b.is_ascii_alphanumeric()) && rest.bytes().any(is_odd)
}

fn is_ending(text: &str) -> bool {
    text.is_empty() || text.starts_with('.') && !text.contains(['*', '<'])
}

/// Whether this may stand in the place of random characters: they look like a word, a number or a hash now and then.
fn may_be_random(text: &str) -> bool {
    !text.contains(['*', '.']) && (text.len() >= SHORTEST || text.contains('<'))
}

fn is_random(word: &str) -> bool {
    word.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_')) && word.bytes().any(|b| !b.is_ascii_lowercase())
}

/// Takes the first word off, or the first class, or the first character between words.
fn take<'a>(rest: &mut &'a str) -> &'a str {
    let class = ["<n>", "<hex>", "<id>", "<date>", "<uuid>"].into_iter().find(|class| rest.starts_with(class));
    let word = rest.len() - rest.trim_start_matches(char::is_alphanumeric).len();
    let length = match class {
        Some(class) => class.len(),
        None if word > 0 => word + if rest[word..].starts_with("<n>") { 3 } else { 0 },
        None => rest.chars().next().map_or(0, char::len_utf8),
    };
    let (taken, left) = rest.split_at(length);
    *rest = left;
    taken
}

/// What stands for both words. Where a name begins in a way of its own, any word may take the place of random ones: by chance
/// they have no digit now and then. Else such a word is one that a person chose.
fn united(one: &str, other: &str, is_named: bool) -> Option<String> {
    let stem =
        |word: &str| word.strip_suffix("<n>").unwrap_or(word).trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (stem_of_one, stem_of_other) = (stem(one), stem(other));
    let has_number = |word: &str, stem: usize| word.len() > stem;
    if one[..stem_of_one] == other[..stem_of_other] && has_number(one, stem_of_one) && has_number(other, stem_of_other)
    {
        return Some(format!("{}<n>", &one[..stem_of_one]));
    }
    let is_class = |word: &str| word == "*" || word == "<id>";
    let is_random = |word: &str, any: bool| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        // A number at the end alone is what people give names.
        let ends_in_number = word.trim_end_matches(|c: char| c.is_ascii_digit()).len() + digits == word.len();
        let is_mixed = digits > 0 && digits < word.len() && (is_named || !ends_in_number);
        is_class(word) || word.len() >= SHORTEST && word.is_ascii() && (any || is_mixed)
    };
    let (any, alike) = match (is_class(one), is_class(other)) {
        (false, false) => (false, one.len() == other.len()),
        _ => (is_named, true),
    };
    (alike && is_random(one, any) && is_random(other, any)).then(|| "*".to_owned())
}

#[cfg(test)]
mod tests {
    use super::common;

    #[test]
    fn what_varies_is_found() {
        for (a, b, pattern) in [
            ("temp-24.rdb", "temp-25.rdb", "temp-<n>.rdb"),
            ("temp-<n>.rdb", "temp-1.rdb", "temp-<n>.rdb"),
            ("appendonly.aof.1.incr.aof", "appendonly.aof.2.incr.aof", "appendonly.aof.<n>.incr.aof"),
            ("part7", "part12", "part<n>"),
            ("part<n>", "part3", "part<n>"),
            ("upload-xgtccuy2", "upload-a8sd7fhg", "upload-*"),
            ("upload-*", "upload-abcdefgh", "upload-*"),
            ("upload-47_fsx1h", "upload-_k1qiwr5", "upload-*"),
            ("upload-*", "upload-h_fesqbs", "upload-*"),
            ("upload-*", "upload-<n>", "upload-*"),
            ("report-aawy4f_m.csv", "report-wzf36_b2.csv", "report-*.csv"),
            ("report-*.csv", "report-_qpwoeia.csv", "report-*.csv"),
            ("pkgcache.bin.pHsIgR", "pkgcache.bin.bbNRdS", "pkgcache.bin.*"),
            (".privs-test.mNEEW7", ".privs-test.xK3abc", ".privs-test.*"),
            ("RECORD_6apu60s.tmp", "RECORDmrz3wsqi.tmp", "RECORD*.tmp"),
            ("RECORD*.tmp", "RECORDusayonbj.tmp", "RECORD*.tmp"),
            ("sedNioQjH", "sedbbNRdS", "sed*"),
            ("sed*", "sedabcdef", "sed*"),
            ("ccAbCdEf.s", "ccecoptu.s", "cc*.s"),
            ("cc*.s", "ccecoptu.s", "cc*.s"),
            ("xgt2cuy2", "a8sd7fhg", "<id>"),
            ("<id>", "b7sd9f6g", "<id>"),
        ] {
            assert_eq!(common(a, b).as_deref(), Some(pattern), "{a} {b}");
            assert_eq!(common(b, a).as_deref(), Some(pattern), "{b} {a}");
        }
    }

    #[test]
    fn other_names_stay_apart() {
        for (a, b) in [
            ("access.log", "access.log"),
            ("access.log", "errors.log"),
            ("temp-24.rdb", "temp-24.sh"),
            ("temp-24.rdb", "data-24.rdb"),
            ("part7", "part"),
            ("config1", "backup2"),
            ("upload-xgtccuy2", "upload-evil"),
            ("upload-*", "upload-evil"),
            ("upload-*", "upload-xgtccuy2.sh"),
            ("report-aawy4f_m.csv", "report-wzf36_b2.php"),
            ("report-*.csv", "report-wzf36_b2.csv.php"),
            ("report-*.csv", "invoice-wzf36_b2.csv"),
            ("payload", "xgtccu2"),
            ("*.o", "payload.o"),
            ("<id>", "payload"),
            ("shop.README", "shop.Config"),
            ("part.backup", "part.Config"),
            ("useFooBar", "useBazQux"),
            ("seeconfig", "seetokens"),
            ("sed*", "sedpayload"),
            ("cc*.s", "ccecoptu.so"),
            ("cc*.s", "payload.s"),
            ("january.tmp", "october.tmp"),
            ("", "x"),
            ("a1", "a1/b"),
        ] {
            assert_eq!(common(a, b), None, "{a} {b}");
        }
    }
}
