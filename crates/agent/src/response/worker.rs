//! The thread that acts on findings, and undoes what it did when its time is over.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use ethogram_detect::rules::RuleSet;
use ethogram_model::{Container, Finding, render::rfc3339};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    actions::Actions,
    decide::{Myself, Planned, decide, rule_of},
    derive::Accepted,
    enforced::Enforced,
    journal::Journal,
    policies::{Policies, Watched},
    record::{By, Outcome, Refused, ResponseRecord, Undone},
    subjects::Subjects,
    waiting::Waiting,
};
use crate::{
    config::{Act, Mode, Response},
    pipeline::now_ns,
};

/// How often it is checked whether what is frozen or cut off is still there.
const CHECK: Duration = Duration::from_secs(1);
/// How often the kernel's acts are read.
const DRAIN: Duration = Duration::from_millis(100);
/// How long an undoing that failed waits until it is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// What the thread receives.
pub(super) enum Message {
    /// Some wait.
    Findings,
    Container(Arc<Container>),
    Containers(Vec<Arc<Container>>),
    Rules(Arc<RuleSet>),
    Accepted(Accepted),
    Undo(u64, oneshot::Sender<Result<ResponseRecord, String>>),
    End,
}

/// The thread's state.
pub(super) struct Worker {
    config: Response,
    myself: Myself,
    actions: Actions,
    policies: Arc<Policies>,
    subjects: Subjects,
    journal: Journal,
    enforced: Enforced,
    /// When what goes on is over.
    deadlines: HashMap<u64, Instant>,
    checked: Instant,
    waiting: Arc<Mutex<Waiting>>,
}

impl Worker {
    pub(super) fn new(
        config: Response,
        myself: Myself,
        actions: Actions,
        policies: Arc<Policies>,
        journal: Journal,
        waiting: Arc<Mutex<Waiting>>,
    ) -> Self {
        Self {
            config,
            myself,
            actions,
            policies,
            subjects: Subjects::default(),
            journal,
            enforced: Enforced::default(),
            deadlines: HashMap::new(),
            checked: Instant::now(),
            waiting,
        }
    }

    /// Runs until it is stopped.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        self.inherit();
        let mut watched = self.policies.watch();
        loop {
            let pause = if watched.is_some() { self.pause().min(DRAIN) } else { self.pause() };
            let message = messages.recv_timeout(pause);
            // Before a finding is acted on, what the kernel did about it is known: that came first.
            self.drain_enforcements(watched.as_mut());
            match message {
                Ok(Message::Container(container)) => self.subjects.meet(&self.policies, &self.myself, container),
                Ok(Message::Containers(all)) => self.subjects.sync(&self.policies, &self.myself, all),
                Ok(Message::Rules(rules)) => {
                    let earlier = self.subjects.follow(&self.policies, &self.myself, &rules);
                    drop(earlier);
                    self.drain_enforcements(watched.as_mut());
                    watched = self.policies.watch();
                }
                Ok(Message::Accepted(accepted)) => self.subjects.accept(&self.policies, &self.myself, accepted),
                Ok(Message::Undo(id, answer)) => {
                    // The request may have been cancelled meanwhile.
                    _ = answer.send(self.undo(id, "request"));
                }
                Ok(Message::Findings) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.respond_to_next();
            self.check_expired();
        }
        while self.respond_to_next() {}
        self.drain_enforcements(watched.as_mut());
        self.enforced.flush_all(&mut self.journal);
        if self.config.undo_on_exit {
            let active = self.journal.audit().active();
            active.iter().for_each(|record| self.undo_or_log(record.id, "exit"));
        }
    }

    /// How long to wait for a message before something may be due.
    fn pause(&self) -> Duration {
        if !self.waiting.lock().is_empty() {
            return Duration::ZERO;
        }
        let due = self.deadlines.values().min().map(|due| due.saturating_duration_since(Instant::now()));
        let at_most = if self.enforced.is_counting() { CHECK } else { Duration::from_secs(3600) };
        due.map_or(at_most, |due| due.min(CHECK))
    }

    /// What an earlier agent left behind is undone, or its time goes on.
    fn inherit(&mut self) {
        let left_behind = self.journal.audit().active();
        for record in left_behind {
            if self.config.undo_on_exit || !Actions::outlived(&record) {
                self.undo_or_log(record.id, "restart");
                continue;
            }
            let until = record.until.as_deref().and_then(|t| t.parse::<jiff::Timestamp>().ok());
            let left = until.and_then(|t| Duration::try_from(jiff::Timestamp::now().duration_until(t)).ok());
            let left = left.unwrap_or(Duration::ZERO).min(self.config.limit.get());
            self.deadlines.insert(record.id, Instant::now() + left);
        }
    }

    /// Responds to one of the findings that wait. Returns whether there was one.
    fn respond_to_next(&mut self) -> bool {
        let next = self.waiting.lock().take();
        next.as_ref().map(|finding| self.respond(finding)).is_some()
    }

