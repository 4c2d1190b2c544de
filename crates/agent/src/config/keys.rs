//! What can be configured: every key with its default and its meaning, from the configuration's own schema.

use serde_json::Value as Json;

use super::Config;

/// Stands in a key for a name of the user's choice: `alerts.webhook.NAME.url`.
pub(super) const NAME: &str = "NAME";

/// A key of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// `behaviour.learning_period`
    pub name: String,
    /// As in a JSON schema: `string`, `integer`, `boolean`, `array`.
    pub kind: String,
    /// Its default, as it would be written; none where leaving it out means something of its own.
    pub default: Option<String>,
    /// What it means, with its unit.
    pub doc: String,
}

impl Config {
    /// All keys, in the order of the configuration.
    ///
    /// # Errors
    /// None that the tests of this crate do not rule out.
    pub fn keys() -> serde_json::Result<Vec<Key>> {
        let mut keys = Vec::new();
        collect(&Self::json_schema(), &serde_json::to_value(Self::default())?, "", &mut keys);
        Ok(keys)
    }
}

fn collect(schema: &Json, defaults: &Json, prefix: &str, out: &mut Vec<Key>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let (name, default) = (format!("{prefix}{name}"), &defaults[name]);
        let named = &inner["additionalProperties"];
        if inner["properties"].is_object() {
            collect(inner, default, &format!("{name}."), out);
        } else if named["properties"].is_object() {
            collect(named, &Json::Null, &format!("{name}.{NAME}."), out);
        } else {
            // What is in a table of the user's naming has its default in the schema only.
            let default = if default.is_null() { &inner["default"] } else { default };
            let kind = match &inner["type"] {
                Json::Array(kinds) => kinds.iter().filter_map(Json::as_str).find(|k| *k != "null"),
                // One of several words, each with its own meaning.
                Json::Null => inner["oneOf"][0]["type"].as_str(),
                kind => kind.as_str(),
            };
            let doc = inner["description"].as_str().unwrap_or_default().replace('\n', " ");
            let written = (!default.is_null()).then(|| default.to_string());
            out.push(Key { name: name.clone(), kind: kind.unwrap_or_default().into(), default: written, doc });
            // Of a list of tables, what each may hold.
            collect(&inner["items"], &Json::Null, &format!("{name}."), out);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_default_its_kind_and_a_meaning() {
        let keys = Config::keys().unwrap();
        let default = |name: &str| keys.iter().find(|k| k.name == name).unwrap().default.clone();
        assert_eq!(default("behaviour.learning_period").as_deref(), Some("\"24h\""));
        assert_eq!(default("metrics.listen").as_deref(), Some("\"127.0.0.1:8528\""));
        assert_eq!(default("trackers.enabled"), None);
        assert_eq!(default("alerts.webhook.NAME.format").as_deref(), Some("\"ocsf\""));
        assert_eq!(default("alerts.alertmanager.NAME.resolve_after").as_deref(), Some("\"1h\""));
        assert_eq!(default("alerts.otlp.NAME.endpoint"), None);
        assert!(keys.iter().all(|k| !k.doc.is_empty() && !k.kind.is_empty()), "{keys:?}");
    }
}
