//! A handle on the engine.

use crossbeam_channel::{Sender, TrySendError};
use tokio::sync::oneshot;

use super::{
    Consumer, Engine, Input,
    live::{Message, Question},
};

/// The engine has ended.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the engine does not answer: see the server's log")]
pub(crate) struct EngineGone;

/// A handle on the engine: whatever is to be known of its state is asked on its own thread.
pub(crate) struct Control<C: Consumer> {
    messages: Sender<Message<C>>,
}

impl<C: Consumer> Clone for Control<C> {
    fn clone(&self) -> Self {
        Self { messages: self.messages.clone() }
    }
}

impl<C: Consumer> Control<C> {
    pub(crate) fn new(messages: Sender<Message<C>>) -> Self {
        Self { messages }
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
            // Whoever asked may have gone meanwhile.
            _ = answer.send(question(engine));
        });
        self.send(Message::Question(question)).await?;
        answered.await.map_err(|_| EngineGone)
    }

    /// Gives the engine something to take, and waits until there is room for it.
    ///
    /// # Errors
    /// Where the engine has ended.
    pub(crate) async fn feed(&self, input: Input) -> Result<(), EngineGone> {
        self.send(Message::Input(input)).await
    }

    async fn send(&self, mut message: Message<C>) -> Result<(), EngineGone> {
        loop {
            match self.messages.try_send(message) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(EngineGone),
                Err(TrySendError::Full(back)) => {
                    message = back;
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
        }
    }

    /// Tells the engine to take what was sent, and to end.
    pub(crate) fn stop(&self) {
        // Where it has ended already there is nothing to stop.
        _ = self.messages.send(Message::Stop);
    }

    /// Gives the engine something to take. Returns whether there was room for it.
    pub(crate) fn try_feed(&self, input: Input) -> bool {
        self.messages.try_send(Message::Input(input)).is_ok()
    }
}
