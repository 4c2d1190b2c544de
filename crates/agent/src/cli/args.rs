//! Words of the command line that several commands share, and those of the commands that collect or replay.

mod record;
mod replay;
mod run;

use std::str::FromStr;

use clap::ValueEnum;

pub(super) use self::{
    record::RecordArgs,
    replay::{Judge, ReplayArgs, ReplayFormat},
    run::RunArgs,
};
use crate::config::Period;

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Aligned columns, for people.
    Table,
    /// JSON, for programs.
    Json,
}

/// `PARAM=VALUE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The parameter.
    pub name: String,
    /// Its value, not checked yet.
    pub value: String,
}

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err("it must be PARAM=VALUE, such as min_ms=5"),
        }
    }
}

/// A time, as RFC 3339 says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment(pub String);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.parse::<jiff::Timestamp>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        let wrong = || "it must be a time such as 2026-01-31T12:00:00Z, or how long ago, such as 1h".to_owned();
        let ago: Period = text.parse().map_err(|_| wrong())?;
        let then = jiff::Timestamp::now().checked_sub(jiff::SignedDuration::try_from(ago.get()).map_err(|_| wrong())?);
        Ok(Self(then.map_err(|_| wrong())?.to_string()))
    }
}
