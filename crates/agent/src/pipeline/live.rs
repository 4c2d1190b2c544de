//! The engine's thread: feeds the engine with what happens now, keeps a copy where it is recorded, and sends on its effects.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, at, select};
use ethogram_engine::{Consumer, Effects, Engine, Input, secrets};
use ethogram_probe::Batch;

use super::apply::{Order, Outlet};
use crate::record::Recorder;

/// How often time-outs are checked,
const TICK: Duration = Duration::from_millis(250);
/// and how often where nothing has come since the last time.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// From which delay on of what was due the agent was not running.
const STALLED: Duration = Duration::from_secs(3);

/// Something to be done on the engine's thread. It must not change what the engine's result depends on: that is an
/// [`Input`].
pub(crate) type Question<C> = Box<dyn FnOnce(&mut Engine<C>) + Send>;

/// What the engine gets besides events.
pub(crate) enum Message<C: Consumer> {
    Input(Input),
    Question(Question<C>),
    Stop,
}

/// Feeds an engine.
pub(crate) struct Live<C, O> {
    pub(crate) engine: Engine<C>,
    pub(crate) recorder: Option<Recorder>,
    /// Where its effects go. Where they are applied too slowly the engine waits, and the rings hold what comes.
    pub(crate) orders: Sender<Order<O>>,
}

impl<C: Consumer, O: Outlet> Live<C, O> {
    /// Runs until it is stopped, and then takes all that was sent before.
    pub(crate) fn run(mut self, batches: &Receiver<Batch>, messages: &Receiver<Message<C>>) {
        let mut ticked = Instant::now();
        let mut is_idle = false;
        loop {
            let due = ticked + if is_idle { IDLE_TICK } else { TICK };
            let at_the_latest = due.max(Instant::now());
            select! {
                recv(batches) -> batch => match batch {
                    Ok(batch) => self.feed_late(at_the_latest, Input::Events(batch)),
                    Err(_) => break,
                },
                recv(messages) -> message => match message {
                    Ok(Message::Input(input)) => self.feed_late(at_the_latest, input),
                    Ok(Message::Question(question)) => question(&mut self.engine),
                    Ok(Message::Stop) | Err(_) => break,
                },
                recv(at(due)) -> _ => {
                    self.feed_late(at_the_latest, Input::Tick(now_ns()));
                    ticked = Instant::now();
                    is_idle = true;
                    continue;
                }
            }
            is_idle = false;
        }
        for batch in batches.try_iter() {
            self.feed(Input::Events(batch));
        }
        self.feed(Input::End(now_ns()));
        let (_, effects) = self.engine.finish();
        send(&self.orders, effects);
    }

    /// Feeds it with what should have come `at_the_latest`.
    fn feed_late(&mut self, at_the_latest: Instant, input: Input) {
        if let Some(stalled) = stalled(at_the_latest.elapsed(), now_ns()) {
            self.feed(stalled);
        }
        self.feed(input);
    }

    /// Secrets are masked before anything else sees them, and before they are recorded.
    pub(crate) fn feed(&mut self, mut input: Input) {
        if let Input::Events(batch) = &mut input {
            batch.iter_mut().for_each(secrets::mask_event);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.record(&input);
        }
        send(&self.orders, self.engine.step(input));
    }
}

/// What a delay says of the agent, where it says something.
fn stalled(delay: Duration, now_ns: u64) -> Option<Input> {
    let delay_ns = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
    (delay >= STALLED).then(|| Input::Stalled { from_ns: now_ns.saturating_sub(delay_ns), until_ns: now_ns })
}

fn send<O>(orders: &Sender<Order<O>>, effects: Effects) {
    if !effects.is_empty() {
        // Where that thread has ended, the agent is ending too.
        _ = orders.send(Order::Effects(effects));
    }
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_late_by_seconds_says_that_the_agent_did_not_run() {
        assert!(stalled(Duration::from_millis(900), 10_000_000_000).is_none(), "busy machines are that slow");
        let Some(Input::Stalled { from_ns, until_ns }) = stalled(Duration::from_secs(4), 10_000_000_000) else {
            panic!("four seconds are no stall")
        };
        assert_eq!((from_ns, until_ns), (6_000_000_000, 10_000_000_000));
    }
}
