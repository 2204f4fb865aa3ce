//! Classes, each with at most one join code: a new one takes the old one's place in the same column.

use chrono::TimeDelta;
use sea_orm::{
    DbBackend, QueryOrder, QuerySelect, QueryTrait, Statement,
    entity::prelude::*,
    sea_query::{LockBehavior, LockType},
};

use super::Unique;
use crate::domain::{
    class_name::ClassName,
    id::{ClassId, UserId},
    join_code::JoinCode,
};

/// How long draws are counted together, from the first of them on.
const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// How far requests overtake one another, for as long as any may take, and the clocks of nodes differ. What began later than
/// that from now began before the clock was set back, and counts no more.
const SKEW: TimeDelta = TimeDelta::seconds(30);

/// A class.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "classes")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ClassId,
    /// The teacher who owns it.
    pub owner_id: UserId,
    /// What it is called.
    pub name: ClassName,
    /// What it is about.
    pub description: Option<String>,
    /// A client's own settings, an object.
    pub settings: Option<Json>,
    /// Whether it takes part in lessons still.
    pub is_active: bool,
    /// Its one join code, if any was drawn.
    #[sea_orm(unique)]
    pub join_code: Option<JoinCode>,
    /// The instant from which the join code admits nobody.
    pub join_code_expires_at: Option<DateTimeUtc>,
    /// How often a join code was drawn in the window that began last.
    pub join_code_draws: i64,
    /// When that window began, in milliseconds since the epoch.
    pub join_code_draws_since: i64,
    /// Which of its join codes this one is: each has a later turn than the one before, but for those that a node drew
    /// which knew of no turns.
    pub join_code_turn: i64,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When its name, description, settings or standing last changed.
    pub updated_at: DateTimeUtc,
}

/// Nothing is read from a class's side.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The join code, if it admits anybody `now`: the rule of [`Entity::find_by_live_join_code`].
    pub fn live_join_code(&self, now: DateTimeUtc) -> Option<&JoinCode> {
        let live = self.is_active && self.join_code_expires_at.is_some_and(|expires_at| expires_at > now);
        self.join_code.as_ref().filter(|_| live)
    }

    /// How many of `limit` draws are left `now`: the rule of [`Entity::replace_join_codes`].
    pub fn draws_left(&self, limit: u32, now: DateTimeUtc) -> i64 {
        if limit == 0 {
            return i64::MAX;
        }
        let age = now.timestamp_millis().saturating_sub(self.join_code_draws_since);
        let counts = (-SKEW.num_milliseconds()..WINDOW.num_milliseconds()).contains(&age);
        i64::from(limit) - if counts { self.join_code_draws } else { 0 }
    }

    /// After how many seconds the window ends in which draws are counted `now`: at least one.
    pub fn seconds_to_next_draw(&self, now: DateTimeUtc) -> u64 {
        let ends = self.join_code_draws_since.saturating_add(WINDOW.num_milliseconds());
        let rest = u64::try_from(ends.saturating_sub(now.timestamp_millis())).unwrap_or_default();
        rest.div_ceil(1000).max(1)
    }
}

/// A code that is to be its class's.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// The class.
    pub id: ClassId,
    /// Who says they own it.
    pub owner_id: UserId,
    /// The code.
    pub code: JoinCode,
    /// The instant from which it admits nobody.
    pub expires_at: DateTimeUtc,
    /// When it was asked for.
    pub now: DateTimeUtc,
    /// Its place among the codes of its class: when it is written, in milliseconds since the epoch, so that it is the
    /// latest unless clocks differ.
    pub turn: i64,
    /// How many draws it stands for: those that it replaced before they were written count too.
    pub draws: i64,
}

