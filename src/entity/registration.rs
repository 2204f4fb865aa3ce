//! Registrations that wait for the confirmation of their address. A confirmed registration becomes a user.

use sea_orm::{IntoActiveModel, QueryOrder, QuerySelect, QueryTrait, entity::prelude::*};

use crate::domain::{
    email::Email,
    id::{AppId, UserId},
    label::Label,
    language::Language,
    password::PasswordHash,
    person::PhoneNumber,
    secret_token::ConfirmHashDigest,
};

/// A registration.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "registrations")]
pub struct Model {
    /// SHA-256 of the secret in the link.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: ConfirmHashDigest,
    /// The id of the future user.
    pub user_id: UserId,
    /// The app through which the person registered.
    pub app_id: AppId,
    /// The address. Several registrations may have the same one, with a password each.
    pub email: Email,
    /// The hash of the password.
    pub password_hash: PasswordHash,
    /// The phone number, if the person gave one.
    pub phone_number: Option<PhoneNumber>,
    /// The language of the mails.
    pub language: Language,
    /// The version of the app's privacy policy that the person accepted.
    pub accepted_policy_version: Option<Label>,
    /// The client's address, for the record of the acceptance.
    pub address: String,
    /// The time of the registration.
    pub created_at: DateTimeUtc,
    /// From this instant on the link is invalid.
    pub expires_at: DateTimeUtc,
}

/// No relation is queried from here.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Stores a registration.
    pub async fn store(db: &impl ConnectionTrait, registration: Model) -> Result<(), DbErr> {
        Self::insert(registration.into_active_model()).exec_without_returning(db).await?;
        Ok(())
    }

    /// The registration of a link that is valid at a time.
    pub async fn find_valid(
        db: &impl ConnectionTrait,
        digest: ConfirmHashDigest,
        now: DateTimeUtc,
    ) -> Result<Option<Model>, DbErr> {
        Self::find_by_id(digest).filter(Column::ExpiresAt.gt(now)).one(db).await
    }

    /// Uses the link of a registration, and returns whether it was valid. Of concurrent calls, exactly one returns `true`: the
    /// number of deleted rows decides.
    ///
    /// The other registrations of the address are deleted too, because their links would create a second account. One statement
    /// deletes all, so that concurrent calls with different links lock the rows in the same order.
    pub async fn complete(
        db: &impl ConnectionTrait,
        email: &Email,
        digest: ConfirmHashDigest,
        now: DateTimeUtc,
    ) -> Result<bool, DbErr> {
        let valid =
            Self::find_by_id(digest).filter(Column::ExpiresAt.gt(now)).select_only().column(Column::Email);
        let used = Self::delete_many()
            .filter(Column::Email.eq(email.clone()))
            .filter(Column::Email.in_subquery(valid.into_query()));
        Ok(used.exec(db).await?.rows_affected > 0)
    }

    /// Deletes the registrations of an address.
    pub async fn delete_of_address(db: &impl ConnectionTrait, email: &Email) -> Result<(), DbErr> {
        Self::delete_many().filter(Column::Email.eq(email.clone())).exec(db).await?;
        Ok(())
    }

    /// The registrations of an address, oldest first.
    pub async fn of_address(db: &impl ConnectionTrait, email: &Email) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::Email.eq(email.clone())).order_by_asc(Column::CreatedAt).all(db).await
    }

    /// Deletes up to `limit` registrations that expired before `before`, and returns their number.
    pub async fn sweep(db: &impl ConnectionTrait, before: DateTimeUtc, limit: u64) -> Result<u64, DbErr> {
        let expired = Self::find()
            .filter(Column::ExpiresAt.lte(before))
            .limit(limit)
            .select_only()
            .column(Column::Digest)
            .into_query();
        Ok(Self::delete_many().filter(Column::Digest.in_subquery(expired)).exec(db).await?.rows_affected)
    }
}
