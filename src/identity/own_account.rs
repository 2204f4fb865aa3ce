//! The account of a signed-in user: read, changed and deleted by its owner.

use std::{net::IpAddr, sync::Arc};

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ActiveModelTrait, ActiveValue, ConnectionTrait, DbErr, EntityTrait};

use super::{
    AccountParts,
    accounts::{Accounts, Removal},
    password_hashing::{HashError, PasswordHashing},
    password_policy::{PasswordPolicy, WeakPassword},
    password_reset::password_context,
    sessions::Sessions,
};
use crate::{
    db::Db,
    domain::{
        id::{AppId, SessionId, UserId},
        network::Network,
        password::{Password, PasswordHash},
        person::{AvatarUrl, PersonName, PhoneNumber},
    },
    entity::{
        app,
        audit_event::{self, Action},
        outgoing_mail, password_reset, session, user,
    },
    mail::{Content, Outbox},
    random::{self, RandomSource},
    rate_limit::{
        limiter::{self, LimitError, Limiter, Success},
        policies::PasswordLimits,
    },
};

/// Serves users their own accounts.
pub struct OwnAccount {
    db: Db,
    random: Arc<dyn RandomSource>,
    hashing: Arc<PasswordHashing>,
    policy: PasswordPolicy,
    limiter: Limiter,
    limits: PasswordLimits,
    sessions: Arc<Sessions>,
    outbox: Outbox,
}

/// The signed-in user of a request.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    /// The user.
    pub user: UserId,
    /// The app of the session.
    pub app: AppId,
    /// The session.
    pub session: SessionId,
    /// The client's address, if the connection has one.
    pub address: Option<IpAddr>,
}

