//! The engine's thread: feeds the engine with what happens now, keeps a copy where it is recorded, and sends on its effects.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, at, select};
use ethogram_engine::{Consumer, Effects, Engine, Input};
use ethogram_probe::Batch;

use super::{
    apply::{Order, Outlet},
    interruption::{Clock, stalled},
};
use crate::record::Recorder;

/// How often time-outs are checked,
const TICK: Duration = Duration::from_millis(250);
/// and how often where nothing has come since the last time.
const IDLE_TICK: Duration = Duration::from_secs(1);

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
    /// Whether the clock was set.
    pub(super) clock: Clock,
}

impl<C: Consumer, O: Outlet> Live<C, O> {
    /// Runs until it is stopped, and then takes all that was sent before.
    pub(crate) fn run(mut self, batches: &Receiver<Batch>, messages: &Receiver<Message<C>>) {
        let mut ticked = Instant::now();
        let mut woke = ticked;
        let mut is_idle = false;
        loop {
            let due = ticked + if is_idle { IDLE_TICK } else { TICK };
            // Since it last woke, not since it waits: it can be stopped while it works, too.
            let at_the_latest = due.max(woke);
            select! {
                recv(batches) -> batch => match batch {
                    Ok(batch) => {
                        woke = self.notice_delay(at_the_latest);
                        self.feed(Input::Events(batch));
                    }
                    Err(_) => {
                        tracing::error!("the thread that reads the rings has ended");
                        break;
                    }
                },
                recv(messages) -> message => match message {
                    Ok(Message::Input(input)) => {
                        woke = self.notice_delay(at_the_latest);
                        self.feed(input);
                    }
                    Ok(Message::Question(question)) => {
                        woke = self.notice_delay(at_the_latest);
                        question(&mut self.engine);
                    }
                    Ok(Message::Stop) | Err(_) => break,
                },
                recv(at(due)) -> _ => {
                    woke = self.notice_delay(at_the_latest);
                    self.tick();
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

    fn tick(&mut self) {
        let now_ns = now_ns();
        if let Some(impairment) = self.clock.check(now_ns, since_boot_ns()) {
            self.feed(Input::Impaired(impairment));
        }
        self.feed(Input::Tick(now_ns));
    }

    /// Whatever ends the wait: where that comes later than `at_the_latest`, the agent was stopped. Returns what time it
    /// is.
    fn notice_delay(&mut self, at_the_latest: Instant) -> Instant {
        let now = Instant::now();
        if let Some(impairment) = stalled(now.saturating_duration_since(at_the_latest), now_ns()) {
            self.feed(Input::Impaired(impairment));
        }
        now
    }

    /// Secrets are masked before anything is recorded or judged: only the tests of rules are made before.
    pub(crate) fn feed(&mut self, mut input: Input) {
        self.engine.mask(&mut input);
        if let Some(recorder) = &mut self.recorder {
            recorder.record(&input);
        }
        send(&self.orders, self.engine.step(input));
    }
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

/// Nanoseconds since the machine was started, those included in which it slept.
pub(super) fn since_boot_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000) + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use crossbeam_channel::bounded;
    use ethogram_detect::Impairment;
    use ethogram_engine::{Forwarded, containers::table::Lookup, identity::Identity};
    use ethogram_model::Event;

    use super::*;
    use crate::threads;

    /// Panics when time goes by.
    struct Panics;

    impl Consumer for Panics {
        fn collects(&mut self, _: &Lookup) -> Option<bool> {
            Some(true)
        }

        fn take(&mut self, _: &Event, _: &mut Effects) {}

        fn tick(&mut self, _: u64, _: &mut Effects) {
            panic!("on purpose")
        }
    }

    #[tokio::test]
    async fn a_panic_of_the_engine_is_noticed_at_once() {
        let (_feed, batches) = bounded(1);
        let (_ask, messages) = bounded(1);
        let (orders, _ordered) = bounded::<Order<()>>(1);
        let engine = Engine::new(Identity::new([]), Panics, None);
        let live = Live { engine, recorder: None, orders, clock: Clock::new(now_ns(), since_boot_ns()) };
        let began = Instant::now();
        let thread = threads::spawn("engine", move || live.run(&batches, &messages)).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(10), threads::ended()).await.unwrap();
        assert!(ended.to_string().contains("\"engine\""), "{ended}");
        assert!(thread.join().is_err() && began.elapsed() >= TICK);
    }

    /// Keeps the causes of impairments.
    #[derive(Default)]
    struct Impairments(Vec<String>);

    impl Consumer for Impairments {
        fn collects(&mut self, _: &Lookup) -> Option<bool> {
            Some(true)
        }

        fn take(&mut self, _: &Event, _: &mut Effects) {}

        fn tick(&mut self, _: u64, _: &mut Effects) {}

        fn impaired(&mut self, impairment: &Impairment, _: &mut Effects) {
            self.0.push(impairment.cause.clone());
        }
    }

    /// What the engine tells when its thread is held for a time, during its work.
    fn told_when_held(time: Duration) -> Vec<String> {
        let (_feed, batches) = bounded(1);
        let (ask, messages) = bounded(1);
        let (orders, _ordered) = bounded::<Order<()>>(1);
        let engine = Engine::new(Identity::new([]), Impairments::default(), None);
        let live = Live { engine, recorder: None, orders, clock: Clock::new(now_ns(), since_boot_ns()) };
        let thread = std::thread::spawn(move || live.run(&batches, &messages));
        ask.send(Message::Question(Box::new(move |_| std::thread::sleep(time)))).unwrap();
        let (tell, told) = bounded(1);
        let question: Question<Impairments> = Box::new(move |engine| tell.send(engine.consumer.0.clone()).unwrap());
        ask.send(Message::Question(question)).unwrap();
        let told = told.recv().unwrap();
        ask.send(Message::Stop).unwrap();
        thread.join().unwrap();
        told
    }

    #[test]
    fn who_is_stopped_during_its_work_says_so_and_who_is_only_slow_does_not() {
        assert_eq!(told_when_held(Duration::from_secs(4)), ["stalled"]);
        assert_eq!(told_when_held(Duration::from_secs(1)), [] as [&str; 0]);
    }

    #[test]
    fn the_engine_ends_when_nothing_reads_the_rings_and_not_before() {
        let (feed, batches) = bounded(1);
        let (_ask, messages) = bounded(1);
        let (orders, _ordered) = bounded::<Order<()>>(1);
        let engine = Engine::new(Identity::new([]), Forwarded::default(), None);
        let live = Live { engine, recorder: None, orders, clock: Clock::new(now_ns(), since_boot_ns()) };
        let thread = std::thread::spawn(move || live.run(&batches, &messages));
        std::thread::sleep(2 * TICK);
        assert!(!thread.is_finished());
        drop(feed);
        thread.join().unwrap();
    }
}
