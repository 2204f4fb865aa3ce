//! Rosters: the students of a class, read and changed.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, ActiveValue, ConnectionTrait, DbErr, PaginatorTrait};

use super::authorization::{Standing, authorize};
use crate::{
    db::Db,
    domain::{
        id::{ClassId, UserId},
        page::{PageInfo, PageRequest},
        person::{AvatarUrl, PersonName, PhoneNumber},
    },
    entity::{
        audit_event::{self, Action},
        class,
        enrollment::{self, Origin, Status},
        seat::{self, Candidate, NoSeat},
        user,
    },
    random::RandomSource,
};

/// Reads and changes rosters.
pub struct Rosters {
    db: Db,
    random: Arc<dyn RandomSource>,
}

/// A student of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterRow {
    /// The account.
    pub user: user::Model,
    /// The enrollment.
    pub enrollment: enrollment::Model,
    /// What the reader sees of it.
    pub view: View,
}

/// What a reader sees of a student.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Everything: for the owner of the class.
    Full,
    /// The name: for other students of the class.
    NamesOnly,
}

/// A query for students.
#[derive(Debug, Clone, Copy)]
pub struct RosterQuery {
    /// The page.
    pub page: PageRequest,
    /// The status of the students.
    pub status: Status,
}

/// A change of a student. A value that is not set stays, and `None` removes it.
#[derive(Debug, Clone)]
pub struct StudentChange {
    /// The first name.
    pub first_name: Option<PersonName>,
    /// The last name.
    pub last_name: Option<PersonName>,
    /// The phone number.
    pub phone_number: ActiveValue<Option<PhoneNumber>>,
    /// The URL of a picture.
    pub avatar_url: ActiveValue<Option<AvatarUrl>>,
    /// The status. A student does not become pending.
    pub status: Option<Status>,
}

impl StudentChange {
    /// The changed columns of the account.
    fn profile(&self, now: DateTime<Utc>) -> user::ActiveModel {
        let name = |name: &Option<PersonName>| match name {
            Some(name) => ActiveValue::Set(Some(name.clone())),
            None => ActiveValue::NotSet,
        };
        let mut changed = user::ActiveModel {
            first_name: name(&self.first_name),
            last_name: name(&self.last_name),
            phone_number: self.phone_number.clone(),
            avatar_url: self.avatar_url.clone(),
            ..Default::default()
        };
        if changed.is_changed() {
            changed.updated_at = ActiveValue::Set(Some(now));
        }
        changed
    }
}

/// The reason why a roster cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// The class does not exist.
    #[error("the class does not exist")]
    NoSuchClass,
    /// The reader neither owns the class nor is an active student of it.
    #[error("the reader is not a member of the class")]
    NotMember,
    /// The reader does not own the class, and asks for students who are not active.
    #[error("the reader may see active students alone")]
    ActiveOnly,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The reason why a student was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The caller owns no class of the student.
    #[error("the caller has no such student")]
    NoSuchStudent,
    /// The school did not make the account, or the student is not in a class of the caller into which the school or the caller put
    /// the student.
    #[error("the caller has no power over the account")]
    NotSchoolAccount,
    /// Every seat of the class is taken.
    #[error("the class is full")]
    ClassFull,
    /// The class is not in use.
    #[error("the class is inactive")]
    ClassInactive,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// A change of a student, ready to be written.
struct Update {
    student: UserId,
    owner: UserId,
    profile: user::ActiveModel,
    status: Option<Status>,
    event: audit_event::Model,
    now: DateTime<Utc>,
}

impl Rosters {
    /// Creates the service.
    pub fn new(db: Db, random: Arc<dyn RandomSource>) -> Self {
        Self { db, random }
    }

