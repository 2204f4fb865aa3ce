//! Classes, as an operator lists, reads, changes and removes them.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait};

use super::classes::ClassChange;
use crate::{
    db::{self, Db},
    domain::{
        id::{ClassId, UserId},
        sort_key::SortKey,
        sourced_id::SourcedId,
    },
    entity::{
        audit_event::{self, Action, Actor},
        class::{self, Guard},
        class_row::{self, Selection},
        enrollment::{self, Status},
        join_code, roster_row, user,
    },
    random::RandomSource,
};

/// Rows per query.
const PAGE: u64 = 500;

/// The maximum number of classes of one name that an error lists.
const NAMESAKES: u64 = 10;

/// Reads classes page by page, so that a list of any length needs the memory of one page.
pub struct ClassReader {
    db: Db,
    selection: Selection,
    after: Option<class::Model>,
}

impl ClassReader {
    /// Begins at the first class: the oldest, or with a search the first by name.
    pub fn new(db: Db, selection: Selection) -> Self {
        Self { db, selection, after: None }
    }

    /// The next classes. None are left if there are none.
    pub async fn next(&mut self) -> Result<Vec<class::Model>, DbErr> {
        let page = class_row::page(&self.selection, self.after.as_ref(), PAGE).all(self.db.read()).await?;
        if let Some(last) = page.last() {
            self.after = Some(last.clone());
        }
        Ok(page)
    }
}

/// A student of a class: the enrollment and the account.
pub type Student = (enrollment::Model, user::Model);

/// Reads the students of a class with one status page by page, sorted by name.
pub struct StudentReader {
    db: Db,
    class: ClassId,
    status: Status,
    after: Option<enrollment::Model>,
}

impl StudentReader {
    /// Begins at the first student.
    pub fn new(db: Db, class: ClassId, status: Status) -> Self {
        Self { db, class, status, after: None }
    }

    /// The next students. None are left if there are none.
    pub async fn next(&mut self) -> Result<Vec<Student>, DbErr> {
        let page = class_row::students(self.class, self.status, self.after.as_ref(), PAGE);
        let page = page.all(self.db.read()).await?;
        if let Some((last, _)) = page.last() {
            self.after = Some(last.clone());
        }
        Ok(page.into_iter().filter_map(|(enrollment, user)| Some((enrollment, user?))).collect())
    }
}

/// A class with everything that belongs to it.
#[derive(Debug, Clone)]
pub struct Details {
    /// The class.
    pub class: class::Model,
    /// Its owner. `None` if the account was removed since the class was read.
    pub owner: Option<user::Model>,
    /// The number of students for each status that one of them has.
    pub students: Vec<(Status, i64)>,
    /// The join code, unless it is expired.
    pub join_code: Option<join_code::Model>,
}

/// Reads a class. `None` if it does not exist.
pub async fn read(db: &Db, id: ClassId, now: DateTime<Utc>) -> Result<Option<Details>, DbErr> {
    let db = db.read();
    let Some(class) = class::Entity::find_by_id(id).one(db).await? else { return Ok(None) };
    let owner = user::Entity::find_by_id(class.owner_id).one(db).await?;
    let students = class_row::count_students(db, id).await?;
    let join_code = join_code::Entity::find_valid(db, id, now).await?;
    Ok(Some(Details { class, owner, students, join_code }))
}

/// Why a text names no class.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No class has this id, id of the school or name.
    #[error("there is no such class")]
    NoSuchClass,
    /// Several classes have this name.
    #[error("several classes have this name; name one by its id: {}", list(.0))]
    Several(Vec<ClassId>),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The class with this id, this id in the school's own system, or this name.
pub async fn find(db: &Db, text: &str) -> Result<class::Model, FindError> {
    let db = db.read();
    if let Ok(id) = text.parse::<ClassId>()
        && let Some(class) = class::Entity::find_by_id(id).one(db).await?
    {
        return Ok(class);
    }
    if let Ok(id) = SourcedId::parse(text)
        && let Some(class) = class_row::find_by_sourced_id(db, id).await?
    {
        return Ok(class);
    }
    let mut classes = class_row::find_by_name_key(db, SortKey::of(&[text]), NAMESAKES).await?;
    if classes.iter().any(|class| class.name.as_str() == text) {
        // Names that differ in case or accents are other classes.
        classes.retain(|class| class.name.as_str() == text);
    }
    match classes.pop() {
        None => Err(FindError::NoSuchClass),
        Some(class) if classes.is_empty() => Ok(class),
        Some(class) => {
            classes.push(class);
            Err(FindError::Several(classes.iter().map(|class| class.id).collect()))
        }
    }
}

fn list(ids: &[ClassId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Why a class was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The class does not exist.
    #[error("the class does not exist")]
    NoSuchClass,
    /// The account of the new owner was removed since it was read.
    #[error("the account of the new owner was removed")]
    NoSuchOwner,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// Changes a class, and gives it to another owner, whose enrollment in it ends. A value that is not set stays.
pub async fn change(
    db: &Db,
    id: ClassId,
    change: ClassChange,
    owner: Option<UserId>,
    now: DateTime<Utc>,
    random: &dyn RandomSource,
) -> Result<(), ChangeError> {
    let event = audit_event::Model::new(Action::ClassOwnerChange, now, random).by(Actor::Operator).class(id);
    let job = (id, change, owner, event);
    let changed = db.transaction(job, |db, (id, change, owner, event)| {
        Box::pin(async move {
            // The class stays as it is read here until the end of the transaction.
            enrollment::Entity::lock_class(db, *id).await?;
            let Some(class) = class::Entity::find_by_id(*id).one(db).await? else { return Ok(false) };
            let mut columns = change.columns(&class);
            let owner = owner.filter(|owner| *owner != class.owner_id);
            if let Some(owner) = owner {
                columns.owner_id = Set(owner);
            }
            if columns.is_changed() {
                roster_row::change_class(db, *id, columns, event.at).await?;
            }
            if let Some(owner) = owner {
                enrollment::Entity::delete_of_owner(db, owner).await?;
                audit_event::Entity::record(db, event.clone().user(owner)).await?;
            }
            Ok(true)
        })
    });
    match changed.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(ChangeError::NoSuchClass),
        Err(error) if db::kind(&error) == db::ErrorKind::ForeignKeyViolation => Err(ChangeError::NoSuchOwner),
        Err(error) => Err(error.into()),
    }
}

/// Removes a class with its enrollments and its join code, and records it. Returns whether the class existed.
pub async fn remove(
    db: &Db,
    id: ClassId,
    now: DateTime<Utc>,
    random: &dyn RandomSource,
) -> Result<bool, DbErr> {
    let event = audit_event::Model::new(Action::ClassDelete, now, random).by(Actor::Operator).class(id);
    db.transaction((id, event), |db, (id, event)| Box::pin(remove_recorded(db, *id, event))).await
}

async fn remove_recorded(
    db: &impl ConnectionTrait,
    id: ClassId,
    event: &audit_event::Model,
) -> Result<bool, DbErr> {
    // The event names the owner at the time of the removal.
    enrollment::Entity::lock_class(db, id).await?;
    let Some(class) = class::Entity::find_by_id(id).one(db).await? else { return Ok(false) };
    let guard = Guard { id, owner: class.owner_id, versions: None };
    if !class::Entity::remove(db, &guard).await? {
        return Ok(false);
    }
    audit_event::Entity::record(db, event.clone().user(class.owner_id)).await?;
    Ok(true)
}
