//! `[trackers]`: which ones run, and a table of parameters for each.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};

/// Which trackers run, and with which parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trackers {
    /// The trackers the server starts, with all of their events wanted; without it, those that are on by default.
    pub enabled: Option<Vec<String>>,
    /// The trackers whose programs with high overhead are attached too, which `ethogram doctor` lists; else they are only while all
    /// of a tracker's events are subscribed to.
    pub high_overhead: Vec<String>,
    /// By tracker: its parameters and their values. What a tracker accepts is checked when it starts.
    pub params: BTreeMap<String, BTreeMap<String, ParamValue>>,
}

/// The value of a parameter as it was written: a whole number, true or false, or either as a string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParamValue(pub String);

impl<'de> Deserialize<'de> for ParamValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl de::Visitor<'_> for Any {
            type Value = ParamValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, true or false")
            }
            fn visit_bool<E>(self, value: bool) -> Result<ParamValue, E> {
                Ok(ParamValue(value.to_string()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<ParamValue, E> {
                Ok(ParamValue(value.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<ParamValue, E> {
                Ok(ParamValue(value.to_string()))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<ParamValue, E> {
                // JSON has one kind of number: 5.0 is the whole number 5. Beyond 2^53 not every one can be written so.
                match value.fract() == 0.0 && value.abs() <= (1_u64 << 53) as f64 {
                    true => Ok(ParamValue(format!("{value:.0}"))),
                    false => Err(E::invalid_type(de::Unexpected::Float(value), &self)),
                }
            }
            fn visit_str<E>(self, value: &str) -> Result<ParamValue, E> {
                Ok(ParamValue(value.to_owned()))
            }
        }
        from.deserialize_any(Any)
    }
}

impl JsonSchema for ParamValue {
    fn schema_name() -> Cow<'static, str> {
        "ParamValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "boolean", "string"] })
    }
}

// By hand, because a flattened map would lose the line of a wrong value.
impl<'de> Deserialize<'de> for Trackers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Table;
        impl<'de> de::Visitor<'de> for Table {
            type Value = Trackers;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table with `enabled`, `high_overhead` and a table of parameters for each tracker")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Trackers, A::Error> {
                let mut out = Trackers::default();
                while let Some(key) = map.next_key::<String>()? {
                    if key == "enabled" {
                        out.enabled = Some(map.next_value()?);
                    } else if key == "high_overhead" {
                        out.high_overhead = map.next_value()?;
                    } else if key == "thorough" {
                        tracing::warn!(
                            "[trackers] `thorough` is called `high_overhead` now; the old name goes with the next version"
                        );
                        out.high_overhead = map.next_value()?;
                    } else {
                        out.params.insert(key, map.next_value()?);
                    }
                }
                Ok(out)
            }
        }
        from.deserialize_map(Table)
    }
}

impl Trackers {
    /// Whether a tracker's programs with high overhead are to be attached.
    pub(crate) fn has_high_overhead(&self, tracker: &str) -> bool {
        self.high_overhead.iter().any(|name| name == tracker)
    }
}

impl Serialize for Trackers {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        if let Some(enabled) = &self.enabled {
            map.serialize_entry("enabled", enabled)?;
        }
        map.serialize_entry("high_overhead", &self.high_overhead)?;
        for (tracker, params) in &self.params {
            map.serialize_entry(tracker, params)?;
        }
        map.end()
    }
}

impl JsonSchema for Trackers {
    fn schema_name() -> Cow<'static, str> {
        "Trackers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "enabled": {
                    "type": "array",
                    "items": { "type": "string" },
                    "description": "The trackers the server starts, with all of their events wanted; without it, those that are on by default.",
                },
                "high_overhead": {
                    "type": "array",
                    "items": { "type": "string" },
                    "default": [],
                    "description": "The trackers whose programs with high overhead are attached too, which `ethogram doctor` lists; else they are only while all of a tracker's events are subscribed to. Until the next version also called `thorough`.",
                },
            },
            "additionalProperties": {
                "type": "object",
                "description": "Parameters of the tracker of that name.",
                "additionalProperties": generator.subschema_for::<ParamValue>(),
            },
        })
    }
}
