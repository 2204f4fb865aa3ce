//! The owners of classes, as commands name them with `--owner`.

use anyhow::Context;

use super::usage;
use crate::{
    db::Db,
    domain::{email::Email, id::UserId},
    entity::user,
    identity::accounts::Accounts,
};

/// The account that `--owner` names, which may own classes.
pub(super) async fn teacher(db: &Db, email: Email) -> anyhow::Result<UserId> {
    let owner = account(db, email).await?;
    if owner.school_account { Err(usage("--owner is the account of a student")) } else { Ok(owner.id) }
}

/// The account that `--owner` names.
pub(super) async fn account(db: &Db, email: Email) -> anyhow::Result<user::Model> {
    let owner = Accounts::new(db.clone()).find(email).await.context("looking up the owner")?;
    owner.ok_or_else(|| usage("--owner has no account; create one with `user add`"))
}
