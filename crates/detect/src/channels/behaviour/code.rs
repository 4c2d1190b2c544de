//! What can be run, interpreted or loaded, as its name says. What is executable by its mode alone is judged when it runs.

use std::borrow::Cow;

use crate::subject::program::file_name;

/// What stands for any name.
pub(super) const ANY: &str = "*";
/// Endings without the number of a version.
const ENDINGS: [&str; 36] = [
    "php", "phtml", "pht", "phar", "jsp", "jspx", "jspf", "war", "ear", "jar", "class", "asp", "aspx", "ashx", "asmx",
    "cfm", "cgi", "fcgi", "shtml", "sh", "bash", "py", "pyc", "pyo", "pl", "pm", "rb", "lua", "js", "mjs", "cjs", "so",
    "ko", "exe", "elf", "wasm",
];
/// Files that say of the folder around them what is run there.
const SETTINGS: [&str; 2] = [".htaccess", ".user.ini"];
/// How a path ends that was too long: as anything.
const CUT: &str = "…";

/// Whether a file can be run, or decides what is.
pub(crate) fn is_code(path: &str) -> bool {
    pattern(file_name(path)).is_some()
}

/// What stands for all files of a folder that are of the kind of this one: those that are no code, `*`; code, by its ending,
/// `<any>.php`. Gives the same when given its own result.
pub(super) fn any_like(name: &str) -> Cow<'_, str> {
    pattern(name).unwrap_or(Cow::Borrowed(ANY))
}

/// The same of code only.
pub(super) fn pattern(name: &str) -> Option<Cow<'_, str>> {
    if name == CUT || SETTINGS.contains(&name) {
        return Some(Cow::Borrowed(name));
    }
    if name.contains(".so.") {
        return Some(Cow::Borrowed("<any>.so"));
    }
    let (stem, ending) = name.rsplit_once('.')?;
    let ending = ending.trim_end_matches("<n>").trim_end_matches(|c: char| c.is_ascii_digit());
    let ending = ENDINGS.into_iter().find(|known| known.eq_ignore_ascii_case(ending))?;
    // Python keeps such a file of each module, from when it is first used.
    let is_cache = ending == "pyc" && stem.contains(".cpython-");
    (!is_cache).then(|| format!("<any>.{ending}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_told_by_its_name_and_what_looks_like_it_is_not() {
        for (name, wanted) in [
            ("x.php", "<any>.php"),
            ("X.PHP", "<any>.php"),
            ("x.php7", "<any>.php"),
            ("x.php<n>", "<any>.php"),
            ("*.php", "<any>.php"),
            ("x.jpg.php", "<any>.php"),
            ("x.phtml", "<any>.phtml"),
            ("libx.so.1.2", "<any>.so"),
            ("libx.so", "<any>.so"),
            (".x.sh", "<any>.sh"),
            (".htaccess", ".htaccess"),
            ("…", "…"),
            ("x.php.jpg", "*"),
            ("x.mp3", "*"),
            ("x.ps", "*"),
            ("php", "*"),
            ("x.", "*"),
            (".hidden", "*"),
            ("x.htaccess", "*"),
            ("app.cpython-<n>.pyc", "*"),
            ("<n>", "*"),
            ("", "*"),
        ] {
            assert_eq!(any_like(name), wanted, "{name}");
            assert_eq!(any_like(wanted), wanted);
        }
        assert!(is_code("/srv/x.php") && !is_code("/srv/x.php/y"));
    }
}
