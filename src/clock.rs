//! The only source of the current time.

use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// A source of the current time.
pub trait Clock: Send + Sync {
    /// The current time in whole milliseconds. Bodies and columns have no finer resolution, so that the value in a response and the
    /// stored value are equal.
    fn now(&self) -> DateTime<Utc>;
}

/// The system clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the only caller")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(3)
    }
}

/// The smallest difference between the clocks that counts as a jump.
const JUMP: TimeDelta = TimeDelta::seconds(30);

/// Detects that the system clock was set, by comparing it with the monotonic clock.
#[derive(Debug)]
pub struct JumpDetector {
    then: DateTime<Utc>,
    since: Instant,
}

impl JumpDetector {
    /// Starts now.
    pub fn new(now: DateTime<Utc>, instant: Instant) -> Self {
        Self { then: now, since: instant }
    }

    /// The time since the start, or since the last call that found a jump.
    pub fn time_since_jump(&mut self, now: DateTime<Utc>, instant: Instant) -> Duration {
        let passed = instant.duration_since(self.since);
        let expected =
            TimeDelta::from_std(passed).ok().and_then(|passed| self.then.checked_add_signed(passed));
        if expected.is_some_and(|expected| (now - expected).abs() <= JUMP) {
            return passed;
        }
        *self = Self::new(now, instant);
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_jump_restarts_the_measured_time() {
        let (then, start) = (SystemClock.now(), Instant::now());
        let mut jumps = JumpDetector::new(then, start);
        let mut at = |clock: i64, monotonic: u64| {
            let instant = start + Duration::from_secs(monotonic);
            jumps.time_since_jump(then + TimeDelta::seconds(clock), instant).as_secs()
        };
        assert_eq!([at(60, 60), at(125, 120), at(600, 600)], [60, 120, 600]);
        // The clock is set forward by a day and stays there.
        assert_eq!([at(86_400 + 660, 660), at(86_400 + 720, 720)], [0, 60]);
        // The clock is set back, then back again by two minutes.
        assert_eq!([at(780, 780), at(720, 840), at(780, 900)], [0, 0, 60]);
    }
}
