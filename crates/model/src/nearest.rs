//! The nearest right name: what a user may have meant.

/// How alike two names must be, of 1, for one to be offered for the other.
const ALIKE: f64 = 0.75;
/// How much less alike than the likest is not offered beside it.
const BESIDE: f64 = 0.1;

/// Bytes of the longest name that is mistyped: to compare a longer one takes its time.
const LONGEST: usize = 80;
/// Names that are listed where none is alike: a host can have hundreds of containers.
const LISTED: usize = 32;

/// Of 1. Letters exchanged in a short name weigh little, though the names share few places.
fn likeness(a: &str, b: &str) -> f64 {
    let slips = if a.chars().count() > 5 { 2 } else { 1 };
    let slipped = strsim::damerau_levenshtein(a, b) <= slips;
    strsim::jaro_winkler(a, b).max(if slipped { 0.9 } else { 0.0 })
}

/// At most three of `names` that are like `given`, the likest first.
pub fn nearest<N: AsRef<str>>(given: &str, names: impl IntoIterator<Item = N>) -> Vec<String> {
    if given.len() > LONGEST {
        return Vec::new();
    }
    let mut alike: Vec<(f64, String)> = names
        .into_iter()
        .map(|n| (likeness(given, n.as_ref()), n.as_ref().to_owned()))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let least = alike.first().map_or(0.0, |(likest, _)| likest - BESIDE);
    alike.into_iter().take_while(|(likeness, _)| *likeness >= least).take(3).map(|(_, name)| name).collect()
}

/// `did you mean a or b?`; nothing where none is alike.
pub fn did_you_mean<N: AsRef<str>>(given: &str, names: impl IntoIterator<Item = N>) -> Option<String> {
    let alike = nearest(given, names);
    (!alike.is_empty()).then(|| format!("did you mean {}?", alike.join(" or ")))
}

/// `, did you mean a or b?`, or what there is where none is alike.
pub fn suggestion<N: AsRef<str>>(given: &str, names: impl IntoIterator<Item = N>) -> String {
    let names: Vec<String> = names.into_iter().map(|n| n.as_ref().to_owned()).collect();
    match (did_you_mean(given, &names), names.is_empty()) {
        (Some(question), _) => format!(", {question}"),
        (None, false) if names.len() > LISTED => {
            let (shown, more) = names.split_at(LISTED);
            format!(", there are {} and {} more", shown.join(", "), more.len())
        }
        (None, false) => format!(", there are {}", names.join(", ")),
        (None, true) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let names = ["process", "ptrace", "open", "files", "tcp"];
        assert_eq!(nearest("opne", names), ["open"]);
        assert_eq!(nearest("tpc", names), ["tcp"]);
        assert_eq!(nearest("proces", names), ["process"]);
        assert!(nearest("zzz", names).is_empty());
        assert_eq!(suggestion("file", names), ", did you mean files?");
        assert_eq!(suggestion("zzz", names), ", there are process, ptrace, open, files, tcp");
        assert_eq!(suggestion("zzz", [""; 0]), "");
        let many: Vec<String> = (0..LISTED + 2).map(|n| format!("web-{n}")).collect();
        assert!(suggestion("zzz", &many).ends_with(" web-31 and 2 more"));
        assert!(nearest(&"a".repeat(81), ["a".repeat(80)]).is_empty());
    }
}
