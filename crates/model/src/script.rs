//! Which script an interpreter was given, by its arguments.

use crate::Exec;

/// Arguments that are read.
const MOST: usize = 64;
/// One file for many programs.
const MANY: [&str; 2] = ["busybox", "toybox"];

/// How an interpreter's options are read.
struct Options {
    /// Letters that stand for the text of a program, or for a module, in place of a script.
    text: &'static str,
    /// Letters whose value is the next argument, where nothing of it follows the letter.
    valued: &'static str,
    /// The same for long options.
    valued_long: &'static [&'static str],
    /// Long options that stand for the text of a program.
    text_long: &'static [&'static str],
    /// The letter of an option whose value is the script.
    script: Option<char>,
}

const SHELL: Options = Options {
    text: "c",
    valued: "oO",
    valued_long: &["--rcfile", "--init-file"],
    text_long: &["--command"],
    script: None,
};
const PYTHON: Options =
    Options { text: "cm", valued: "WX", valued_long: &["--check-hash-based-pycs"], text_long: &[], script: None };
const PERL: Options = Options { text: "eE", valued: "I", valued_long: &[], text_long: &[], script: None };
const RUBY: Options = Options { text: "e", valued: "IrCEF", valued_long: &[], text_long: &[], script: None };
const NODE: Options = Options {
    text: "ep",
    valued: "rC",
    valued_long: &["--require", "--import", "--loader", "--experimental-loader", "--env-file"],
    text_long: &["--eval", "--print"],
    script: None,
};
const PHP: Options = Options { text: "rRB", valued: "cdz", valued_long: &[], text_long: &["--run"], script: Some('f') };
const LUA: Options = Options { text: "", valued: "el", valued_long: &[], text_long: &[], script: None };

/// The script that an interpreter runs, as an absolute path without `.` and `..`, as far as its arguments say; links are not
/// resolved. None for other programs, and for what comes as text, as a module, or on standard input.
pub fn of(exec: &Exec) -> Option<String> {
    let file = last(&exec.path);
    let mut args = exec.args.iter().map(String::as_str);
    let called = last(args.next()?);
    let applet = if MANY.contains(&called) && MANY.contains(&file) { last(args.next()?) } else { called };
    let options = [file, &exec.name, called, applet].into_iter().find_map(options)?;
    let script = script(options, args.take(MOST))?;
    Some(absolute(&exec.working_directory, script))
}

fn options(name: &str) -> Option<&'static Options> {
    let stem = name.trim_start_matches('-').trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    Some(match stem {
        "sh" | "ash" | "bash" | "dash" | "zsh" | "ksh" | "mksh" | "rbash" | "fish" | "csh" | "tcsh" | "hush" => &SHELL,
        "python" | "pypy" => &PYTHON,
        "perl" => &PERL,
        "ruby" => &RUBY,
        "node" | "nodejs" | "bun" => &NODE,
        "php" | "php-cli" => &PHP,
        "lua" | "luajit" => &LUA,
        _ => return None,
    })
}

fn script<'a>(options: &Options, mut args: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    while let Some(arg) = args.next() {
        if arg == "--" || arg == "-" {
            return args.next().filter(|script| arg == "--" || !script.is_empty());
        }
        if let Some(long) = arg.strip_prefix("--") {
            let (name, has_value) =
                long.split_once('=').map_or((arg, false), |(name, _)| (&arg[..name.len() + 2], true));
            if options.text_long.contains(&name) {
                return None;
            }
            if options.valued_long.contains(&name) && !has_value {
                args.next()?;
            }
            continue;
        }
        let Some(letters) = arg.strip_prefix(['-', '+']).filter(|letters| !letters.is_empty()) else {
            return Some(arg);
        };
        for (at, letter) in letters.char_indices() {
            let rest = &letters[at + letter.len_utf8()..];
            if options.text.contains(letter) {
                return None;
            }
            if options.script == Some(letter) {
                return if rest.is_empty() { args.next() } else { Some(rest) };
            }
            if options.valued.contains(letter) {
                // Of a shell's cluster of options, all take their values from what follows.
                if rest.is_empty() || std::ptr::eq(options, &SHELL) {
                    args.next()?;
                }
                if !std::ptr::eq(options, &SHELL) {
                    break;
                }
            }
        }
    }
    None
}

