//! `ethogram server`: see [`crate::server`].

use crate::{config::Config, server};

pub(super) fn serve(config: Config) -> anyhow::Result<()> {
    server::serve(config)
}
