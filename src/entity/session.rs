//! Sessions: what a code exchange begins and refresh tokens continue. A session that ended has no row.

use sea_orm::{IntoActiveModel, QueryOrder, QuerySelect, QueryTrait, entity::prelude::*};

use super::{app, authorization_code, user};
use crate::domain::{
    id::{AppId, SessionId, UserId},
    redirect_uri::RedirectUri,
    scope::Scope,
    user_agent::UserAgent,
};

/// A session of a user in an app.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    /// `sid` of its access tokens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SessionId,
    /// The user.
    pub user_id: UserId,
    /// The app.
    pub app_id: AppId,
    /// The redirect URI that received the code.
    pub redirect_uri: RedirectUri,
    /// The granted scope.
    pub scope: Scope,
    /// The address of the client that exchanged the code.
    pub address: Option<String>,
    /// The `User-Agent` of that client.
    pub user_agent: Option<UserAgent>,
    /// The time at which the password was checked: `auth_time` of OpenID Connect Core section 2.
    pub authenticated_at: DateTimeUtc,
    /// The time at which the code was exchanged.
    pub created_at: DateTimeUtc,
    /// The time of the exchange or of the last refresh.
    pub last_used_at: DateTimeUtc,
    /// From this instant on the session has ended, unless it is refreshed before. Never after `expires_at`.
    pub idle_expires_at: DateTimeUtc,
    /// From this instant on the session has ended.
    pub expires_at: DateTimeUtc,
}

/// The relations of a session.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The app.
    #[sea_orm(belongs_to = "super::app::Entity", from = "Column::AppId", to = "super::app::Column::Id")]
    App,
    /// The user.
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

/// The sessions that an operator means. All given conditions apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection {
    /// The session with this id.
    pub id: Option<SessionId>,
    /// Sessions of this user.
    pub user: Option<UserId>,
    /// Sessions in this app.
    pub app: Option<AppId>,
}

impl Entity {
    /// Begins a session.
    pub async fn begin(db: &impl ConnectionTrait, session: Model) -> Result<(), DbErr> {
        Self::insert(session.into_active_model()).exec_without_returning(db).await?;
        Ok(())
    }

    /// The sessions of a user, except for the newest `kept` ones.
    pub async fn surplus(db: &impl ConnectionTrait, user: UserId, kept: u64) -> Result<Vec<Model>, DbErr> {
        // SQLite has no offset without a limit. Each exchange ends the surplus of one.
        const MANY: u64 = 1000;
        let surplus = Self::find()
            .filter(Column::UserId.eq(user))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .offset(kept)
            .limit(MANY);
        surplus.all(db).await
    }

