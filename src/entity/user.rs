//! Users: teachers and students.

use sea_orm::{
    ActiveValue, IntoActiveModel, QueryOrder, QuerySelect, Select,
    entity::prelude::*,
    sea_query::{ExprTrait, LockType},
};

use super::enrollment;
use crate::domain::{
    email::Email,
    id::UserId,
    language::Language,
    password::PasswordHash,
    person::{AvatarUrl, PersonName, PhoneNumber},
    sort_key::SortKey,
    sourced_id::SourcedId,
};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// `sub` of its tokens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    /// The address. Each address has at most one account.
    #[sea_orm(unique)]
    pub email: Email,
    /// The hash of its password.
    pub password_hash: PasswordHash,
    /// How often the password was changed. A new hash of the same password does not count.
    pub password_version: i32,
    /// Whether the account is enabled.
    pub enabled: bool,
    /// The time at which the address was confirmed. Sign-in requires it.
    pub email_verified_at: Option<DateTimeUtc>,
    /// The time of creation.
    pub created_at: DateTimeUtc,
    /// The first name.
    pub first_name: Option<PersonName>,
    /// The last name.
    pub last_name: Option<PersonName>,
    /// The date of birth.
    pub date_of_birth: Option<Date>,
    /// The phone number.
    pub phone_number: Option<PhoneNumber>,
    /// The URL of a picture.
    pub avatar_url: Option<AvatarUrl>,
    /// The language of mails.
    pub language: Language,
    /// The time of the last change of the profile. None if there was none.
    pub updated_at: Option<DateTimeUtc>,
    /// Whether the school made the account. Its address is a user name and no mailbox.
    pub school_account: bool,
    /// Who chose the password.
    pub password_state: PasswordState,
    /// The id in the school's own system. `None` if no roster import made or linked the account.
    pub sourced_id: Option<SourcedId>,
    /// Whether an import disabled the account, because the files no longer have it. An import that has it again enables it.
    pub left_roster: bool,
}

/// Who chose a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum PasswordState {
    /// The owner of the account.
    Own,
    /// The server generated it, and its user has not replaced it.
    Initial,
    /// There is none yet, so that no sign-in succeeds.
    None,
}

/// The key by which rosters sort an account: last name, first name, id.
pub fn sort_key(id: UserId, first_name: Option<&PersonName>, last_name: Option<&PersonName>) -> SortKey {
    let text = |name: Option<&PersonName>| name.map(|name| name.as_str().to_owned()).unwrap_or_default();
    SortKey::of(&[&text(last_name), &text(first_name), &id.to_string()])
}

/// No relation is queried from here.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// An enabled account with a confirmed address and an empty profile.
    pub fn new(id: UserId, email: Email, password_hash: PasswordHash, now: DateTimeUtc) -> Self {
        Self {
            id,
            email,
            password_hash,
            password_version: 0,
            enabled: true,
            email_verified_at: Some(now),
            created_at: now,
            first_name: None,
            last_name: None,
            date_of_birth: None,
            phone_number: None,
            avatar_url: None,
            language: Language::default(),
            updated_at: None,
            school_account: false,
            password_state: PasswordState::Own,
            sourced_id: None,
            left_roster: false,
        }
    }

    /// The address, if mails reach it. That of a school account is a user name.
    pub fn mailbox(&self) -> Option<&Email> {
        (!self.school_account).then_some(&self.email)
    }

    /// Whether the user has proved to receive mails.
    pub fn has_confirmed_mailbox(&self) -> bool {
        self.email_verified_at.is_some() && !self.school_account
    }

    /// Whether the account is enabled and its address confirmed.
    pub fn may_sign_in(&self) -> bool {
        self.enabled && self.email_verified_at.is_some()
    }
}

impl Entity {
    /// Creates an account. Another account with the address is a violation of a unique constraint.
    pub async fn create(db: &impl ConnectionTrait, account: Model) -> Result<(), DbErr> {
        Self::insert(account.into_active_model()).exec_without_returning(db).await?;
        Ok(())
    }

    /// Sets the password of an enabled account, chosen by its user, and confirms its address. Returns whether it did.
    pub async fn reset_password(
        db: &impl ConnectionTrait,
        id: UserId,
        password_hash: PasswordHash,
        now: DateTimeUtc,
    ) -> Result<bool, DbErr> {
        let confirmed = Expr::col(Column::EmailVerifiedAt).if_null(now);
        let changed = Self::update_many()
            .col_expr(Column::PasswordHash, Expr::value(password_hash))
            .col_expr(Column::PasswordVersion, next_version())
            .col_expr(Column::PasswordState, Expr::value(PasswordState::Own))
            .col_expr(Column::EmailVerifiedAt, confirmed)
            .filter(Column::Id.eq(id))
            .filter(Column::Enabled.eq(true));
        Ok(changed.exec(db).await?.rows_affected == 1)
    }

