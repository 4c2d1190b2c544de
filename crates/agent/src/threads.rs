//! Threads and tasks that the agent cannot do without: the end of one, before its time, is the end of the agent. One that
//! went on without its engine, or without the store, would look alive and see nothing.

use std::{
    future::Future,
    io,
    sync::LazyLock,
    thread::{Builder, JoinHandle},
};

use tokio::sync::watch;

/// Those of this process.
static AGENT: LazyLock<Threads> = LazyLock::new(Threads::default);

/// Which thread ended.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "the thread {0:?} ended before its time, and without it nothing is watched: start the agent again, and report what the \
     log says before this"
)]
pub(crate) struct ThreadEnded(String);

/// Starts a thread whose end, or panic, [`ended`] notices.
///
/// # Errors
/// If the system gives no thread.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    AGENT.spawn(name, work)
}

/// A task whose end, or panic, [`ended`] notices.
pub(crate) async fn watched<T>(name: &str, task: impl Future<Output = T>) -> T {
    let _end = AGENT.end(name);
    task.await
}

/// Waits until the first of them has ended. Who ends the agent in the usual way does not wait for it any more.
pub(crate) async fn ended() -> ThreadEnded {
    AGENT.ended().await
}

/// The name of the first that ended.
#[derive(Default)]
struct Threads(watch::Sender<Option<String>>);

impl Threads {
    fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        let (threads, end) = (Self(self.0.clone()), name.to_owned());
        Builder::new().name(name.to_owned()).spawn(move || {
            let _end = threads.end(&end);
            work()
        })
    }

    fn end(&self, name: &str) -> End {
        End { name: name.to_owned(), first: self.0.clone() }
    }

    async fn ended(&self) -> ThreadEnded {
        let mut first = self.0.subscribe();
        let name = first.wait_for(Option::is_some).await.ok().and_then(|name| name.clone());
        // The sender is in `self`, and what is waited for is there.
        ThreadEnded(name.unwrap_or_default())
    }
}

/// Says that it ended when it is dropped, by a panic, too.
struct End {
    name: String,
    first: watch::Sender<Option<String>>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.first.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert_with(|| std::mem::take(&mut self.name));
            is_first
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_first_that_panics_or_returns_is_named_and_those_that_run_are_not() {
        let threads = Threads::default();
        let (keep, kept) = mpsc::sync_channel::<()>(1);
        let runs = threads.spawn("runs", move || kept.recv().is_err()).unwrap();
        assert!(timeout(Duration::from_millis(50), threads.ended()).await.is_err());
        let panics = threads.spawn("panics", || panic!("on purpose")).unwrap();
        let error = timeout(Duration::from_secs(10), threads.ended()).await.unwrap().to_string();
        assert!(error.starts_with("the thread \"panics\" ended before its time"), "{error}");
        assert!(panics.join().is_err());
        drop(keep);
        assert!(runs.join().unwrap());
        assert!(threads.ended().await.to_string().contains("\"panics\""), "the first is what is to be mended");
    }

    #[tokio::test]
    async fn one_that_returns_has_ended_too() {
        let threads = Threads::default();
        threads.spawn("returns", || ()).unwrap().join().unwrap();
        assert!(threads.ended().await.to_string().contains("\"returns\""));
    }
}
