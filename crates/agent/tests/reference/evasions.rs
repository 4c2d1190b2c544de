//! docs/evasions.md: what is tried to go unseen, and what finds it.

#[path = "../evasions/script.rs"]
mod script;

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use script::{scripts, scripts_of_host};

const HEAD: &str = "\
# Evasions

What is tried to do something unseen, and what finds it. Each is a script in `crates/agent/tests/evasions` with its
nearest harmless neighbour, of which no alert may come. Most run in a container; those of kind K4 attack the agent, from
the host. `script/test evasion` runs them; this page is generated from them. The last column says in which other
kernels, by `script/kernels/evasions`, it was found too.

Kinds: K1 text that an attacker writes is trusted, K2 what is unknown counts as harmless, K3 a shared table is filled,
K4 loss is silent, K5 a file is its path, K6 bytes are unbounded, K7 what was raised once is for ever.

| kind | what is tried | what finds it | also in |
|---|---|---|---|
";

/// The page.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut scripts = scripts();
    scripts.extend(scripts_of_host());
    scripts.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    let found_in = found_in();
    for script in scripts {
        let finds: Vec<_> = script.finds.iter().map(|f| format!("`{f}`")).collect();
        let also: Vec<_> = found_in
            .iter()
            .filter(|(_, names)| names.contains(&script.name))
            .map(|(kernel, _)| kernel.as_str())
            .collect();
        let times = if script.times > 1 { format!(", {} times", script.times) } else { String::new() };
        _ = writeln!(
            page,
            "| {} | {} | {}{times} | {} |",
            script.kind,
            script.title.replace('|', "\\|"),
            finds.join(" or "),
            also.join(", ")
        );
    }
    page
}

/// Which scripts were found in other kernels, by kernel.
fn found_in() -> BTreeMap<String, Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/evasions/found_in");
    // Without a file there is no folder.
    let kernels = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap());
    let names = |path: &Path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    kernels.map(|entry| (entry.file_name().to_string_lossy().into_owned(), names(&entry.path()))).collect()
}
