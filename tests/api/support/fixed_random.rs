//! A deterministic random source. A test can set the next bytes.

use std::{collections::VecDeque, sync::Mutex};

use homeroom::random::RandomSource;

/// Bytes in a fixed order.
#[derive(Debug, Default)]
pub struct FixedRandom(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    counter: u64,
    next: VecDeque<Vec<u8>>,
}

impl FixedRandom {
    /// Sets the result of the next request for exactly this many bytes.
    pub fn set_next(&self, bytes: &[u8]) {
        self.0.lock().unwrap().next.push_back(bytes.to_vec());
    }
}

impl RandomSource for FixedRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock().unwrap();
        if let Some(place) = state.next.iter().position(|next| next.len() == bytes.len()) {
            let next = state.next.remove(place).unwrap();
            bytes.copy_from_slice(&next);
            return;
        }
        // SplitMix64.
        for chunk in bytes.chunks_mut(8) {
            state.counter = state.counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = state.counter;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^= mixed >> 31;
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
    }
}
