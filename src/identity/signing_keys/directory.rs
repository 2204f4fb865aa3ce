//! Keys as files: one `<UUIDv7>.pem` for each, written whole or not at all.

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

/// The names of files that were passed over.
pub(super) type Skipped = BTreeSet<OsString>;

/// Why a file was passed over. None of it quotes the file, which may be somebody's secret.
#[derive(Debug, Error)]
enum Unusable {
    #[error("it is not named <UUIDv7>.pem")]
    Name,
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("it is not an RSA private key in PKCS#8 PEM")]
    Content,
}

/// Makes the directory if there is none, for its owner only.
pub(super) fn make(directory: &Path) -> Result<(), KeyError> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(not_written(directory))
}

/// The keys in the directory. A file never changes once it has its name, so those in `known` are taken from
/// there; hidden files are ours in the making, or the file system's business. What else is no key is passed
/// over with a warning, unless it was in `skipped` already, which then holds all that was passed over.
pub(super) fn read(directory: &Path, known: &Keys, skipped: &mut Skipped) -> Result<Keys, KeyError> {
    let not_read = |cause| KeyError::Read { path: directory.to_owned(), cause };
    let (mut keys, mut passed_over) = (Keys::new(), Skipped::new());
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
                    tracing::warn!(file = %file.display(), %reason, "passed over a file in the key directory");
                }
                passed_over.insert(name);
            }
        }
    }
    *skipped = passed_over;
    Ok(keys)
}

fn read_key(directory: &Path, name: &OsStr, known: &Keys) -> Result<Arc<SigningKey>, Unusable> {
    // One spelling of an id only: two files cannot claim to be the same key.
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

/// Makes a key and its file. The id's chance comes from `random`; the key's own can only come from the
/// random source of the cryptographic library.
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

/// Deletes a key's file.
pub(super) fn remove(directory: &Path, kid: KeyId) -> Result<(), KeyError> {
    fs::remove_file(path(directory, kid)).and_then(|()| sync(directory)).map_err(not_written(directory))
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// A name given or taken is on the disk only once its directory is.
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