    /// A page of the students of a class, in the order of their names. Only the owner sees more than the names of active students.
    pub async fn page(
        &self,
        class: ClassId,
        caller: UserId,
        query: RosterQuery,
    ) -> Result<(Vec<RosterRow>, PageInfo), RosterError> {
        let db = self.db.read();
        let RosterQuery { page, status } = query;
        let found = class::Entity::find_with_standing(db, class, caller).await?;
        let (_, standing) = found.ok_or(RosterError::NoSuchClass)?;
        authorize("getStudentsByClassId", standing).map_err(|_| RosterError::NotMember)?;
        let view = if standing == Standing::Owner { View::Full } else { View::NamesOnly };
        if view == View::NamesOnly && status != Status::Active {
            return Err(RosterError::ActiveOnly);
        }
        let items = enrollment::Entity::roster(class, status).count(db).await?;
        let ids = enrollment::Entity::roster_page(class, status, page).into_tuple().all(db).await?;
        let rows = enrollment::Entity::with_students(db, ids).await?;
        let rows = rows.into_iter().map(|(enrollment, user)| RosterRow { user, enrollment, view });
        Ok((rows.collect(), page.of(items)))
    }

    /// Changes a student on behalf of the owner of classes of the student. The status changes in those of these classes in which the
    /// student is active, or otherwise in the newest one. Returns the newest changed enrollment.
    pub async fn update(
        &self,
        student: UserId,
        owner: UserId,
        change: StudentChange,
        now: DateTime<Utc>,
    ) -> Result<RosterRow, UpdateError> {
        let event = audit_event::Model::new(Action::AccountChange, now, &*self.random)
            .user(student)
            .by_owner(owner)
            .because("profile");
        let profile = change.profile(now);
        let update = Update { student, owner, profile, status: change.status, event, now };
        self.db.transaction(update, |db, change| Box::pin(update_student(db, change))).await?
    }
}

/// A refusal comes before the first change, so that a transaction without an error may be committed in any case.
async fn update_student(
    db: &impl ConnectionTrait,
    update: &Update,
) -> Result<Result<RosterRow, UpdateError>, DbErr> {
    let &Update { student, owner, status, now, .. } = update;
    // The classes keep their owner, and then the account its kind, until the end of the transaction.
    let rows = enrollment::Entity::in_classes(owner, student).all(db).await?;
    let mut classes: Vec<ClassId> = rows.iter().map(|row| row.class_id).collect();
    classes.sort();
    for class in classes {
        enrollment::Entity::lock_class(db, class).await?;
    }
    let account = user::Entity::hold_account(db, student).await?;
    let rows = enrollment::Entity::in_classes(owner, student).all(db).await?;
    let standing = if rows.is_empty() { Standing::Stranger } else { Standing::Owner };
    if authorize("updateStudent", standing).is_err() {
        return Ok(Err(UpdateError::NoSuchStudent));
    }
    let (active, former): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row: &enrollment::Model| row.status == Status::Active);
    let is_active = !active.is_empty();
    let changed: Vec<_> = if is_active { active } else { former.into_iter().take(1).collect() };
    let (Some(account), Some(newest)) = (account, changed.first()) else {
        return Ok(Err(UpdateError::NoSuchStudent));
    };
    let put_into_class = changed.iter().any(|row| row.origin != Origin::JoinCode);
    if update.profile.is_changed() && !(account.school_account && is_active && put_into_class) {
        return Ok(Err(UpdateError::NotSchoolAccount));
    }
    if status == Some(Status::Active) && !is_active {
        let candidate = Candidate { class: newest.class_id, owner, student, now };
        match seat::readmit(db, candidate).await? {
            None => {}
            Some(NoSeat::Full) => return Ok(Err(UpdateError::ClassFull)),
            Some(NoSeat::Inactive) => return Ok(Err(UpdateError::ClassInactive)),
            Some(NoSeat::NotOwned) => return Ok(Err(UpdateError::NoSuchStudent)),
        }
    }
    if update.profile.is_changed() && user::Entity::change(db, student, update.profile.clone()).await? {
        let event = audit_event::Model { class_id: Some(newest.class_id), ..update.event.clone() };
        audit_event::Entity::record(db, event).await?;
    }
    if let Some(status) = status.filter(|status| *status != Status::Active) {
        let ids = changed.iter().map(|row| row.id).collect();
        enrollment::Entity::set_status(db, ids, status, now).await?;
    }
    let row = enrollment::Entity::with_students(db, vec![newest.id]).await?.pop();
    let row = row.map(|(enrollment, user)| RosterRow { user, enrollment, view: View::Full });
    Ok(row.ok_or(UpdateError::NoSuchStudent))
}
