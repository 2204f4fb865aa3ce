//! The only place that asks the machine what time it is.

use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// A source of the current time.
pub trait Clock: Send + Sync {
    /// This instant, in whole milliseconds: as fine as any body or column shows it, so that what was
    /// answered and what was stored are the same value.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's own clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(3)
    }
}

/// The largest difference between the clock and the monotonic clock that is no jump.
const JUMP: TimeDelta = TimeDelta::seconds(30);

/// For how long the clock has moved as the monotonic clock did. A clock that was set, forwards or back, is noticed so; the
/// monotonic clock cannot be set.
#[derive(Debug)]
pub struct Pace {
    then: DateTime<Utc>,
    since: Instant,
}

impl Pace {
    /// Begins to watch.
    pub fn since(now: DateTime<Utc>, instant: Instant) -> Self {
        Self { then: now, since: instant }
    }

    /// How long ago the watch began, or the clock last jumped as far as it was seen.
    pub fn kept_for(&mut self, now: DateTime<Utc>, instant: Instant) -> Duration {
        let passed = instant.duration_since(self.since);
        let expected =
            TimeDelta::from_std(passed).ok().and_then(|passed| self.then.checked_add_signed(passed));
        if expected.is_some_and(|expected| (now - expected).abs() <= JUMP) {
            return passed;
        }
        *self = Self::since(now, instant);
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_that_jumps_keeps_pace_from_the_jump_on() {
        let (then, began) = (SystemClock.now(), Instant::now());
        let mut pace = Pace::since(then, began);
        let mut at = |clock: i64, monotonic: u64| {
            let instant = began + Duration::from_secs(monotonic);
            pace.kept_for(then + TimeDelta::seconds(clock), instant).as_secs()
        };
        assert_eq!([at(60, 60), at(125, 120), at(600, 600)], [60, 120, 600]);
        // A day forwards, where it stays.
        assert_eq!([at(86_400 + 660, 660), at(86_400 + 720, 720)], [0, 60]);
        // And back, by two minutes once more.
        assert_eq!([at(780, 780), at(720, 840), at(780, 900)], [0, 0, 60]);
    }
}
