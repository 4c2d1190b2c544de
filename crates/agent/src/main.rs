//! The `ethogram` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    ethogram_agent::cli::main()
}