    /// Does what the configuration says of a finding.
    fn respond(&mut self, finding: &Finding) {
        for planned in decide(&self.config, &self.myself, finding) {
            if self.enforced.has_done(finding, &planned, &mut self.journal) {
                continue;
            }
            let mut record = self.planned(finding, planned);
            let mut done_ns = None;
            if record.outcome == Outcome::Started
                && let Err(refused) = self.act(&mut record, &mut || done_ns = Some(now_ns()))
            {
                let (outcome, why) = match refused {
                    Refused::Gone(why) => (Outcome::Gone, why.into()),
                    Refused::Unneeded(why) => (Outcome::Unneeded, why.into()),
                    Refused::Failed(why) => (Outcome::Failed, why),
                };
                (record.outcome, record.reason, record.until) = (outcome, Some(why), None);
            }
            record.latency_ns = done_ns.unwrap_or_else(now_ns).saturating_sub(finding.last_seen_ns);
            if record.is_active() {
                self.deadlines.insert(record.id, Instant::now() + self.config.limit.get());
            }
            self.journal.audit().count(record.action.name(), record.outcome.name(), 1);
            self.journal.write(&record);
        }
    }

    /// The record of what is planned: `Started` where it is to be done.
    fn planned(&self, finding: &Finding, planned: Planned) -> ResponseRecord {
        let dry_run = self.config.mode == Mode::DryRun;
        let outcome = match planned.protected {
            Some(_) => Outcome::Protected,
            None if dry_run => Outcome::DryRun,
            None => Outcome::Started,
        };
        ResponseRecord {
            id: self.journal.audit().next_id(),
            time: rfc3339(now_ns()),
            action: planned.act,
            dry_run,
            outcome,
            reason: planned.protected,
            rule: rule_of(finding).to_owned(),
            finding: Some(finding.uid.clone()),
            target: planned.target,
            by: By::User,
            latency_ns: 0,
            count: 1,
            until: None,
            undone: None,
        }
    }

    /// Does it. What goes on for a while is written down before: were the agent to end meanwhile, the next one knows.
    fn act(&mut self, record: &mut ResponseRecord, done: &mut dyn FnMut()) -> Result<(), Refused> {
        if matches!(record.action, Act::Freeze | Act::CutNetwork) {
            let (action, cgroup) = (record.action, record.target.cgroup_id);
            let is_same = |r: &ResponseRecord| r.action == action && r.target.cgroup_id == cgroup;
            if self.journal.audit().active().iter().any(is_same) {
                return Err(Refused::Unneeded("an earlier response goes on that does the same"));
            }
            self.actions.find(record)?;
            record.until = Some(rfc3339(now_ns().saturating_add(self.config.limit.as_ns())));
            self.journal.write(record);
        }
        record.outcome = Outcome::Done;
        self.actions.act(record, done)
    }

    /// Undoes what has gone on long enough, and notices what has ended by itself.
    fn check_expired(&mut self) {
        let now = Instant::now();
        let over: Vec<u64> = self.deadlines.iter().filter(|(_, due)| **due <= now).map(|(id, _)| *id).collect();
        for id in over {
            self.undo_or_log(id, "limit");
        }
        self.enforced.flush_due(now, &mut self.journal);
        if self.deadlines.is_empty() || now.saturating_duration_since(self.checked) < CHECK {
            return;
        }
        self.checked = now;
        let mut ended = self.journal.audit().active();
        ended.retain(|record| !self.actions.has_target(record));
        ended.iter().for_each(|record| self.undo_or_log(record.id, "gone"));
    }

    /// Records what the kernel has done meanwhile.
    fn drain_enforcements(&mut self, watched: Option<&mut Watched>) {
        let Some(watched) = watched else { return };
        let dry_run = self.config.mode == Mode::DryRun;
        let (subjects, cgroups) = (&self.subjects, &self.actions.cgroups);
        let container_of = |cgroup: u64, pid: u32| {
            let container = subjects.get(cgroup).or_else(|| subjects.find(&cgroups.container_of(pid)?));
            container.map(Arc::as_ref)
        };
        for (enforcement, policies) in watched.take() {
            for policy in policies {
                self.enforced.record(&enforcement, policy, dry_run, container_of, &mut self.journal);
            }
        }
    }

    fn undo_or_log(&mut self, id: u64, why: &str) {
        if let Err(error) = self.undo(id, why) {
            tracing::error!("response {id} is not undone: {error}");
            // It is tried again, and not logged at every turn.
            self.deadlines.insert(id, Instant::now() + RETRY);
        }
    }

    fn undo(&mut self, id: u64, why: &str) -> Result<ResponseRecord, String> {
        let known = self.journal.audit().get(id).cloned();
        let mut record = known.filter(ResponseRecord::is_active).ok_or("it is over already")?;
        let why = if self.actions.undo(&record)? { why } else { "gone" };
        record.undone = Some(Undone { time: rfc3339(now_ns()), why: why.into() });
        self.deadlines.remove(&id);
        self.journal.audit().count(record.action.name(), "undone", 1);
        self.journal.write(&record);
        Ok(record)
    }
}
