//! What is done about findings, where that is configured: processes and containers are killed, frozen or cut off.
//!
//! `decide.rs` says what a finding leads to; `worker.rs` has it done on a thread of its own, so that the engine never waits;
//! `actions.rs` does and undoes it; `audit.rs` keeps the records. What goes on, a frozen or cut off container, is undone
//! after a while, on request, when the agent ends, or by the next agent.
//!
//! `policies.rs` is what the kernel decides by itself, `subjects.rs` for which containers, and `enforced.rs` what it did.

mod actions;
mod audit;
mod cgroups;
mod decide;
mod derive;
mod enforced;
mod journal;
mod policies;
mod processes;
mod record;
mod status;
mod subjects;
mod waiting;
mod worker;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use anyhow::Context;
use crossbeam_channel::{Sender, TrySendError, bounded};
use ethogram_detect::{Acceptances, rules::RuleSet};
use ethogram_model::{Container, Finding};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::{
    actions::Actions,
    audit::Audit,
    cgroups::Cgroups,
    decide::Myself,
    journal::Journal,
    policies::Policies,
    waiting::Waiting,
    worker::{Message, Worker},
};
pub use self::{
    record::{By, Outcome, ResponseRecord, Target, Undone},
    status::{PolicyState, PolicyStatus},
};
use crate::{
    config::{self, Mode},
    container::hierarchy::Hierarchy,
    failure::Unable,
    refusal::Refusal,
    threads,
};

/// Requests that may wait.
const QUEUE: usize = 256;

