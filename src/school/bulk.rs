//! Requests that hash many passwords: one at a time, so that their number does not multiply memory and waiting times.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::domain::retry_after::RetryAfter;

/// The maximum wait for the request before.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// The wait that is proposed to a refused client. A file of 500 students takes about so long.
const RETRY_AFTER: RetryAfter = RetryAfter::from_secs(15);

/// Another request makes many accounts now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another request makes many accounts now")]
pub struct BulkBusy(pub RetryAfter);

/// Admits one request at a time.
#[derive(Debug, Clone)]
pub struct Bulk(Arc<Semaphore>);

impl Default for Bulk {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Bulk {
    /// Waits for the request before. The next one begins when the result is dropped.
    pub(super) async fn begin(&self) -> Result<OwnedSemaphorePermit, BulkBusy> {
        self.within(MAX_WAIT).await
    }

    async fn within(&self, wait: Duration) -> Result<OwnedSemaphorePermit, BulkBusy> {
        let permit = timeout(wait, self.0.clone().acquire_owned()).await;
        permit.ok().and_then(Result::ok).ok_or(BulkBusy(RETRY_AFTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn request_waits_for_the_request_before_and_then_gives_up() {
        let bulk = Bulk::default();
        let first = bulk.begin().await.unwrap();
        let short = Duration::from_millis(20);
        assert_eq!(bulk.within(short).await.unwrap_err(), BulkBusy(RETRY_AFTER));
        let (next, ()) = tokio::join!(bulk.begin(), async {
            tokio::time::sleep(short).await;
            drop(first);
        });
        drop(next.unwrap());
        drop(bulk.begin().await.unwrap());
    }
}
