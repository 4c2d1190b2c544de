//! What asks the model, one incident after the other.

use std::{future::Future, io, sync::Arc, time::Duration};

use ethogram_model::{Incident, Triage, render::escape};
use jiff::Timestamp;
use tokio::{
    sync::mpsc::{Receiver, channel},
    time::{Instant, sleep_until},
};

use super::{
    answer::{self, Answer},
    budget::Budget,
    cache::Cache,
    counters::{Counters, Outcome},
    prompt,
    waiting::{Question, Waiting},
};
use crate::{
    config,
    http::{self, Endpoint, HttpError},
};

/// Asks the model, within the budget.
pub(crate) struct Worker {
    to: Endpoint,
    model: String,
    prompt: String,
    timeout: Duration,
    questions: Receiver<Question>,
    waiting: Waiting,
    budget: Budget,
    cache: Cache,
    pub(super) counters: Arc<Counters>,
    /// Whether the last request failed: that is logged once.
    is_failing: bool,
}

impl Worker {
    pub(super) fn configured(config: &config::Triage) -> io::Result<Option<Self>> {
        let (Some(url), Some(model)) = (config.endpoint(), config.model.clone()) else { return Ok(None) };
        let (_, questions) = channel(1);
        Ok(Some(Self {
            to: Endpoint::new(&url, &config.http())?,
            model,
            prompt: prompt::version(),
            timeout: config.timeout.get(),
            questions,
            waiting: Waiting::default(),
            budget: Budget::new(config.per_hour),
            cache: Cache::default(),
            counters: Arc::default(),
            is_failing: false,
        }))
    }

    pub(super) fn taking(self, questions: Receiver<Question>) -> Self {
        Self { questions, ..self }
    }

    /// The same, with less patience.
    #[cfg(test)]
    pub(super) fn waiting_for(self, quiet: Duration) -> Self {
        Self { waiting: Waiting::until_quiet_for(quiet), ..self }
    }

    /// Works until no more incidents can come. `deliver` notes an annotation beside the incident of that uid, and says whether
    /// it still is of that shape; nothing, where the server ends.
    pub(crate) async fn run<D: Future<Output = Option<bool>>>(mut self, deliver: impl Fn(String, Triage) -> D) {
        loop {
            let due = self.waiting.next();
            tokio::select! {
                question = self.questions.recv() => match question {
                    Some(question) => self.take(question),
                    None => return,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let Some(question) = self.waiting.take(Instant::now(), |of| self.budget.used_by(of)) else { continue };
                    let Some(triage) = self.triage(&question).await else { continue };
                    match deliver(question.incident.uid.clone(), triage).await {
                        Some(true) => {}
                        Some(false) => self.counters.count(Outcome::Outdated),
                        None => return,
                    }
                }
            }
        }
    }

    fn take(&mut self, question: Question) {
        if !self.waiting.put(question, Instant::now()) {
            self.counters.count(Outcome::Dropped);
        }
    }

    /// Asks the model, unless it was asked about one of the same shape, or too often.
    pub(super) async fn triage(&mut self, question: &Question) -> Option<Triage> {
        if let Some((answer, asked_ns)) = self.cache.get(&question.shape) {
            self.counters.count(Outcome::Cached);
            return Some(self.annotation(answer.clone(), question, *asked_ns, true));
        }
        if !self.budget.take(question.workload(), Instant::now()) {
            self.counters.count(Outcome::OverBudget);
            return None;
        }
        let asked_ns = u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0);
        let begun = Instant::now();
        let answer = self.ask(&question.incident).await;
        self.counters.took(begun.elapsed());
        match answer {
            Ok(answer) => {
                self.counters.count(Outcome::Ok);
                if std::mem::replace(&mut self.is_failing, false) {
                    tracing::info!("triage: {} answers as it should again", self.to.name());
                }
                self.cache.insert(question.shape.clone(), answer.clone(), asked_ns);
                Some(self.annotation(answer, question, asked_ns, false))
            }
            Err((outcome, why)) => {
                self.counters.count(outcome);
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!("triage: {}: {why}; incidents are not annotated meanwhile", self.to.name());
                }
                None
            }
        }
    }

    async fn ask(&self, incident: &Incident) -> Result<Answer, (Outcome, String)> {
        let body = prompt::request(&self.model, incident);
        // Requests are rare: no connection is kept for the next one.
        let answer = http::within(self.timeout, self.to.post(&mut None, body, answer::MAX_BYTES)).await;
        let answer = answer.map_err(|error| match error {
            HttpError::Timeout(_) => (Outcome::Timeout, error.to_string()),
            error => (Outcome::Unreachable, escape(&error.to_string()).into_owned()),
        })?;
        if !answer.status.is_success() {
            return Err((Outcome::Refused, format!("it answered {}{}", answer.status, answer.first_words())));
        }
        if answer.is_cut {
            return Err((Outcome::TooLong, format!("its answer exceeds {} bytes", answer::MAX_BYTES)));
        }
        Answer::read(&answer.body).map_err(|outcome| {
            let why = match outcome {
                Outcome::Schema => "its answer is not as the schema says: does it support response_format?",
                _ => "its answer is no completion with JSON in it: is it a server for chat completions?",
            };
            (outcome, why.to_owned())
        })
    }

    fn annotation(&self, answer: Answer, question: &Question, asked_ns: u64, cached: bool) -> Triage {
        let Answer { verdict, reason, look_at } = answer;
        let (model, prompt, shape) = (self.model.clone(), self.prompt.clone(), question.shape.clone());
        Triage { verdict, reason, look_at, model, prompt, shape, asked_ns, cached }
    }
}
