//! How often receivers hear that the agent works.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Period;

/// The time between two heartbeats, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat(Option<Period>);

impl Heartbeat {
    /// No heartbeats.
    pub const OFF: Self = Self(None);
    /// More often than this it would say nothing more.
    const SHORTEST: Duration = Duration::from_secs(1);

    /// One every so many seconds.
    pub const fn every_secs(seconds: u64) -> Self {
        Self(Some(Period::from_secs(seconds)))
    }

    /// The time between two; none where it is off.
    pub fn get(self) -> Option<Duration> {
        self.0.map(Period::get)
    }
}

impl FromStr for Heartbeat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "off" {
            return Ok(Self::OFF);
        }
        match text.parse::<Period>() {
            Ok(period) if period.get() >= Self::SHORTEST => Ok(Self(Some(period))),
            Ok(_) => Err(format!("{text:?} is too short for a heartbeat: one second is the least")),
            Err(_) => Err(format!("{text:?} is neither a duration such as \"5m\" nor \"off\"")),
        }
    }
}

impl fmt::Display for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(period) => period.fmt(f),
            None => f.write_str("off"),
        }
    }
}

impl Serialize for Heartbeat {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Heartbeat {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Heartbeat {
    fn schema_name() -> Cow<'static, str> {
        "Heartbeat".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["5m", "30s", "off"] })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_period_or_off_is_read_and_printed() {
        for (text, every) in [("5m", Some(300)), ("1s", Some(1)), ("off", None)] {
            let heartbeat: Heartbeat = text.parse().unwrap();
            assert_eq!(heartbeat.get(), every.map(Duration::from_secs));
            assert_eq!(heartbeat.to_string(), text);
        }
    }

    #[test]
    fn the_rest_is_refused_with_what_would_be_right() {
        for (text, wanted) in
            [("0s", "one second"), ("999ms", "one second"), ("no", "\"off\""), ("", "\"5m\""), ("-3s", "\"5m\"")]
        {
            assert!(text.parse::<Heartbeat>().unwrap_err().contains(wanted), "{text}");
        }
    }
}