impl Entity {
    /// Puts each code in the place of its class's one before, if `owner_id` owns the class, may draw so often, and that
    /// one's turn was earlier, and says for how many that was so. `limit` is how many draws a class has in a minute; 0 is
    /// no limit. No class may be named twice with one owner.
    ///
    /// A statement may reach a database long after it was given up: then turns keep it from undoing what came after it.
    /// And it comes to the same when it is made twice.
    ///
    /// One statement checks, counts and replaces, all or none: a code that another class has is a unique-constraint
    /// violation. In the order of their ids, rows are not locked crosswise.
    pub async fn replace_join_codes(
        db: &impl ConnectionTrait,
        replacements: &[Replacement],
        limit: u32,
    ) -> Result<u64, DbErr> {
        let backend = db.get_database_backend();
        let (drawn, values) =
            if backend == DbBackend::Postgres { unnested(replacements) } else { listed(replacements) };
        let (window, skew) = (WINDOW.num_milliseconds(), SKEW.num_milliseconds());
        let since = "classes.join_code_draws_since";
        let counts = format!("drawn.asked_at - {window} < {since} AND {since} <= drawn.asked_at + {skew}");
        let counted = format!("CASE WHEN {counts} THEN classes.join_code_draws ELSE 0 END");
        let sql = format!(
            "WITH drawn (id, owner_id, code, expires_at, asked_at, turn, draws) AS ({drawn}) \
             UPDATE classes SET join_code = drawn.code, join_code_expires_at = drawn.expires_at, \
             join_code_turn = drawn.turn, \
             join_code_draws = {counted} + drawn.draws, join_code_draws_since = \
             CASE WHEN {counts} THEN {since} ELSE drawn.asked_at END \
             FROM drawn WHERE classes.id = drawn.id AND classes.owner_id = drawn.owner_id \
             AND classes.join_code_turn < drawn.turn \
             AND ({limit} = 0 OR {counted} + drawn.draws <= {limit})"
        );
        Ok(db.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?.rows_affected())
    }

    /// Which of these classes somebody holds at this moment, whose change is under way. On PostgreSQL only: SQLite holds
    /// no rows.
    pub async fn find_held(
        db: &impl ConnectionTrait,
        ids: impl IntoIterator<Item = ClassId>,
    ) -> Result<Vec<ClassId>, DbErr> {
        let asked = Self::find().select_only().column(Column::Id).filter(Column::Id.is_in(ids));
        let mut free = asked.clone().into_query();
        free.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        asked.filter(Column::Id.not_in_subquery(free)).into_tuple().all(db).await
    }

    /// The classes of these ids, as far as there are any.
    pub async fn find_by_ids(
        db: &impl ConnectionTrait,
        ids: impl IntoIterator<Item = ClassId>,
    ) -> Result<Vec<Model>, DbErr> {
        Self::find().filter(Column::Id.is_in(ids)).all(db).await
    }

    /// The active class that a join code admits to `now`.
    pub async fn find_by_live_join_code(
        db: &impl ConnectionTrait,
        code: &JoinCode,
        now: DateTimeUtc,
    ) -> Result<Option<Model>, DbErr> {
        Self::find()
            .filter(Column::JoinCode.eq(code.clone()))
            .filter(Column::JoinCodeExpiresAt.gt(now))
            .filter(Column::IsActive.eq(true))
            .only(db)
            .await
    }

    /// Every class, the oldest first.
    pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
        Self::find().order_by_asc(Column::Id).all(db).await
    }
}

/// Rows for PostgreSQL: an array for each column, so that the statement is prepared once for any number of them, and
/// each class is looked up by its id, however many there are.
fn unnested(replacements: &[Replacement]) -> (String, Vec<Value>) {
    fn column<T>(of: &[Replacement], value: impl Fn(&Replacement) -> T) -> Value
    where
        Vec<T>: Into<Value>,
    {
        of.iter().map(value).collect::<Vec<_>>().into()
    }
    let columns = vec![
        column(replacements, |row| Uuid::from(row.id)),
        column(replacements, |row| Uuid::from(row.owner_id)),
        column(replacements, |row| row.code.expose().to_owned()),
        column(replacements, |row| row.expires_at),
        column(replacements, |row| row.now.timestamp_millis()),
        column(replacements, |row| row.turn),
        column(replacements, |row| row.draws),
    ];
    ("SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)".to_owned(), columns)
}

/// Rows for SQLite, which has no arrays: their number is rounded up to a power of two by repeating some, so that it
/// prepares few statements. A row is changed once, however often it is listed.
fn listed(replacements: &[Replacement]) -> (String, Vec<Value>) {
    let rows = replacements.len().next_power_of_two();
    let values = replacements.iter().cycle().take(rows).flat_map(|row| {
        let Replacement { id, owner_id, code, expires_at, now, turn, draws } = row.clone();
        let asked_at = now.timestamp_millis();
        [
            id.into(),
            owner_id.into(),
            code.into(),
            expires_at.into(),
            asked_at.into(),
            turn.into(),
            draws.into(),
        ]
    });
    (format!("VALUES {}", vec!["(?, ?, ?, ?, ?, ?, ?)"; rows].join(", ")), values.collect())
}
