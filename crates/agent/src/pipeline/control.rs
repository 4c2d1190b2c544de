//! A handle on the engine and on its outlet.

use crossbeam_channel::{Sender, TrySendError};
use ethogram_engine::{Consumer, Engine, Input};
use tokio::sync::oneshot;

use super::{
    apply::{Order, Outlet, OutletQuestion},
    live::{Message, Question},
};

/// The engine has ended.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the engine does not answer: see the server's log")]
pub(crate) struct EngineGone;

/// A handle on the engine and on its outlet: their state is asked for on their own threads.
pub(crate) struct Control<C: Consumer, O: Outlet> {
    messages: Sender<Message<C>>,
    orders: Sender<Order<O>>,
}

impl<C: Consumer, O: Outlet> Clone for Control<C, O> {
    fn clone(&self) -> Self {
        Self { messages: self.messages.clone(), orders: self.orders.clone() }
    }
}

impl<C: Consumer, O: Outlet> Control<C, O> {
    pub(crate) fn new(messages: Sender<Message<C>>, orders: Sender<Order<O>>) -> Self {
        Self { messages, orders }
    }

    /// Runs `question` on the engine's thread and returns its answer.
    ///
    /// # Errors
    /// Where the engine has ended.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Engine<C>) -> T + Send + 'static,
    ) -> Result<T, EngineGone> {
        let (answer, answered) = oneshot::channel();
        let question: Question<C> = Box::new(move |engine| {
            // The caller may have gone meanwhile.
            _ = answer.send(question(engine));
        });
        send(&self.messages, Message::Question(question)).await?;
        answered.await.map_err(|_| EngineGone)
    }

    /// Runs `question` on the outlet's thread, after all that the engine sent there before, and returns its answer.
    ///
    /// # Errors
    /// Where the engine has ended.
    pub(crate) async fn ask_outlet<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut O) -> T + Send + 'static,
    ) -> Result<T, EngineGone> {
        let (answer, answered) = oneshot::channel();
        let question: OutletQuestion<O> = Box::new(move |outlet| _ = answer.send(question(outlet)));
        send(&self.orders, Order::Question(question)).await?;
        answered.await.map_err(|_| EngineGone)
    }

    /// Gives the engine something to take, and waits until there is room for it.
    ///
    /// # Errors
    /// Where the engine has ended.
    pub(crate) async fn feed(&self, input: Input) -> Result<(), EngineGone> {
        send(&self.messages, Message::Input(input)).await
    }

    /// Gives the engine inputs to take, one after the other, and waits until there is room for each.
    ///
    /// # Errors
    /// Where the engine has ended.
    pub(crate) async fn feed_all(&self, inputs: impl Iterator<Item = Input>) -> Result<(), EngineGone> {
        for input in inputs {
            self.feed(input).await?;
        }
        Ok(())
    }

    /// Gives the engine one of the last inputs before it ends. Blocks until there is room for it.
    pub(crate) fn feed_last(&self, input: Input) {
        // Where it has ended already, nothing needs it.
        _ = self.messages.send(Message::Input(input));
    }

    /// Has the engine take what was sent, and end.
    pub(crate) fn stop(&self) {
        // Where it has ended already there is nothing to stop.
        _ = self.messages.send(Message::Stop);
    }

    /// Gives the engine something to take. Returns whether there was room for it.
    pub(crate) fn try_feed(&self, input: Input) -> bool {
        self.messages.try_send(Message::Input(input)).is_ok()
    }
}

async fn send<M>(to: &Sender<M>, mut message: M) -> Result<(), EngineGone> {
    loop {
        match to.try_send(message) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Disconnected(_)) => return Err(EngineGone),
            Err(TrySendError::Full(back)) => {
                message = back;
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
    }
}
