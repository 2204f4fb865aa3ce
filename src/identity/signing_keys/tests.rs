//! Tests of the signing keys, with real files and a chosen time.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicU8, Ordering},
    time::Instant,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, jwk::Jwk};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::random::OsRandom;

/// A random source whose bytes increase with each call, so that ids of one millisecond sort in order of creation.
#[derive(Default)]
struct Counter(AtomicU8);

impl RandomSource for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 123_000_000).unwrap()
}

fn minutes(minutes: i64) -> DateTime<Utc> {
    start() + TimeDelta::minutes(minutes)
}

fn seconds(seconds: i64) -> DateTime<Utc> {
    start() + TimeDelta::seconds(seconds)
}

fn open(directory: &TempDir) -> SigningKeys {
    SigningKeys::open(directory.path(), start(), &OsRandom).unwrap()
}

fn file(directory: &TempDir, kid: KeyId) -> PathBuf {
    directory.path().join(format!("{kid}.pem"))
}

fn names(directory: &TempDir) -> Vec<String> {
    fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

fn kids(keys: &SigningKeys) -> Vec<KeyId> {
    keys.published().iter().map(|key| key.kid).collect()
}

async fn verify(keys: &SigningKeys, token: &str, now: DateTime<Utc>) -> Option<Value> {
    keys.verifying(&header(token)?.kid, now).await?.verify(token).ok()
}

#[test]
fn open_without_keys_creates_a_private_key_that_signs() {
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("data").join("keys");
    let keys = SigningKeys::open(&directory, start(), &OsRandom).unwrap();
    let signing = keys.signing(start());
    assert_eq!(signing.created_at(), start());
    assert_eq!(kids(&keys), [signing.kid()]);

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let file = directory.join(format!("{}.pem", signing.kid()));
    assert_eq!(mode(&file), 0o600);
    assert!(fs::read_to_string(file).unwrap().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn open_twice_finds_the_same_key() {
    let directory = TempDir::new().unwrap();
    let first = open(&directory);
    assert_eq!(*open(&directory).published(), *first.published());
}

#[tokio::test]
async fn new_key_is_published_immediately_and_signs_after_the_lead() {
    let directory = TempDir::new().unwrap();
    let keys = open(&directory);
    let first = keys.signing(start()).kid();
    let second = rotate(directory.path(), minutes(60), &OsRandom).unwrap();
    keys.reload().await;
    assert_eq!(kids(&keys), [first, second]);
    assert_eq!(keys.signing(minutes(60)).kid(), first);
    assert_eq!(keys.signing(minutes(70) - TimeDelta::milliseconds(1)).kid(), first);
    assert_eq!(keys.signing(minutes(70)).kid(), second);

    let states =
        |now| list(directory.path(), now).unwrap().into_iter().map(|key| key.state).collect::<Vec<_>>();
    assert_eq!(states(minutes(60)), [KeyState::Signing, KeyState::Waiting { signs_at: minutes(70) }]);
    assert_eq!(states(minutes(70)), [KeyState::Verifying, KeyState::Signing]);
}

#[test]
fn nodes_with_two_first_keys_sign_with_the_oldest() {
    let directory = TempDir::new().unwrap();
    let random = Counter::default();
    let first = rotate(directory.path(), start(), &random).unwrap();
    let second = rotate(directory.path(), start(), &random).unwrap();
    let (one, other) = (open(&directory), open(&directory));
    assert_eq!(kids(&one), [first, second]);
    assert_eq!(kids(&other), [first, second]);
    assert_eq!(one.signing(minutes(9)).kid(), first);
    assert_eq!(other.signing(minutes(9)).kid(), first);
    assert_eq!(one.signing(minutes(10)).kid(), second);
    assert_eq!(other.signing(minutes(10)).kid(), second);
}

#[tokio::test]
async fn unknown_key_id_reloads_the_directory_at_most_every_ten_seconds() {
    let directory = TempDir::new().unwrap();
    let keys = open(&directory);
    let second = rotate(directory.path(), seconds(1), &OsRandom).unwrap().to_string();
    assert!(keys.verifying(&second, seconds(1)).await.is_some());

    let third = rotate(directory.path(), seconds(2), &OsRandom).unwrap().to_string();
    assert!(keys.verifying(&third, seconds(10)).await.is_none());
    assert!(keys.verifying(&third, seconds(11)).await.is_some());
    assert!(keys.verifying("no id at all", seconds(60)).await.is_none());
}

#[tokio::test]
async fn reload_after_retirement_removes_the_key() {
    let directory = TempDir::new().unwrap();
    let keys = open(&directory);
    let first = keys.signing(start()).kid();
    rotate(directory.path(), minutes(1), &OsRandom).unwrap();
    retire(directory.path(), first, minutes(11)).unwrap();
    keys.reload().await;
    assert!(keys.verifying(&first.to_string(), minutes(11)).await.is_none());
    assert!(!file(&directory, first).exists());
}

#[test]
fn retire_signing_or_unknown_key_is_an_error() {
    let directory = TempDir::new().unwrap();
    let first = open(&directory).signing(start()).kid();
    assert!(
        matches!(retire(directory.path(), first, start()), Err(RetireError::Signing(kid)) if kid == first)
    );
    let unknown = KeyId::from_u128(0);
    assert!(
        matches!(retire(directory.path(), unknown, start()), Err(RetireError::Unknown(kid)) if kid == unknown)
    );
    assert!(file(&directory, first).exists());
}

#[tokio::test]
async fn reload_skips_files_that_are_not_keys() {
    let directory = TempDir::new().unwrap();
    let keys = open(&directory);
    let signing = keys.signing(start()).kid();
    let pem = fs::read(file(&directory, signing)).unwrap();
    let v4 = uuid::Builder::from_random_bytes([7; 16]).into_uuid().into();
    let v7: KeyId = uuid::Builder::from_unix_timestamp_millis(7, &[7; 10]).into_uuid().into();
    fs::write(directory.path().join("README"), "not a key").unwrap();
    fs::write(directory.path().join(".hidden"), "not a key").unwrap();
    fs::write(directory.path().join("server.pem"), &pem).unwrap();
    fs::write(directory.path().join(format!("{}.pem", uuid::Uuid::from(v7).simple())), &pem).unwrap();
    fs::write(file(&directory, v4), &pem).unwrap();
    fs::write(file(&directory, v7), "not a key").unwrap();
    fs::create_dir(directory.path().join("lost+found")).unwrap();

    keys.reload().await;
    assert_eq!(kids(&keys), [signing]);
    assert_eq!(kids(&open(&directory)), [signing]);
    assert_eq!(keys.reading.lock().await.skipped.len(), 6, "all of them but the hidden one");
}

/// A pipe, which blocks its reader like a file on a network file system that hangs.
#[tokio::test]
async fn hanging_directory_delays_only_unknown_key_ids_for_a_limited_time() {
    let directory = TempDir::new().unwrap();
    let keys = open(&directory);
    let known = keys.signing(start()).kid().to_string();
    let ids = [0; 2].map(|_| KeyId::new(start(), &OsRandom));
    let (unknown, stuck) = (ids[0].to_string(), file(&directory, ids[1]));
    mknodat(CWD, &stuck, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();

    // The test has one thread, which is free during the read.
    let begun = Instant::now();
    let others = async {
        tokio::task::yield_now().await;
        assert!(keys.verifying(&known, start()).await.is_some());
        begun.elapsed()
    };
    let (first, second, others) =
        tokio::join!(keys.verifying(&unknown, start()), keys.verifying(&unknown, start()), others);
    assert!(first.is_none() && second.is_none());
    assert!(others < UNKNOWN_KID_MAX_WAIT && begun.elapsed() >= UNKNOWN_KID_MAX_WAIT);

    // The read completes.
    fs::write(&stuck, "not a key").unwrap();
    fs::remove_file(&stuck).unwrap();
    let new = rotate(directory.path(), seconds(1), &OsRandom).unwrap();
    keys.reload().await;
    assert!(keys.verifying(&new.to_string(), seconds(1)).await.is_some());
}

#[tokio::test]
async fn reload_of_empty_or_missing_directory_keeps_the_keys() {
    let directory = TempDir::new().unwrap();
    let keys = open(&directory);
    let signing = keys.signing(start()).kid();
    let token = keys.signing(start()).sign("JWT", &json!({})).unwrap();
    fs::remove_file(file(&directory, signing)).unwrap();
    keys.reload().await;
    assert_eq!(kids(&keys), [signing]);
    directory.close().unwrap();
    keys.reload().await;
    assert_eq!(keys.signing(minutes(60)).kid(), signing);
    assert!(verify(&keys, &token, minutes(60)).await.is_some());
}

#[test]
fn open_unusable_directory_is_an_error_with_its_path() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = SigningKeys::open(&file, start(), &OsRandom).unwrap_err();
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    let missing = directory.path().join("missing");
    assert!(matches!(rotate(&missing, start(), &OsRandom), Err(KeyError::Write { .. })));
    assert!(matches!(list(&missing, start()), Err(KeyError::Read { .. })));
}

#[test]
fn rotate_that_fails_leaves_no_file() {
    let directory = TempDir::new().unwrap();
    // The next id is predictable. A directory with that name cannot be overwritten.
    let kid = uuid::Builder::from_unix_timestamp_millis(1_700_000_000_123, &[0; 10]).into_uuid().into();
    fs::create_dir(file(&directory, kid)).unwrap();
    assert!(rotate(directory.path(), start(), &Counter::default()).is_err());
    assert_eq!(names(&directory), [format!("{kid}.pem")]);
}

#[tokio::test]
async fn token_verifies_on_another_node_and_with_the_published_key() {
    let directory = TempDir::new().unwrap();
    let (one, other) = (open(&directory), open(&directory));
    let claims = json!({ "sub": "somebody", "aud": "anybody", "exp": 1 });
    let token = one.signing(start()).sign("at+jwt", &claims).unwrap();
    let kid = one.signing(start()).kid();
    assert_eq!(header(&token), Some(TokenHeader { kid: kid.to_string(), typ: "at+jwt".to_owned() }));
    assert_eq!(verify(&other, &token, start()).await, Some(claims.clone()));

    let PublicKey { kid, n, e } = &other.published()[0];
    let jwk = json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e });
    let jwk: Jwk = serde_json::from_value(jwk).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.set_audience(&["anybody"]);
    let decoded =
        jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation).unwrap();
    assert_eq!(decoded.claims, claims);
    assert_eq!(
        decoded.header,
        Header {
            typ: Some("at+jwt".to_owned()),
            kid: Some(kid.to_string()),
            ..Header::new(Algorithm::RS256)
        }
    );
    assert_eq!((n.len(), e.as_str()), (342, "AQAB"));
}

