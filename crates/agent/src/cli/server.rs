//! `ethogram server`: see [`crate::server`].

use std::path::PathBuf;

use clap::Args;

use crate::{config::Config, server};

/// All of it.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// Record all that is judged into a new file: its replay gives the same alerts
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Learn nothing: judge by the profiles that there are, and raise an alert for each workload that has none
    #[arg(long)]
    pub locked: bool,
}

pub(super) fn serve(mut config: Config, args: &ServerArgs) -> anyhow::Result<()> {
    config.behaviour.locked |= args.locked;
    server::serve(config, args.record.as_deref())
}
