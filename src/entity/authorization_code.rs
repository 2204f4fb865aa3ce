//! Authorization codes: what each was issued for, and whether it still can be redeemed.

use sea_orm::{Condition, IntoActiveModel, QueryOrder, QuerySelect, QueryTrait, entity::prelude::*};

use super::{app, user};
use crate::domain::{
    authorization_code::CodeDigest,
    id::{AppId, UserId},
    pkce::CodeChallenge,
    redirect_uri::RedirectUri,
    state::State,
};

/// An issued code.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "authorization_codes")]
pub struct Model {
    /// SHA-256 of the code.
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: CodeDigest,
    /// The app it was issued to.
    pub app_id: AppId,
    /// The user who signed in.
    pub user_id: UserId,
    /// The URI it was sent to.
    pub redirect_uri: RedirectUri,
    /// The state it was sent with.
    pub state: State,
    /// The challenge that its verifier must meet, if there was one (RFC 7636).
    pub code_challenge: Option<CodeChallenge>,
    /// When the password was checked: `auth_time` of OpenID Connect Core section 2.
    pub issued_at: DateTimeUtc,
    /// The instant from which it is worth nothing.
    pub expires_at: DateTimeUtc,
    /// When it was redeemed, once for all.
    pub redeemed_at: Option<DateTimeUtc>,
}

/// What a code is between.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The app it was issued to.
    #[sea_orm(belongs_to = "super::app::Entity", from = "Column::AppId", to = "super::app::Column::Id")]
    App,
    /// The user who signed in.
    #[sea_orm(belongs_to = "super::user::Entity", from = "Column::UserId", to = "super::user::Column::Id")]
    User,
}

impl Related<app::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::App.def()
    }
}

impl Related<user::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::User.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Stores an issued code. It changes nothing if the code is there: its digest is of 256 random bits, so that it is this
    /// same code, stored by an attempt whose answer was lost.
    pub async fn store(db: &impl ConnectionTrait, issued: Model) -> Result<(), DbErr> {
        Self::insert(issued.into_active_model()).exec_without_returning(db).await?;
        Ok(())
    }

    /// Deletes the codes of a user that nobody has redeemed, but for the youngest `kept` of them.
    pub async fn keep_newest(db: &impl ConnectionTrait, user: UserId, kept: u64) -> Result<(), DbErr> {
        // More than this many are not there, unless the bound was raised. SQLite takes no offset without a limit.
        const MANY: u64 = 1000;
        let surplus = Self::find()
            .filter(Column::UserId.eq(user))
            .filter(Column::RedeemedAt.is_null())
            .order_by_desc(Column::IssuedAt)
            .order_by_desc(Column::Digest)
            .offset(kept)
            .limit(MANY)
            .select_only()
            .column(Column::Digest);
        Self::delete_many().filter(Column::Digest.in_subquery(surplus.into_query())).exec(db).await?;
        Ok(())
    }

    /// What a code was issued for, with its app and its user, whatever their standing.
    pub async fn find_issued(
        db: &impl ConnectionTrait,
        digest: CodeDigest,
    ) -> Result<Option<(Model, app::Model, user::Model)>, DbErr> {
        let issued = Self::find_by_id(digest).find_also_related(app::Entity).find_also_related(user::Entity);
        // Both are there as long as the code is: it points to them.
        Ok(issued.all(db).await?.pop().and_then(|(issued, app, user)| Some((issued, app?, user?))))
    }

    /// Redeems a code, if it still can be. Of any number of calls at once, one alone is told `true`: the guards are in
    /// the statement, and the number of rows it changed decides.
    pub async fn redeem(
        db: &impl ConnectionTrait,
        digest: CodeDigest,
        now: DateTimeUtc,
    ) -> Result<bool, DbErr> {
        let redeemed = Self::update_many()
            .col_expr(Column::RedeemedAt, Expr::value(now))
            .filter(Column::Digest.eq(digest))
            .filter(Column::RedeemedAt.is_null())
            .filter(Column::ExpiresAt.gt(now))
            .exec(db)
            .await?;
        Ok(redeemed.rows_affected == 1)
    }

    /// Deletes up to `limit` codes that are worth nothing, and says how many it were: those that expired before `now` if they
    /// were redeemed, and those that were not if they expired before `abandoned`.
    pub async fn sweep(
        db: &impl ConnectionTrait,
        now: DateTimeUtc,
        abandoned: DateTimeUtc,
        limit: u64,
    ) -> Result<u64, DbErr> {
        let worthless =
            Condition::any().add(Column::RedeemedAt.is_not_null()).add(Column::ExpiresAt.lte(abandoned));
        let expired = Self::find()
            .filter(Column::ExpiresAt.lte(now))
            .filter(worthless)
            .limit(limit)
            .select_only()
            .column(Column::Digest);
        let swept =
            Self::delete_many().filter(Column::Digest.in_subquery(expired.into_query())).exec(db).await?;
        Ok(swept.rows_affected)
    }
}