/// A handle on the thread that acts.
pub(crate) struct Response {
    is_off: bool,
    has_policies: bool,
    messages: Sender<Message>,
    waiting: Arc<Mutex<Waiting>>,
    policies: Arc<Policies>,
    journal: Journal,
    /// Findings that came while too many waited.
    lost: AtomicU64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Response {
    /// Starts the thread, which first sees to what an earlier agent left behind. Records are kept in `folder`.
    ///
    /// # Errors
    /// Where the records cannot be read, or the system gives no thread.
    pub(crate) fn start(config: &config::Response, folder: &Path, rules: &Arc<RuleSet>) -> anyhow::Result<Self> {
        let audit = Audit::open(folder)
            .with_context(|| format!("cannot read the records of responses in {}", folder.display()))?;
        let journal = Journal::new(audit);
        let hierarchy = Hierarchy::detect().map_err(|e| Unable(e.to_string()))?;
        let policies = Arc::new(Policies::start(config, hierarchy.controller, rules)?);
        for status in policies.status().iter().filter(|s| s.state == PolicyState::Refused) {
            let reason = status.reason.as_deref().unwrap_or_default();
            let what = if status.of_rule { "the rule" } else { "policy" };
            tracing::warn!("{what} {:?} refuses nothing: {reason}; ethogram doctor says what to do", status.name);
        }
        let cgroups = Cgroups::of_this_host(hierarchy);
        let pid = std::process::id();
        let myself = Myself { pid, container: cgroups.container_of(pid) };
        let actions = Actions::new(cgroups, Arc::clone(&policies), !config.undo_on_exit);
        let waiting = Arc::<Mutex<Waiting>>::default();
        let worker =
            Worker::new(config.clone(), myself, actions, Arc::clone(&policies), journal.clone(), Arc::clone(&waiting));
        let (messages, received) = bounded(QUEUE);
        let thread = threads::spawn("response", move || worker.run(&received))?;
        let (is_off, has_policies) = (config.mode == Mode::Off, Policies::may_be(config));
        let (lost, thread) = (AtomicU64::new(0), Mutex::new(Some(thread)));
        Ok(Self { is_off, has_policies, messages, waiting, policies, journal, lost, thread })
    }

    /// Has done what the configuration says of such a finding, without waiting for it.
    pub(crate) fn consider(&self, finding: &Arc<Finding>) {
        if self.is_off {
            return;
        }
        let lost = self.waiting.lock().push(finding);
        self.lost.fetch_add(lost, Ordering::Relaxed);
        // Where there is no room the thread is at work, and finds it afterwards.
        _ = self.messages.try_send(Message::Findings);
    }

    /// Has the policies hold for a container that came, or of which more is known.
    pub(crate) fn add_container(&self, container: &Arc<Container>) {
        if self.has_policies {
            // What is lost here comes with the next list.
            _ = self.messages.try_send(Message::Container(Arc::clone(container)));
        }
    }

    /// Takes the list of all containers.
    pub(crate) fn sync(&self, containers: Vec<Arc<Container>>) {
        _ = self.messages.try_send(Message::Containers(containers));
    }

    /// Whether it needs to know which containers there are.
    pub(crate) fn has_policies(&self) -> bool {
        self.has_policies
    }

    /// Has the kernel decide by other rules. It waits for room, so it is nothing for the engine's thread.
    pub(crate) fn follow(&self, rules: &Arc<RuleSet>) {
        if self.has_policies {
            // Where the thread has ended, no rule leads to anything.
            _ = self.messages.send(Message::Rules(Arc::clone(rules)));
        }
    }

    /// Says what is accepted. False where that is to be said again.
    pub(crate) fn accept(&self, accepted: &Acceptances) -> bool {
        let all = || accepted.list().map(|a| (a.analytic.clone(), a.workload.clone())).collect();
        !self.has_policies || self.messages.try_send(Message::Accepted(all())).is_ok()
    }

    /// All policies, and whether they are enforced.
    pub(crate) fn policies(&self) -> Vec<PolicyStatus> {
        self.policies.status()
    }

    /// The records, oldest first; of more than `limit`, the latest.
    pub(crate) fn list(&self, limit: usize) -> Vec<ResponseRecord> {
        self.journal.audit().list(limit)
    }

    /// Undoes what goes on.
    ///
    /// # Errors
    /// Where there is no such response, it is over, or it cannot be undone.
    pub(crate) async fn undo(&self, id: &str) -> Result<ResponseRecord, Refusal> {
        let unknown = || {
            let active: Vec<_> = self.journal.audit().active().iter().map(|r| r.id.to_string()).collect();
            Refusal::unknown("response that can be undone", id, active)
        };
        let number = id.parse().map_err(|_| unknown())?;
        let is_active = self.journal.audit().get(number).map(ResponseRecord::is_active);
        match is_active {
            Some(true) => {}
            Some(false) => return Err(Refusal::Conflict(format!("response {id} is over: there is nothing to undo"))),
            None => return Err(unknown()),
        }
        let (answer, answered) = oneshot::channel();
        self.messages.try_send(Message::Undo(number, answer)).map_err(|error| match error {
            TrySendError::Full(_) => Refusal::Conflict("too many responses wait: try again in a moment".into()),
            TrySendError::Disconnected(_) => Refusal::Gone,
        })?;
        answered.await.map_err(|_| Refusal::Gone)?.map_err(Refusal::Unable)
    }

    /// How many there were, by action and outcome.
    pub(crate) fn totals(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        let mut totals = self.journal.audit().totals().clone();
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > 0 {
            totals.insert(("any", "dropped"), lost);
        }
        totals
    }

    /// Does what waits, undoes what goes on unless that is to stay, and ends.
    pub(crate) fn finish(&self) {
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // Where it has ended already there is nothing to do.
            _ = self.messages.send(Message::End);
            if thread.join().is_err() {
                tracing::error!("the thread that acts on findings failed");
            }
        }
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The policies that this kernel does not enforce, by name, and why.
pub(crate) fn policies_refused(config: &config::Response) -> Vec<(String, String)> {
    // Those that fail closed hold at once, so that they are only to tell.
    let mode = if config.mode == Mode::Off { Mode::Off } else { Mode::DryRun };
    let config = config::Response { mode, ..config.clone() };
    // By which hierarchy containers are identified changes nothing about what the kernel takes.
    let all = Policies::start(&config, None, &Arc::default()).map(|policies| policies.status()).unwrap_or_default();
    all.into_iter().filter_map(|status| Some((status.name, status.reason?))).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::audit::tests::record;
}
