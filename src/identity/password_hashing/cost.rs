//! The cost of a password hash.

use argon2::Params;

use super::{engine::FillError, phc::TAG_LENGTH};

/// The memory in KiB and the passes of a hash that takes an attacker as long as any other in this list: OWASP's Password Storage Cheat
/// Sheet.
const MINIMUMS: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

/// The cost of a new hash with one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    memory: u32,
    passes: u32,
}

/// The cost is below every minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "--hash-memory {memory} needs --hash-passes {}; OWASP's minimum is 47104 KiB with 1 pass, 19456 with 2, 12288 with 3, \
     9216 with 4 or 7168 with 5",
    needed.map_or_else(|| "that no value provides".to_owned(), |passes| format!("{passes} or more"))
)]
pub struct CostTooLow {
    memory: u32,
    /// The passes that suffice for this memory, if any do.
    needed: Option<u32>,
}

impl Cost {
    /// 19 MiB and two passes.
    pub const DEFAULT: Self = Self { memory: 19_456, passes: 2 };

    /// Far too low for the passwords of users. Tests of many hashes use it.
    #[doc(hidden)]
    pub const FOR_TESTS: Self = Self { memory: 8, passes: 1 };

    /// A cost of `memory` KiB and `passes`, if it reaches a minimum.
    pub fn new(memory: u32, passes: u32) -> Result<Self, CostTooLow> {
        let affordable = MINIMUMS.iter().filter(|(least, _)| memory >= *least);
        let needed = affordable.map(|(_, passes)| *passes).min();
        match needed {
            Some(needed) if passes >= needed => Ok(Self { memory, passes }),
            _ => Err(CostTooLow { memory, needed }),
        }
    }

    /// The memory in KiB.
    pub const fn memory(self) -> u32 {
        self.memory
    }

    /// The passes over the memory.
    pub const fn passes(self) -> u32 {
        self.passes
    }

    pub(super) fn params(self) -> Result<Params, FillError> {
        Ok(Params::new(self.memory, self.passes, 1, Some(TAG_LENGTH))?)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::phc::Phc, *};

    #[test]
    fn cost_below_every_minimum_is_refused() {
        for (memory, passes) in
            [(47_104, 1), (19_456, 2), (20_000, 2), (12_288, 3), (9_216, 4), (7_168, 5), (65_536, 10)]
        {
            let cost = Cost::new(memory, passes).unwrap();
            assert_eq!((cost.memory(), cost.passes()), (memory, passes));
        }
        for (memory, passes, needed) in [
            (47_103, 1, Some(2)),
            (19_455, 2, Some(3)),
            (12_287, 3, Some(4)),
            (9_215, 4, Some(5)),
            (7_168, 4, Some(5)),
            (7_167, 10, None),
        ] {
            assert_eq!(Cost::new(memory, passes), Err(CostTooLow { memory, needed }));
        }
    }

    #[test]
    fn hash_of_the_highest_cost_can_be_read() {
        let params = Cost::new(65_536, 10).unwrap().params().unwrap();
        let phc = Phc { params, salt: vec![0; 16], tag: vec![0; TAG_LENGTH] };
        assert_eq!(Phc::parse(phc.format().unwrap().expose()).unwrap().params, phc.params);
    }
}
