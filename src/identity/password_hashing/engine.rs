//! The two implementations of Argon2id. Each reuses its memory from one hash to the next.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use argon2_rust::{
    Hasher,
    params::{Memory, TagLen},
};
use zeroize::Zeroizing;

/// An implementation of Argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum HashEngine {
    /// The implementation with vector instructions, chosen for the processor
    #[default]
    Simd,
    /// The reference implementation, about half as fast
    Argon2,
}

/// The output of Argon2 (RFC 9106 section 3.1).
pub(super) type Tag = Zeroizing<Vec<u8>>;

/// An engine rejected its input, or had no memory.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// From the engine with vector instructions.
    #[error("argon2-rust: {0}")]
    Simd(#[from] argon2_rust::Error),
    /// From the reference.
    #[error("argon2: {0}")]
    Argon2(#[from] argon2::Error),
}

/// Computes Argon2id, version 0x13. Keeps its memory from one hash to the next, and frees it when dropped.
pub(super) trait Fill {
    /// The tag of `password`.
    fn fill(&mut self, params: &Params, password: &[u8], salt: &[u8]) -> Result<Tag, FillError>;
}

impl HashEngine {
    /// A new engine without memory.
    pub(super) fn filler(self) -> Box<dyn Fill> {
        match self {
            Self::Simd => Box::new(Simd::default()),
            Self::Argon2 => Box::new(Reference::default()),
        }
    }
}

/// `argon2-rust`. Only its raw hash is used. It zeroizes its memory after each hash.
struct Simd(Hasher);

impl Default for Simd {
    fn default() -> Self {
        Self(simd(argon2_rust::Params::DEFAULT).hasher())
    }
}

fn simd(params: argon2_rust::Params) -> argon2_rust::Argon2 {
    argon2_rust::Argon2::new(argon2_rust::Algorithm::Argon2id, argon2_rust::Version::V0x13, params)
}

impl Fill for Simd {
    fn fill(&mut self, params: &Params, password: &[u8], salt: &[u8]) -> Result<Tag, FillError> {
        let mut tag = empty_tag(params);
        let params = argon2_rust::Params::builder()
            .memory(Memory::kib(params.m_cost().into()))
            .passes(params.t_cost())
            .lanes(params.p_cost())
            .tag_len(TagLen::bytes(tag.len() as u64))
            .build()?;
        self.0.set_argon2(simd(params));
        self.0.hash_into(password, salt, &mut tag)?;
        Ok(tag)
    }
}

/// `argon2`, which also provides parameters and PHC strings.
#[derive(Default)]
struct Reference(Vec<Block>);

impl Fill for Reference {
    fn fill(&mut self, params: &Params, password: &[u8], salt: &[u8]) -> Result<Tag, FillError> {
        let mut tag = empty_tag(params);
        if self.0.len() < params.block_count() {
            self.0.resize(params.block_count(), Block::new());
        }
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let filled = argon2.hash_password_into_with_memory(password, salt, &mut tag, &mut self.0);
        // The blocks reveal as much about the password as the tag. The other engine zeroizes its own blocks.
        self.0.fill(Block::new());
        Ok(filled.map(|()| tag)?)
    }
}

fn empty_tag(params: &Params) -> Tag {
    Zeroizing::new(vec![0; params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN)])
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::{
        collection::vec,
        prelude::*,
        test_runner::{Config, TestRunner},
    };

    use super::{super::phc::Phc, *};

    /// Hashes of `password` by the `argon2` command line tool of the Password Hashing Competition.
    const ANSWERS: [&str; 3] = [
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
    ];

    #[test]
    fn engines_compute_the_known_answers() {
        for engine in [HashEngine::Simd, HashEngine::Argon2] {
            let mut filler = engine.filler();
            for answer in ANSWERS {
                let phc = Phc::parse(answer).unwrap();
                let tag = filler.fill(&phc.params, b"password", &phc.salt).unwrap();
                assert_eq!(*tag, phc.tag, "{engine:?} {answer}");
            }
        }
    }

    #[test]
    fn engines_compute_equal_tags_for_any_input() {
        let fillers = RefCell::new([HashEngine::Simd.filler(), HashEngine::Argon2.filler()]);
        let params = (1u32..=4, 1u32..=4, 16usize..=64).prop_flat_map(|(lanes, passes, tag)| {
            (8 * lanes..=1024).prop_map(move |memory| Params::new(memory, passes, lanes, Some(tag)).unwrap())
        });
        let input = (params, vec(any::<u8>(), 0..=300), vec(any::<u8>(), 8..=64));
        TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() })
            .run(&input, |(params, password, salt)| {
                let [simd, reference] = &mut *fillers.borrow_mut();
                let tag = simd.fill(&params, &password, &salt).unwrap();
                prop_assert_eq!(&tag, &reference.fill(&params, &password, &salt).unwrap());
                prop_assert_eq!(Some(tag.len()), params.output_len());
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn engines_reuse_their_memory() {
        let params = Params::new(64, 1, 1, Some(32)).unwrap();
        let (mut simd, mut reference) = (Simd::default(), Reference::default());
        assert_eq!(simd.0.reserved_blocks(), 0);
        for _ in 0..2 {
            simd.fill(&params, b"password", b"somesalt").unwrap();
            reference.fill(&params, b"password", b"somesalt").unwrap();
            assert_eq!((simd.0.reserved_blocks(), reference.0.len()), (64, 64));
        }
    }
}
