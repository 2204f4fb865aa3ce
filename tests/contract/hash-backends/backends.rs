//! Tests every Argon2 backend that this CPU supports against known answers and against the reference implementation.
//!
//! The server never selects a backend: `argon2-rust` selects the fastest one for the CPU, and the server tests only that
//! one when it starts. A production machine may select another, so this test runs all of them.

use std::io::Write as _;

use argon2_rust::{
    __internal::hash_with_backend,
    Algorithm, Backend, Error, Params, Version,
    params::{Memory, TagLen},
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};

/// The inputs of one Argon2id computation, version 0x13 (RFC 9106).
#[derive(Debug)]
struct Input<'a> {
    memory: u32,
    passes: u32,
    lanes: u32,
    password: &'a [u8],
    salt: &'a [u8],
    secret: &'a [u8],
    data: &'a [u8],
}

/// Inputs and their expected tags in hexadecimal.
const ANSWERS: [(Input<'static>, &str); 5] = [
    // The production parameters, with the known answer from the self-test of the server
    (
        plain(19456, 2, 1, b"0123456789abcdef"),
        "d2ab07b39ef7f8b806227cd86fbb11aa5393066a98e17eacacd126eb26e9276d",
    ),
    // Computed by the reference command line tool of the Password Hashing Competition
    (plain(65536, 2, 1, b"somesalt"), "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"),
    (plain(256, 2, 1, b"somesalt"), "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"),
    (plain(256, 2, 2, b"somesalt"), "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037"),
    // RFC 9106 section 5.3
    (
        Input {
            memory: 32,
            passes: 3,
            lanes: 4,
            password: &[1; 32],
            salt: &[2; 16],
            secret: &[3; 8],
            data: &[4; 12],
        },
        "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659",
    ),
];

/// The password "password", without a secret and without associated data.
const fn plain(memory: u32, passes: u32, lanes: u32, salt: &'static [u8]) -> Input<'static> {
    Input { memory, passes, lanes, password: b"password", salt, secret: b"", data: b"" }
}

/// The backends that this CPU supports, according to `argon2-rust`.
fn available() -> impl Iterator<Item = Backend> {
    Backend::ALL.iter().copied().filter(|backend| backend.is_available())
}

/// The backends that this CPU supports, according to the standard library.
fn expected() -> Vec<Backend> {
    #[cfg(target_arch = "x86_64")]
    let vector = [
        (Backend::Sse2, is_x86_feature_detected!("sse2")),
        (Backend::Avx2, is_x86_feature_detected!("avx2")),
        (Backend::Avx512, is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(target_arch = "aarch64")]
    let vector = [(Backend::Neon, std::arch::is_aarch64_feature_detected!("neon"))];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let vector: [(Backend, bool); 0] = [];
    let vector = vector.into_iter().filter_map(|(backend, supported)| supported.then_some(backend));
    std::iter::once(Backend::Scalar).chain(vector).collect()
}

/// Computes the tag of `input` with `backend`. The length of `tag` is the requested tag length.
fn fill(backend: Backend, input: &Input<'_>, tag: &mut [u8]) -> Result<(), Error> {
    let params = Params::builder()
        .memory(Memory::kib(input.memory.into()))
        .passes(input.passes)
        .lanes(input.lanes)
        .tag_len(TagLen::bytes(tag.len() as u64))
        .build()?;
    assert!(backend.is_available(), "this CPU does not support {backend}");
    #[expect(unsafe_code, reason = "a backend can be selected in no other way")]
    // SAFETY: the CPU supports `backend`, as asserted above. The function has no other precondition.
    unsafe {
        hash_with_backend(
            backend,
            Algorithm::Argon2id,
            Version::V0x13,
            &params,
            input.password,
            input.salt,
            input.secret,
            input.data,
            tag,
        )
    }
}

/// Computes the tag of `input` with the reference implementation. `input` has no secret and no associated data.
fn fill_reference(input: &Input<'_>, tag: &mut [u8]) -> Result<(), argon2::Error> {
    let params = argon2::Params::new(input.memory, input.passes, input.lanes, Some(tag.len()))?;
    argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params).hash_password_into(
        input.password,
        input.salt,
        tag,
    )
}

#[test]
fn each_supported_backend_known_input_gives_known_answer() {
    let mut ran = Vec::new();
    for backend in available() {
        for (input, answer) in &ANSWERS {
            let mut tag = [0; 32];
            fill(backend, input, &mut tag).unwrap();
            assert_eq!(tag.map(|byte| format!("{byte:02x}")).concat(), *answer, "{backend} {input:?}");
        }
        ran.push(backend);
    }
    // Not `println!`, which the test harness captures: the log of a passing run shall name the backends.
    writeln!(std::io::stderr(), "backends tested: {ran:?}").unwrap();
    let expected = expected();
    assert!(expected.iter().all(|backend| ran.contains(backend)), "this CPU supports {expected:?}");
}

#[test]
fn each_supported_backend_random_input_equals_reference() {
    let costs =
        (1u32..=4, 1u32..=4).prop_flat_map(|(lanes, passes)| (8 * lanes..=512, Just(passes), Just(lanes)));
    let input = (costs, vec(any::<u8>(), 0..=300), vec(any::<u8>(), 8..=64), 4usize..=128);
    TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() })
        .run(&input, |((memory, passes, lanes), password, salt, length)| {
            let input =
                Input { memory, passes, lanes, password: &password, salt: &salt, secret: b"", data: b"" };
            let mut reference = vec![0; length];
            fill_reference(&input, &mut reference).unwrap();
            for backend in available() {
                let mut tag = vec![0; length];
                fill(backend, &input, &mut tag).unwrap();
                prop_assert_eq!(&tag, &reference, "{}", backend);
            }
            Ok(())
        })
        .unwrap();
}
