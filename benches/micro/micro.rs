//! Parts of a request, in microseconds. `scripts/bench micro` runs them, and holds what comes of it to its bounds.

use std::{
    error::Error,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256},
};
use clap::Parser;
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use homeroom::{
    api::{identity::schema::CreateCode, json::Json},
    clock::{Clock, SystemClock},
    config::Config,
    db::{DatabaseUrl, Db},
    domain::{
        authorization_code::AuthorizationCode, id::AppId, join_code::JoinCode, redirect_uri::RedirectUri,
        state::State,
    },
    identity::{
        Identity,
        password_hashing::{PasswordHashing, Settings},
        signing_keys::SigningKeys,
    },
    random::OsRandom,
};
use poem::{Body, Request, RequestBody};
use poem_openapi::{ApiExtractor, ExtractParamOptions};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::Url;
use uuid::Uuid;

const PUBLIC_URL: &str = "https://homeroom.example.com";

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    config: Config,
}

/// A room that has seen no token yet.
fn identity(directory: &TempDir, runtime: &Runtime) -> Result<Identity, Box<dyn Error>> {
    let config = Arguments::try_parse_from(["homeroom"])?.config;
    let _guard = runtime.enter();
    Ok(Identity::new(
        runtime.block_on(Db::connect(&DatabaseUrl::in_directory(directory.path())))?,
        Arc::new(OsRandom),
        PasswordHashing::start(Settings::default(), &OsRandom)?,
        SigningKeys::open(&directory.path().join("keys"), SystemClock.now(), &OsRandom)?,
        config.identity(&Url::parse(PUBLIC_URL)?),
    ))
}

/// Access tokens as `createToken` makes them, each of another user.
fn tokens(identity: &Identity, count: u128) -> Result<Vec<String>, Box<dyn Error>> {
    let now = SystemClock.now();
    let key = identity.keys().signing(now);
    let token = |number| {
        let (user, other) = (Uuid::from_u128(number), Uuid::from_u128(u128::MAX - number));
        let claims = json!({
            "iss": PUBLIC_URL, "aud": PUBLIC_URL, "sub": user, "client_id": other, "jti": other,
            "iat": now.timestamp(), "exp": now.timestamp() + 3600, "auth_time": now.timestamp(),
        });
        Ok(key.sign("at+jwt", &claims)?)
    };
    (0..count).map(token).collect()
}

fn bearer(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    /// Tokens that are seen for the first time in one go, before a new room is opened. So many that what a room costs when
    /// it is new, each page of its memory that is touched for the first time, is a small part.
    const FRESH: u128 = 4096;
    let (directory, runtime) = (TempDir::new()?, Runtime::new()?);
    let room = identity(&directory, &runtime)?;
    let (tokens, now) = (tokens(&room, FRESH)?, SystemClock.now());
    if tokens.iter().any(|token| runtime.block_on(room.bearer(token, now)).is_err()) {
        return Err("a token is refused".into());
    }
    let mut turn = tokens.iter().cycle();
    criterion.bench_function("bearer seen before", |bencher| {
        bencher.iter(|| turn.next().map(|token| room.bearer(black_box(token), now).now_or_never()));
    });
    let mut broken = None;
    criterion.bench_function("bearer first time", |bencher| {
        bencher.iter_custom(|times| {
            let (mut left, mut spent) = (times, Duration::ZERO);
            while left > 0 && broken.is_none() {
                match identity(&directory, &runtime) {
                    Err(error) => broken = Some(error),
                    Ok(room) => {
                        let begin = Instant::now();
                        for (token, _) in tokens.iter().zip(0..left) {
                            _ = black_box(room.bearer(black_box(token), now).now_or_never());
                        }
                        spent += begin.elapsed();
                        left = left.saturating_sub(tokens.len() as u64);
                    }
                }
            }
            spent
        });
    });
    broken.map_or(Ok(()), Err)
}

/// What there is no way around for a token that was not seen before.
fn signature(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let key = KeyPair::generate(KeySize::Rsa2048)?;
    let (message, mut signature) = ([0x2E; 512], vec![0; key.public_modulus_len()]);
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &message, &mut signature)?;
    let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref())?;
    public.verify_sig(&message, &signature)?;
    criterion.bench_function("RS256 signature checked", |bencher| {
        bencher.iter(|| public.verify_sig(black_box(&message), black_box(&signature)));
    });
    Ok(())
}

fn form(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let body = json!({
        "appUuid": "11111111-1111-1111-1111-111111111111",
        "email": "user@example.com",
        "password": "VeryStrongPass123!",
        "state": "state-from-client",
        "redirectUri": "https://app.example.com/callback",
        "acceptPrivacyPolicy": false,
    })
    .to_string();
    let runtime = Runtime::new()?;
    let request = Request::builder().content_type("application/json").finish();
    let read = || {
        let mut body = RequestBody::new(Body::from(body.clone()));
        let read = Json::<CreateCode>::from_request(&request, &mut body, ExtractParamOptions::default());
        runtime.block_on(read).map(|Json(body)| body)
    };
    read().map_err(|error| error.to_string())?;
    criterion.bench_function("form of createCode", |bencher| bencher.iter(read));
    Ok(())
}

fn small(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    criterion.bench_function("join code generated", |bencher| bencher.iter(|| JoinCode::generate(&OsRandom)));
    let uri = RedirectUri::register("https://app.example.com/callback")?;
    let (code, state) = (AuthorizationCode::generate(&OsRandom), State::parse("state-from-client")?);
    criterion.bench_function("redirect URL", |bencher| {
        bencher.iter(|| uri.url_with(black_box(&code), black_box(&state), AppId::from_u128(1)));
    });
    Ok(())
}

fn parts(criterion: &mut Criterion) {
    for part in [bearer, signature, form, small] {
        if let Err(error) = part(criterion) {
            // Criterion knows no failure; a panic is the end that Cargo reports.
            panic!("{error}");
        }
    }
}

criterion_group! {
    name = all;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = parts
}
criterion_main!(all);
