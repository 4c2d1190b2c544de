//! `ethogram doctor`: what works on this machine.

use super::DoctorArgs;
use crate::config::Config;

pub(super) fn examine(_: &DoctorArgs, _: &Config) -> anyhow::Result<()> {
    anyhow::bail!("doctor is not part of this build")
}
