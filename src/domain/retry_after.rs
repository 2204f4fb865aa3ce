//! How long a client should wait before it repeats a request (RFC 9110 section 10.2.3).

use std::{fmt, time::Duration};

/// The value of `Retry-After`: whole seconds, from 1 to [`RetryAfter::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RetryAfter(u64);

impl RetryAfter {
    /// The longest value, one day: the documented maximum.
    pub const MAX: Self = Self(24 * 60 * 60);
    /// The shortest value.
    pub const MIN: Self = Self(1);

    /// This many seconds, limited to the range of the type.
    pub const fn from_secs(seconds: u64) -> Self {
        match seconds {
            0 => Self::MIN,
            seconds if seconds > Self::MAX.0 => Self::MAX,
            seconds => Self(seconds),
        }
    }

    /// This duration, rounded up to whole seconds and limited to the range of the type.
    pub const fn from_duration(duration: Duration) -> Self {
        let rounded = duration.as_secs().saturating_add((duration.subsec_nanos() > 0) as u64);
        Self::from_secs(rounded)
    }

    /// The number of seconds.
    pub const fn as_secs(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up_and_stays_between_a_second_and_a_day() {
        for (milliseconds, seconds) in
            [(0, 1), (1, 1), (1000, 1), (1001, 2), (86_400_000, 86_400), (90_000_000, 86_400)]
        {
            let retry_after = RetryAfter::from_duration(Duration::from_millis(milliseconds));
            assert_eq!(retry_after.as_secs(), seconds, "{milliseconds} ms");
        }
        assert_eq!(RetryAfter::from_secs(7).to_string(), "7 s");
    }
}
