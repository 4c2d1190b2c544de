//! The command line: what can be asked, and how the answer ends.
#![allow(clippy::print_stdout, clippy::print_stderr)] // What is asked for goes to the terminal.

mod alerts;
mod args;
mod client;
mod containers;
mod doctor;
mod evaluate;
mod exit;
mod incidents;
mod profile;
mod record;
mod replay;
mod responses;
mod rules;
mod run;
mod schema;
mod server;
mod speed;
mod trackers;
mod until;
mod wrap;

use std::{io::IsTerminal, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use ethogram_model::TrackerSchema;
use tracing_subscriber::filter::LevelFilter;

use self::{
    args::{ListFormat, RecordArgs, ReplayArgs, ReplayFormat, RunArgs},
    rules::RulesAction,
};
use crate::{config::Config, sandbox};

/// Learns what each container workload normally does, and raises an alert when one does something new or known to be
/// bad.
#[derive(Debug, Parser)]
#[command(name = "ethogram", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration file [default: /etc/ethogram/ethogram.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The server's socket [default: as configured]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Collect, learn, judge and serve, until it is stopped
    Server(server::ServerArgs),
    /// Show one tracker's events in the terminal
    Run(RunArgs),
    /// Record what happens into a file, to be replayed anywhere
    Record(RecordArgs),
    /// Judge a recording again, or convert its events
    Replay(ReplayArgs),
    /// Say what the methods of detection make of data from elsewhere
    Evaluate(evaluate::EvaluateArgs),
    /// List the trackers, and start or stop them in the running server
    Trackers(trackers::TrackersArgs),
    /// List the containers that run, or show one of them
    Containers(containers::ContainersArgs),
    /// Say what works on this machine, and why the rest does not
    Doctor(doctor::DoctorArgs),
    /// Show what the running server has learnt
    Profile(profile::ProfileArgs),
    /// Show the running server's incidents: alerts that belong to one deed
    Incidents(incidents::IncidentsArgs),
    /// Show the running server's alerts
    Alerts(alerts::AlertsArgs),
    /// Show rules, check rule files and say what rules cost
    Rules(rules::RulesArgs),
    /// Show what the running server did about its alerts, and undo it
    Responses(responses::ResponsesArgs),
    /// Print the schema of the configuration, the API or the events
    Schema(schema::SchemaArgs),
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    ethogram_probe::limit_arenas();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    log_to_stderr();
    match dispatch(cli, builtin) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::failed(&error),
    }
}

fn dispatch(cli: Cli, builtin: fn() -> Vec<TrackerSchema>) -> anyhow::Result<()> {
    if let Command::Schema(args) = &cli.command {
        return schema::show(args, builtin);
    }
    // What a replay gives depends on no file of the machine on which it runs, but the one that is named.
    if let Command::Replay(args) = &cli.command {
        return replay::replay(args, cli.config.as_deref());
    }
    if let Command::Evaluate(args) = &cli.command {
        return evaluate::evaluate(args);
    }
    let mut config = Config::load(cli.config.as_deref())?;
    let named = cli.socket.is_some();
    if let Some(socket) = cli.socket {
        config.api.socket = socket;
    }
    if matches!(cli.command, Command::Server(_) | Command::Run(_) | Command::Record(_)) {
        sandbox::enter();
    }
    match cli.command {
        Command::Server(args) => server::serve(config, &args),
        Command::Run(args) => run::run(&args, &config),
        Command::Record(args) => record::record(&args, config),
        Command::Replay(args) => replay::replay(&args, cli.config.as_deref()),
        Command::Evaluate(args) => evaluate::evaluate(&args),
        Command::Doctor(args) => doctor::examine(&args, &config),
        Command::Trackers(args) => {
            asking(config.api.socket, async |c| trackers::answer(&args, &c, named, builtin).await)
        }
        Command::Containers(args) => asking(config.api.socket, async |c| containers::answer(&args, &c).await),
        Command::Profile(args) => asking(config.api.socket, async |c| profile::answer(&args, &c).await),
        Command::Incidents(args) => asking(config.api.socket, async |c| incidents::answer(&args, &c).await),
        Command::Alerts(args) => asking(config.api.socket, async |c| alerts::answer(&args, &c).await),
        Command::Rules(args) => match &args.action {
            RulesAction::Check { files } => rules::check(files, &args, &config, builtin),
            RulesAction::Test { files } => rules::test(files, &args, &config, builtin),
            RulesAction::Cost { recording: Some(recording), files } => {
                rules::cost_on(recording, files, &args, &config, builtin)
            }
            _ => asking(config.api.socket, async |c| rules::answer(&args, &c).await),
        },
        Command::Responses(args) => asking(config.api.socket, async |c| responses::answer(&args, &c).await),
        Command::Schema(args) => schema::show(&args, builtin),
    }
}

/// The schemas of the trackers that are part of this binary.
fn builtin() -> Vec<TrackerSchema> {
    // That they can be read is what the build's tests show.
    ethogram_probe::builtin().unwrap_or_default().iter().map(|t| TrackerSchema::clone(&t.schema)).collect()
}

/// Runs a command that asks the server.
fn asking(socket: PathBuf, ask: impl AsyncFnOnce(client::Client) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ask(client::Client::new(socket)))
}

/// Standard output carries data only. `ETHOGRAM_LOG` says how much is logged: error, warn, info, debug or trace.
fn log_to_stderr() {
    let level = std::env::var("ETHOGRAM_LOG").ok().and_then(|l| l.parse().ok()).unwrap_or(LevelFilter::INFO);
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
