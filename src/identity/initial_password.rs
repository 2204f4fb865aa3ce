//! Initial passwords: generated for an account, and replaced by its user in the sign-in itself.
//!
//! A sign-in page needs no second operation, and no token exists before the user has chosen a password. Only a client with the right
//! password learns that it has to be replaced.

use std::{net::IpAddr, sync::Arc};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr};

use super::{
    AccountParts,
    password_hashing::{HashError, PasswordHashing},
    password_policy::{PasswordPolicy, WeakPassword},
    password_reset::password_context,
};
use crate::{
    domain::{
        network::Network,
        password::{Password, PasswordHash},
    },
    entity::{
        app,
        audit_event::{self, Action},
        outgoing_mail, password_reset, session,
        user::{self, PasswordState},
    },
    mail::{Content, Outbox},
    random::{self, RandomSource},
};

/// Replaces initial passwords.
pub(super) struct InitialPasswords {
    random: Arc<dyn RandomSource>,
    hashing: Arc<PasswordHashing>,
    policy: PasswordPolicy,
    outbox: Outbox,
    /// Whether users may keep an initial password.
    keep: bool,
}

/// Why a sign-in with the right password needs another `newPassword`.
#[derive(Debug, thiserror::Error)]
pub enum NewPasswordError {
    /// The password must be changed, and the request has no new one.
    #[error("the password must be changed at the first sign-in")]
    Missing,
    /// The password is not an initial one.
    #[error("only an initial password is changed by a sign-in")]
    Unexpected,
    /// The new password is the old one.
    #[error("the new password is the old one")]
    Unchanged,
    /// The new password is weak.
    #[error("the new password {0}")]
    Weak(#[from] WeakPassword),
    /// The new password could not be hashed.
    #[error("the new password could not be hashed")]
    Hash(#[from] HashError),
}

/// The new password of a sign-in.
#[derive(Debug)]
pub(super) struct NewPassword {
    pub(super) password: Password,
    /// Whether it is the password of the same request.
    pub(super) is_old: bool,
}

/// The sign-in in which a password is replaced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) app: &'a app::Model,
    pub(super) address: Option<IpAddr>,
    pub(super) now: DateTime<Utc>,
}

/// The changes of a replaced password.
#[derive(Clone)]
pub(super) struct Replacement {
    password_hash: PasswordHash,
    notice: Option<outgoing_mail::Model>,
    event: audit_event::Model,
}

impl InitialPasswords {
    pub(super) fn new(parts: AccountParts, keep: bool) -> Self {
        let AccountParts { random, hashing, policy, outbox, .. } = parts;
        Self { random, hashing, policy, outbox, keep }
    }

    /// The changes of a sign-in whose password was verified. `None` if its password stays.
    pub(super) async fn replacement(
        &self,
        account: &user::Model,
        new: Option<NewPassword>,
        context: Context<'_>,
    ) -> Result<Option<Replacement>, NewPasswordError> {
        let NewPassword { password, is_old } = match (account.password_state, new) {
            (PasswordState::Initial, Some(new)) => new,
            (PasswordState::Initial, None) if !self.keep => return Err(NewPasswordError::Missing),
            (_, None) => return Ok(None),
            (PasswordState::Own | PasswordState::None, Some(_)) => return Err(NewPasswordError::Unexpected),
        };
        if is_old {
            return Err(NewPasswordError::Unchanged);
        }
        let Context { app, address, now } = context;
        self.policy.check(&password, password_context(account, Some(&app.name))).await??;
        let salt = random::bytes(&*self.random);
        let password_hash = self.hashing.hash_from(Network::of(address), password, salt).await?;
        let event = audit_event::Model::new(Action::PasswordChange, now, &*self.random);
        let event = event.user(account.id).app(app.id).from(address);
        let notice = account.mailbox().map(|to| {
            let (language, random) = (account.language, &*self.random);
            self.outbox.compose(to, language, &app.name, Content::PasswordChanged, now, random)
        });
        Ok(Some(Replacement { password_hash, notice, event }))
    }
}

impl Replacement {
    /// Replaces the password of an account, and ends its sessions and codes. Returns whether it did: not if the password was changed
    /// since it was verified.
    pub(super) async fn store(
        &self,
        db: &impl ConnectionTrait,
        account: &user::Model,
    ) -> Result<bool, DbErr> {
        let Self { password_hash, notice, event } = self;
        let version = account.password_version;
        if !user::Entity::change_password(db, account.id, version, password_hash.clone()).await? {
            return Ok(false);
        }
        password_reset::Entity::revoke_of_user(db, account.id).await?;
        session::Entity::end_of_user(db, account.id).await?;
        audit_event::Entity::record(db, event.clone()).await?;
        if let Some(notice) = notice {
            Outbox::enqueue(db, notice.clone()).await?;
        }
        Ok(true)
    }
}
