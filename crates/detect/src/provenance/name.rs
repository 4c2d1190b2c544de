//! Names generalised: what differs from one run to the next becomes a placeholder.

/// The longest run of segments of a name that is looked at; the rest counts as one segment.
pub(super) const MAX_SEGMENTS: usize = 14;

/// A file or image path as segments from the root to the name. With `split_extension` the last
/// folder is followed by the extension and then by the name, so that a new name can be judged by
/// how often files of its kind are new in that folder.
pub(super) fn path_segments(path: &str, split_extension: bool) -> Vec<String> {
    let lower = path.to_lowercase();
    let mut out: Vec<String> = Vec::new();
    let mut previous = "";
    for part in lower.split(['\\', '/']).filter(|p| !p.is_empty()) {
        if out.len() + 2 >= MAX_SEGMENTS {
            previous = part;
            continue;
        }
        out.push(if matches!(previous, "users" | "home") { "*".to_string() } else { segment(part) });
        previous = part;
    }
    if split_extension && let Some(last) = out.pop() {
        let extension = extension(previous).map_or_else(|| ".".to_string(), |e| format!(".{}", segment(e)));
        out.push(extension);
        out.push(last);
    }
    out
}

/// A registry key as segments from the hive to the value.
pub(super) fn key_segments(key: &str) -> Vec<String> {
    path_segments(key, false)
}

/// A peer `address:port` as segments: port (ports from 49152 up are one: IANA's dynamic range),
/// then the address from its widest prefix to itself.
pub(super) fn peer_segments(peer: &str) -> Vec<String> {
    let (address, port) = peer.rsplit_once(':').unwrap_or((peer, ""));
    let port = match port.parse::<u32>() {
        Ok(p) if p >= 49_152 => "dynamic".to_string(),
        Ok(p) => p.to_string(),
        Err(_) => "none".to_string(),
    };
    let mut out = vec![port, scope(address).to_string()];
    let separator = if address.contains(':') { ':' } else { '.' };
    out.extend(address.split(separator).filter(|p| !p.is_empty()).take(8).map(str::to_string));
    out
}

/// Where an address lies: this host, a private network (RFC 1918, link-local), or outside.
pub(super) fn scope(address: &str) -> &'static str {
    let mut octets = address.split('.').map(|o| o.parse::<u8>().ok());
    match (octets.next().flatten(), octets.next().flatten()) {
        (Some(127), _) => "host",
        (Some(10), _) | (Some(192), Some(168)) | (Some(169), Some(254)) => "private",
        (Some(172), Some(second)) if (16..32).contains(&second) => "private",
        (Some(_), Some(_)) => "public",
        _ if address == "::1" => "host",
        _ if address.starts_with("fe80") || address.starts_with("fd") => "private",
        _ => "public",
    }
}

/// One segment of a name with identifiers, numbers and random parts as a placeholder,
/// `#` for a number or random text.
pub(super) fn segment(text: &str) -> String {
    let (stem, extension) = match text.rsplit_once('.') {
        Some((stem, e)) if !stem.is_empty() && e.len() <= 8 => (stem, Some(e)),
        _ => (text, None),
    };
    let mut out = String::with_capacity(text.len());
    let mut token = String::new();
    let plain = without_guids(stem);
    for c in plain.chars() {
        if c.is_alphanumeric() {
            token.push(c);
        } else {
            push_token(&mut out, &token);
            token.clear();
            out.push(c);
        }
    }
    push_token(&mut out, &token);
    if let Some(e) = extension {
        out.push('.');
        push_token(&mut out, e);
    }
    out
}

/// The text with each identifier of the form 8-4-4-4-12 hexadecimal digits as one number.
fn without_guids(text: &str) -> String {
    const LENGTH: usize = 36;
    let bytes = text.as_bytes();
    let is_guid = |at: usize| {
        bytes.get(at..at + LENGTH).is_some_and(|g| {
            g.iter().enumerate().all(|(i, b)| match i {
                8 | 13 | 18 | 23 => *b == b'-',
                _ => b.is_ascii_hexdigit(),
            })
        })
    };
    let (mut out, mut from, mut at) = (String::with_capacity(text.len()), 0, 0);
    while at + LENGTH <= bytes.len() {
        if is_guid(at) {
            out.push_str(&text[from..at]);
            out.push('0');
            at += LENGTH;
            from = at;
        } else {
            at += 1;
        }
    }
    out.push_str(&text[from..]);
    out
}

