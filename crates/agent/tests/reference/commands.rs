//! The command line.

use clap::{Command, CommandFactory};
use ethogram_agent::cli::Cli;

use crate::page::{block, titled};

pub(crate) fn page() -> String {
    let mut command = Cli::command().term_width(100).styles(clap::builder::Styles::plain());
    command.build();
    let mut out = titled("Commands")
        + "\nData goes to standard output and nothing else does; what is to be said about it goes to standard error. \
           Exit codes: 0 done, 1 failed, 2 wrong usage, 77 this kernel or these privileges cannot. `ETHOGRAM_LOG` \
           says how much is logged: `error`, `warn`, `info`, `debug` or `trace`.\n";
    add(command, "", &mut out);
    out
}

/// A command, and those below it.
fn add(mut command: Command, above: &str, out: &mut String) {
    let name = format!("{above}{}", command.get_name());
    let help = command.render_long_help().to_string();
    let help: Vec<_> = help.lines().map(str::trim_end).collect();
    *out += &format!("\n## {name}\n");
    *out += &block("text", &help.join("\n"));
    for inner in command.get_subcommands().filter(|c| c.get_name() != "help") {
        add(inner.clone(), &format!("{name} "), out);
    }
}

#[test]
fn every_command_is_there() {
    let page = page();
    for name in ["ethogram run", "ethogram doctor", "ethogram trackers start", "ethogram schema events"] {
        assert!(page.contains(&format!("\n## {name}\n")), "{name}");
    }
}
