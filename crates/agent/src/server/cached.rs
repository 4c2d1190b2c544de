//! An answer that many may ask for, and that is worked out no more than once in a while.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use crate::{api::Answer, refusal::Refusal};

/// An answer, and when it was worked out.
type Last<T> = Option<(Instant, Arc<T>)>;

/// The last answer, for as long as it is fresh.
pub(super) struct Cached<T> {
    period: Duration,
    last: Arc<Mutex<Last<T>>>,
}

impl<T: Send + Sync + 'static> Cached<T> {
    /// One that is fresh for so long.
    pub(super) fn new(period: Duration) -> Self {
        Self { period, last: Arc::default() }
    }

    /// The last answer, or what `work` gives now. Who asks meanwhile waits for the same.
    pub(super) async fn get(&self, work: impl Future<Output = Answer<T>> + Send + 'static) -> Answer<Arc<T>> {
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < self.period
        {
            return Ok(Arc::clone(answer));
        }
        // A client that goes away before it has its answer must not have the next one start anew.
        let working = tokio::spawn(async move {
            let answer = Arc::new(work.await?);
            *last = Some((Instant::now(), Arc::clone(&answer)));
            Ok(answer)
        });
        working.await.map_err(|_| Refusal::Gone)?
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::{sleep, timeout};

    use super::*;

    /// Counts how often it is worked out.
    fn work(count: &Arc<AtomicU32>) -> impl Future<Output = Answer<u32>> + Send + 'static {
        let count = Arc::clone(count);
        async move {
            let n = count.fetch_add(1, Ordering::Relaxed) + 1;
            sleep(Duration::from_millis(20)).await;
            Ok(n)
        }
    }

    #[tokio::test]
    async fn many_questions_are_one_while_it_is_fresh() {
        let (count, cached) = (Arc::default(), Cached::new(Duration::from_secs(3600)));
        // One that does not wait for it counts, too.
        assert!(timeout(Duration::from_millis(1), cached.get(work(&count))).await.is_err());
        let (a, b) = tokio::join!(cached.get(work(&count)), cached.get(work(&count)));
        assert_eq!((*a.unwrap(), *b.unwrap(), *cached.get(work(&count)).await.unwrap()), (1, 1, 1));
        let stale = Cached::new(Duration::ZERO);
        assert_eq!(*stale.get(work(&count)).await.unwrap(), 2);
        assert_eq!(*stale.get(work(&count)).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let cached = Cached::new(Duration::from_secs(3600));
        assert!(cached.get(async { Err(Refusal::Gone) }).await.is_err());
        assert_eq!(*cached.get(async { Ok(1) }).await.unwrap(), 1);
    }
}
