//! Keys as files: one `<UUIDv7>.pem` per key, written atomically.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::{encoding::AsDer, rsa};
use chrono::{DateTime, Utc};
use pem::{EncodeConfig, LineEnding, Pem};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{
    KeyError,
    key::{PEM_TAG, SigningKey},
    key_set::Keys,
};
use crate::{domain::id::KeyId, random::RandomSource};

/// The names of skipped files.
pub(super) type Skipped = BTreeSet<OsString>;

/// Why a file is skipped. The messages do not quote the file, which may contain a secret.
#[derive(Debug, Error)]
enum Unusable {
    #[error("it is not named <UUIDv7>.pem")]
    Name,
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("it is not an RSA private key in PKCS#8 PEM")]
    Content,
}

/// Creates the directory if it does not exist. Only its owner may enter it.
pub(super) fn make(directory: &Path) -> Result<(), KeyError> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(not_written(directory))
}

/// Reads the keys in the directory. A key file never changes, so the keys in `known` are not read again. Hidden files are ignored: they
/// are incomplete keys, or belong to the file system. Other files that are not keys are skipped, with a warning unless they are in
/// `skipped`. Afterwards `skipped` contains all skipped files.
pub(super) fn read(directory: &Path, known: &Keys, skipped: &mut Skipped) -> Result<Keys, KeyError> {
    let not_read = |cause| KeyError::Read { path: directory.to_owned(), cause };
    let (mut keys, mut skipped_now) = (Keys::new(), Skipped::new());
    for entry in fs::read_dir(directory).map_err(not_read)? {
        let name = entry.map_err(not_read)?.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match read_key(directory, &name, known) {
            Ok(key) => {
                keys.insert(key.kid(), key);
            }
            Err(reason) => {
                if !skipped.contains(&name) {
                    let file = directory.join(&name);
                    tracing::warn!(file = %file.display(), %reason, "skipped a file in the key directory");
                }
                skipped_now.insert(name);
            }
        }
    }
    *skipped = skipped_now;
    Ok(keys)
}

fn read_key(directory: &Path, name: &OsStr, known: &Keys) -> Result<Arc<SigningKey>, Unusable> {
    // Only the canonical form of an id, so that two files cannot have the same id.
    let kid = name
        .to_str()
        .and_then(|name| name.strip_suffix(".pem")?.parse().ok())
        .filter(|kid: &KeyId| *file_name(*kid) == *name)
        .ok_or(Unusable::Name)?;
    if let Some(key) = known.get(&kid) {
        return Ok(Arc::clone(key));
    }
    let text = Zeroizing::new(fs::read(directory.join(name)).map_err(Unusable::Unreadable)?);
    SigningKey::from_pem(kid, &text).map(Arc::new).ok_or(Unusable::Content)
}

/// Generates a key and writes its file. The id uses `random`. The key itself uses the random source of the cryptographic library, which
/// cannot be replaced.
pub(super) fn create(
    directory: &Path,
    now: DateTime<Utc>,
    random: &dyn RandomSource,
) -> Result<KeyId, KeyError> {
    let kid = KeyId::new(now, random);
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map_err(|_| KeyError::Generate)?;
    let pem = Pem::new(PEM_TAG, pair.as_der().map_err(|_| KeyError::Generate)?.as_ref());
    let text = Zeroizing::new(pem::encode_config(&pem, EncodeConfig::new().set_line_ending(LineEnding::LF)));
    drop(Zeroizing::new(pem.into_contents()));

    let temporary = directory.join(format!(".{kid}.tmp"));
    write(&temporary, text.as_bytes())
        .and_then(|()| fs::rename(&temporary, path(directory, kid)))
        .inspect_err(|_| drop(fs::remove_file(&temporary)))
        .and_then(|()| sync(directory))
        .map_err(not_written(directory))?;
    Ok(kid)
}

/// Deletes the file of a key.
pub(super) fn remove(directory: &Path, kid: KeyId) -> Result<(), KeyError> {
    fs::remove_file(path(directory, kid)).and_then(|()| sync(directory)).map_err(not_written(directory))
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// Syncs the directory, so that a created or deleted file name is on disk.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn path(directory: &Path, kid: KeyId) -> PathBuf {
    directory.join(file_name(kid))
}

fn file_name(kid: KeyId) -> String {
    format!("{kid}.pem")
}

fn not_written(directory: &Path) -> impl FnOnce(io::Error) -> KeyError {
    |cause| KeyError::Write { path: directory.to_owned(), cause }
}