    /// Records a use of a session that has not ended. Returns whether it had not.
    pub async fn extend(
        db: &impl ConnectionTrait,
        id: SessionId,
        now: DateTimeUtc,
        idle_expires_at: DateTimeUtc,
    ) -> Result<bool, DbErr> {
        let extended = Self::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(now))
            .col_expr(Column::IdleExpiresAt, Expr::value(idle_expires_at))
            .filter(Column::Id.eq(id))
            .filter(Column::IdleExpiresAt.gt(now))
            .exec(db)
            .await?;
        Ok(extended.rows_affected == 1)
    }

    /// Whether a session has not ended and its app is enabled.
    ///
    /// The end of all sessions of an app can miss one that begins at the same moment, so that the app counts too.
    pub async fn is_alive(db: &impl ConnectionTrait, id: SessionId, now: DateTimeUtc) -> Result<bool, DbErr> {
        let enabled = app::Entity::find().filter(app::Column::Enabled.eq(true));
        let enabled = enabled.select_only().column(app::Column::Id).into_query();
        let session = Self::find_by_id(id)
            .filter(Column::IdleExpiresAt.gt(now))
            .filter(Column::AppId.in_subquery(enabled));
        let found: Option<SessionId> = session.select_only().column(Column::Id).into_tuple().one(db).await?;
        Ok(found.is_some())
    }

    /// A session with its app and its user, enabled or not.
    pub async fn find_with_app_and_user(
        db: &impl ConnectionTrait,
        id: SessionId,
    ) -> Result<Option<(Model, app::Model, user::Model)>, DbErr> {
        let session = Self::find_by_id(id).find_also_related(app::Entity).find_also_related(user::Entity);
        // Foreign keys guarantee that both exist.
        Ok(session.all(db).await?.pop().and_then(|(session, app, user)| Some((session, app?, user?))))
    }

    /// The sessions of a user that have not ended, newest first, with their apps: at most 100. Concurrent exchanges can leave the
    /// user with one more for a moment.
    pub async fn list_of_user(
        db: &impl ConnectionTrait,
        user: UserId,
        now: DateTimeUtc,
    ) -> Result<Vec<(Model, app::Model)>, DbErr> {
        const LISTED: u64 = 100;
        let sessions = Self::find()
            .find_also_related(app::Entity)
            .filter(Column::UserId.eq(user))
            .filter(Column::IdleExpiresAt.gt(now))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .limit(LISTED);
        let sessions = sessions.all(db).await?;
        Ok(sessions.into_iter().filter_map(|(session, app)| Some((session, app?))).collect())
    }

    /// Ends a session of a user, and returns whether it existed.
    pub async fn end(db: &impl ConnectionTrait, user: UserId, id: SessionId) -> Result<bool, DbErr> {
        let sessions = Self::delete_many().filter(Column::Id.eq(id)).filter(Column::UserId.eq(user));
        Ok(sessions.exec(db).await?.rows_affected == 1)
    }

    /// Ends all sessions of a user, and returns their number. Codes of the user can no longer begin one.
    pub async fn end_of_user(db: &impl ConnectionTrait, user: UserId) -> Result<u64, DbErr> {
        // First, because an exchange changes its code before it inserts the session. After this statement no exchange is between the
        // two.
        authorization_code::Entity::delete_of(db, Some(user), None).await?;
        Ok(Self::delete_many().filter(Column::UserId.eq(user)).exec(db).await?.rows_affected)
    }

    /// Ends all sessions in an app, and returns their number. Codes of the app can no longer begin one.
    pub async fn end_of_app(db: &impl ConnectionTrait, app: AppId) -> Result<u64, DbErr> {
        // First, for the same reason as above.
        authorization_code::Entity::delete_of(db, None, Some(app)).await?;
        Ok(Self::delete_many().filter(Column::AppId.eq(app)).exec(db).await?.rows_affected)
    }

    /// The selected sessions that have not ended, oldest first, with their users.
    pub async fn select_active(
        db: &impl ConnectionTrait,
        selection: Selection,
        now: DateTimeUtc,
    ) -> Result<Vec<(Model, Option<user::Model>)>, DbErr> {
        let Selection { id, user, app } = selection;
        let mut sessions = Self::find().filter(Column::IdleExpiresAt.gt(now));
        if let Some(id) = id {
            sessions = sessions.filter(Column::Id.eq(id));
        }
        if let Some(user) = user {
            sessions = sessions.filter(Column::UserId.eq(user));
        }
        if let Some(app) = app {
            sessions = sessions.filter(Column::AppId.eq(app));
        }
        sessions.find_also_related(user::Entity).order_by_asc(Column::Id).all(db).await
    }

    /// Deletes up to `limit` sessions that ended before `before`, and returns their number.
    pub async fn sweep(db: &impl ConnectionTrait, before: DateTimeUtc, limit: u64) -> Result<u64, DbErr> {
        let ended = Self::find()
            .filter(Column::IdleExpiresAt.lte(before))
            .limit(limit)
            .select_only()
            .column(Column::Id)
            .into_query();
        Ok(Self::delete_many().filter(Column::Id.in_subquery(ended)).exec(db).await?.rows_affected)
    }
}
