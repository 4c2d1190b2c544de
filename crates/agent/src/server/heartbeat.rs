//! Tells receivers regularly that the agent works: every thread that an event passes has to answer before. Where one hangs no
//! heartbeat is sent, and that is what it is for.

use std::{future::Future, sync::Arc};

use ethogram_engine::{Consumer, Engine, Judged};
use ethogram_model::Heartbeat;
use ethogram_probe::{Collector, TrackerState, TrackerStatus};

use super::{ServerControl, outlet::ServerOutlet};
use crate::{
    pipeline::{Control, Outlet, now_ns},
    sink::Sinks,
};

/// Who sends heartbeats.
pub(super) trait Beats: Outlet {
    /// The places that they go to.
    fn sinks(&mut self) -> &mut Sinks;
}

impl Beats for ServerOutlet {
    fn sinks(&mut self) -> &mut Sinks {
        &mut self.sinks
    }
}

/// Sends heartbeats for as long as the engine takes questions.
pub(super) async fn beat(control: ServerControl, collector: Arc<Collector>) {
    let read = move || {
        let asked = Arc::clone(&collector);
        let read = tokio::task::spawn_blocking(move || asked.ping().map(|()| asked.status()));
        async move { Some(of_trackers(&read.await.ok()?.ok()?)) }
    };
    beat_by(control, read, of_engine).await;
}

/// `read` has the thread of the rings answer and counts what it took, `judge` runs on the engine's thread; both give their
/// part of a heartbeat.
async fn beat_by<C: Consumer, O: Beats, R: Future<Output = Option<Heartbeat>>>(
    control: Control<C, O>,
    read: impl Fn() -> R,
    judge: fn(&mut Engine<C>, Heartbeat) -> Heartbeat,
) {
    let since_ns = now_ns();
    while let Ok(Some(due)) = control.ask_outlet(|outlet| outlet.sinks().next_heartbeat()).await {
        tokio::time::sleep_until(due.into()).await;
        let Some(read) = read().await else { return };
        let Ok(judged) = control.ask(move |engine| judge(engine, read)).await else { return };
        let heartbeat = Heartbeat { time_ns: now_ns(), since_ns, ..judged };
        if control.ask_outlet(move |outlet| outlet.sinks().beat(heartbeat)).await.is_err() {
            return;
        }
    }
}

fn of_trackers(all: &[TrackerStatus]) -> Heartbeat {
    let runs = |t: &&TrackerStatus| matches!(t.state, TrackerState::Running | TrackerState::Idle);
    Heartbeat {
        trackers: all.iter().filter(runs).count() as u64,
        events: all.iter().map(|t| t.counters.delivered).sum(),
        events_lost: all.iter().map(|t| t.counters.dropped_total()).sum(),
        ..Heartbeat::default()
    }
}

fn of_engine(engine: &mut Engine<Judged>, read: Heartbeat) -> Heartbeat {
    let model = &engine.consumer.detector.model;
    let is_learnt = |c: &&Arc<ethogram_model::Container>| model.judges(c);
    Heartbeat {
        containers: engine.containers().count() as u64,
        containers_learnt: engine.containers().filter(is_learnt).count() as u64,
        ..read
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{fs, path::PathBuf, thread, time::Duration};

    use crossbeam_channel::{Receiver, bounded};
    use ethogram_engine::{Effects, Forwarded, identity::Identity};
    use tempfile::TempDir;

    use super::*;
    use crate::{
        pipeline::{Message, apply::Order},
        sink::Earlier,
    };

    impl Outlet for Sinks {
        fn apply(&mut self, _: Effects) {}
    }

    impl Beats for Sinks {
        fn sinks(&mut self) -> &mut Sinks {
            self
        }
    }

    /// Which thread takes nothing.
    #[derive(Clone, Copy, PartialEq)]
    enum Hangs {
        None,
        Reader,
        Engine,
        Outlet,
    }

    /// An agent that sends heartbeats to a file each second.
    struct Agent {
        folder: TempDir,
        _messages: Receiver<Message<Forwarded>>,
        _orders: Receiver<Order<Sinks>>,
    }

    impl Agent {
        fn start(hangs: Hangs) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let config = format!("stdout = false\nheartbeat = \"1s\"\nfile = {:?}", folder.path().join("alerts"));
            let mut sinks =
                Sinks::start(&toml::from_str(&config).unwrap(), folder.path(), &Earlier::default()).unwrap();
            let (messages, asked) = bounded::<Message<Forwarded>>(9);
            let (orders, ordered) = bounded::<Order<Sinks>>(9);
            let (_messages, _orders) = (asked.clone(), ordered.clone());
            if hangs != Hangs::Engine {
                thread::spawn(move || {
                    let mut engine = Engine::new(Identity::new([]), Forwarded::default(), None);
                    for message in asked {
                        if let Message::Question(question) = message {
                            question(&mut engine);
                        }
                    }
                });
            }
            thread::spawn(move || {
                // The first question is when one is due.
                for order in ordered.iter().take(if hangs == Hangs::Outlet { 1 } else { usize::MAX }) {
                    if let Order::Question(question) = order {
                        question(&mut sinks);
                    }
                }
            });
            let read = move || async move {
                match hangs {
                    Hangs::Reader => std::future::pending().await,
                    _ => Some(Heartbeat { trackers: 3, ..Heartbeat::default() }),
                }
            };
            let judge = |_: &mut Engine<Forwarded>, read| Heartbeat { containers: 2, ..read };
            tokio::spawn(beat_by(Control::new(messages, orders), read, judge));
            Self { folder, _messages, _orders }
        }

        fn file(&self) -> PathBuf {
            self.folder.path().join("alerts")
        }

        fn heartbeats(&self) -> Vec<serde_json::Value> {
            let text = fs::read_to_string(self.file()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    #[tokio::test]
    async fn heartbeats_come_regularly_and_none_comes_where_a_thread_hangs() {
        let hanging = [Hangs::Reader, Hangs::Engine, Hangs::Outlet].map(Agent::start);
        let agent = Agent::start(Hangs::None);
        let begin = std::time::Instant::now();
        while agent.heartbeats().len() < 3 {
            assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", agent.heartbeats());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(begin.elapsed() >= Duration::from_millis(1800), "one a second");
        let last = agent.heartbeats().remove(2);
        assert_eq!((&last["unmapped"]["trackers"], &last["unmapped"]["containers"]), (&3.into(), &2.into()));
        for (agent, who) in hanging.iter().zip(["reader", "engine", "outlet"]) {
            assert!(agent.heartbeats().is_empty(), "the {who} hangs");
        }
    }
}
