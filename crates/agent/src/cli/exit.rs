//! How a command ends: one clear line on standard error, and the exit code for the kind of end.

use std::process::ExitCode;

use clap::error::ErrorKind;
use ethogram_model::render;

use crate::{
    failure::{Differ, Unable, Usage},
    output::{self, OutputError},
};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const UNABLE: u8 = 77;

/// Says why it failed. A reader that has enough, such as `head`, is no failure.
pub(super) fn failed(error: &anyhow::Error) -> ExitCode {
    if matches!(error.downcast_ref(), Some(OutputError::ReaderGone)) {
        return ExitCode::SUCCESS;
    }
    if error.downcast_ref::<Differ>().is_none() {
        print_error(&message(error));
    }
    ExitCode::from(code(error))
}

/// The error and its causes; a cause that its effect names already is not repeated.
fn message(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |so_far, cause| match so_far.as_str() {
        "" => cause,
        _ if so_far.contains(&cause) => so_far,
        _ => format!("{so_far}: {cause}"),
    })
}

fn code(error: &anyhow::Error) -> u8 {
    if error.downcast_ref::<Unable>().is_some() {
        UNABLE
    } else if error.downcast_ref::<Usage>().is_some() {
        USAGE
    } else {
        FAILED
    }
}

/// Says what is wrong with the command line; help and version are what was asked for.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // To a reader that has gone there is nothing to say.
            let _ = output::print(&error.render().to_string());
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            eprint!("{}", error.render());
            ExitCode::from(USAGE)
        }
        _ => {
            print_error(&one_line(&error.render().to_string()));
            ExitCode::from(USAGE)
        }
    }
}

/// Clap explains in paragraphs: the first says what is wrong, tips say what would be right.
fn one_line(explanation: &str) -> String {
    let text = explanation.split("\nUsage:").next().unwrap_or_default();
    let text = text.split("\nFor more information").next().unwrap_or_default();
    let text = text.trim().strip_prefix("error: ").unwrap_or(text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    lines.join(" ").replace(" tip: ", "; ").replace(" [possible", "; [possible")
}

fn print_error(what: &str) {
    let line: Vec<&str> = what.lines().map(str::trim).collect();
    eprintln!("ethogram: {}", render::escape(&line.join(" ")));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use anyhow::Context;
    use clap::Parser;

    use super::*;
    use crate::{cli::Cli, config::Config};

    #[test]
    fn the_kind_of_end_is_seen_through_what_was_added() {
        let unable = || anyhow::Error::new(Unable("no BTF".into())).context("cannot start");
        assert_eq!(code(&unable()), UNABLE);
        assert_eq!(message(&unable()), "cannot start: no BTF");
        let twice = Config::load(Some(Path::new("/nonexistent"))).map_err(|e| message(&e.into()));
        let once = "cannot read the configuration /nonexistent: No such file or directory (os error 2)";
        assert_eq!(twice, Err(once.to_owned()));
        assert_eq!(code(&anyhow::Error::new(Usage("x".into()))), USAGE);
        assert_eq!(code(&anyhow::anyhow!("x")), FAILED);
        let gone = Err::<(), _>(OutputError::ReaderGone).context("run").map_err(|e| failed(&e));
        assert_eq!(format!("{gone:?}"), format!("{:?}", Err::<(), _>(ExitCode::SUCCESS)));
    }

    #[test]
    fn a_wrong_command_line_is_one_line_with_what_is_right() {
        for (line, expected) in [
            ("ethogram alerts --folow", "unexpected argument '--folow' found; a similar argument exists: '--follow'"),
            (
                "ethogram run open -o yaml",
                "invalid value 'yaml' for '--output <FORMAT>'; [possible values: table, json, csv]",
            ),
            ("ethogram alrts", "unrecognized subcommand 'alrts'; a similar subcommand exists: 'alerts'"),
            (
                "ethogram run open --set x",
                "invalid value 'x' for '--set <PARAM=VALUE>': it must be PARAM=VALUE, such as min_ms=5",
            ),
            ("ethogram run", "the following required arguments were not provided: <TRACKER>"),
        ] {
            let error = Cli::try_parse_from(line.split(' ')).err().map(|e| one_line(&e.render().to_string()));
            assert_eq!(error.as_deref(), Some(expected));
        }
    }
}
