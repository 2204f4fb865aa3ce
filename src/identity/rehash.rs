//! Replaces password hashes whose cost is not the configured one.
//!
//! Only a sign-in knows the password, so that it is the time to replace the hash.

use std::sync::Arc;

use tracing::Instrument;

use super::password_hashing::PasswordHashing;
use crate::{
    db::{Db, causes},
    domain::password::Password,
    entity::user,
    random::{self, RandomSource},
};

/// Replaces the hash of an account, in a task of its own, so that no response waits for it. The caller has verified the password.
///
/// Does nothing while passwords wait for the hash threads: a later sign-in replaces the hash.
pub(super) fn replace_hash(
    db: &Db,
    hashing: &Arc<PasswordHashing>,
    random: &dyn RandomSource,
    account: &user::Model,
    password: Password,
) {
    if !hashing.is_idle() {
        return;
    }
    let (db, hashing, salt) = (db.clone(), Arc::clone(hashing), random::bytes(random));
    let (id, old) = (account.id, account.password_hash.clone());
    let replace = async move {
        let new = match hashing.hash(password, salt).await {
            Ok(new) => new,
            Err(error) => {
                tracing::debug!(error = causes(&error), "a password hash was not replaced");
                return;
            }
        };
        let replaced = db.write((old, new), move |db, (old, new)| {
            Box::pin(user::Entity::replace_password_hash(db, id, old.clone(), new.clone()))
        });
        match replaced.await {
            Ok(true) => metrics::counter!(crate::metrics::HASHES_REPLACED).increment(1),
            // The password was changed meanwhile, or another sign-in replaced the hash.
            Ok(false) => {}
            Err(error) => tracing::debug!(error = causes(&error), "a password hash was not replaced"),
        }
    };
    drop(tokio::spawn(replace.in_current_span()));
}
