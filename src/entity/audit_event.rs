//! The audit trail: one row per security event, written with the change. No row contains a secret.

use std::net::IpAddr;

use sea_orm::{Condition, IntoActiveModel, QueryOrder, QuerySelect, QueryTrait, entity::prelude::*};

use crate::{
    domain::id::{AppId, AuditEventId, ClassId, SessionId, UserId},
    random::RandomSource,
};

/// A security event.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub struct Model {
    /// The id, which sorts by time.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AuditEventId,
    /// The time.
    pub at: DateTimeUtc,
    /// The kind of the event.
    pub action: Action,
    /// Whether it was done.
    pub outcome: Outcome,
    /// Why it was not done, or the property that changed, as a word such as `password_wrong`.
    pub reason: Option<String>,
    /// The party that caused the event.
    pub actor: Actor,
    /// The account that the event concerns.
    pub user_id: Option<UserId>,
    /// The app.
    pub app_id: Option<AppId>,
    /// The session.
    pub session_id: Option<SessionId>,
    /// The client's address.
    pub address: Option<String>,
    /// The user who did it, if that is another one than `user_id`.
    pub by_user_id: Option<UserId>,
    /// The class.
    pub class_id: Option<ClassId>,
}

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Action {
    /// A sign-in with a password.
    SignIn,
    /// An exchange of a code, which begins a session.
    SessionBegin,
    /// The end of a session. The reason says why, such as `signed_out`. A change that ends all
    /// sessions of a user or an app is recorded instead of each end.
    SessionEnd,
    /// A refresh token was used again after its rotation, or a code after its exchange. The session ended.
    TokenReuse,
    /// A registration.
    Register,
    /// The confirmation of an address, which creates the account.
    Confirm,
    /// The creation of an account by an operator.
    AccountCreate,
    /// A request to reset a password.
    ResetRequest,
    /// A new password by the link of a mail.
    PasswordReset,
    /// A new password by a signed-in user or by an operator.
    PasswordChange,
    /// A change of an account, by an operator or of the profile by its user. The reason names it, such as `disabled`.
    AccountChange,
    /// The deletion of an account.
    AccountDelete,
    /// The export of all data of an account by an operator.
    AccountExport,
    /// Failed sign-ins of an account were forgotten.
    Unlock,
    /// The registration or change of an app by an operator.
    AppChange,
    /// A new owner of a class, by an operator or an import. The user is the new owner.
    ClassOwnerChange,
    /// The deletion of a class. The user is its owner.
    ClassDelete,
    /// An import of roster files by an operator.
    RosterImport,
    /// An export of roster files by an operator.
    RosterExport,
    /// Login cards of a class, printed by an operator.
    Cards,
}

/// The outcome of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused.
    Failure,
}

/// The party that caused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Actor {
    /// The user, or a client on behalf of the user.
    User,
    /// The owner of a class of the user.
    Owner,
    /// An operator on the command line.
    Operator,
    /// The server itself.
    Server,
}

/// No relation is queried from here.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// A success caused by a user.
    pub fn new(action: Action, now: DateTimeUtc, random: &dyn RandomSource) -> Self {
        Self {
            id: AuditEventId::new(now, random),
            at: now,
            action,
            outcome: Outcome::Success,
            reason: None,
            actor: Actor::User,
            user_id: None,
            app_id: None,
            session_id: None,
            address: None,
            by_user_id: None,
            class_id: None,
        }
    }

    /// Sets the user.
    #[must_use]
    pub fn user(self, user: UserId) -> Self {
        Self { user_id: Some(user), ..self }
    }

    /// Sets the app.
    #[must_use]
    pub fn app(self, app: AppId) -> Self {
        Self { app_id: Some(app), ..self }
    }

    /// Sets the session.
    #[must_use]
    pub fn session(self, session: SessionId) -> Self {
        Self { session_id: Some(session), ..self }
    }

    /// Sets the client's address, if it is known. An IPv4 client of an IPv6 socket is recorded as IPv4.
    #[must_use]
    pub fn from(self, address: Option<IpAddr>) -> Self {
        Self { address: address.map(|address| address.to_canonical().to_string()), ..self }
    }

    /// Sets the class.
    #[must_use]
    pub fn class(self, class: ClassId) -> Self {
        Self { class_id: Some(class), ..self }
    }

    /// Sets the owner of a class, who did it to a student.
    #[must_use]
    pub fn by_owner(self, owner: UserId) -> Self {
        Self { actor: Actor::Owner, by_user_id: Some(owner), ..self }
    }

    /// Sets the reason.
    #[must_use]
    pub fn because(self, reason: &str) -> Self {
        Self { reason: Some(reason.to_owned()), ..self }
    }

    /// Makes it a failure.
    #[must_use]
    pub fn failed(self, reason: &str) -> Self {
        Self { outcome: Outcome::Failure, ..self.because(reason) }
    }

    /// Sets the actor.
    #[must_use]
    pub fn by(self, actor: Actor) -> Self {
        Self { actor, ..self }
    }
}

