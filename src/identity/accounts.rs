//! Accounts: created, changed, listed and removed by an operator.

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel};

use super::password_hashing::{HashError, PasswordHashing};
use crate::{
    db::{self, Db},
    domain::{
        email::Email,
        id::UserId,
        language::Language,
        password::{Password, PasswordHash},
        person::{AvatarUrl, PersonName, PhoneNumber},
        rate_limit_key::RateLimitKey,
        secret_token::ConfirmHash,
    },
    entity::{
        audit_event::{self, Action, Actor},
        class, enrollment, outgoing_mail, password_reset, rate_limit, registration, session, user,
    },
    mail,
    random::{self, RandomSource},
    rate_limit::limiter::Limiter,
};

/// The accounts in a database.
pub struct Accounts {
    db: Db,
    limiter: Limiter,
}

/// Why [`Accounts::add`] failed.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// Another account has the address.
    #[error("this e-mail address has an account already")]
    EmailTaken,
    /// The password could not be hashed.
    #[error("the password could not be hashed")]
    Hash(#[from] HashError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// A new value of one property of an account.
#[derive(Debug, Clone)]
pub enum Change {
    /// The password.
    Password(PasswordHash),
    /// Whether the account may sign in.
    Enabled(bool),
    /// The address. It counts as confirmed, and a school account becomes an ordinary one.
    Email(Email),
    /// The first name.
    FirstName(Option<PersonName>),
    /// The last name.
    LastName(Option<PersonName>),
    /// The date of birth.
    DateOfBirth(Option<NaiveDate>),
    /// The phone number.
    PhoneNumber(Option<PhoneNumber>),
    /// The URL of a picture.
    AvatarUrl(Option<AvatarUrl>),
    /// The language of mails.
    Language(Language),
}

/// Why [`Accounts::change`] failed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The account was removed since it was read.
    #[error("the account was removed")]
    NoSuchAccount,
    /// Another account has the new address.
    #[error("another account has this e-mail address")]
    EmailTaken,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The removal of an account.
#[derive(Debug, Clone)]
pub struct Removal {
    /// The account.
    pub user: UserId,
    /// The user who becomes the owner of its classes. Without one, its classes are deleted.
    pub hand_over: Option<HandOver>,
    /// The event in the audit trail. The client's address is not recorded, because it belongs to the removed person.
    pub event: audit_event::Model,
    /// The mail that tells the owner of the address.
    pub notice: Option<outgoing_mail::Model>,
}

/// The new owner of the classes of a removed account.
#[derive(Debug, Clone)]
pub struct HandOver {
    /// The new owner.
    pub to: UserId,
    /// The event in the audit trail, if there are classes.
    pub event: audit_event::Model,
}

impl Accounts {
    /// The accounts in this database.
    pub fn new(db: Db) -> Self {
        Self { limiter: Limiter::new(db.clone()), db }
    }

    /// Creates an enabled account with a confirmed address. Failed sign-ins counted for the address are forgotten.
    pub async fn add(
        &self,
        hashing: &PasswordHashing,
        random: &dyn RandomSource,
        email: Email,
        password: Password,
        now: DateTime<Utc>,
    ) -> Result<UserId, AddError> {
        let id = UserId::new(now, random);
        let password_hash = hashing.hash(password, random::bytes(random)).await?;
        let account = user::Model::new(id, email.clone(), password_hash, now);
        let event = operator_event(Action::AccountCreate, id, now, random);
        let insert = self.db.transaction((account, event), |db, (account, event)| {
            Box::pin(async move {
                user::Entity::insert(account.clone().into_active_model()).exec_without_returning(db).await?;
                audit_event::Entity::record(db, event.clone()).await
            })
        });
        match insert.await {
            Ok(()) => {
                self.limiter.forget_account(&email).await?;
                Ok(id)
            }
            Err(error) if db::kind(&error) == db::ErrorKind::UniqueViolation => Err(AddError::EmailTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// The account of an address, enabled or not.
    pub async fn find(&self, email: Email) -> Result<Option<user::Model>, DbErr> {
        user::Entity::find_by_address(self.db.read(), email).await
    }

    /// All accounts, oldest first.
    pub async fn list(&self) -> Result<Vec<user::Model>, DbErr> {
        user::Entity::list(self.db.read()).await
    }

    /// The accounts that the school made, oldest first.
    pub async fn list_school_accounts(&self) -> Result<Vec<user::Model>, DbErr> {
        user::Entity::list_school_accounts(self.db.read()).await
    }

    /// The number of classes that a user owns.
    pub async fn owned_classes(&self, user: UserId) -> Result<u64, DbErr> {
        class::Entity::count_of_owner(self.db.read(), user).await
    }

    /// Changes properties of an account on behalf of an operator.
    ///
    /// A new password, a new address and a disabled account end all sessions, and revoke the codes and links that could begin a new
    /// one. With a new password, failed sign-ins counted for the account are forgotten.
    pub async fn change(
        &self,
        account: &user::Model,
        changes: Vec<Change>,
        now: DateTime<Utc>,
        random: &dyn RandomSource,
    ) -> Result<(), ChangeError> {
        let mut row = user::ActiveModel::default();
        let mut events: Vec<audit_event::Model> = Vec::new();
        let (mut revokes, mut forgets) = (false, false);
        for change in changes {
            revokes |= change.revokes();
            forgets |= matches!(change, Change::Password(_));
            let event = change.event(account.id, now, random);
            if !events.iter().any(|other| other.action == event.action && other.reason == event.reason) {
                events.push(event);
            }
            change.apply(&mut row, now);
        }
        let job = (account.id, row, revokes, events);
        let update = self.db.transaction(job, |db, (user, row, revokes, events)| {
            Box::pin(async move {
                if !user::Entity::change(db, *user, row.clone()).await? {
                    return Ok(false);
                }
                if *revokes {
                    revoke_access(db, *user).await?;
                }
                for event in events {
                    audit_event::Entity::record(db, event.clone()).await?;
                }
                Ok(true)
            })
        });
        match update.await {
            Ok(true) if forgets => Ok(self.limiter.forget_account(&account.email).await?),
            Ok(true) => Ok(()),
            Ok(false) => Err(ChangeError::NoSuchAccount),
            Err(error) if db::kind(&error) == db::ErrorKind::UniqueViolation => Err(ChangeError::EmailTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes an account with all its personal data, and returns it. `None` if it does not exist.
    ///
    /// The audit trail keeps the id of the user, without the addresses of its clients. Enrollments end, and so do all sessions.
    pub async fn remove(&self, removal: Removal) -> Result<Option<user::Model>, DbErr> {
        self.db.transaction(removal, |db, removal| Box::pin(remove(db, removal))).await
    }

    /// Forgets the failed sign-ins of an account, from all addresses, on behalf of an operator.
    pub async fn unlock(
        &self,
        account: &user::Model,
        now: DateTime<Utc>,
        random: &dyn RandomSource,
    ) -> Result<(), DbErr> {
        let event = operator_event(Action::Unlock, account.id, now, random);
        let job = (RateLimitKey::all_of(&account.email), event);
        let unlock = self.db.transaction(job, |db, (keys, event)| {
            Box::pin(async move {
                rate_limit::Entity::forget(db, keys.clone()).await?;
                audit_event::Entity::record(db, event.clone()).await
            })
        });
        unlock.await
    }

    /// Creates the secret of a link with which the owner of an account sets a new password, on behalf of an operator. It is valid
    /// once, for [`mail::RESET_LIFE`].
    pub async fn reset_link(
        &self,
        account: &user::Model,
        now: DateTime<Utc>,
        random: &dyn RandomSource,
    ) -> Result<ConfirmHash, DbErr> {
        let hash = ConfirmHash::generate(random);
        let reset = password_reset::Model {
            digest: hash.digest(),
            user_id: account.id,
            app_id: None,
            created_at: now,
            expires_at: now + mail::RESET_LIFE,
        };
        let event = operator_event(Action::ResetRequest, account.id, now, random);
        let insert = self.db.transaction((reset, event), |db, (reset, event)| {
            Box::pin(async move {
                password_reset::Entity::insert(reset.clone().into_active_model())
                    .exec_without_returning(db)
                    .await?;
                audit_event::Entity::record(db, event.clone()).await
            })
        });
        insert.await?;
        Ok(hash)
    }
}

impl Change {
    fn apply(self, row: &mut user::ActiveModel, now: DateTime<Utc>) {
        match self {
            Self::Password(password_hash) => row.password_hash = Set(password_hash),
            Self::Enabled(enabled) => {
                row.enabled = Set(enabled);
                row.left_roster = Set(false);
            }
            Self::Email(email) => {
                row.email = Set(email);
                row.email_verified_at = Set(Some(now));
                row.school_account = Set(false);
            }
            Self::FirstName(name) => row.first_name = Set(name),
            Self::LastName(name) => row.last_name = Set(name),
            Self::DateOfBirth(date) => row.date_of_birth = Set(date),
            Self::PhoneNumber(number) => row.phone_number = Set(number),
            Self::AvatarUrl(url) => row.avatar_url = Set(url),
            Self::Language(language) => row.language = Set(language),
        }
        row.updated_at = Set(Some(now));
    }

    /// Whether the change ends all sessions.
    fn revokes(&self) -> bool {
        matches!(self, Self::Password(_) | Self::Email(_) | Self::Enabled(false))
    }

    fn event(&self, user: UserId, now: DateTime<Utc>, random: &dyn RandomSource) -> audit_event::Model {
        let reason = match self {
            Self::Password(_) => return operator_event(Action::PasswordChange, user, now, random),
            Self::Enabled(true) => "enabled",
            Self::Enabled(false) => "disabled",
            Self::Email(_) => "email",
            Self::FirstName(_)
            | Self::LastName(_)
            | Self::DateOfBirth(_)
            | Self::PhoneNumber(_)
            | Self::AvatarUrl(_)
            | Self::Language(_) => "profile",
        };
        operator_event(Action::AccountChange, user, now, random).because(reason)
    }
}

/// An event about a user that an operator caused.
pub fn operator_event(
    action: Action,
    user: UserId,
    now: DateTime<Utc>,
    random: &dyn RandomSource,
) -> audit_event::Model {
    audit_event::Model::new(action, now, random).user(user).by(Actor::Operator)
}

/// Ends all sessions of a user, and revokes the codes and links that could begin a new one.
async fn revoke_access(db: &impl ConnectionTrait, user: UserId) -> Result<(), DbErr> {
    password_reset::Entity::revoke_of_user(db, user).await?;
    session::Entity::end_of_user(db, user).await?;
    Ok(())
}

async fn remove(db: &impl ConnectionTrait, removal: &Removal) -> Result<Option<user::Model>, DbErr> {
    let Removal { user, hand_over, event, notice } = removal;
    let Some(account) = user::Entity::find_by_id(*user).one(db).await? else { return Ok(None) };
    if let Some(HandOver { to, event }) = hand_over {
        if class::Entity::hand_over(db, *user, *to, event.at).await? {
            audit_event::Entity::record(db, event.clone()).await?;
        }
        enrollment::Entity::delete_of_owner(db, *to).await?;
    }
    registration::Entity::delete_of_address(db, &account.email).await?;
    outgoing_mail::Entity::delete_to(db, &account.email).await?;
    audit_event::Entity::forget_addresses(db, *user).await?;
    rate_limit::Entity::delete_range(db, RateLimitKey::all_of(&account.email)).await?;
    // Foreign keys delete sessions, codes, acceptances, enrollments and classes.
    if user::Entity::delete_by_id(*user).exec(db).await?.rows_affected == 0 {
        return Ok(None);
    }
    audit_event::Entity::record(db, audit_event::Model { address: None, ..event.clone() }).await?;
    if let Some(notice) = notice {
        // The limit on mails does not count this one: an account is removed only once.
        outgoing_mail::Entity::enqueue(db, notice.clone()).await?;
    }
    Ok(Some(account))
}
