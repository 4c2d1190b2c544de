//! A finding as it is kept: as text, which takes a fraction of what its parts take, with what changes beside it.

use std::sync::Arc;

use crate::{Finding, evidence};

/// A finding as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredFinding {
    /// Its JSON, in which what stands below may be of earlier.
    json: Arc<str>,
    /// How often it was seen.
    pub count: u64,
    /// When last, nanoseconds since the Unix epoch.
    pub last_seen_ns: u64,
}

impl StoredFinding {
    /// Keeps a finding, with no more and no larger evidence than there may be. None where it is no JSON, which no finding is.
    pub fn of(finding: &Finding) -> Option<Self> {
        let is_large = finding.evidence.iter().any(|event| evidence::size(event) > evidence::MAX_BYTES);
        let json = if is_large || finding.evidence.len() > Finding::MAX_EVIDENCE {
            let events = finding.evidence.iter().take(Finding::MAX_EVIDENCE).cloned();
            let evidence = events.map(evidence::bounded).collect();
            serde_json::to_string(&Finding { evidence, ..finding.clone() })
        } else {
            serde_json::to_string(finding)
        };
        let Finding { count, last_seen_ns, .. } = *finding;
        Some(Self { json: json.ok()?.into(), count, last_seen_ns })
    }

    /// The finding. None where that cannot be read, which no kept one is.
    pub fn read(&self) -> Option<Finding> {
        let finding = serde_json::from_str(&self.json).ok()?;
        Some(Finding { count: self.count, last_seen_ns: self.last_seen_ns, ..finding })
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.json.len()
    }

    /// It was seen so often by now, last at that time, and with that evidence besides.
    pub fn go_on(&mut self, count: u64, last_seen_ns: u64, more: Vec<serde_json::Value>) {
        (self.count, self.last_seen_ns) = (count, last_seen_ns);
        if more.is_empty() {
            return;
        }
        let Some(mut finding) = self.read() else { return };
        let room = Finding::MAX_EVIDENCE.saturating_sub(finding.evidence.len());
        if room > 0 {
            finding.evidence.extend(more.into_iter().take(room));
            *self = Self::of(&finding).unwrap_or_else(|| self.clone());
        }
    }
}
