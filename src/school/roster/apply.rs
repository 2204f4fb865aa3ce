//! Applies a plan: a transaction for each class, so that the server's own changes wait for one class at most.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait};

use super::plan::{ClassStep, Kept, Plan, UserStep};
use crate::{
    db::Db,
    domain::{
        id::{EnrollmentId, UserId},
        sourced_id::SourcedId,
    },
    entity::{
        audit_event::{self, Action, Actor},
        class, enrollment, password_reset, roster_row, session, user,
    },
    random::RandomSource,
};

/// The number of accounts of a transaction that belongs to no class.
const ACCOUNTS: usize = 100;

/// The pause after each transaction. A server that waits for the write lock of SQLite asks for it again after a few milliseconds, and
/// finds it free only in a pause.
const PAUSE: Duration = Duration::from_millis(25);

/// A class whose step was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchanged {
    /// The class.
    pub sourced_id: SourcedId,
    /// The reason.
    pub reason: Reason,
}

/// Why the step of a class was left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The class has fewer free seats than new students.
    #[error("it would have {wanted} students and may have {max_students}")]
    Full {
        /// The maximum number of students.
        max_students: i32,
        /// The number of students that it would have.
        wanted: u64,
    },
    /// The class was deleted during the import.
    #[error("it was deleted during the import")]
    Deleted,
}

/// A transaction.
struct Work {
    step: ClassStep,
    users: Vec<UserStep>,
    events: Vec<audit_event::Model>,
    now: DateTime<Utc>,
}

/// Applies a plan. `progress` gets the number of finished classes and of all classes. Returns the classes whose steps were left out.
pub async fn apply(
    db: &Db,
    plan: Plan,
    now: DateTime<Utc>,
    random: Arc<dyn RandomSource>,
    mut progress: impl FnMut(usize, usize),
) -> Result<Vec<Unchanged>, DbErr> {
    if plan.is_empty() {
        return Ok(Vec::new());
    }
    let Plan { released, mut users, classes, left, report: _ } = plan;
    release(db, released, now).await?;
    let (mut unchanged, all) = (Vec::new(), classes.len());
    for (done, step) in classes.into_iter().enumerate() {
        progress(done, all);
        let needed: Vec<_> =
            step.members.iter().filter_map(|id| Some((id.clone(), users.get(id)?.clone()))).collect();
        let steps: Vec<UserStep> = needed.iter().map(|(_, step)| step.clone()).collect();
        let mut events = events(&steps, now, &*random);
        if let Some(Set(owner)) = step.columns.as_ref().map(|columns| columns.owner_id.clone()) {
            let event = audit_event::Model::new(Action::ClassOwnerChange, now, &*random);
            events.push(event.user(owner).class(step.id).by(Actor::Operator));
        }
        let sourced_id = step.sourced_id.clone();
        match apply_class(db, Work { step, users: steps, events, now }).await? {
            None => {
                for (id, _) in needed {
                    users.remove(&id);
                }
            }
            Some(reason) => unchanged.push(Unchanged { sourced_id, reason }),
        }
        tokio::time::sleep(PAUSE).await;
    }
    progress(all, all);
    apply_users(db, users, now, &*random).await?;
    disable(db, left, now, &*random).await?;
    let event = audit_event::Model::new(Action::RosterImport, now, &*random).by(Actor::Operator);
    let record = db.write(event, |db, event| Box::pin(audit_event::Entity::record(db, event.clone())));
    record.await?;
    Ok(unchanged)
}

async fn release(db: &Db, released: Vec<EnrollmentId>, now: DateTime<Utc>) -> Result<(), DbErr> {
    if released.is_empty() {
        return Ok(());
    }
    let job = (released, now);
    db.transaction(job, |db, (released, now)| {
        Box::pin(roster_row::drop_enrollments(db, released, true, *now))
    })
    .await
}

/// The audit events of accounts.
fn events(steps: &[UserStep], now: DateTime<Utc>, random: &dyn RandomSource) -> Vec<audit_event::Model> {
    let event = |action, user| audit_event::Model::new(action, now, random).user(user).by(Actor::Operator);
    let events = steps.iter().map(|step| match step {
        UserStep::Insert(user) => event(Action::AccountCreate, user.id),
        UserStep::Change(user, row) => {
            let reason = if row.enabled.is_set() { "enabled" } else { "roster" };
            event(Action::AccountChange, *user).because(reason)
        }
    });
    events.collect()
}

