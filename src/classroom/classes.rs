//! Classes: created, listed, read, changed and deleted.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, PaginatorTrait,
};

use super::authorization::authorize;
use crate::{
    db::Db,
    domain::{
        class_name::ClassName,
        class_settings::ClassSettings,
        description::ClassDescription,
        e_tag::IfMatch,
        id::{ClassId, UserId},
        join_code::JoinCode,
        max_students::MaxStudents,
        page::{PageInfo, PageRequest},
        sort_key::SortKey,
    },
    entity::{
        audit_event::{self, Action},
        class::{self, Creation, Guard, Sort, Visible},
        join_code,
    },
    random::RandomSource,
};

/// Creates, lists, reads, changes and deletes classes.
pub struct Classes {
    db: Db,
    random: Arc<dyn RandomSource>,
    per_owner: u32,
}

/// A class as a user sees it.
#[derive(Debug, Clone)]
pub struct VisibleClass {
    /// The class.
    pub class: class::Model,
    /// The join code. `None` if there is no valid one, and for every user but the owner.
    pub join_code: Option<JoinCode>,
}

/// A class to create.
#[derive(Debug, Clone)]
pub struct NewClass {
    /// The id. `None` generates one.
    pub id: Option<ClassId>,
    /// The name.
    pub name: ClassName,
    /// The description.
    pub description: Option<ClassDescription>,
    /// The settings of the client.
    pub settings: Option<ClassSettings>,
    /// The maximum number of active students.
    pub max_students: Option<MaxStudents>,
    /// Whether joining with a code needs the owner's approval.
    pub requires_approval: bool,
}

impl NewClass {
    /// A class with a name and nothing else.
    pub fn named(name: ClassName) -> Self {
        Self {
            id: None,
            name,
            description: None,
            settings: None,
            max_students: None,
            requires_approval: false,
        }
    }

    fn row(self, owner: UserId, now: DateTime<Utc>, random: &dyn RandomSource) -> class::Model {
        let Self { id, name, description, settings, max_students, requires_approval } = self;
        class::Model {
            id: id.unwrap_or_else(|| ClassId::new(now, random)),
            owner_id: owner,
            name_key: SortKey::of(&[name.as_str()]),
            name,
            description,
            settings,
            is_active: true,
            max_students,
            requires_approval,
            version: 0,
            sourced_id: None,
            left_roster: false,
            created_at: now,
            updated_at: now,
        }
    }
}

/// A change of a class. A value that is not set stays, and `None` removes it.
#[derive(Debug, Clone)]
pub struct ClassChange {
    /// The name.
    pub name: Option<ClassName>,
    /// The description.
    pub description: ActiveValue<Option<ClassDescription>>,
    /// The settings of the client.
    pub settings: ActiveValue<Option<ClassSettings>>,
    /// Whether the class is in use.
    pub is_active: Option<bool>,
    /// The maximum number of active students.
    pub max_students: ActiveValue<Option<MaxStudents>>,
    /// Whether joining with a code needs the owner's approval.
    pub requires_approval: Option<bool>,
}

impl ClassChange {
    /// No change.
    pub fn none() -> Self {
        Self {
            name: None,
            description: ActiveValue::NotSet,
            settings: ActiveValue::NotSet,
            is_active: None,
            max_students: ActiveValue::NotSet,
            requires_approval: None,
        }
    }

    /// The changed columns: those whose value differs from `class`.
    pub(super) fn columns(&self, class: &class::Model) -> class::ActiveModel {
        let Self { name, description, settings, is_active, max_students, requires_approval } = self.clone();
        let name = name.filter(|name| *name != class.name);
        class::ActiveModel {
            name_key: set(name.as_ref().map(|name| SortKey::of(&[name.as_str()]))),
            name: set(name),
            description: differing(description, &class.description),
            settings: differing(settings, &class.settings),
            is_active: set(is_active.filter(|is_active| *is_active != class.is_active)),
            // What its owner or an operator decides, an import does not undo.
            left_roster: set(is_active.filter(|_| class.left_roster).map(|_| false)),
            max_students: differing(max_students, &class.max_students),
            requires_approval: set(requires_approval.filter(|required| *required != class.requires_approval)),
            ..Default::default()
        }
    }
}

