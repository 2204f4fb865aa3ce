//! Refresh tokens of sessions. Rotated ones stay, so that their reuse is detected.

use sea_orm::{IntoActiveModel, QueryOrder, QuerySelect, QueryTrait, entity::prelude::*};

use crate::domain::{id::SessionId, secret_token::RefreshTokenDigest};

/// A refresh token.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refresh_tokens")]
pub struct Model {
    /// SHA-256 of the token.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: RefreshTokenDigest,
    /// The session that it continues.
    pub session_id: SessionId,
    /// The time of issue.
    pub issued_at: DateTimeUtc,
    /// The time at which it was exchanged for a new one.
    pub rotated_at: Option<DateTimeUtc>,
}

/// No relation is queried from here.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// A token that was not rotated.
    pub fn new(digest: RefreshTokenDigest, session_id: SessionId, issued_at: DateTimeUtc) -> Self {
        Self { digest, session_id, issued_at, rotated_at: None }
    }
}

impl Entity {
    /// Stores an issued token.
    pub async fn store(db: &impl ConnectionTrait, token: Model) -> Result<(), DbErr> {
        Self::insert(token.into_active_model()).exec_without_returning(db).await?;
        Ok(())
    }

    /// Marks a token as rotated. Of concurrent calls, exactly one returns `true`: the condition is in the statement, and the number
    /// of changed rows decides.
    pub async fn rotate(
        db: &impl ConnectionTrait,
        digest: RefreshTokenDigest,
        now: DateTimeUtc,
    ) -> Result<bool, DbErr> {
        let rotated = Self::update_many()
            .col_expr(Column::RotatedAt, Expr::value(now))
            .filter(Column::Digest.eq(digest))
            .filter(Column::RotatedAt.is_null())
            .exec(db)
            .await?;
        Ok(rotated.rows_affected == 1)
    }

    /// Deletes the rotated tokens of a session, except for the newest `kept` ones.
    pub async fn keep_newest_rotated(
        db: &impl ConnectionTrait,
        session: SessionId,
        kept: u64,
    ) -> Result<(), DbErr> {
        // SQLite has no offset without a limit. Each rotation deletes the surplus of one.
        const MANY: u64 = 1000;
        let surplus = Self::find()
            .filter(Column::SessionId.eq(session))
            .filter(Column::RotatedAt.is_not_null())
            .order_by_desc(Column::RotatedAt)
            .order_by_desc(Column::Digest)
            .offset(kept)
            .limit(MANY)
            .select_only()
            .column(Column::Digest);
        Self::delete_many().filter(Column::Digest.in_subquery(surplus.into_query())).exec(db).await?;
        Ok(())
    }
}
