//! What a language model wrote about an incident: an annotation beside it, which changes nothing of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::{Incident, Severity, ocsf};

/// An annotation of an incident. Its texts are untrusted: the model read names that an attacker can choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triage {
    /// What the model takes it for.
    pub verdict: Verdict,
    /// Why, at most [`Triage::MAX_REASON`] characters.
    pub reason: String,
    /// What to look at, at most [`Triage::MAX_LOOK_AT`] texts of [`Triage::MAX_ITEM`] characters.
    pub look_at: Vec<String>,
    /// The model's name, as it is configured.
    pub model: String,
    /// The start of the SHA-256 of the instructions and the schema that it was given.
    pub prompt: String,
    /// The shape of the incident that it was asked about: it says nothing of another one.
    pub shape: String,
    /// When it was asked, nanoseconds since the Unix epoch.
    pub asked_ns: u64,
    /// Whether it was asked about an earlier incident of the same shape.
    pub cached: bool,
}

/// What a model takes an incident for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Likely an attack.
    Attack,
    /// Neither an attack for certain nor ordinary.
    Suspicious,
    /// Likely the work of those who run it.
    Maintenance,
    /// It cannot be said.
    Unclear,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Attack, Self::Suspicious, Self::Maintenance, Self::Unclear];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attack => "attack",
            Self::Suspicious => "suspicious",
            Self::Maintenance => "maintenance",
            Self::Unclear => "unclear",
        }
    }
}

impl Triage {
    /// Characters of a reason.
    pub const MAX_REASON: usize = 400;
    /// Texts that say what to look at.
    pub const MAX_LOOK_AT: usize = 5;
    /// Characters of each.
    pub const MAX_ITEM: usize = 200;

    /// As what an incident of that severity is shown in a list: by one step lower where it is taken for maintenance, and
    /// never where it is of severity high or critical. Nothing but lists goes by it.
    pub fn shown_severity(&self, severity: Severity) -> Severity {
        match (self.verdict, severity) {
            (Verdict::Maintenance, Severity::Low | Severity::Medium) => severity.one_lower(),
            _ => severity,
        }
    }
}

/// An incident with what is noted beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct AnnotatedIncident {
    /// The incident, as it is stored and sent.
    pub incident: Arc<Incident>,
    /// What a model wrote about it, where one did.
    pub triage: Option<Arc<Triage>>,
}

impl AnnotatedIncident {
    /// As OCSF has incidents. The annotation is in `unmapped.triage`, and everything else as it is without one.
    pub fn to_ocsf(&self) -> Json {
        let mut out = ocsf::from_incident(&self.incident);
        if let Some(triage) = &self.triage {
            out["unmapped"]["triage"] = json!(triage);
            out["unmapped"]["triage"]["shown_severity"] = triage.shown_severity(self.incident.severity).name().into();
        }
        out
    }
}

impl From<Arc<Incident>> for AnnotatedIncident {
    fn from(incident: Arc<Incident>) -> Self {
        Self { incident, triage: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Origin;

    fn triage(verdict: Verdict) -> Triage {
        Triage {
            verdict,
            reason: "a job".into(),
            look_at: Vec::new(),
            model: "small".into(),
            prompt: "00".into(),
            shape: "11".into(),
            asked_ns: 5,
            cached: false,
        }
    }

    #[test]
    fn maintenance_lowers_by_one_step_what_is_low_or_medium_and_nothing_else() {
        use Severity::{Critical, High, Informational, Low, Medium};
        let all = [Informational, Low, Medium, High, Critical];
        let shown = |verdict| all.map(|severity| triage(verdict).shown_severity(severity));
        assert_eq!(shown(Verdict::Maintenance), [Informational, Informational, Low, High, Critical]);
        for verdict in [Verdict::Attack, Verdict::Suspicious, Verdict::Unclear] {
            assert_eq!(shown(verdict), all, "{verdict:?}");
        }
    }

    #[test]
    fn without_the_annotation_it_is_what_it_was() {
        let incident =
            Arc::new(Incident { severity: Severity::Medium, ..Incident::begun("a".into(), Origin::Child, 1) });
        let triage = Some(Arc::new(triage(Verdict::Maintenance)));
        let mut annotated = AnnotatedIncident { incident: Arc::clone(&incident), triage }.to_ocsf();
        let noted = annotated["unmapped"].as_object_mut().and_then(|all| all.remove("triage"));
        let noted = noted.unwrap_or_default();
        assert_eq!((&noted["verdict"], &noted["shown_severity"]), (&"maintenance".into(), &"Low".into()));
        assert_eq!(annotated.to_string(), ocsf::from_incident(&incident).to_string());
        assert_eq!(annotated["severity"], "Medium");
    }
}