/// A path from a folder, without `.` and `..`.
fn absolute(folder: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{folder}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    format!("/{}", parts.join("/"))
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script_of(path: &str, args: &[&str]) -> Option<String> {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        of(&Exec { path: path.into(), args, working_directory: "/srv".into(), ..Exec::default() })
    }

    #[test]
    fn a_script_is_what_an_interpreter_was_given() {
        for (path, args, wanted) in [
            ("/bin/dash", &["sh", "/tmp/x"][..], "/tmp/x"),
            ("/bin/dash", &["sh", "-eu", "/tmp/x", "-c"], "/tmp/x"),
            ("/bin/dash", &["sh", "../tmp/./x"], "/tmp/x"),
            ("/bin/bash", &["bash", "-o", "pipefail", "+x", "--", "run"], "/srv/run"),
            ("/bin/bash", &["bash", "-euo", "pipefail", "run"], "/srv/run"),
            ("/bin/bash", &["bash", "--rcfile", "/tmp/rc", "--norc", "run"], "/srv/run"),
            ("/bin/busybox", &["sh", "x"], "/srv/x"),
            ("/bin/busybox", &["busybox", "sh", "/tmp/x"], "/tmp/x"),
            ("/bin/busybox", &["/tmp/ash", "/tmp/x"], "/tmp/x"),
            ("/usr/bin/python3.11", &["anything", "-u", "-W", "ignore", "/tmp/x.py"], "/tmp/x.py"),
            ("/usr/bin/python3.11", &["python", "-Wignore", "/tmp/x.py"], "/tmp/x.py"),
            ("/usr/bin/perl", &["perl", "-w", "-I", "lib", "x.pl"], "/srv/x.pl"),
            ("/usr/bin/php8.2", &["php", "-d", "a=b", "-f", "/tmp/x.php"], "/tmp/x.php"),
            ("/usr/bin/node", &["node", "--require", "a", "--b=c", "/tmp/x.js"], "/tmp/x.js"),
            ("/usr/bin/lua5.4", &["lua", "-l", "a", "/tmp/x.lua"], "/tmp/x.lua"),
            ("/tmp/python3", &["x", "y"], "/srv/y"),
            ("/bin/sh", &["sh", "/proc/self/fd/9"], "/proc/self/fd/9"),
        ] {
            assert_eq!(script_of(path, args).as_deref(), Some(wanted), "{path} {args:?}");
        }
    }

    #[test]
    fn what_is_no_script_is_none() {
        for (path, args) in [
            ("/bin/dash", &["sh"][..]),
            ("/bin/dash", &["sh", "-c", "/tmp/x"]),
            ("/bin/dash", &["sh", "-ec", "/tmp/x"]),
            ("/bin/dash", &["sh", "-i"]),
            ("/bin/dash", &["sh", "-o"]),
            ("/bin/cat", &["cat", "/tmp/x"]),
            ("/bin/busybox", &["cat", "/tmp/x"]),
            ("/bin/busybox", &["busybox", "cat", "/tmp/x"]),
            ("/bin/busybox", &["busybox"]),
            ("/usr/bin/python3", &["python3", "-m", "http.server"]),
            ("/usr/bin/perl", &["perl", "-ne", "print", "/tmp/x"]),
            ("/usr/bin/node", &["node", "--eval", "1", "/tmp/x"]),
            ("", &[]),
        ] {
            assert_eq!(script_of(path, args), None, "{path} {args:?}");
        }
    }

    #[test]
    fn no_arguments_end_it() {
        const PARTS: [&str; 12] = ["-", "--", "-c", "-o", "--x", "--x=é", "+", "é", "..", "/", "-é", ""];
        for name in ["sh", "php", "node", "lua", "ruby"] {
            for n in 0..PARTS.len().pow(3) {
                let part = |of: usize| PARTS[n / PARTS.len().pow(of as u32) % PARTS.len()];
                if let Some(path) = script_of("/bin/x", &[name, part(0), part(1), part(2)]) {
                    assert!(path.starts_with('/') && !path.contains("/../"), "{path}");
                }
            }
        }
    }
}
