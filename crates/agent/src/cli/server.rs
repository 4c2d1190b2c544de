//! `ethogram server`: collect, learn, judge and serve.

use crate::config::Config;

pub(super) fn serve(_: Config) -> anyhow::Result<()> {
    anyhow::bail!("server is not part of this build")
}
