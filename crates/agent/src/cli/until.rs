//! When a command that goes on ends.

use std::{cell::Cell, time::Duration};

use crate::{config::Period, container::runtime::Runtimes, failure::Usage, interrupt::Interrupt, threads};

/// What ends it, besides Ctrl-C.
pub(super) struct Until<'a> {
    /// The time is over.
    pub(super) duration: Option<Period>,
    /// One of these containers is unknown to every runtime,
    pub(super) containers: &'a [String],
    /// after so long.
    pub(super) wait: Period,
}

impl Until<'_> {
    /// Waits for the end.
    ///
    /// # Errors
    /// Where a container never came, or a thread ended before its time.
    pub(super) async fn end(&self, runtimes: &Runtimes, interrupt: &mut Interrupt) -> anyhow::Result<()> {
        let duration = async {
            match self.duration {
                Some(duration) => tokio::time::sleep(duration.get()).await,
                None => std::future::pending().await,
            }
        };
        let unfound = Cell::new(None);
        let unknown = async {
            match self.missing(runtimes, &unfound).await {
                Some(error) => error,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = interrupt.wait() => Ok(()),
            () = duration => unfound.take().map_or(Ok(()), Err),
            error = unknown => Err(error),
            ended = threads::ended() => Err(ended.into()),
        }
    }

    /// Whether one of the containers is still unknown to every runtime after the time they are waited for. Meanwhile
    /// `unfound` says so of the one that is waited for.
    async fn missing(&self, runtimes: &Runtimes, unfound: &Cell<Option<anyhow::Error>>) -> Option<anyhow::Error> {
        let deadline = tokio::time::Instant::now() + self.wait.get();
        for wanted in self.containers {
            let mut announced = false;
            while let Err(error) = runtimes.find(wanted).await {
                if tokio::time::Instant::now() >= deadline {
                    return Some(Usage(error.to_string()).into());
                }
                if !std::mem::replace(&mut announced, true) {
                    eprintln!("ethogram: waiting {} for container '{wanted}' to be created", self.wait);
                }
                unfound.set(Some(Usage(error.to_string()).into()));
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            unfound.set(None);
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::config::RuntimeSettings;

    #[tokio::test]
    async fn a_thread_that_panics_ends_the_command_with_an_error() {
        let nowhere = RuntimeSettings {
            docker_socket: "/nonexistent/docker".into(),
            containerd_socket: "/nonexistent/containerd".into(),
            podman_socket: "/nonexistent/podman".into(),
            podman_storage: "/nonexistent/storage".into(),
        };
        let runtimes = Runtimes::new(&nowhere);
        let mut interrupt = Interrupt::listen().unwrap();
        let until = Until { duration: None, containers: &[], wait: Period::from_secs(1) };
        let waits = tokio::time::timeout(Duration::from_millis(50), until.end(&runtimes, &mut interrupt)).await;
        assert!(waits.is_err(), "nothing ends it");
        threads::spawn("engine", || panic!("on purpose")).unwrap().join().unwrap_err();
        let ended = tokio::time::timeout(Duration::from_secs(10), until.end(&runtimes, &mut interrupt)).await;
        let error = ended.unwrap().unwrap_err().to_string();
        assert!(error.starts_with("the thread \"engine\" ended before its time"), "{error}");
    }
}
