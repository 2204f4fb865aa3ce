//! Statements on the accounts that the school makes.

use std::collections::HashSet;

use sea_orm::{QuerySelect, entity::prelude::*};

use super::user;
use crate::domain::email::Email;

/// The number of values or rows of one statement.
const CHUNK: usize = 500;

/// Those of the addresses that have an account.
pub async fn taken(db: &impl ConnectionTrait, addresses: &[Email]) -> Result<HashSet<Email>, DbErr> {
    let mut taken = HashSet::new();
    for addresses in addresses.chunks(CHUNK) {
        let found = user::Entity::find()
            .select_only()
            .column(user::Column::Email)
            .filter(user::Column::Email.is_in(addresses.iter().cloned()));
        let found: Vec<Email> = found.into_tuple().all(db).await?;
        taken.extend(found);
    }
    Ok(taken)
}
