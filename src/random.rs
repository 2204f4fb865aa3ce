//! The only place that asks the machine for chance.

/// A source of random bytes, fit for secrets.
pub trait RandomSource: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// `N` random bytes.
pub fn bytes<const N: usize>(random: &dyn RandomSource) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

/// The operating system's random source.
#[derive(Debug, Default, Clone, Copy)]
pub struct OsRandom;

impl RandomSource for OsRandom {
    /// # Panics
    /// If the operating system has no random source: nothing secret can be made then.
    #[expect(clippy::disallowed_methods, reason = "this is the random")]
    #[expect(clippy::expect_used, reason = "without a random source there is nothing safe to do but stop")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system's random source answers");
    }
}
