//! The words of `ethogram record`.

use std::path::PathBuf;

use clap::Args;

use crate::config::Period;

/// A recording.
#[derive(Debug, Args)]
#[command(after_help = "\
Containers are recorded from their first instruction, with what the runtimes report about them. Processes are recorded on the
whole host, as they are the ancestors of those in containers. Arguments that look like secrets are masked; the rest of
them is in the file, which only its owner can read.

What is written can be read at any time, also after a crash. The last line says how much was recorded, and whether
anything was lost.

Examples:
  ethogram record /tmp/shop.egr --duration 10m               everything that the server would collect
  ethogram record /tmp/shop.egr --container shop             one container, running or still to start
  ethogram record /tmp/net.egr --trackers tcp                only some trackers
  ethogram server --record /tmp/live.egr                     what a server judges, and what it had learnt before
  ethogram replay /tmp/shop.egr                              its alerts, on any machine, without root")]
pub struct RecordArgs {
    /// The file; it must not be there yet
    pub file: PathBuf,
    /// How long to go on [default: until Ctrl-C]
    #[arg(long, value_name = "TIME")]
    pub duration: Option<Period>,
    /// Only this container, by name or id, also if it starts later; may be repeated
    #[arg(long, value_name = "NAME|ID")]
    pub container: Vec<String>,
    /// How long to wait for a container that no runtime knows yet
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub wait: Period,
    /// Only these trackers, separated by commas [default: those of the server]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub trackers: Vec<String>,
    /// Also what happens outside containers
    #[arg(long, conflicts_with = "container")]
    pub host: bool,
}
