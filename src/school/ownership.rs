//! What a teacher may do with the accounts in a class.

use sea_orm::DbErr;

use crate::{
    classroom::authorization::authorize,
    db::Db,
    domain::id::{ClassId, UserId},
    entity::class,
};

/// The reason why a user may not do this with a class.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    /// The class does not exist.
    #[error("the class does not exist")]
    NoSuchClass,
    /// Another user owns the class.
    #[error("another user owns the class")]
    NotOwner,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// Checks that a user may do this with a class.
pub(super) async fn check(
    db: &Db,
    operation: &'static str,
    class: ClassId,
    user: UserId,
) -> Result<(), OwnershipError> {
    let found = class::Entity::find_with_standing(db.read(), class, user).await?;
    let (_, standing) = found.ok_or(OwnershipError::NoSuchClass)?;
    authorize(operation, standing).map_err(|_| OwnershipError::NotOwner)
}
