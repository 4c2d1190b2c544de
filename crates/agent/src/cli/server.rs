//! `ethogram server`: see [`crate::server`].

use super::ServerArgs;
use crate::{config::Config, server};

pub(super) fn serve(mut config: Config, args: &ServerArgs) -> anyhow::Result<()> {
    config.behaviour.locked |= args.locked;
    server::serve(config, args.record.as_deref())
}
