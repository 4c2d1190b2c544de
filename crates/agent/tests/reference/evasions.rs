//! docs/evasions.md: what is tried to go unseen, and what finds it.

#[path = "../evasions/script.rs"]
mod script;

use std::fmt::Write;

use script::{scripts, scripts_of_host};

const HEAD: &str = "\
# Evasions

What is tried to do something unseen, and what finds it. Each is a script in `crates/agent/tests/evasions` with its
nearest harmless neighbour, of which no alert may come. Most run in a container; those of kind K4 attack the agent, from
the host. `script/test evasion` runs them; this page is generated from them.

Kinds: K1 text that an attacker writes is trusted, K2 what is unknown counts as harmless, K3 a shared table is filled,
K4 loss is silent, K5 a file is its path, K6 bytes are unbounded, K7 what was raised once is for ever.

| kind | what is tried | what finds it |
|---|---|---|
";

/// The page.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut scripts = scripts();
    scripts.extend(scripts_of_host());
    scripts.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    for script in scripts {
        let finds: Vec<_> = script.finds.iter().map(|f| format!("`{f}`")).collect();
        let times = if script.times > 1 { format!(", {} times", script.times) } else { String::new() };
        _ = writeln!(
            page,
            "| {} | {} | {}{times} |",
            script.kind,
            script.title.replace('|', "\\|"),
            finds.join(" or ")
        );
    }
    page
}
