//! `ethogram server`: see [`crate::server`].

use super::ServerArgs;
use crate::{config::Config, server};

pub(super) fn serve(config: Config, args: &ServerArgs) -> anyhow::Result<()> {
    server::serve(config, args.record.as_deref())
}
