//! Programs that were run, with those arguments that make them another program: `/bin/sh -c backup`.
//! Many of one program become `/bin/sh *`.

use std::{borrow::Cow, collections::BTreeMap};

use super::shape;
use crate::learning::Seen;

/// Different arguments of one program from which any are meant.
const MANY: usize = 16;
/// Texts that run the same commands, from which on whatever they are given is meant.
const FEW: usize = 4;

/// The program of an object. Its own spaces are escaped, so the first one ends it.
fn program(object: &str) -> Option<&str> {
    parts(object).map(|(program, _)| program)
}

/// The program of an object, with or without arguments.
pub(super) fn of(object: &str) -> &str {
    program(object).unwrap_or(object)
}

/// The program and its arguments, where there are any.
fn parts(object: &str) -> Option<(&str, &str)> {
    let end = object.match_indices(' ').map(|(at, _)| at).find(|at| ends_there(object, *at))?;
    let (program, rest) = object.split_at(end);
    Some((program, rest.get(1..)?))
}

/// Whether the space there stands after the program, and not in its name or before what it was called: `/bin/busybox (sh)`.
fn ends_there(object: &str, at: usize) -> bool {
    !object[..at].ends_with('\\') && !object[at + 1..].starts_with('(')
}

/// What stands for a program, whatever its arguments.
pub(super) fn any(program: &str) -> String {
    format!("{program} *")
}

/// As what an object is kept.
pub(super) fn known_as<'a>(programs: &BTreeMap<String, Seen>, object: &'a str) -> Cow<'a, str> {
    if programs.contains_key(object) {
        return Cow::Borrowed(object);
    }
    let Some((name, arguments)) = parts(object) else { return Cow::Borrowed(object) };
    let held = wider(name, arguments).into_iter().find(|wider| programs.contains_key(wider));
    held.or_else(|| known_before(programs, name, arguments)).map_or(Cow::Borrowed(object), Cow::Owned)
}

/// What stands for a program with such arguments among others, the narrowest first: the same commands with whatever they are
/// given, any text, any arguments.
fn wider(program: &str, arguments: &str) -> [String; 3] {
    let any = any(program);
    let Some((option, shape)) = text(arguments) else { return [any.clone(), any.clone(), any] };
    let of_option = format!("{program} {option} *");
    match option {
        "-c" => [format!("{program} -c {} *", shape::commands(shape)), of_option, any],
        _ => [of_option.clone(), of_option, any],
    }
}

/// Earlier agents kept the first word of a command, and nothing of other texts.
fn known_before(programs: &BTreeMap<String, Seen>, program: &str, arguments: &str) -> Option<String> {
    let (option, shape) = text(arguments)?;
    if option != "-c" {
        let bare = format!("{program} {option}");
        return programs.contains_key(&bare).then_some(bare);
    }
    let begin = format!("{program} -c ");
    let kept = programs.range(begin.clone()..).take_while(|(other, _)| other.starts_with(&begin));
    let mut words = kept.filter_map(|(other, _)| Some((other, other.strip_prefix(&begin)?)));
    let is_one = |word: &str| !word.starts_with('\'') && !word.ends_with('*') && !word.contains(' ');
    let first = shape::first_word(shape);
    words.find(|(_, word)| is_one(word) && shape::of(word) == first).map(|(other, _)| other.clone())
}

/// The option and the shape of a text that is run: `-c 'backup --all'`.
fn text(arguments: &str) -> Option<(&str, &str)> {
    let (option, quoted) = arguments.split_once(' ')?;
    Some((option, quoted.strip_prefix('\'')?.strip_suffix('\'')?))
}

/// Adds a program, and gives up its arguments where they have become many.
pub(super) fn insert(programs: &mut BTreeMap<String, Seen>, object: &str, seen: Seen) {
    programs.entry(known_as(programs, object).into_owned()).or_default().add(seen);
    let Some(name) = program(object) else { return };
    // The same commands become one before all texts do, and these before all arguments.
    for (width, at_least) in [(0, FEW), (1, 2), (2, 1)] {
        let alike = alike(programs, name);
        if alike.len() <= MANY {
            return;
        }
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for other in alike {
            let arguments = parts(&other).map_or("", |(_, arguments)| arguments);
            let group = match (width, text(arguments)) {
                (0, Some(_)) => Some(wider(name, arguments)[0].clone()),
                (1, Some((option, _))) => Some(format!("{name} {option} *")),
                (1, None) => option_of(arguments).map(|option| format!("{name} {option} *")),
                (2, _) => Some(any(name)),
                _ => None,
            };
            if let Some(group) = group {
                groups.entry(group).or_default().push(other);
            }
        }
        for (group, members) in groups.into_iter().filter(|(_, members)| members.len() >= at_least) {
            let mut all = Seen::default();
            members.iter().filter_map(|other| programs.remove(other)).for_each(|seen| all.add(seen));
            programs.entry(group).or_default().add(all);
        }
    }
}