/// The events to read. `None` means all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The account that the events concern.
    pub user: Option<UserId>,
    /// The kind of the event.
    pub action: Option<Action>,
    /// Whether it was done.
    pub outcome: Option<Outcome>,
    /// The app.
    pub app: Option<AppId>,
    /// The earliest time.
    pub since: Option<DateTimeUtc>,
    /// The time before which it happened.
    pub until: Option<DateTimeUtc>,
}

/// The place of an event in the order of reading: by time, and by id at the same time.
pub type Position = (DateTimeUtc, AuditEventId);

impl Entity {
    /// Records an event. Call it in the transaction of the change.
    pub async fn record(db: &impl ConnectionTrait, event: Model) -> Result<(), DbErr> {
        Self::insert(event.into_active_model()).exec_without_returning(db).await?;
        Ok(())
    }

    /// Removes the clients' addresses from the events of a user.
    pub async fn forget_addresses(db: &impl ConnectionTrait, user: UserId) -> Result<(), DbErr> {
        let events = Self::update_many()
            .col_expr(Column::Address, Expr::value(None::<String>))
            .filter(Column::UserId.eq(user));
        events.exec(db).await?;
        Ok(())
    }

    /// The events of a user, oldest first.
    pub async fn of_user(db: &impl ConnectionTrait, user: UserId) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::UserId.eq(user)).order_by_asc(Column::Id).all(db).await
    }

    /// Up to `limit` matching events behind a position, oldest first.
    pub async fn page(
        db: &impl ConnectionTrait,
        filter: &Filter,
        after: Option<Position>,
        limit: u64,
    ) -> Result<Vec<Model>, DbErr> {
        let behind = after.map(|(at, id)| {
            let later = Condition::all().add(Column::At.eq(at)).add(Column::Id.gt(id));
            Condition::any().add(Column::At.gt(at)).add(later)
        });
        let matching = Condition::all()
            .add_option(filter.user.map(|user| Column::UserId.eq(user)))
            .add_option(filter.action.map(|action| Column::Action.eq(action)))
            .add_option(filter.outcome.map(|outcome| Column::Outcome.eq(outcome)))
            .add_option(filter.app.map(|app| Column::AppId.eq(app)))
            .add_option(filter.since.map(|since| Column::At.gte(since)))
            .add_option(filter.until.map(|until| Column::At.lt(until)))
            .add_option(behind);
        let found = Self::find().filter(matching).order_by_asc(Column::At).order_by_asc(Column::Id);
        found.limit(limit).all(db).await
    }

    /// Deletes up to `limit` events from before `before`, and returns their number.
    pub async fn sweep(db: &impl ConnectionTrait, before: DateTimeUtc, limit: u64) -> Result<u64, DbErr> {
        let old = Self::find().filter(Column::At.lt(before)).limit(limit).select_only().column(Column::Id);
        let deleted = Self::delete_many().filter(Column::Id.in_subquery(old.into_query())).exec(db).await?;
        Ok(deleted.rows_affected)
    }
}
