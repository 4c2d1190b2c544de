//! `[triage]`: the language model that is asked about incidents.

use std::path::PathBuf;

use ethogram_model::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Headers, Http, Period, Url};

/// A language model that annotates incidents: what it takes them for, why, and what to look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Triage {
    /// A server that takes `POST /v1/chat/completions`, such as `http://127.0.0.1:11434`; that path is added.
    pub url: Option<Url>,
    /// The name of the model that the server is to use.
    pub model: Option<String>,
    /// A file with a token, sent as `Authorization: Bearer TOKEN`. It is read for each request.
    pub token_file: Option<PathBuf>,
    /// A file with the certificates, in PEM, that the server's may be signed by; without it, those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take: from 1 s to 10 min.
    pub timeout: Period,
    /// Requests an hour at most, of which a workload has half: from 1 to 10000. Beyond, incidents are not annotated.
    #[schemars(range(min = 1, max = 10_000))]
    pub per_hour: u32,
    /// The lowest severity that is triaged: "informational", "low", "medium", "high" or "critical".
    #[schemars(with = "String", extend("enum" = super::SEVERITIES))]
    pub severity: Severity,
    /// Headers to send with each request.
    #[serde(skip_serializing_if = "Headers::is_empty")]
    pub headers: Headers,
}

impl Default for Triage {
    fn default() -> Self {
        Self {
            url: None,
            model: None,
            token_file: None,
            ca_file: None,
            timeout: Period::from_secs(30),
            per_hour: 30,
            severity: Severity::Low,
            headers: Headers::default(),
        }
    }
}

impl Triage {
    /// Characters of a model's name.
    const MAX_MODEL: usize = 128;
    const PATH: &str = "/v1/chat/completions";

    /// What only several keys together show: the key, and what is wrong with it.
    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.url.is_some() && self.model.is_none() {
            return Err(("triage.url", "needs triage.model: the name of the model that the server is to use"));
        }
        if self.model.as_ref().is_some_and(|name| name.is_empty() || name.chars().count() > Self::MAX_MODEL) {
            return Err(("triage.model", "must have from 1 to 128 characters"));
        }
        if !(1..=600).contains(&self.timeout.get().as_secs()) {
            return Err(("triage.timeout", "must be from 1s to 10m"));
        }
        if !(1..=10_000).contains(&self.per_hour) {
            return Err(("triage.per_hour", "must be from 1 to 10000: without triage.url nothing is sent"));
        }
        Ok(())
    }

    /// Where requests go; none where it is off. Providers name the address of their API with and without its version.
    pub(crate) fn endpoint(&self) -> Option<String> {
        let url = self.url.as_ref()?.below(Self::PATH);
        let doubled = url.strip_suffix(Self::PATH).and_then(|base| base.strip_suffix("/v1"));
        Some(doubled.map_or(url.clone(), |base| format!("{base}{}", Self::PATH)))
    }

    pub(crate) fn http(&self) -> Http {
        let Self { headers, token_file, ca_file, .. } = self.clone();
        Http { headers, token_file, ca_file }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_added_where_it_is_missing() {
        for url in ["http://a:1", "http://a:1/", "http://a:1/v1", "http://a:1/v1/", "http://a:1/v1/chat/completions"] {
            let triage = Triage { url: Some(url.parse().unwrap()), ..Triage::default() };
            assert_eq!(triage.endpoint().as_deref(), Some("http://a:1/v1/chat/completions"), "{url}");
        }
        assert_eq!(Triage::default().endpoint(), None);
    }
}