/// Why an account was not read.
#[derive(Debug, thiserror::Error)]
pub enum OwnAccountError {
    /// The account was deleted after the token was issued.
    #[error("the account does not exist")]
    Gone,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// Why [`OwnAccount::change_profile`] changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ChangeProfileError {
    /// The date of birth is in the future.
    #[error("the date of birth is in the future")]
    NotYetBorn,
    /// The account was deleted after the token was issued.
    #[error("the account does not exist")]
    Gone,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// Why [`OwnAccount::delete`] deleted nothing.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The school made the account, and removes it.
    #[error("the account belongs to the school")]
    SchoolAccount,
    /// The account was deleted after the token was issued.
    #[error("the account does not exist")]
    Gone,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// A change of a profile. A value that is not set stays, and `None` removes it.
#[derive(Debug, Clone)]
pub struct ProfileChange {
    /// The first name.
    pub first_name: ActiveValue<Option<PersonName>>,
    /// The last name.
    pub last_name: ActiveValue<Option<PersonName>>,
    /// The date of birth.
    pub date_of_birth: ActiveValue<Option<NaiveDate>>,
    /// The phone number.
    pub phone_number: ActiveValue<Option<PhoneNumber>>,
    /// The URL of a picture.
    pub avatar_url: ActiveValue<Option<AvatarUrl>>,
}

/// Why [`OwnAccount::change_password`] changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// The current password is wrong, or was changed by another request.
    #[error("the current password is wrong")]
    WrongPassword,
    /// The new password is weak.
    #[error("the password {0}")]
    Weak(#[from] WeakPassword),
    /// Too many failures before, of this account or from this network.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The account was deleted after the token was issued.
    #[error("the account does not exist")]
    Gone,
    /// A password could not be verified or hashed.
    #[error("a password could not be verified or hashed")]
    Hash(#[from] HashError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The changes of one new password.
struct Changing {
    account: user::Model,
    password_hash: PasswordHash,
    notice: Option<outgoing_mail::Model>,
    event: audit_event::Model,
    success: Success,
}

impl OwnAccount {
    pub(super) fn new(parts: AccountParts, limits: PasswordLimits) -> Self {
        let AccountParts { db, random, hashing, policy, sessions, outbox } = parts;
        Self { limiter: Limiter::new(db.clone()), db, random, hashing, policy, limits, sessions, outbox }
    }

    /// The account of a user.
    pub async fn find(&self, user: UserId) -> Result<user::Model, OwnAccountError> {
        user::Entity::find_by_id(user).one(self.db.read()).await?.ok_or(OwnAccountError::Gone)
    }

    /// Deletes an account with all personal data, and returns it. Classes of the user are deleted too. A school account is deleted by
    /// the school alone.
    pub async fn delete(&self, owner: Owner, now: DateTime<Utc>) -> Result<user::Model, DeleteError> {
        let account = user::Entity::find_by_id(owner.user).one(self.db.read()).await?;
        let account = account.ok_or(DeleteError::Gone)?;
        if account.school_account {
            return Err(DeleteError::SchoolAccount);
        }
        let event = self.event(Action::AccountDelete, owner, now);
        let notice = self.notice(&account, owner.app, Content::AccountDeleted, now).await?;
        let removal = Removal { user: owner.user, hand_over: None, event, notice };
        let removed = Accounts::new(self.db.clone()).remove(removal).await?;
        self.sessions.forget_user(owner.user);
        self.outbox.wake();
        removed.ok_or(DeleteError::Gone)
    }

    /// Changes the profile of a user, and returns the changed account.
    pub async fn change_profile(
        &self,
        owner: Owner,
        change: ProfileChange,
        now: DateTime<Utc>,
    ) -> Result<user::Model, ChangeProfileError> {
        let ProfileChange { first_name, last_name, date_of_birth, phone_number, avatar_url } = change;
        // Somewhere on earth it is tomorrow already.
        let latest = now.date_naive().succ_opt();
        if matches!(date_of_birth, ActiveValue::Set(Some(date)) if Some(date) > latest) {
            return Err(ChangeProfileError::NotYetBorn);
        }
        let mut changed = user::ActiveModel {
            first_name,
            last_name,
            date_of_birth,
            phone_number,
            avatar_url,
            ..Default::default()
        };
        if changed.is_changed() {
            changed.updated_at = ActiveValue::Set(Some(now));
        }
        let event = self.event(Action::AccountChange, owner, now).because("profile");
        let change = self.db.transaction((changed, event), move |db, (changed, event)| {
            Box::pin(async move {
                if changed.is_changed() && user::Entity::change(db, owner.user, changed.clone()).await? {
                    audit_event::Entity::record(db, event.clone()).await?;
                }
                user::Entity::find_by_id(owner.user).one(db).await
            })
        });
        change.await?.ok_or(ChangeProfileError::Gone)
    }

    /// Replaces the password of a user, and ends all sessions. A wrong current password counts as a failed sign-in, and is logged like
    /// one.
    pub async fn change_password(
        &self,
        owner: Owner,
        current: Password,
        new: Password,
        now: DateTime<Utc>,
    ) -> Result<(), ChangePasswordError> {
        let network = Network::of(owner.address);
        self.hashing.check_capacity(network)?;
        let account = Box::pin(self.find(owner.user)).await.map_err(|error| match error {
            OwnAccountError::Gone => ChangePasswordError::Gone,
            OwnAccountError::Database(error) => error.into(),
        })?;
        let notice = Box::pin(self.notice(&account, owner.app, Content::PasswordChanged, now)).await?;
        self.policy.check(&new, password_context(&account, None)).await??;

        let counts = self.limits.counts(&account.email, network);
        let attempt = Box::pin(self.limiter.check(limiter::Action::SignIn, counts, now)).await?;
        let reservation = Box::pin(self.limiter.reserve(attempt)).await?;
        let event = self.event(Action::PasswordChange, owner, now);
        let change = async {
            let password_hash = self.verify_and_hash(network, &account, current, new).await?;
            let changes = Changing {
                account,
                password_hash,
                notice,
                event: event.clone(),
                success: reservation.success(),
            };
            let change = self.db.transaction(changes, |db, changes| Box::pin(change_password(db, changes)));
            if change.await? { Ok(()) } else { Err(ChangePasswordError::WrongPassword) }
        };
        let changed = Box::pin(change).await;
        match &changed {
            // The success was written together with the password.
            Ok(()) => {
                reservation.succeeded();
                self.sessions.forget_user(owner.user);
                self.outbox.wake();
            }
            Err(ChangePasswordError::WrongPassword) => {
                let client = owner.address.map(|address| address.to_canonical().to_string());
                tracing::info!(reason = "password_wrong", client, "password change failed");
                reservation.commit_with(event.failed("password_wrong")).await?;
            }
            // The password was not verified, or was right.
            Err(_) => reservation.release().await,
        }
        changed
    }

    /// Verifies the current password, and hashes the new one.
    async fn verify_and_hash(
        &self,
        network: Network,
        account: &user::Model,
        current: Password,
        new: Password,
    ) -> Result<PasswordHash, ChangePasswordError> {
        let stored = account.password_hash.clone();
        if !self.hashing.verify(network, Some(stored), current).await? {
            return Err(ChangePasswordError::WrongPassword);
        }
        Ok(self.hashing.hash_from(network, new, random::bytes(&*self.random)).await?)
    }

    fn event(&self, action: Action, owner: Owner, now: DateTime<Utc>) -> audit_event::Model {
        let Owner { user, app, session, address } = owner;
        audit_event::Model::new(action, now, &*self.random).user(user).app(app).session(session).from(address)
    }

    /// A notice to the owner on behalf of an app. None if the account has no mailbox, or the app does not exist any more.
    async fn notice(
        &self,
        account: &user::Model,
        app: AppId,
        content: Content<'_>,
        now: DateTime<Utc>,
    ) -> Result<Option<outgoing_mail::Model>, DbErr> {
        let Some(to) = account.mailbox() else { return Ok(None) };
        let app = app::Entity::find_by_id(app).one(self.db.read()).await?;
        let (language, random) = (account.language, &*self.random);
        Ok(app.map(|app| self.outbox.compose(to, language, &app.name, content, now, random)))
    }
}

async fn change_password(db: &impl ConnectionTrait, changes: &Changing) -> Result<bool, DbErr> {
    let Changing { account, password_hash, notice, event, success } = changes;
    let (version, new) = (account.password_version, password_hash.clone());
    if !user::Entity::change_password(db, account.id, version, new).await? {
        return Ok(false);
    }
    password_reset::Entity::revoke_of_user(db, account.id).await?;
    session::Entity::end_of_user(db, account.id).await?;
    audit_event::Entity::record(db, event.clone()).await?;
    if let Some(notice) = notice {
        Outbox::enqueue(db, notice.clone()).await?;
    }
    // Last, because concurrent attempts to sign in may wait for these rows.
    success.record(db).await?;
    Ok(true)
}
