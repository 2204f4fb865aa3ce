//! Registrations that wait for the confirmation of their address. A confirmed registration becomes a user.

use sea_orm::{QueryOrder, entity::prelude::*};

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
    /// Deletes the registrations of an address.
    pub async fn delete_of_address(db: &impl ConnectionTrait, email: &Email) -> Result<(), DbErr> {
        Self::delete_many().filter(Column::Email.eq(email.clone())).exec(db).await?;
        Ok(())
    }

    /// The registrations of an address, oldest first.
    pub async fn of_address(db: &impl ConnectionTrait, email: &Email) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::Email.eq(email.clone())).order_by_asc(Column::CreatedAt).all(db).await
    }
}
