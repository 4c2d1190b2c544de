//! `ethogram run`: one tracker, to the terminal.

use super::RunArgs;
use crate::config::Config;

pub(super) fn run(_: &RunArgs, _: &Config) -> anyhow::Result<()> {
    anyhow::bail!("run is not part of this build")
}
