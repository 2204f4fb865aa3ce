//! What an attempt was charged to, until somebody has judged it.

use std::panic::resume_unwind;

use sea_orm::{ConnAcquireErr, DbErr};
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::{
    entity::throttle::{self, Attempt, Charged},
    store::Access,
};

/// The counts that an attempt was charged to. Whoever drops it gives it back, in a task of its own: nobody waits for the
/// attempt any more, and nobody will learn whether it was right.
#[derive(Debug)]
#[must_use]
pub struct Deposit {
    charged: Vec<Charged>,
    at: i64,
    writer: Writer,
}

/// Where it is given back.
struct Writer(Access);

impl Deposit {
    /// Charges an attempt by way of `charging`; it is given back by way of `writer`.
    ///
    /// The statement is waited for in any case, for even if nobody else waits for it, it has to be known what it charged.
    pub async fn make(attempt: Attempt, charging: Access, writer: Access) -> Result<(Self, Attempt), DbErr> {
        let charge = async move {
            let charged = throttle::Entity::charge(&charging, &attempt).await?;
            Ok((Self { charged, at: attempt.at, writer: Writer(writer) }, attempt))
        };
        match tokio::spawn(charge.in_current_span()).await {
            Ok(made) => made,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
            },
        }
    }

    /// The counts, as they were left.
    pub fn charged(&self) -> &[Charged] {
        &self.charged
    }

    /// The attempt has failed and stays charged, or has succeeded and that is written.
    pub fn keep(mut self) {
        self.charged.clear();
    }

    /// The attempt was no guess, or is not judged. If not even this is heard of, it stays charged.
    pub async fn give_back(mut self) {
        if let Some(task) = self.begin_giving_back() {
            // It has nothing to say, and goes on if nobody waits for it.
            _ = task.await;
        }
    }

    fn begin_giving_back(&mut self) -> Option<JoinHandle<()>> {
        let charged = std::mem::take(&mut self.charged);
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        if charged.is_empty() {
            return None;
        }
        let (writer, at) = (self.writer.0.clone(), self.at);
        let give_back = async move {
            for charged in &charged {
                if let Err(error) = throttle::Entity::give_back(&writer, charged, at).await {
                    tracing::warn!(%error, "an attempt that nobody judged stays charged");
                    return;
                }
            }
        };
        Some(runtime.spawn(give_back.in_current_span()))
    }
}

impl Drop for Deposit {
    fn drop(&mut self) {
        drop(self.begin_giving_back());
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writer(..)")
    }
}
