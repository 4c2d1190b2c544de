//! Configuration files, and what is said of what is wrong in them: one line. What is taken is read again as it was written.
#![no_main]

use std::path::Path;

use ethogram_agent::config::{Config, ConfigError};

libfuzzer_sys::fuzz_target!(|text: &str| ethogram_fuzz::bounded(|| {
    match read(text) {
        Ok(config) => {
            let written = toml::to_string(&config).expect("it is written");
            let again = read(&written).unwrap_or_else(|e| panic!("{e}: {written}"));
            assert_eq!(again, config, "{written}");
        }
        Err(ConfigError::Unreadable { .. }) => unreachable!("nothing was read"),
        Err(error @ ConfigError::Wrong { line, .. }) => {
            let lines = text.matches('\n').count() + 1;
            assert!(line.is_none_or(|line| (1..=lines).contains(&line)), "{error}, of {lines} lines");
            let text = error.to_string();
            assert!(!text.chars().any(char::is_control), "more than one line, or for a terminal: {text:?}");
        }
    }
}));

fn read(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("e.toml"), text)
}
