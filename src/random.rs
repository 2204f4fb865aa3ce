//! The only source of randomness.

/// A source of random bytes that are fit for secrets.
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
    /// If the operating system has no random source. No secret could be generated safely.
    #[expect(clippy::disallowed_methods, reason = "this is the only caller")]
    #[expect(clippy::expect_used, reason = "no secret can be generated safely without a random source")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system's random source answers");
    }
}