/// All of a program that is held with its arguments.
fn alike(programs: &BTreeMap<String, Seen>, name: &str) -> Vec<String> {
    let begin = format!("{name} ");
    let all = programs.range(begin.clone()..).take_while(|(other, _)| other.starts_with(&begin));
    all.filter(|(other, _)| program(other) == Some(name)).map(|(other, _)| other.clone()).collect()
}

/// The option of what stands for the same commands: `-c` of `-c curl, sh *`.
fn option_of(arguments: &str) -> Option<&str> {
    let (option, _) = arguments.split_once(' ')?;
    (arguments.ends_with(" *") && option.starts_with('-')).then_some(option)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_ends_where_its_arguments_begin() {
        for (object, wanted) in [
            ("/bin/sh", None),
            ("/bin/busybox (sh)", None),
            ("/bin/sh -c ls", Some("/bin/sh")),
            ("/bin/busybox (sh) -c ls", Some("/bin/busybox (sh)")),
            ("/opt/my\\ tool", None),
            ("/opt/my\\ tool run", Some("/opt/my\\ tool")),
        ] {
            assert_eq!(program(object), wanted, "{object}");
        }
    }

    #[test]
    fn many_arguments_of_one_program_are_any() {
        let mut programs = BTreeMap::new();
        for i in 0..=MANY {
            insert(&mut programs, &format!("/bin/sh -c job{i}"), Seen::at(1));
            insert(&mut programs, "/bin/sh", Seen::at(1));
            insert(&mut programs, "/bin/shx -c job", Seen::at(1));
        }
        assert_eq!(programs.keys().collect::<Vec<_>>(), ["/bin/sh", "/bin/sh *", "/bin/shx -c job"]);
        assert_eq!(programs["/bin/sh *"].count, 17);
        assert_eq!(known_as(&programs, "/bin/sh -c other"), "/bin/sh *");
        assert_eq!(known_as(&programs, "/bin/shy -c other"), "/bin/shy -c other");
    }

    #[test]
    fn many_texts_that_run_the_same_commands_do_not_hide_others() {
        let mut programs = BTreeMap::new();
        let object = |text: &str| format!("/bin/sh -c '{}'", shape::of(text));
        let name = |n: u8| char::from(b'a' + n);
        for n in 0..20 {
            insert(&mut programs, &object(&format!("convert {}.png out.png", name(n))), Seen::at(1));
        }
        insert(&mut programs, &object("curl -f http://localhost/"), Seen::at(1));
        let knows =
            |programs: &BTreeMap<String, Seen>, text: &str| programs.contains_key(&*known_as(programs, &object(text)));
        assert!(knows(&programs, "convert other.png out.png") && knows(&programs, "curl -f http://localhost/"));
        for other in ["convert a.png b.png; id", "id", "curl -f http://203.0.113.7/", "convert a.png b.png|sh"] {
            assert!(!knows(&programs, other), "{other}");
        }
        // What is too various goes on to be any, step by step.
        for n in 0..40 {
            insert(&mut programs, &object(&format!("tool{}{} x", name(n % 20), name(n / 20))), Seen::at(1));
        }
        assert!(knows(&programs, "whatever") && programs.len() <= MANY + 1);
        assert_eq!(known_as(&programs, "/bin/sh /tmp/x.sh"), "/bin/sh /tmp/x.sh");
    }

    #[test]
    fn what_earlier_agents_kept_of_a_command_stands_for_it() {
        let mut programs = BTreeMap::new();
        for object in ["/bin/sh -c python3", "/usr/bin/perl -e"] {
            programs.insert(object.to_owned(), Seen::at(1));
        }
        for (object, wanted) in [
            ("/bin/sh -c 'python<n> /app/x.py'", "/bin/sh -c python3"),
            ("/usr/bin/perl -e 'print <n>'", "/usr/bin/perl -e"),
            ("/bin/sh -c 'nc x <n>'", "/bin/sh -c 'nc x <n>'"),
        ] {
            assert_eq!(known_as(&programs, object), wanted);
        }
    }
}
