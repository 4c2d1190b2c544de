//! The thread that acts, and undoes what it did when its time is over.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use ethogram_detect::rules::RuleSet;
use ethogram_model::{Container, Finding, render::rfc3339};
use ethogram_probe::{Enforcement, NetworkCut};
use tokio::sync::oneshot;

use super::{
    audit::Audit,
    cgroups::{Cgroups, Refused},
    decide::{Myself, Planned, decide, rule_of},
    derive::Accepted,
    lock,
    policies::{Policies, PolicyStatus, Subjects, Watched},
    processes,
    record::{By, Outcome, ResponseRecord, Target, Undone},
};
use crate::{
    config::{Act, Mode, Response},
    pipeline::now_ns,
};

/// How often it is looked whether what is frozen or cut off is still there.
const LOOK: Duration = Duration::from_secs(1);
/// How long what is repeated is counted in one record.
const REPEATS: Duration = Duration::from_secs(10);
/// Records that count repetitions at a time; what comes beyond has records of its own.
const MAX_REPEATED: usize = 1024;
/// Deeds of the kernel that are remembered until the agent hears of what they were done about.
const MAX_DEEDS: usize = 1024;
/// How often it is looked what the kernel did.
const GLANCE: Duration = Duration::from_millis(100);
/// Where cuts are pinned that are to outlive the agent.
const PINS: &str = "/sys/fs/bpf/ethogram";

/// What the thread is sent.
pub(super) enum Message {
    Finding(Arc<Finding>),
    Container(Arc<Container>),
    Containers(Vec<Arc<Container>>),
    Rules(Arc<RuleSet>),
    Accepted(Accepted),
    Undo(u64, oneshot::Sender<Result<ResponseRecord, String>>),
    End,
}

/// What the kernel did: about what, to whom, and what was done.
#[derive(PartialEq, Eq)]
struct Deed {
    rule: String,
    act: Act,
    pid: Option<u32>,
    start_ns: Option<u64>,
}

/// The thread's state.
pub(super) struct Worker {
    config: Response,
    myself: Myself,
    cgroups: Cgroups,
    policies: Arc<Policies>,
    subjects: Subjects,
    audit: Arc<Mutex<Audit>>,
    cuts: HashMap<u64, NetworkCut>,
    /// When what goes on is over.
    deadlines: HashMap<u64, Instant>,
    /// What the kernel refuses again and again: by policy and cgroup, since when, and its record.
    repeated: HashMap<(String, u64), (Instant, ResponseRecord)>,
    /// What the kernel did lately, with the numbers of the records.
    deeds: VecDeque<(Deed, u64)>,
    looked: Instant,
    /// Whether the records could not be written the last time.
    unwritten: bool,
}

impl Worker {
    pub(super) fn new(
        config: Response,
        myself: Myself,
        cgroups: Cgroups,
        policies: Arc<Policies>,
        audit: Arc<Mutex<Audit>>,
    ) -> Self {
        Self {
            config,
            myself,
            cgroups,
            policies,
            subjects: Subjects::default(),
            audit,
            cuts: HashMap::new(),
            deadlines: HashMap::new(),
            repeated: HashMap::new(),
            deeds: VecDeque::new(),
            looked: Instant::now(),
            unwritten: false,
        }
    }

