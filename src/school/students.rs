//! New students: an account, a user name, a password and a seat in the class of a teacher.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use tokio::task::spawn_blocking;

use super::{
    bulk::{Bulk, BulkBusy},
    credentials::{Credentials, MakeError, NewPassword, Person},
    ownership::{self, OwnershipError},
    student_import::{self, ImportedStudent},
};
use crate::{
    classroom::rosters::{RosterRow, View},
    csv_table::Faults,
    db::{self, Db, ErrorKind},
    domain::{
        email::Email,
        id::{ClassId, EnrollmentId, UserId},
        person::{AvatarUrl, PersonName, PhoneNumber},
        word_password::WordPassword,
    },
    entity::{
        audit_event::{self, Action},
        enrollment::{self, Origin, Status},
        school_account::{self, NewAccounts},
        seat::{self, NoSeat},
        user::{self, PasswordState},
    },
    identity::password_hashing::HashError,
    metrics::ENROLLMENTS,
    random::RandomSource,
    rate_limit::{
        limiter::{self, LimitError, Limiter},
        policies,
    },
};

/// The maximum number of tries, if other requests take the user names at the same time.
const TRIES: u32 = 5;
/// Adds students to classes.
pub struct Students {
    db: Db,
    random: Arc<dyn RandomSource>,
    credentials: Credentials,
    limiter: Limiter,
    bulk: Bulk,
    account_rate: u32,
    import_rate: u32,
}

/// A student to add.
#[derive(Debug, Clone)]
pub struct NewStudent {
    /// The first name.
    pub first_name: PersonName,
    /// The last name.
    pub last_name: PersonName,
    /// An address whose local part is the wish for the user name. Nothing else of it is kept.
    pub wish: Option<Email>,
    /// The phone number.
    pub phone_number: Option<PhoneNumber>,
    /// The URL of a picture.
    pub avatar_url: Option<AvatarUrl>,
}

impl From<ImportedStudent> for NewStudent {
    fn from(ImportedStudent { first_name, last_name, email, phone_number }: ImportedStudent) -> Self {
        Self { first_name, last_name, wish: email, phone_number, avatar_url: None }
    }
}

/// A student with a new password.
#[derive(Debug, Clone)]
pub struct Added {
    /// The student, as the owner of the class sees it.
    pub row: RosterRow,
    /// The password, to show it once.
    pub password: WordPassword,
}