#[test]
fn verify_changed_token_or_other_key_is_refused() {
    let directory = TempDir::new().unwrap();
    rotate(directory.path(), start(), &OsRandom).unwrap();
    rotate(directory.path(), minutes(1), &OsRandom).unwrap();
    let keys = open(&directory);
    let (old, new) = (keys.signing(start()), keys.signing(minutes(60)));
    let token = old.sign("JWT", &json!({ "sub": "somebody" })).unwrap();
    assert!(new.verifying().verify::<Value>(&token).is_err());

    let parts: Vec<&str> = token.split('.').collect();
    let claims = URL_SAFE_NO_PAD.encode(json!({ "sub": "somebody else" }).to_string());
    let head =
        URL_SAFE_NO_PAD.encode(json!({ "typ": "at+jwt", "alg": "RS256", "kid": old.kid() }).to_string());
    let signature = URL_SAFE_NO_PAD.encode([1; 256]);
    for changed in [
        [parts[0], &claims, parts[2]].join("."),
        [&head, parts[1], parts[2]].join("."),
        [parts[0], parts[1], &signature].join("."),
        [parts[0], parts[1], ""].join("."),
        [parts[0], parts[1]].join("."),
        format!("{token}."),
        String::new(),
    ] {
        assert!(old.verifying().verify::<Value>(&changed).is_err(), "{changed}");
    }
    assert!(old.verifying().verify::<Value>(&token).is_ok());
}