    /// Runs until it is stopped.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        self.take_over();
        let mut watched = self.policies.watch();
        loop {
            let pause = if watched.is_some() { self.pause().min(GLANCE) } else { self.pause() };
            let message = messages.recv_timeout(pause);
            // Before a finding is acted upon, what the kernel did about the same is known: it was reported first.
            self.glance(watched.as_ref());
            match message {
                Ok(Message::Finding(finding)) => self.take(&finding),
                Ok(Message::Container(container)) => self.subjects.meet(&self.policies, &self.myself, container),
                Ok(Message::Containers(all)) => self.subjects.sync(&self.policies, &self.myself, all),
                Ok(Message::Rules(rules)) => {
                    let earlier = self.subjects.follow(&self.policies, &self.myself, &rules);
                    drop(earlier);
                    self.glance(watched.as_ref());
                    watched = self.policies.watch();
                }
                Ok(Message::Accepted(accepted)) => self.subjects.accept(&self.policies, &self.myself, accepted),
                Ok(Message::Undo(id, answer)) => {
                    // The caller may have gone meanwhile.
                    _ = answer.send(self.undo(id, "request"));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.look();
        }
        self.glance(watched.as_ref());
        self.write_repeated(|_| true);
        if self.config.undo_on_exit {
            self.undo_all("exit");
        }
    }

    /// How long to wait for a message before looking at the time.
    fn pause(&self) -> Duration {
        let due = self.deadlines.values().min().map(|due| due.saturating_duration_since(Instant::now()));
        let at_most = if self.repeated.is_empty() { Duration::from_secs(3600) } else { LOOK };
        due.map_or(at_most, |due| due.min(LOOK))
    }

    /// Sees to what an earlier agent left behind: it is undone, or its time goes on.
    fn take_over(&mut self) {
        let left = lock(&self.audit).active();
        for record in left {
            let ended_with_it = record.action == Act::CutNetwork && !NetworkCut::is_pinned(&pins(&record));
            if self.config.undo_on_exit || ended_with_it {
                self.undo_or_say(record.id, "restart");
                continue;
            }
            let until = record.until.as_deref().and_then(|t| t.parse::<jiff::Timestamp>().ok());
            let left = until.and_then(|t| Duration::try_from(jiff::Timestamp::now().duration_until(t)).ok());
            let left = left.unwrap_or(Duration::ZERO).min(self.config.limit.get());
            self.deadlines.insert(record.id, Instant::now() + left);
        }
    }

    fn take(&mut self, finding: &Finding) {
        for planned in decide(&self.config, &self.myself, finding) {
            if self.was_done(finding, &planned) {
                continue;
            }
            let mut record = self.record(finding, &planned);
            let mut done_ns = None;
            let result = match planned.protected {
                Some(why) => {
                    record.outcome = Outcome::Protected;
                    record.reason = Some(why);
                    Ok(())
                }
                None if self.config.mode == Mode::DryRun => {
                    record.outcome = Outcome::DryRun;
                    Ok(())
                }
                None => {
                    record.outcome = Outcome::Done;
                    self.act(&mut record, &mut || done_ns = Some(now_ns()))
                }
            };
            record.latency_ns = done_ns.unwrap_or_else(now_ns).saturating_sub(finding.last_seen_ns);
            if let Err(refused) = result {
                let (outcome, why) = match refused {
                    Refused::Gone(why) => (Outcome::Gone, why.into()),
                    Refused::Unneeded(why) => (Outcome::Unneeded, why.into()),
                    Refused::Failed(why) => (Outcome::Failed, why),
                };
                (record.outcome, record.reason, record.until) = (outcome, Some(why), None);
            }
            if record.is_active() {
                self.deadlines.insert(record.id, Instant::now() + self.config.limit.get());
            }
            lock(&self.audit).count(record.action.name(), record.outcome.name(), 1);
            self.write(&record);
        }
    }

    fn record(&self, finding: &Finding, planned: &Planned) -> ResponseRecord {
        ResponseRecord {
            id: lock(&self.audit).next_id(),
            time: rfc3339(now_ns()),
            action: planned.act,
            dry_run: self.config.mode == Mode::DryRun,
            outcome: Outcome::Started,
            reason: None,
            rule: rule_of(finding).to_owned(),
            finding: Some(finding.uid.clone()),
            target: planned.target.clone(),
            by: By::User,
            latency_ns: 0,
            count: 1,
            until: None,
            undone: None,
        }
    }

    /// Does it. `done` is called at the moment when it takes effect.
    fn act(&mut self, record: &mut ResponseRecord, done: &mut dyn FnMut()) -> Result<(), Refused> {
        match record.action {
            Act::Kill => match (record.target.pid, record.target.start_ns) {
                (Some(pid), Some(start_ns)) => processes::kill(pid, start_ns, done),
                _ => Err(Refused::Failed("the finding names no process".into())),
            },
            Act::KillContainer => self.cgroups.find(cgroup(record))?.kill(done),
            Act::Freeze | Act::CutNetwork => self.begin(record, done),
            Act::Deny => {
                // What was refused is no finding: whatever comes here has happened.
                let of_rule = |s: &PolicyStatus| s.of_rule && s.action == Act::Deny && s.name == record.rule;
                let reason = self.policies.status().into_iter().find(of_rule).and_then(|s| s.reason);
                let reason = reason.unwrap_or_else(|| "the kernel did not know the container yet".into());
                Err(Refused::Failed(format!("it had happened before anybody could refuse it: {reason}")))
            }
        }
    }

    /// Does what goes on for a while. It is written down before: were the agent to end meanwhile, the next one knows.
    fn begin(&mut self, record: &mut ResponseRecord, done: &mut dyn FnMut()) -> Result<(), Refused> {
        let is_same = |r: &ResponseRecord| r.action == record.action && r.target.cgroup_id == record.target.cgroup_id;
        if lock(&self.audit).active().iter().any(is_same) {
            return Err(Refused::Unneeded("an earlier response goes on that does the same"));
        }
        let place = self.cgroups.find(cgroup(record))?;
        record.until = Some(rfc3339(now_ns().saturating_add(self.config.limit.as_ns())));
        self.write(&ResponseRecord { outcome: Outcome::Started, ..record.clone() });
        if record.action == Act::Freeze {
            place.freeze()?;
            done();
            return Ok(());
        }
        let directory = place.unified.ok_or_else(|| {
            Refused::Failed(
                "the container has no cgroup of version 2 of its own, to which programs could attach".into(),
            )
        })?;
        let mut cut = NetworkCut::attach(&directory).map_err(|e| Refused::Failed(e.to_string()))?;
        done();
        if !self.config.undo_on_exit
            && let Err(error) = cut.pin(&pins(record))
        {
            record.reason = Some(format!("it ends with the agent: {error}; mount a BPF file system on /sys/fs/bpf"));
        }
        self.cuts.insert(record.id, cut);
        Ok(())
    }

    /// Undoes what has gone on long enough, and notices what has ended by itself.
    fn look(&mut self) {
        let now = Instant::now();
        let over: Vec<u64> = self.deadlines.iter().filter(|(_, due)| **due <= now).map(|(id, _)| *id).collect();
        for id in over {
            self.undo_or_say(id, "limit");
        }
        self.write_repeated(|since| now.saturating_duration_since(since) >= REPEATS);
        if self.deadlines.is_empty() || now.saturating_duration_since(self.looked) < LOOK {
            return;
        }
        self.looked = now;
        let mut ended = lock(&self.audit).active();
        ended.retain(|record| !self.cgroups.has(cgroup(record)));
        ended.iter().for_each(|record| self.undo_or_say(record.id, "gone"));
    }

    /// Records what the kernel has done meanwhile.
    fn glance(&mut self, watched: Option<&Watched>) {
        match watched.map(Watched::take) {
            Some(Ok(all)) => {
                for (enforced, names) in all {
                    names.into_iter().for_each(|name| self.enforced(&enforced, name.to_owned()));
                }
            }
            Some(Err(error)) => tracing::error!("{error}; policies hold, and are not recorded"),
            None => {}
        }
    }

    /// Whether the kernel has done already what a finding leads to. Its record then names the finding.
    fn was_done(&mut self, finding: &Finding, planned: &Planned) -> bool {
        let Target { pid, start_ns, .. } = planned.target;
        let deed = Deed { rule: rule_of(finding).to_owned(), act: planned.act, pid, start_ns };
        let Some((_, id)) = self.deeds.iter().rev().find(|(known, _)| *known == deed) else { return false };
        let known = lock(&self.audit).get(*id).cloned();
        if let Some(record) = known.filter(|record| record.finding.is_none()) {
            self.write(&ResponseRecord { finding: Some(finding.uid.clone()), ..record });
        }
        true
    }

    /// Records what the kernel did by a policy. A refusal is often repeated at once, and then counted.
    fn enforced(&mut self, enforced: &Enforcement, policy: String) {
        let (action, outcome) = match enforced.killed {
            true => (Act::Kill, if self.config.mode == Mode::DryRun { Outcome::DryRun } else { Outcome::Done }),
            false => (Act::Deny, if self.config.mode == Mode::DryRun { Outcome::DryRun } else { Outcome::Done }),
        };
        lock(&self.audit).count(action.name(), outcome.name(), 1);
        let number = |field: &str| enforced.event.get(field).as_u64().unwrap_or(0);
        let key = (policy, number("_cgroup"));
        if let Some((_, record)) = self.repeated.get_mut(&key).filter(|_| !enforced.killed) {
            record.count += 1;
            return;
        }
        let pid = number("process.pid") as u32;
        let container = self.subjects.get(key.1).or_else(|| self.subjects.find(&self.cgroups.container_of(pid)?));
        let container = container.map(Arc::as_ref);
        let text = |field: &str| enforced.event.get(field).to_text().into_owned();
        let target = Target {
            container_id: container.map(|c| c.id.clone()),
            container: container.map(|c| c.display_name().to_owned()),
            image: container.and_then(|c| c.image.as_ref()).map(|i| i.name.clone()),
            cgroup_id: Some(container.map_or(key.1, |c| c.cgroup_id)),
            pid: Some(pid),
            start_ns: Some(number("_process_start")),
            executable: Some(text("process.executable.name")),
            object: Some(enforced.object.clone()).filter(|o| !o.is_empty()),
        };
        let record = ResponseRecord {
            id: lock(&self.audit).next_id(),
            time: rfc3339(enforced.event.time_ns),
            action,
            dry_run: self.config.mode == Mode::DryRun,
            outcome,
            reason: None,
            rule: key.0.clone(),
            finding: None,
            target,
            by: By::Kernel,
            latency_ns: u64::try_from(enforced.took.as_nanos()).unwrap_or(u64::MAX),
            count: 1,
            until: None,
            undone: None,
        };
        self.write(&record);
        if self.deeds.len() >= MAX_DEEDS {
            self.deeds.pop_front();
        }
        let Target { pid, start_ns, .. } = record.target;
        self.deeds.push_back((Deed { rule: record.rule.clone(), act: action, pid, start_ns }, record.id));
        if !enforced.killed && self.repeated.len() < MAX_REPEATED {
            self.repeated.insert(key, (Instant::now(), record));
        }
    }

    /// Writes the counts of what was repeated, and counts anew.
    fn write_repeated(&mut self, is_due: impl Fn(Instant) -> bool) {
        let due: Vec<_> = self.repeated.extract_if(|_, (since, _)| is_due(*since)).collect();
        for (_, (_, record)) in due.iter().filter(|(_, (_, record))| record.count > 1) {
            self.write(record);
        }
    }

    fn undo_all(&mut self, why: &str) {
        let active = lock(&self.audit).active();
        active.iter().for_each(|record| self.undo_or_say(record.id, why));
    }

    fn undo_or_say(&mut self, id: u64, why: &str) {
        if let Err(error) = self.undo(id, why) {
            tracing::error!("response {id} is not undone: {error}");
            // It is tried again, and not said at every turn.
            self.deadlines.insert(id, Instant::now() + Duration::from_secs(30));
        }
    }

    fn undo(&mut self, id: u64, why: &str) -> Result<ResponseRecord, String> {
        let known = lock(&self.audit).get(id).cloned();
        let mut record = known.filter(ResponseRecord::is_active).ok_or("it is over already")?;
        let mut why = why;
        match record.action {
            Act::CutNetwork => {
                drop(self.cuts.remove(&id));
                NetworkCut::unpin(&pins(&record)).map_err(|e| format!("removing {}: {e}", pins(&record).display()))?;
            }
            _ => match self.cgroups.find(cgroup(&record)) {
                // After a restart of the machine, another cgroup may have its number.
                Ok(place)
                    if place.main.to_string_lossy().contains(record.target.container_id.as_deref().unwrap_or("/")) =>
                {
                    place.thaw().map_err(|refused| match refused {
                        Refused::Failed(why) => why,
                        Refused::Gone(why) | Refused::Unneeded(why) => why.into(),
                    })?;
                }
                Ok(_) | Err(Refused::Gone(_) | Refused::Unneeded(_)) => why = "gone",
                Err(Refused::Failed(error)) => return Err(error),
            },
        }
        record.undone = Some(Undone { time: rfc3339(now_ns()), why: why.into() });
        self.deadlines.remove(&id);
        lock(&self.audit).count(record.action.name(), "undone", 1);
        self.write(&record);
        Ok(record)
    }

    fn write(&mut self, record: &ResponseRecord) {
        let written = lock(&self.audit).write(record);
        match written {
            Ok(()) => self.unwritten = false,
            Err(error) => {
                if !std::mem::replace(&mut self.unwritten, true) {
                    tracing::error!(
                        "the record of response {} cannot be written: {error}: make room in [store] path",
                        record.id
                    );
                }
            }
        }
        let line = serde_json::to_string(record).unwrap_or_default();
        tracing::info!("response {line}");
    }
}

fn cgroup(record: &ResponseRecord) -> u64 {
    record.target.cgroup_id.unwrap_or(0)
}

/// A cgroup's number is the host's, as the names below this folder are.
fn pins(record: &ResponseRecord) -> PathBuf {
    PathBuf::from(format!("{PINS}/cut-{}", cgroup(record)))
}