/// Applies the step of a class, or returns why it is left out.
async fn apply_class(db: &Db, work: Work) -> Result<Option<Reason>, DbErr> {
    db.transaction(work, |db, Work { step, users, events, now }| {
        Box::pin(async move {
            if step.new.is_none()
                && let Some(reason) = lock_and_check(db, step).await?
            {
                return Ok(Some(reason));
            }
            change_users(db, users, events).await?;
            if let Some(class) = &step.new {
                roster_row::insert::<class::Entity, _>(db, &[(**class).clone()]).await?;
            }
            if let Some(columns) = &step.columns {
                roster_row::change_class(db, step.id, (**columns).clone(), *now).await?;
                if let Set(owner) = columns.owner_id {
                    enrollment::Entity::delete_of_owner(db, owner).await?;
                }
            }
            roster_row::drop_enrollments(db, &step.dropped, false, *now).await?;
            for Kept { id, sourced_id, origin, returns } in &step.kept {
                let since = returns.then(|| now.date_naive());
                roster_row::keep_enrollment(db, *id, sourced_id.clone(), *origin, since, *now).await?;
            }
            roster_row::insert::<enrollment::Entity, _>(db, &step.inserts).await?;
            Ok(None)
        })
    })
    .await
}

/// Locks a class, and returns why its step is left out. A student who gets a seat waits for the lock, so the count of seats is exact.
async fn lock_and_check(db: &impl ConnectionTrait, step: &ClassStep) -> Result<Option<Reason>, DbErr> {
    let returns = step.kept.iter().any(|kept| kept.returns);
    enrollment::Entity::lock_class(db, step.id).await?;
    let class = class::Entity::find_by_id(step.id).one(db).await?;
    let Some(class) = class else { return Ok(Some(Reason::Deleted)) };
    let takes_seats = returns || !step.inserts.is_empty();
    let Some(max_students) = class.max_students.filter(|_| takes_seats) else { return Ok(None) };
    // Not a difference of numbers: a row of the step may have changed since the plan was made.
    let changed: HashSet<EnrollmentId> =
        step.dropped.iter().copied().chain(step.kept.iter().map(|kept| kept.id)).collect();
    let active = enrollment::Entity::active_ids(db, step.id).await?;
    let others = active.iter().filter(|id| !changed.contains(*id)).count();
    let wanted = u64::try_from(others + step.kept.len() + step.inserts.len()).unwrap_or(u64::MAX);
    let is_full = wanted > u64::try_from(max_students.get()).unwrap_or_default();
    Ok(is_full.then(|| Reason::Full { max_students: max_students.get(), wanted }))
}

async fn change_users(
    db: &impl ConnectionTrait,
    steps: &[UserStep],
    events: &[audit_event::Model],
) -> Result<(), DbErr> {
    let mut new = Vec::new();
    for step in steps {
        match step {
            UserStep::Insert(user) => new.push((**user).clone()),
            UserStep::Change(user, row) => {
                user::Entity::change(db, *user, (**row).clone()).await?;
            }
        }
    }
    roster_row::insert::<user::Entity, _>(db, &new).await?;
    roster_row::insert::<audit_event::Entity, _>(db, events).await
}

/// Changes the accounts that are in no class.
async fn apply_users(
    db: &Db,
    users: BTreeMap<SourcedId, UserStep>,
    now: DateTime<Utc>,
    random: &dyn RandomSource,
) -> Result<(), DbErr> {
    let users: Vec<UserStep> = users.into_values().collect();
    for steps in users.chunks(ACCOUNTS) {
        let job = (steps.to_vec(), events(steps, now, random));
        db.transaction(job, |db, (steps, events)| Box::pin(change_users(db, steps, events))).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Disables accounts, and ends their sessions.
async fn disable(
    db: &Db,
    left: Vec<UserId>,
    now: DateTime<Utc>,
    random: &dyn RandomSource,
) -> Result<(), DbErr> {
    for users in left.chunks(ACCOUNTS) {
        let event = |user: &UserId| {
            let event = audit_event::Model::new(Action::AccountChange, now, random).user(*user);
            event.by(Actor::Operator).because("disabled")
        };
        let job = (users.to_vec(), users.iter().map(event).collect::<Vec<_>>(), now);
        let disabled = db.transaction(job, |db, (users, events, now)| {
            Box::pin(async move {
                for user in users {
                    let row = user::ActiveModel {
                        enabled: Set(false),
                        left_roster: Set(true),
                        updated_at: Set(Some(*now)),
                        ..Default::default()
                    };
                    user::Entity::change(db, *user, row).await?;
                    password_reset::Entity::revoke_of_user(db, *user).await?;
                    session::Entity::end_of_user(db, *user).await?;
                }
                roster_row::insert::<audit_event::Entity, _>(db, events).await
            })
        });
        disabled.await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
