//! What an attempt was charged to, until somebody has judged it.

use std::{panic::resume_unwind, time::Duration};

use sea_orm::{ConnAcquireErr, DbErr};
use tokio::{
    runtime::Handle,
    sync::Semaphore,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::Instrument;

use crate::{
    entity::throttle::{self, Attempt, Charged},
    store::{self, Access},
};

/// How many may be charged at once: more tasks that charge are not left behind by those who hang up, however slow the
/// database is.
static UNDER_WAY: Semaphore = Semaphore::const_new(256);

/// How often it is tried again to give something back while the database is busy, or somebody holds it.
const AGAIN: u32 = 5;
/// After how long each time, and for how long anybody waits for it.
const PAUSE: Duration = Duration::from_secs(1);

/// The counts that an attempt was charged to. If it is dropped, nobody waits for the attempt any more, and nobody will learn
/// whether it was right: then its account or its user has it back, by a task of its own. The counts that many share keep it,
/// for it took as much work as any other.
#[must_use]
pub struct Deposit {
    charged: Vec<Charged>,
    /// How many of them, from the first on, are the account's or the user's.
    own: usize,
    at: i64,
    /// Where it is given back.
    writer: Access,
    /// Whether it was judged, or is being settled.
    judged: bool,
}

impl Deposit {
    /// Charges an attempt by way of `charging`; it is given back by way of `writer`.
    ///
    /// The statement is waited for in any case, for even if nobody else waits for it, it has to be known what it charged.
    pub async fn make(attempt: Attempt, charging: Access, writer: Access) -> Result<(Self, Attempt), DbErr> {
        // Whoever hangs up while they wait here leaves nothing behind.
        let permit = UNDER_WAY.acquire().await;
        let charge = async move {
            let _permit = permit;
            let charged = throttle::Entity::charge(&charging, &attempt).await?;
            let is_own = |charged: &&Charged| attempt.own().iter().any(|limit| limit.key == charged.key);
            let own = charged.iter().take_while(is_own).count();
            Ok((Self { charged, own, at: attempt.at, writer, judged: false }, attempt))
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

    /// The attempt is judged: whatever becomes of the deposit from now on, what is not given back stays charged.
    pub fn judge(&mut self) {
        self.judged = true;
    }

    /// The attempt was no guess, or is not judged. What comes next finds it given back, unless the database is slow.
    pub async fn give_back(mut self) {
        self.judged = true;
        if let Some(task) = self.giving_back(self.charged.len()) {
            // It has nothing to say, and goes on if nobody waits for it.
            _ = timeout(PAUSE, task).await;
        }
    }

    /// Begins to give so many charges back, from the first on.
    fn giving_back(&mut self, count: usize) -> Option<JoinHandle<()>> {
        let charged: Vec<_> = self.charged.drain(..count).collect();
        let runtime = Handle::try_current().ok().filter(|_| count > 0)?;
        let (writer, at) = (self.writer.clone(), self.at);
        let give_back = async move {
            for charged in &charged {
                let mut given_back = throttle::Entity::give_back(&writer, charged, at).await;
                for _ in 0..AGAIN {
                    if !given_back.as_ref().is_err_and(store::is_undone) {
                        break;
                    }
                    sleep(PAUSE).await;
                    given_back = throttle::Entity::give_back(&writer, charged, at).await;
                }
                if let Err(error) = given_back {
                    tracing::warn!(%error, "an attempt that was no guess, or that nobody judged, stays charged");
                }
            }
        };
        Some(runtime.spawn(give_back.in_current_span()))
    }
}

impl Drop for Deposit {
    fn drop(&mut self) {
        if !self.judged {
            drop(self.giving_back(self.own));
        }
    }
}

impl std::fmt::Debug for Deposit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deposit").field("judged", &self.judged).finish_non_exhaustive()
    }
}
