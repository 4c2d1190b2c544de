//! Dates in names.

/// The bytes from the start that are a date, with the time if it follows, and end where a word ends.
pub(super) fn date(text: &[u8]) -> Option<usize> {
    let number = |from: usize, length: usize| -> Option<u32> {
        text.get(from..from + length)?
            .iter()
            .try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
    };
    let is_day = |y: u32, m: u32, d: u32| (1970..2100).contains(&y) && (1..=12).contains(&m) && (1..=31).contains(&d);
    let ends = |at: usize| text.get(at).is_none_or(|b| b.is_ascii() && !b.is_ascii_alphanumeric());
    let separator = text.get(4).copied().filter(|b| b"-_.".contains(b));
    let end = match separator {
        Some(s) if text.get(7) == Some(&s) => is_day(number(0, 4)?, number(5, 2)?, number(8, 2)?).then_some(10)?,
        Some(_) => return None,
        None => is_day(number(0, 4)?, number(4, 2)?, number(6, 2)?).then_some(8)?,
    };
    let with_time = time(&text[end..]).into_iter().flatten().map(|time| end + time);
    with_time.chain([end]).find(|end| ends(*end))
}

/// The bytes of a time of day after a date: `T12:30:59Z`, `-1230`, `_12-30-59`, `123059`. With seconds, and without.
fn time(text: &[u8]) -> Option<[usize; 2]> {
    let pair = |at: usize| text.get(at..at + 2).is_some_and(|p| p.iter().all(u8::is_ascii_digit));
    let after = |at: usize, any: &[u8]| at + usize::from(text.get(at).is_some_and(|b| any.contains(b)));
    let hour = after(0, b"Tt_- ");
    let minute = after(hour + 2, b":-._");
    if !pair(hour) || !pair(minute) {
        return None;
    }
    let short = minute + 2;
    let second = after(short, b":-._");
    let long = if pair(second) { second + 2 } else { short };
    Some([after(long, b"Zz"), after(short, b"Zz")])
}
