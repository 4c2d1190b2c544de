//! What came back: exactly what the schema allows, or nothing.

use ethogram_model::{Triage, Verdict};
use serde::Deserialize;
use serde_json::Value as Json;

use super::counters::Outcome;

/// Bytes of an answer that are read.
pub(super) const MAX_BYTES: usize = 64 << 10;

/// What a model made of an incident. Its texts are untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    pub(super) look_at: Vec<String>,
}

/// What servers put around it. They differ in what else they say.
#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

impl Answer {
    /// Reads the body of an answer.
    ///
    /// # Errors
    /// [`Outcome::Nonsense`] where it is no completion or its text is not JSON, and [`Outcome::Schema`] where that is
    /// anything but what was asked for.
    pub(super) fn read(body: &[u8]) -> Result<Self, Outcome> {
        let completion: Completion = serde_json::from_slice(body).map_err(|_| Outcome::Nonsense)?;
        let text = completion.choices.first().map(|choice| choice.message.content.as_str());
        let json: Json = serde_json::from_str(text.ok_or(Outcome::Nonsense)?).map_err(|_| Outcome::Nonsense)?;
        // A list of the members would be taken for them.
        let answer = json.is_object().then(|| serde_json::from_value::<Self>(json)).and_then(Result::ok);
        answer.filter(Self::is_within_bounds).ok_or(Outcome::Schema)
    }

    fn is_within_bounds(&self) -> bool {
        let fits = |text: &str, most| text.chars().count() <= most;
        fits(&self.reason, Triage::MAX_REASON)
            && self.look_at.len() <= Triage::MAX_LOOK_AT
            && self.look_at.iter().all(|item| fits(item, Triage::MAX_ITEM))
    }
}
