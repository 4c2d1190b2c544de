//! What says that the agent works: it comes regularly, so that its absence means something.

/// A small report that the agent collects and judges. It is no [`crate::Report`]: it is neither raised, stored nor counted,
/// and of two only the newer one matters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// What the machine is called.
    pub host: String,
    /// When it was made, nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Since when the agent runs, nanoseconds since the Unix epoch.
    pub since_ns: u64,
    /// Trackers that run.
    pub trackers: u64,
    /// Containers that are watched. Rules judge all of them.
    pub containers: u64,
    /// Those of them whose behaviour is judged, too, as their workload is learnt.
    pub containers_learnt: u64,
    /// Events that the agent has taken since it runs.
    pub events: u64,
    /// Events that it has lost since it runs.
    pub events_lost: u64,
    /// Events that it has lost since the last heartbeat that its receiver got, or since it runs.
    pub events_lost_since: u64,
}

impl Heartbeat {
    /// What it is called, as a finding's analytic is.
    pub const NAME: &str = "agent.heartbeat";

    /// The agent that sends it.
    pub const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// In one sentence.
    pub fn message(&self) -> String {
        let Self { containers, containers_learnt, trackers, events_lost_since, .. } = self;
        format!(
            "The agent works: {trackers} trackers run, {containers} containers are watched and {containers_learnt} of \
             them judged by their profiles, {events_lost_since} events were lost since the last heartbeat"
        )
    }

    /// Its numbers by their names.
    pub fn counts(&self) -> [(&'static str, u64); 6] {
        [
            ("trackers", self.trackers),
            ("containers", self.containers),
            ("containers_learnt", self.containers_learnt),
            ("events", self.events),
            ("events_lost", self.events_lost),
            ("events_lost_since", self.events_lost_since),
        ]
    }
}