    /// Replaces the password by one that the user chose, if `version` is still its version. Returns whether it did.
    pub async fn change_password(
        db: &impl ConnectionTrait,
        id: UserId,
        version: i32,
        password_hash: PasswordHash,
    ) -> Result<bool, DbErr> {
        let changed = Self::update_many()
            .col_expr(Column::PasswordHash, Expr::value(password_hash))
            .col_expr(Column::PasswordVersion, next_version())
            .col_expr(Column::PasswordState, Expr::value(PasswordState::Own))
            .filter(Column::Id.eq(id))
            .filter(Column::PasswordVersion.eq(version));
        Ok(changed.exec(db).await?.rows_affected == 1)
    }

    /// Whether an enabled account still has this address and this version of the password. Keeps that so until the end of the
    /// transaction: a change of the account waits.
    pub async fn hold(
        db: &impl ConnectionTrait,
        id: UserId,
        email: Email,
        version: i32,
    ) -> Result<bool, DbErr> {
        let account = Self::find_by_id(id)
            .filter(Column::Email.eq(email))
            .filter(Column::PasswordVersion.eq(version))
            .filter(Column::Enabled.eq(true))
            .lock_shared();
        let found: Option<UserId> = account.select_only().column(Column::Id).into_tuple().one(db).await?;
        Ok(found.is_some())
    }

    /// The account of an address, enabled or not.
    pub async fn find_by_address(db: &impl ConnectionTrait, email: Email) -> Result<Option<Model>, DbErr> {
        Self::find().filter(Column::Email.eq(email)).one(db).await
    }

    /// Whether there are accounts with other addresses than these and those in a domain. Reads no other column, because the schema may be
    /// old.
    pub async fn any_but(db: &impl ConnectionTrait, addresses: &[&str], domain: &str) -> Result<bool, DbErr> {
        let others = Self::find()
            .filter(Column::Email.is_not_in(addresses.iter().copied()))
            .filter(Column::Email.ends_with(format!("@{domain}")).not());
        let others: Vec<String> =
            others.select_only().column(Column::Email).limit(1).into_tuple().all(db).await?;
        Ok(!others.is_empty())
    }

    /// Replaces a password hash, and returns whether it did: not if the password was changed since `old` was read.
    pub async fn replace_password_hash(
        db: &impl ConnectionTrait,
        user: UserId,
        old: PasswordHash,
        new: PasswordHash,
    ) -> Result<bool, DbErr> {
        let replaced = Self::update_many()
            .col_expr(Column::PasswordHash, Expr::value(new))
            .filter(Column::Id.eq(user))
            .filter(Column::PasswordHash.eq(old))
            .exec(db)
            .await?;
        Ok(replaced.rows_affected == 1)
    }

    /// The key by which rosters sort an account. Keeps its names until the end of the transaction: a change of them waits.
    pub async fn hold_sort_key(db: &impl ConnectionTrait, id: UserId) -> Result<Option<SortKey>, DbErr> {
        Self::key(db, Self::find_by_id(id).lock_shared(), id).await
    }

    /// An account. Keeps it as it is until the end of the transaction: a change of it waits.
    pub async fn hold_account(db: &impl ConnectionTrait, id: UserId) -> Result<Option<Model>, DbErr> {
        Self::find_by_id(id).lock(LockType::NoKeyUpdate).one(db).await
    }

    async fn key(
        db: &impl ConnectionTrait,
        account: Select<Self>,
        id: UserId,
    ) -> Result<Option<SortKey>, DbErr> {
        let names = account.select_only().column(Column::FirstName).column(Column::LastName);
        let names: Option<(Option<PersonName>, Option<PersonName>)> = names.into_tuple().one(db).await?;
        Ok(names.map(|(first, last)| sort_key(id, first.as_ref(), last.as_ref())))
    }

    /// Changes the given properties of an account, and returns whether it exists. A password without a state is one that its user chose.
    /// A new name changes the place of the account in rosters.
    pub async fn change(
        db: &impl ConnectionTrait,
        id: UserId,
        mut changed: ActiveModel,
    ) -> Result<bool, DbErr> {
        let has_password = changed.password_hash.is_set();
        let has_name = changed.first_name.is_set() || changed.last_name.is_set();
        if has_password && !changed.password_state.is_set() {
            changed.password_state = ActiveValue::Set(PasswordState::Own);
        }
        let mut change = Self::update_many().set(changed).filter(Column::Id.eq(id));
        if has_password {
            change = change.col_expr(Column::PasswordVersion, next_version());
        }
        if change.exec(db).await?.rows_affected == 0 {
            return Ok(false);
        }
        if has_name && let Some(key) = Self::key(db, Self::find_by_id(id), id).await? {
            enrollment::Entity::set_student_key(db, id, key).await?;
        }
        Ok(true)
    }

    /// The accounts that the school made, oldest first.
    pub async fn list_school_accounts(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::SchoolAccount.eq(true)).order_by_asc(Column::Id).all(db).await
    }

    /// All accounts, oldest first.
    pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
        Self::find().order_by_asc(Column::Id).all(db).await
    }
}

fn next_version() -> Expr {
    Expr::col(Column::PasswordVersion).add(1)
}
