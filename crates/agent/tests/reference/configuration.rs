//! The configuration file.

use ethogram_agent::config::{Config, Key};

use crate::page::{block, code, sentence, table, titled};

pub(crate) fn page() -> String {
    let schema = Config::json_schema();
    let keys = Config::keys().unwrap();
    let mut out = titled("Configuration")
        + "\nOne TOML file, `/etc/ethogram/ethogram.toml` or the one named by `--config`. Every key has a default. A \
           key that means nothing is an error that names the nearest right one. `ethogram schema config` prints all \
           of this as a JSON schema.\n";
    for (section, about) in schema["properties"].as_object().unwrap() {
        out += &format!("\n## [{section}]\n\n{}\n", sentence(about["description"].as_str().unwrap()));
        out += &rows(&keys, section);
        for (kind, about) in about["properties"].as_object().into_iter().flatten() {
            let named = format!("{section}.{kind}.NAME");
            let rows = rows(&keys, &named);
            if !rows.is_empty() {
                out += &format!("\n### [{named}]\n\n{}\n{rows}", sentence(about["description"].as_str().unwrap()));
            }
        }
    }
    out += "\nThe parameters of each tracker, on [its page](README.md#trackers), go into a section of their own, such \
            as `[trackers.open]`.\n\n## All defaults\n";
    out + &block("toml", &toml::to_string(&Config::default()).unwrap())
}

/// The keys that stand in a section itself.
fn rows(keys: &[Key], section: &str) -> String {
    let own = keys.iter().filter_map(|k| Some((k.name.strip_prefix(section)?.strip_prefix('.')?, k)));
    let row = |(name, k): (&str, &Key)| {
        [code(name), k.kind.clone(), code(k.default.as_deref().unwrap_or_default()), k.doc.clone()]
    };
    table(["key", "type", "default", "meaning"], own.filter(|(name, _)| !name.contains(".NAME.")).map(row))
}

#[test]
fn the_defaults_shown_are_a_configuration() {
    let shown = toml::to_string(&Config::default()).unwrap();
    assert_eq!(toml::from_str::<Config>(&shown).unwrap(), Config::default());
}
