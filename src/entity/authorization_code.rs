//! Authorization codes: the values that each was issued for, and its redemption.

use sea_orm::{Condition, IntoActiveModel, QueryOrder, QuerySelect, QueryTrait, entity::prelude::*};

use super::{app, user};
use crate::domain::{
    id::{AppId, SessionId, UserId},
    pkce::CodeChallenge,
    redirect_uri::RedirectUri,
    secret_token::CodeDigest,
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
    /// The redirect URI that received it.
    pub redirect_uri: RedirectUri,
    /// The state that accompanied it.
    pub state: State,
    /// The PKCE challenge, if there was one (RFC 7636).
    pub code_challenge: Option<CodeChallenge>,
    /// The time of the sign-in: `auth_time` of OpenID Connect Core section 2.
    pub issued_at: DateTimeUtc,
    /// From this instant on the code is invalid.
    pub expires_at: DateTimeUtc,
    /// The time of its redemption.
    pub redeemed_at: Option<DateTimeUtc>,
    /// The session that its redemption began, which may have ended.
    pub session_id: Option<SessionId>,
}

/// The relations of a code.
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
    /// Stores an issued code.
    pub async fn store(db: &impl ConnectionTrait, issued: Model) -> Result<(), DbErr> {
        Self::insert(issued.into_active_model()).exec_without_returning(db).await?;
        Ok(())
    }

    /// The codes of a user, oldest first.
    pub async fn of_user(db: &impl ConnectionTrait, user: UserId) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::UserId.eq(user)).order_by_asc(Column::IssuedAt).all(db).await
    }

    /// Deletes the unredeemed codes of a user, except for the newest `kept` ones.
    pub async fn keep_newest(db: &impl ConnectionTrait, user: UserId, kept: u64) -> Result<(), DbErr> {
        // SQLite has no offset without a limit. A user has fewer codes than this.
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

    /// A code with its app and its user, enabled or not.
    pub async fn find_issued(
        db: &impl ConnectionTrait,
        digest: CodeDigest,
    ) -> Result<Option<(Model, app::Model, user::Model)>, DbErr> {
        let issued = Self::find_by_id(digest).find_also_related(app::Entity).find_also_related(user::Entity);
        // Foreign keys guarantee that both exist.
        Ok(issued.all(db).await?.pop().and_then(|(issued, app, user)| Some((issued, app?, user?))))
    }

    /// Redeems a code that is neither redeemed nor expired, for a session. Of concurrent calls, exactly one returns `true`: the
    /// conditions are in the statement, and the number of changed rows decides.
    pub async fn redeem(
        db: &impl ConnectionTrait,
        digest: CodeDigest,
        session: SessionId,
        now: DateTimeUtc,
    ) -> Result<bool, DbErr> {
        let redeemed = Self::update_many()
            .col_expr(Column::RedeemedAt, Expr::value(now))
            .col_expr(Column::SessionId, Expr::value(session))
            .filter(Column::Digest.eq(digest))
            .filter(Column::RedeemedAt.is_null())
            .filter(Column::ExpiresAt.gt(now))
            .exec(db)
            .await?;
        Ok(redeemed.rows_affected == 1)
    }

    /// The session that the redemption of a code began. None if the code is unknown or was not redeemed.
    pub async fn session_of(
        db: &impl ConnectionTrait,
        digest: CodeDigest,
    ) -> Result<Option<SessionId>, DbErr> {
        Ok(Self::find_by_id(digest).one(db).await?.and_then(|code| code.session_id))
    }

    /// Deletes the codes of a user, of an app, or of a user in an app. Without both, deletes all codes.
    pub async fn delete_of(
        db: &impl ConnectionTrait,
        user: Option<UserId>,
        app: Option<AppId>,
    ) -> Result<(), DbErr> {
        let mut codes = Self::delete_many();
        if let Some(user) = user {
            codes = codes.filter(Column::UserId.eq(user));
        }
        if let Some(app) = app {
            codes = codes.filter(Column::AppId.eq(app));
        }
        codes.exec(db).await?;
        Ok(())
    }

    /// Deletes up to `limit` expired codes, and returns their number. Redeemed codes must have expired before `reusable`, others
    /// before `abandoned`.
    pub async fn sweep(
        db: &impl ConnectionTrait,
        abandoned: DateTimeUtc,
        reusable: DateTimeUtc,
        limit: u64,
    ) -> Result<u64, DbErr> {
        let deletable =
            Condition::any().add(Column::RedeemedAt.is_null()).add(Column::ExpiresAt.lte(reusable));
        let expired = Self::find()
            .filter(Column::ExpiresAt.lte(abandoned))
            .filter(deletable)
            .limit(limit)
            .select_only()
            .column(Column::Digest);
        let deleted =
            Self::delete_many().filter(Column::Digest.in_subquery(expired.into_query())).exec(db).await?;
        Ok(deleted.rows_affected)
    }
}
