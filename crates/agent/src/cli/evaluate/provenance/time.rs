//! Times as microseconds since 1970.

/// Microseconds since 1970 of a whole number of microseconds or of RFC 3339
/// (`2024-05-07T23:05:07Z`, with a fraction and an offset if wished).
pub fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text
            .parse()
            .map_err(|_| format!("{text}: too great for a time in microseconds"));
    }
    rfc3339(text).ok_or_else(|| {
        format!(
            "{text:?}: expected microseconds since 1970 or RFC 3339, such as 2024-05-07T23:05:07Z"
        )
    })
}

fn rfc3339(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let mut date = date.split('-').map(|p| p.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = (rest.get(..at)?, rest.get(at..)?);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.split(':').map(|p| p.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let valid = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second)
        && (1970..=9999).contains(&year)
        && fraction.bytes().all(|b| b.is_ascii_digit());
    if !valid {
        return None;
    }
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let micros: i64 = digits.parse().ok()?;
    let offset = match zone {
        "Z" | "z" => 0,
        z => {
            let (h, m) = z.get(1..)?.split_once(':')?;
            let seconds = h.parse::<i64>().ok()? * 3600 + m.parse::<i64>().ok()? * 60;
            if z.starts_with('-') {
                -seconds
            } else {
                seconds
            }
        }
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    u64::try_from(seconds.checked_mul(1_000_000)? + micros).ok()
}

/// Days from 1970-01-01 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_mean_the_same() {
        assert_eq!(parse("1715108707112140"), Ok(1_715_108_707_112_140));
        assert_eq!(
            parse("2024-05-07T19:05:07.11214Z"),
            Ok(1_715_108_707_112_140)
        );
        assert_eq!(
            parse("2024-05-07T21:05:07.112140+02:00"),
            Ok(1_715_108_707_112_140)
        );
        assert_eq!(parse("1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(parse("2000-02-29T00:00:00Z"), Ok(951_782_400_000_000));
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for bad in [
            "",
            "yesterday",
            "2024-05-07",
            "2024-13-07T00:00:00Z",
            "1.5",
            "2024-05-07T19:05:07",
            "99999999999999999999999",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("x").unwrap_err().contains("RFC 3339"));
    }
}