#[test]
fn header_with_another_algorithm_is_refused() {
    let directory = TempDir::new().unwrap();
    let keys = open(&directory);
    let signing = keys.signing(start());
    let public = signing.verifying().public();
    let pem = fs::read(file(&directory, signing.kid())).unwrap();
    let claims = json!({ "sub": "somebody" });
    let head = |alg| Header { kid: Some(signing.kid().to_string()), ..Header::new(alg) };

    let none =
        URL_SAFE_NO_PAD.encode(json!({ "typ": "JWT", "alg": "none", "kid": signing.kid() }).to_string());
    let unsigned = format!("{none}.{}.", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let modulus = URL_SAFE_NO_PAD.decode(&public.n).unwrap();
    let private = EncodingKey::from_rsa_pem(&pem).unwrap();
    for token in [
        unsigned,
        jsonwebtoken::encode(&head(Algorithm::HS256), &claims, &EncodingKey::from_secret(&modulus)).unwrap(),
        jsonwebtoken::encode(
            &head(Algorithm::HS256),
            &claims,
            &EncodingKey::from_secret(public.n.as_bytes()),
        )
        .unwrap(),
        jsonwebtoken::encode(&head(Algorithm::RS512), &claims, &private).unwrap(),
        jsonwebtoken::encode(&head(Algorithm::PS256), &claims, &private).unwrap(),
    ] {
        assert!(signing.verifying().verify::<Value>(&token).is_err(), "{token}");
    }
    let token = jsonwebtoken::encode(&head(Algorithm::RS256), &claims, &private).unwrap();
    assert!(signing.verifying().verify::<Value>(&token).is_ok());
}

#[test]
fn header_without_kid_or_typ_is_refused() {
    let token = |head: Value| format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(head.to_string()));
    assert!(header(&token(json!({ "alg": "RS256", "kid": "a", "typ": "JWT" }))).is_some());
    assert!(header(&token(json!({ "alg": "RS256", "typ": "JWT" }))).is_none());
    assert!(header(&token(json!({ "alg": "RS256", "kid": "a" }))).is_none());
    assert!(header("a.b").is_none());
}

#[test]
fn debug_of_keys_shows_ids_only() {
    let directory = TempDir::new().unwrap();
    let keys = open(&directory);
    let kid = keys.signing(start()).kid();
    assert_eq!(format!("{keys:?}"), format!("SigningKeys([{kid:?}])"));
    assert_eq!(format!("{:?}", keys.signing(start())), format!("SigningKey({kid:?})"));
}