/// Adds one run of letters and digits, generalised.
fn push_token(out: &mut String, token: &str) {
    if token.is_empty() {
        return;
    }
    if token.chars().all(|c| c.is_ascii_digit()) || is_random(token) {
        // A placeholder behind a placeholder and one separator says nothing more.
        let mut back = out.chars().rev();
        let (mark, before) = (back.next(), back.next());
        if matches!(mark, Some('-' | '.' | '_' | ',')) && before == Some('#') {
            out.pop();
        } else {
            out.push('#');
        }
        return;
    }
    let mut in_number = false;
    for c in token.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !in_number {
            out.push('#');
        }
        in_number = c.is_ascii_digit();
    }
}

/// Whether a run of letters and digits looks drawn at random: hexadecimal of eight or more with a
/// digit, letters and digits that alternate, or letters without the vowels of a word.
pub(super) fn is_random(token: &str) -> bool {
    let (mut digits, mut switches, mut vowels, mut run, mut longest) = (0usize, 0usize, 0usize, 0usize, 0usize);
    let mut previous_digit = None;
    let mut length = 0usize;
    let mut hexadecimal = true;
    for c in token.chars() {
        length += 1;
        let digit = c.is_ascii_digit();
        hexadecimal &= c.is_ascii_hexdigit();
        digits += usize::from(digit);
        if previous_digit.is_some_and(|p: bool| p != digit) {
            switches += 1;
        }
        previous_digit = Some(digit);
        if matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y') {
            vowels += 1;
            run = 0;
        } else if digit {
            run = 0;
        } else {
            run += 1;
            longest = longest.max(run);
        }
    }
    let letters = length - digits;
    (hexadecimal && digits > 0 && length >= 6)
        || (length >= 7 && switches >= 3)
        || (letters >= 10 && (longest >= 6 || vowels * 6 < letters))
}

/// The extension of a path's last part, in lower case as given, without the dot.
pub(super) fn extension(name: &str) -> Option<&str> {
    let last = name.rsplit(['\\', '/']).next().unwrap_or(name);
    match last.rsplit_once('.') {
        Some((stem, e)) if !stem.is_empty() && !e.is_empty() && e.len() <= 8 => Some(e),
        _ => None,
    }
}

/// The last part of a path without its extension.
pub(super) fn stem(path: &str) -> &str {
    let last = path.rsplit(['\\', '/']).next().unwrap_or(path);
    last.rsplit_once('.').map_or(last, |(s, _)| if s.is_empty() { last } else { s })
}

/// A stable 64-bit hash (FNV-1a), so that results never depend on the process that computes them.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_identifiers_are_generalised_and_plain_names_are_not() {
        let one =
            path_segments(r"c:\users\anna\appdata\local\temp\{3a49f783-1c7d-4d35-8f63-5c1c206b9b6e}\x.exe", false);
        let two =
            path_segments(r"C:\Users\bert\AppData\Local\Temp\{99999999-aaaa-4d35-8f63-000000000000}\x.exe", false);
        assert_eq!(one, two);
        assert_eq!(segment("powershell.exe"), "powershell.exe");
        assert_eq!(segment("backgroundtaskhost.exe"), "backgroundtaskhost.exe");
        assert_eq!(segment("124.0.2478.80"), segment("125.1.2.3"));
        assert_eq!(segment("f_00012f"), segment("f_000130"));
        assert_ne!(segment("wscript.exe"), segment("cscript.exe"));
    }

    #[test]
    fn random_letters_are_told_from_words() {
        assert!(is_random("lfndsilafgsscawq") || is_random("5d2fa215855475f8"));
        assert!(is_random("5d2fa215855475f8"));
        for word in ["svchost", "msmpeng", "cscript", "mpcmdrun", "psexesvc", "wsqmcons", "sppextcomobj"] {
            assert!(!is_random(word), "{word}");
        }
        assert!(!is_random("services"));
        assert!(!is_random("explorer"));
        assert!(!is_random("msedgewebview2"));
    }

    #[test]
    fn peers_back_off_by_port_and_prefix() {
        assert_eq!(peer_segments("10.1.2.3:445"), ["445", "private", "10", "1", "2", "3"]);
        assert_eq!(peer_segments("8.8.8.8:50000")[0], "dynamic");
        assert_eq!(scope("172.32.0.1"), "public");
        assert_eq!(scope("172.16.0.1"), "private");
    }

    #[test]
    fn empty_and_very_deep_names_are_bounded() {
        assert!(path_segments("", true).is_empty());
        assert!(path_segments(&"a\\".repeat(5000), true).len() <= MAX_SEGMENTS);
    }
}