fn set<T: Into<sea_orm::Value>>(value: Option<T>) -> ActiveValue<T> {
    value.map_or(ActiveValue::NotSet, ActiveValue::Set)
}

fn differing<T: Into<sea_orm::Value> + PartialEq>(value: ActiveValue<T>, current: &T) -> ActiveValue<T> {
    match value {
        ActiveValue::Set(new) if new != *current => ActiveValue::Set(new),
        _ => ActiveValue::NotSet,
    }
}

/// A query for classes.
#[derive(Debug, Clone)]
pub struct ClassQuery {
    /// The page.
    pub page: PageRequest,
    /// The order.
    pub sort: Sort,
    /// A part of the name, compared without case and marks.
    pub search: Option<String>,
    /// Whether the classes are in use.
    pub is_active: Option<bool>,
}

/// The reason why no class was created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The user owns as many classes as allowed.
    #[error("the user owns as many classes as allowed")]
    LimitReached,
    /// The school made the account.
    #[error("student accounts cannot own classes")]
    SchoolAccount,
    /// The account was deleted after its token was issued.
    #[error("the account does not exist")]
    NoSuchUser,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The reason why a class cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The class does not exist.
    #[error("the class does not exist")]
    NoSuchClass,
    /// The reader neither owns the class nor is an active student of it.
    #[error("the reader is not a member of the class")]
    NotMember,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The reason why a class was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The class does not exist.
    #[error("the class does not exist")]
    NoSuchClass,
    /// Another user owns the class.
    #[error("another user owns the class")]
    NotOwner,
    /// The class does not have the version that the request names.
    #[error("the class was changed since it was read")]
    Changed,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The reason why a class was not deleted.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DeleteError(#[from] pub ChangeError);

impl Classes {
    /// Creates the service. A user may own `per_owner` classes, and 0 sets no limit.
    pub fn new(db: Db, random: Arc<dyn RandomSource>, per_owner: u32) -> Self {
        Self { db, random, per_owner }
    }

    /// Creates a class on behalf of its owner.
    pub async fn create(
        &self,
        class: NewClass,
        owner: UserId,
        now: DateTime<Utc>,
    ) -> Result<class::Model, CreateError> {
        let class = class.row(owner, now, &*self.random);
        let insert = self.db.transaction((class.clone(), self.per_owner), |db, (class, limit)| {
            Box::pin(class::Entity::create(db, class, *limit))
        });
        match insert.await? {
            Creation::Created => Ok(class),
            Creation::LimitReached => Err(CreateError::LimitReached),
            Creation::SchoolAccount => Err(CreateError::SchoolAccount),
            Creation::NoSuchOwner => Err(CreateError::NoSuchUser),
        }
    }

    /// Creates a class on behalf of an operator. Its owner must exist, and may own any number of classes.
    pub async fn create_unlimited(
        &self,
        class: NewClass,
        owner: UserId,
        now: DateTime<Utc>,
    ) -> Result<class::Model, DbErr> {
        let class = class.row(owner, now, &*self.random);
        let insert = self.db.write(class.clone().into_active_model(), |db, class| {
            Box::pin(class::Entity::insert(class.clone()).exec_without_returning(db))
        });
        insert.await?;
        Ok(class)
    }

    /// Finds a class on behalf of an operator.
    pub async fn find(&self, id: ClassId) -> Result<Option<class::Model>, DbErr> {
        class::Entity::find_by_id(id).one(self.db.read()).await
    }

    /// A page of the classes that a user owns or takes part in.
    pub async fn list(
        &self,
        caller: UserId,
        query: ClassQuery,
        now: DateTime<Utc>,
    ) -> Result<(Vec<VisibleClass>, PageInfo), DbErr> {
        let db = self.db.read();
        let ClassQuery { page, sort, search, is_active } = query;
        let filter = Visible { member: caller, search: search.map(|text| SortKey::of(&[&text])), is_active };
        let items = class::Entity::visible(&filter).count(db).await?;
        let classes = class::Entity::page(&filter, sort, page).all(db).await?;
        let own = classes.iter().filter(|class| class.owner_id == caller && class.is_active);
        let mut codes = join_code::Entity::valid_of(db, own.map(|class| class.id).collect(), now).await?;
        let classes = classes.into_iter().map(|class| {
            let join_code = codes.remove(&class.id);
            VisibleClass { class, join_code }
        });
        Ok((classes.collect(), page.of(items)))
    }

    /// Reads a class on behalf of a user.
    pub async fn read(
        &self,
        id: ClassId,
        reader: UserId,
        now: DateTime<Utc>,
    ) -> Result<VisibleClass, ReadError> {
        let found = class::Entity::find_with_standing(self.db.read(), id, reader).await?;
        let (class, standing) = found.ok_or(ReadError::NoSuchClass)?;
        authorize("getClassById", standing).map_err(|_| ReadError::NotMember)?;
        Ok(self.visible(class, reader, now).await?)
    }

    /// Changes a class on behalf of its owner, if it has one of these versions.
    pub async fn update(
        &self,
        id: ClassId,
        caller: UserId,
        change: ClassChange,
        versions: IfMatch,
        now: DateTime<Utc>,
    ) -> Result<VisibleClass, ChangeError> {
        let class = self.owned("updateClass", id, caller, &versions).await?;
        let columns = change.columns(&class);
        if !columns.is_changed() {
            return Ok(self.visible(class, caller, now).await?);
        }
        let guard = guard(id, caller, &versions);
        let changed = self.db.transaction((guard, columns, now), |db, (guard, columns, now)| {
            Box::pin(class::Entity::change(db, guard, columns, *now))
        });
        if let Some(class) = changed.await? {
            return Ok(self.visible(class, caller, now).await?);
        }
        // Since the query above, another request changed or deleted the class.
        self.owned("updateClass", id, caller, &versions).await?;
        Err(ChangeError::Changed)
    }

    /// Deletes a class on behalf of its owner, if it has one of these versions.
    pub async fn delete(
        &self,
        id: ClassId,
        caller: UserId,
        versions: IfMatch,
        now: DateTime<Utc>,
    ) -> Result<(), DeleteError> {
        self.owned("deleteClass", id, caller, &versions).await?;
        let event = audit_event::Model::new(Action::ClassDelete, now, &*self.random).user(caller).class(id);
        let deleted = self.db.transaction((guard(id, caller, &versions), event), |db, (guard, event)| {
            Box::pin(delete(db, guard, event))
        });
        if deleted.await.map_err(ChangeError::from)? {
            return Ok(());
        }
        // Since the query above, another request changed or deleted the class.
        self.owned("deleteClass", id, caller, &versions).await?;
        Err(ChangeError::Changed.into())
    }

    /// A class of which the caller may do this, with one of these versions.
    async fn owned(
        &self,
        operation: &'static str,
        id: ClassId,
        caller: UserId,
        versions: &IfMatch,
    ) -> Result<class::Model, ChangeError> {
        let found = class::Entity::find_with_standing(self.db.read(), id, caller).await?;
        let (class, standing) = found.ok_or(ChangeError::NoSuchClass)?;
        authorize(operation, standing).map_err(|_| ChangeError::NotOwner)?;
        if versions.admits(class.version) { Ok(class) } else { Err(ChangeError::Changed) }
    }

    async fn visible(
        &self,
        class: class::Model,
        user: UserId,
        now: DateTime<Utc>,
    ) -> Result<VisibleClass, DbErr> {
        let join_code = if class.owner_id == user && class.is_active {
            join_code::Entity::find_valid(self.db.read(), class.id, now).await?.map(|row| row.code)
        } else {
            None
        };
        Ok(VisibleClass { class, join_code })
    }
}

fn guard(id: ClassId, owner: UserId, versions: &IfMatch) -> Guard {
    Guard { id, owner, versions: versions.versions().map(<[i32]>::to_vec) }
}

/// Deletes a class and records it. Returns whether the guard admitted it.
async fn delete(db: &impl ConnectionTrait, guard: &Guard, event: &audit_event::Model) -> Result<bool, DbErr> {
    if !class::Entity::remove(db, guard).await? {
        return Ok(false);
    }
    audit_event::Entity::record(db, event.clone()).await?;
    Ok(true)
}
