//! A handle on the engine.

use crossbeam_channel::{Sender, TrySendError};
use tokio::sync::oneshot;

use super::{
    Consumer, Engine,
    engine::{Message, Question},
};
use crate::container::resolver::Resolution;

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
        let mut message = Message::Question(question);
        loop {
            match self.messages.try_send(message) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return Err(EngineGone),
                Err(TrySendError::Full(back)) => {
                    message = back;
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
        }
        answered.await.map_err(|_| EngineGone)
    }

    /// Tells the engine to take what was sent, and to end.
    pub(crate) fn stop(&self) {
        // Where it has ended already there is nothing to stop.
        _ = self.messages.send(Message::Stop);
    }

    /// Tells the engine what a runtime said. Returns whether there was room for it.
    pub(crate) fn tell(&self, resolution: Resolution) -> bool {
        self.messages.try_send(Message::Resolution(resolution)).is_ok()
    }
}
