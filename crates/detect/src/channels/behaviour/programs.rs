//! Programs that were run, with those arguments that make them another program: `/bin/sh -c backup`.
//! Many of one program become `/bin/sh *`.

use std::{borrow::Cow, collections::BTreeMap};

use crate::learning::Seen;

/// Different arguments of one program from which any are meant.
const MANY: usize = 16;

/// The program of an object. Its own spaces are escaped, so the first one ends it.
fn program(object: &str) -> Option<&str> {
    let (program, rest) =
        object.split_at(object.match_indices(' ').map(|(at, _)| at).find(|at| ends_there(object, *at))?);
    (!rest.is_empty()).then_some(program)
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
    match program(object).map(any) {
        Some(any) if programs.contains_key(&any) => Cow::Owned(any),
        _ => Cow::Borrowed(object),
    }
}

/// Adds a program, and gives up its arguments where they have become many.
pub(super) fn insert(programs: &mut BTreeMap<String, Seen>, object: &str, seen: Seen) {
    programs.entry(known_as(programs, object).into_owned()).or_default().add(seen);
    let Some(name) = program(object) else { return };
    let begin = format!("{name} ");
    let alike: Vec<String> = programs
        .range(begin.clone()..)
        .take_while(|(other, _)| other.starts_with(&begin))
        .filter(|(other, _)| program(other) == Some(name))
        .map(|(other, _)| other.clone())
        .collect();
    if alike.len() > MANY {
        let mut all = Seen::default();
        alike.iter().filter_map(|other| programs.remove(other)).for_each(|s| all.add(s));
        programs.insert(any(name), all);
    }
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
}