/// The reason why no student was added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The operator has set no domain for user names.
    #[error("the operator has set no student domain")]
    Disabled,
    /// The user may not do this with the class.
    #[error(transparent)]
    Class(#[from] OwnershipError),
    /// The teacher sent too many requests.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The class is not in use.
    #[error("the class is not in use")]
    Inactive,
    /// The class has fewer seats than there are new students.
    #[error("the class has too few seats")]
    Full,
    /// Another request makes many accounts now.
    #[error(transparent)]
    Busy(#[from] BulkBusy),
    /// Others took the user names in each try.
    #[error("no user name was free in {TRIES} tries")]
    NamesTaken,
    /// There are no credentials.
    #[error(transparent)]
    Credentials(#[from] MakeError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl From<HashError> for AddError {
    fn from(error: HashError) -> Self {
        MakeError::from(error).into()
    }
}

/// The reason why a file was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is no valid file of students.
    #[error("the file has faults")]
    File(Faults),
    /// The server could not read the file.
    #[error("the file could not be read")]
    Unread,
    /// The students cannot be added.
    #[error(transparent)]
    Add(#[from] AddError),
}

/// Where students are added, and by whom.
#[derive(Debug, Clone, Copy)]
struct Addition {
    class: ClassId,
    owner: UserId,
    now: DateTime<Utc>,
}

impl Students {
    /// Creates the service. A rate is a number of requests of one teacher at once, and then per hour. 0 is no limit.
    pub(super) fn new(
        db: Db,
        random: Arc<dyn RandomSource>,
        credentials: Credentials,
        bulk: Bulk,
        account_rate: u32,
        import_rate: u32,
    ) -> Self {
        let limiter = Limiter::new(db.clone());
        Self { db, random, credentials, limiter, bulk, account_rate, import_rate }
    }

    /// Adds a student on behalf of the owner of a class.
    pub async fn add(
        &self,
        class: ClassId,
        owner: UserId,
        student: NewStudent,
        now: DateTime<Utc>,
    ) -> Result<Added, AddError> {
        let count = policies::student_accounts_by(owner, self.account_rate);
        let action = limiter::Action::MakeStudentAccounts;
        let addition = Addition { class, owner, now };
        self.check("createAndEnrollStudent", addition).await?;
        self.limiter.count(action, count, now).await?;
        self.check_seats(addition, 1).await?;
        let password = self.credentials.password().await?;
        let mut added = self.insert(addition, &[student], vec![password]).await?;
        added.pop().ok_or(AddError::NamesTaken)
    }

    /// Adds the students of a file, all or none, on behalf of the owner of a class. A file with faults counts in the limit too.
    pub async fn import(
        &self,
        class: ClassId,
        owner: UserId,
        file: Vec<u8>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Added>, ImportError> {
        let count = policies::student_imports_by(owner, self.import_rate);
        let addition = Addition { class, owner, now };
        self.check("submitImport", addition).await?;
        // Before the count, so that a request that finds no permit costs the teacher nothing.
        let _permit = self.bulk.begin().await.map_err(AddError::from)?;
        let counted = self.limiter.count(limiter::Action::ImportStudents, count, now).await;
        counted.map_err(AddError::from)?;
        let students: Vec<NewStudent> = read(file).await?.into_iter().map(NewStudent::from).collect();
        self.check_seats(addition, students.len()).await?;
        let passwords = self.credentials.passwords(students.len(), |_| ()).await.map_err(AddError::from)?;
        Ok(self.insert(addition, &students, passwords).await?)
    }

    /// Checks the caller, before any work that takes long.
    async fn check(
        &self,
        operation: &'static str,
        Addition { class, owner, .. }: Addition,
    ) -> Result<(), AddError> {
        if !self.credentials.has_domain() {
            return Err(AddError::Disabled);
        }
        Ok(ownership::check(&self.db, operation, class, owner).await?)
    }

    /// Checks the seats before any password is hashed.
    async fn check_seats(
        &self,
        Addition { class, owner, .. }: Addition,
        wanted: usize,
    ) -> Result<(), AddError> {
        admitted(seat::no_seats(self.db.read(), class, owner, wanted).await?)
    }

    /// Inserts the students. Another request may take their user names at the same time, and then there is another try.
    async fn insert(
        &self,
        addition: Addition,
        students: &[NewStudent],
        passwords: Vec<NewPassword>,
    ) -> Result<Vec<Added>, AddError> {
        let people: Vec<Person> = students.iter().map(Person::from).collect();
        for _ in 0..TRIES {
            let names = self.credentials.user_names(&people).await?;
            let new = self.rows(addition, students, names, &passwords);
            let insert = self.db.transaction(new.clone(), |db, new| Box::pin(school_account::add(db, new)));
            match Box::pin(insert).await {
                Ok(seats) => admitted(seats)?,
                Err(error) if db::kind(&error) == ErrorKind::UniqueViolation => continue,
                Err(error) => return Err(error.into()),
            }
            metrics::counter!(ENROLLMENTS).increment(new.users.len() as u64);
            let rows = new.users.into_iter().zip(new.enrollments);
            let added = rows.zip(passwords).map(|((user, enrollment), password)| Added {
                row: RosterRow { user, enrollment, view: View::Full },
                password: password.password,
            });
            return Ok(added.collect());
        }
        Err(AddError::NamesTaken)
    }

    fn rows(
        &self,
        Addition { class, owner, now }: Addition,
        students: &[NewStudent],
        names: Vec<Email>,
        passwords: &[NewPassword],
    ) -> NewAccounts {
        let mut new =
            NewAccounts { class, owner, users: Vec::new(), enrollments: Vec::new(), events: Vec::new() };
        for ((student, email), password) in students.iter().zip(names).zip(passwords) {
            let NewStudent { first_name, last_name, wish: _, phone_number, avatar_url } = student.clone();
            let user = user::Model {
                first_name: Some(first_name),
                last_name: Some(last_name),
                phone_number,
                avatar_url,
                school_account: true,
                password_state: PasswordState::Initial,
                ..user::Model::new(UserId::new(now, &*self.random), email, password.hash.clone(), now)
            };
            new.enrollments.push(enrollment::Model {
                id: EnrollmentId::new(now, &*self.random),
                class_id: class,
                student_id: user.id,
                enrolled_at: now.date_naive(),
                status: Status::Active,
                created_at: now,
                updated_at: now,
                origin: Origin::Owner,
                student_key: user::sort_key(user.id, user.first_name.as_ref(), user.last_name.as_ref()),
                sourced_id: None,
            });
            let event = audit_event::Model::new(Action::AccountCreate, now, &*self.random);
            new.events.push(event.user(user.id).by_owner(owner).class(class));
            new.users.push(user);
        }
        new
    }
}

impl From<&NewStudent> for Person {
    fn from(student: &NewStudent) -> Self {
        let NewStudent { first_name, last_name, wish, phone_number: _, avatar_url: _ } = student;
        Self { first: first_name.clone(), last: last_name.clone(), wish: wish.clone() }
    }
}

/// Reads a file away from the threads that serve requests.
async fn read(file: Vec<u8>) -> Result<Vec<ImportedStudent>, ImportError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "reading a file is no hash, and one request reads at a time"
    )]
    let students = spawn_blocking(move || student_import::parse(&file));
    let students = students.await.map_err(|error| {
        // The text of a panic may contain cells of the file.
        tracing::error!(panicked = error.is_panic(), "a file of students could not be read");
        ImportError::Unread
    })?;
    students.map_err(ImportError::File)
}

fn admitted(reason: Option<NoSeat>) -> Result<(), AddError> {
    match reason {
        None => Ok(()),
        // The owner was checked before, so the class went to another one, or was deleted.
        Some(NoSeat::NotOwned) => Err(OwnershipError::NoSuchClass.into()),
        Some(NoSeat::Inactive) => Err(AddError::Inactive),
        Some(NoSeat::Full) => Err(AddError::Full),
    }
}
