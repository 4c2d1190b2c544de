//! The scripts beside this file: functions `learn`, `control` and `evade` for a shell in a container, below lines that say
//! what is tried. What `flood` does, another container does while this one evades. Those in `host` are for a shell of the
//! host's, which attacks the agent itself. A script that ends with 77 says that this kernel has nothing of the kind.

use std::{collections::BTreeMap, env, fs, path::Path};

/// A way to do something unseen.
#[derive(Debug)]
pub(crate) struct Script {
    /// The file's name, without its end.
    pub(crate) name: String,
    /// What is tried.
    #[allow(dead_code, reason = "the table has it")]
    pub(crate) title: String,
    /// The kind of weakness: K1 text that an attacker writes is trusted, K2 unknown is harmless, K3 a table is filled, K4 loss is
    /// silent, K5 a file is its path, K6 bytes are unbounded, K7 once is for ever.
    #[allow(dead_code, reason = "the table has it")]
    pub(crate) kind: String,
    /// What finds it: rules by their names, and `behaviour.execute` and its like. One is enough.
    pub(crate) finds: Vec<String>,
    /// How many alerts of those there must be.
    #[allow(dead_code, reason = "the tests that run containers have it")]
    pub(crate) times: usize,
    /// Whether another container floods meanwhile.
    #[allow(dead_code, reason = "the tests that run containers have it")]
    pub(crate) has_flood: bool,
    /// Whether it concerns all agents of the machine.
    #[allow(dead_code, reason = "the tests that run containers have it")]
    pub(crate) is_alone: bool,
    /// Options of the container.
    #[allow(dead_code, reason = "the tests that run containers have them")]
    pub(crate) options: Vec<String>,
    /// Commands that are started from outside in place of a function, by its name.
    #[allow(dead_code, reason = "the tests that run containers have them")]
    pub(crate) started_from_outside: BTreeMap<String, Vec<String>>,
}

/// Those for containers, by their names. `ETHOGRAM_TEST_EVASIONS` leaves those whose name has this in it.
pub(crate) fn scripts() -> Vec<Script> {
    read_folder("tests/evasions")
}

/// Those against the agent itself, by their names.
pub(crate) fn scripts_of_host() -> Vec<Script> {
    read_folder("tests/evasions/host")
}

fn read_folder(folder: &str) -> Vec<Script> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let only = env::var("ETHOGRAM_TEST_EVASIONS").unwrap_or_default();
    let scripts = files.filter(|path| path.extension().is_some_and(|e| e == "sh")).map(|path| read(&path));
    let mut scripts: Vec<_> = scripts.filter(|script| script.name.contains(&only)).collect();
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    scripts
}

fn read(path: &Path) -> Script {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let text = fs::read_to_string(path).unwrap();
    let mut head = text.lines().skip(1).map_while(|line| line.strip_prefix("# "));
    let title = head.next().unwrap_or_else(|| panic!("{name} does not say what is tried")).to_owned();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    let mut script = Script {
        name,
        title,
        kind: String::new(),
        finds: Vec::new(),
        times: 1,
        is_alone: text.contains("\n# alone"),
        has_flood: text.contains("\nflood() {"),
        options: Vec::new(),
        started_from_outside: BTreeMap::new(),
    };
    for line in head {
        match line.split_once(": ") {
            Some(("kind", kind)) => script.kind = kind.into(),
            Some(("finds", finds)) => script.finds = finds.split(", ").map(str::to_owned).collect(),
            Some(("times", times)) => script.times = times.parse().unwrap(),
            None if line == "alone" => {}
            Some(("options", options)) => script.options = words(options),
            Some(("control-exec", command)) => _ = script.started_from_outside.insert("control".into(), words(command)),
            Some(("evade-exec", command)) => _ = script.started_from_outside.insert("evade".into(), words(command)),
            _ => panic!("{}: no such line: # {line}", script.name),
        }
    }
    assert!(!script.kind.is_empty() && !script.finds.is_empty(), "{}: kind or finds is missing", script.name);
    script
}
