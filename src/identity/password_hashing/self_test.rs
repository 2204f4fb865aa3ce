//! The self-test that selects the engine: it has to compute known answers on this machine.

use std::time::{Duration, Instant};

use argon2::Params;

use super::{
    engine::{Fill, FillError, HashEngine},
    phc::{Phc, PhcError},
};

/// The password of the known answers.
const PASSWORD: &[u8] = b"password";

/// Hashes of [`PASSWORD`] by `argon2`: with the default parameters, and with two lanes.
const ANSWERS: [&str; 2] = [
    "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$0qsHs573+LgGInzYb7sRqlOTBmqY4X6srNEm6ybpJ20",
    "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
];

/// Why an engine failed the self-test.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    /// A known answer could not be parsed.
    #[error("a known answer was not read")]
    Unreadable(#[from] PhcError),
    /// The engine failed.
    #[error("the engine refused a known answer")]
    Failed(#[from] FillError),
    /// The engine computed another tag.
    #[error("the engine computed something else than the known answer")]
    Wrong,
}

/// The engine to use if `requested` is configured, and the time of a hash with these parameters. If the faster engine fails the test, the reference
/// replaces it, after the same test.
pub(super) fn choose(
    requested: HashEngine,
    params: &Params,
    filler: impl Fn(HashEngine) -> Box<dyn Fill>,
) -> Result<(HashEngine, Duration), SelfTestError> {
    let tested = |engine| Ok((engine, test(&mut *filler(engine), params)?));
    tested(requested).or_else(|error: SelfTestError| {
        if requested == HashEngine::Argon2 {
            return Err(error);
        }
        let error: &dyn std::error::Error = &error;
        tracing::warn!(
            error,
            "the fast password hash engine fails its self-test on this machine: the slower engine is used"
        );
        tested(HashEngine::Argon2)
    })
}

fn test(filler: &mut dyn Fill, params: &Params) -> Result<Duration, SelfTestError> {
    let mut time = None;
    for answer in ANSWERS {
        let phc = Phc::parse(answer)?;
        let begun = Instant::now();
        let tag = filler.fill(&phc.params, PASSWORD, &phc.salt)?;
        if phc.params == *params {
            time = Some(begun.elapsed());
        }
        if *tag != phc.tag {
            return Err(SelfTestError::Wrong);
        }
    }
    if let Some(time) = time {
        return Ok(time);
    }
    let begun = Instant::now();
    filler.fill(params, PASSWORD, &[0; 16])?;
    Ok(begun.elapsed())
}

#[cfg(test)]
mod tests {
    use argon2::Params;

    use super::{
        super::{cost::Cost, engine::Tag},
        *,
    };

    /// Correct except for one bit.
    struct Liar(Box<dyn Fill>);

    impl Fill for Liar {
        fn fill(&mut self, params: &Params, password: &[u8], salt: &[u8]) -> Result<Tag, FillError> {
            let mut tag = self.0.fill(params, password, salt)?;
            tag[31] ^= 1;
            Ok(tag)
        }
    }

    fn params() -> Params {
        Cost::DEFAULT.params().unwrap()
    }

    #[test]
    fn choose_engine_that_passes_is_used() {
        for requested in [HashEngine::Simd, HashEngine::Argon2] {
            let (chosen, took) = choose(requested, &params(), HashEngine::filler).unwrap();
            assert_eq!(chosen, requested);
            assert!(took > Duration::ZERO);
        }
    }

    #[test]
    fn choose_engine_that_fails_is_replaced_by_the_reference_or_an_error() {
        let lying = |liars: &'static [HashEngine]| {
            move |engine: HashEngine| -> Box<dyn Fill> {
                if liars.contains(&engine) { Box::new(Liar(engine.filler())) } else { engine.filler() }
            }
        };
        let both: &[_] = &[HashEngine::Simd, HashEngine::Argon2];
        assert_eq!(
            choose(HashEngine::Simd, &params(), lying(&[HashEngine::Simd])).unwrap().0,
            HashEngine::Argon2
        );
        assert!(matches!(choose(HashEngine::Simd, &params(), lying(both)), Err(SelfTestError::Wrong)));
        assert!(matches!(choose(HashEngine::Argon2, &params(), lying(both)), Err(SelfTestError::Wrong)));
    }
}
