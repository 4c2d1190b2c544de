//! The words of `ethogram run`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::Setting;
use crate::{config::Period, output::Format};

/// One tracker, to the terminal.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A tracker's name, or the path of an object (FILE.bpf.o)
    pub tracker: String,
    /// How often samples are read
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = interval)]
    pub interval: Period,
    /// How long to go on [default: until Ctrl-C]
    #[arg(long, value_name = "TIME")]
    pub duration: Option<Period>,
    /// Only this container, by name or id, also if it starts later; may be repeated
    #[arg(long, value_name = "NAME|ID")]
    pub container: Vec<String>,
    /// How long to wait for a container that no runtime knows yet
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub wait: Period,
    /// Set a parameter of the tracker; may be repeated
    #[arg(long, value_name = "PARAM=VALUE")]
    pub set: Vec<Setting>,
    /// How events are printed
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
    /// Write to a file in place of the terminal
    #[arg(long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,
}

/// The shortest interval: reading samples is work, too.
fn interval(text: &str) -> Result<Period, String> {
    let period: Period = text.parse()?;
    if period.get() < Duration::from_millis(100) {
        return Err("it must be at least 100ms".to_owned());
    }
    Ok(period)
}
