//! Background work: jobs that the server repeats while it serves requests.

pub mod sweep;

use std::time::Duration;

use tokio::{task::JoinSet, time::interval};

/// Work that is repeated. A job handles and logs its own errors.
pub trait Job: Send + 'static {
    /// Does the work once.
    fn run(&mut self) -> impl Future<Output = ()> + Send;
}

/// Repeats jobs, each in a task of its own, so that a slow job delays no other.
#[derive(Default)]
pub struct Runner {
    tasks: JoinSet<()>,
}

impl Runner {
    /// Runs a job now and then once in each period.
    pub fn every(&mut self, period: Duration, mut job: impl Job) {
        self.spawn(async move {
            let mut ticks = interval(period);
            loop {
                ticks.tick().await;
                job.run().await;
            }
        });
    }

    /// Runs a task that lasts as long as the server.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Cancels all tasks and waits until they have ended.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}
