//! Joining a class by its join code, leaving it, and what its owner does with one student.

use std::{net::IpAddr, sync::Arc};

use chrono::{DateTime, Utc};
use sea_orm::DbErr;

use super::{
    authorization::authorize,
    rosters::{RosterRow, View},
};
use crate::{
    db::Db,
    domain::{
        id::{ClassId, EnrollmentId, UserId},
        join_code::JoinCode,
        network::Network,
    },
    entity::{
        class, enrollment, join_code,
        seat::{self, Admission, Candidate, Joined, Joining, NoSeat},
    },
    random::RandomSource,
    rate_limit::{
        limiter::{Action, LimitError, Limiter},
        policies::JoinLimits,
    },
};

/// Enrolls students, and ends enrollments.
pub struct Enrollments {
    db: Db,
    random: Arc<dyn RandomSource>,
    limiter: Limiter,
    limits: JoinLimits,
}

/// The reason why a student was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The code is invalid, unknown, expired or replaced. The response does not say which.
    #[error("the join code admits to no class")]
    NoSuchCode,
    /// The student, or others in the same network, tried too many wrong codes.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The student owns the class.
    #[error("the owner of a class cannot join it")]
    OwnClass,
    /// The student is an active or a pending student of the class.
    #[error("the student is already enrolled")]
    AlreadyEnrolled,
    /// Every seat of the class is taken.
    #[error("the class is full")]
    ClassFull,
    /// The account was deleted after its token was issued.
    #[error("the account does not exist")]
    NoSuchUser,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The reason why a student did not leave a class.
#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    /// The class does not exist.
    #[error("the class does not exist")]
    NoSuchClass,
    /// The caller is neither an active nor a pending student of the class.
    #[error("the caller is no student of the class")]
    NotEnrolled,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The reason why a student was not removed from a class.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// The class does not exist.
    #[error("the class does not exist")]
    NoSuchClass,
    /// Another user owns the class.
    #[error("another user owns the class")]
    NotOwner,
    /// The class has no such active or pending student.
    #[error("the class has no such student")]
    NoSuchStudent,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

/// The reason why a student was not admitted.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// The class does not exist.
    #[error("the class does not exist")]
    NoSuchClass,
    /// Another user owns the class.
    #[error("another user owns the class")]
    NotOwner,
    /// The class has no such pending student.
    #[error("the class has no such pending student")]
    NoSuchStudent,
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

impl Enrollments {
    /// Creates the service.
    pub fn new(db: Db, random: Arc<dyn RandomSource>, limits: JoinLimits) -> Self {
        let limiter = Limiter::new(db.clone());
        Self { db, random, limiter, limits }
    }

    /// Enrolls a student in the class of a join code. A text that is not a join code counts as a wrong code.
    pub async fn join(
        &self,
        typed: &str,
        student: UserId,
        address: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<enrollment::Model, JoinError> {
        let counts = self.limits.counts(student, Network::of(address));
        let attempt = self.limiter.check(Action::Join, counts, now).await?;
        let reservation = self.limiter.reserve(attempt).await?;
        let found = match JoinCode::parse(typed) {
            Ok(code) => join_code::Entity::find_class(self.db.read(), &code, now)
                .await
                .map(|class| class.map(|class| (class, code))),
            Err(_) => Ok(None),
        };
        match found {
            Ok(Some((class, code))) => {
                // The code was right, so the attempt does not count, whatever happens next.
                let ((), joined) =
                    tokio::join!(reservation.release(), self.enroll(&class, &code, student, now));
                joined
            }
            Ok(None) => {
                reservation.commit().await?;
                Err(JoinError::NoSuchCode)
            }
            Err(error) => {
                reservation.release().await;
                Err(error.into())
            }
        }
    }

    async fn enroll(
        &self,
        class: &class::Model,
        code: &JoinCode,
        student: UserId,
        now: DateTime<Utc>,
    ) -> Result<enrollment::Model, JoinError> {
        if class.owner_id == student {
            return Err(JoinError::OwnClass);
        }
        let id = EnrollmentId::new(now, &*self.random);
        let joining = Joining { id, class: class.id, student, code: code.clone(), now };
        let join = self.db.transaction(joining, |db, joining| Box::pin(seat::join(db, joining)));
        match join.await? {
            Joined::Enrolled(enrollment) => {
                metrics::counter!(crate::metrics::ENROLLMENTS).increment(1);
                Ok(enrollment)
            }
            Joined::AlreadyEnrolled => Err(JoinError::AlreadyEnrolled),
            Joined::OwnClass => Err(JoinError::OwnClass),
            Joined::ClassFull => Err(JoinError::ClassFull),
            Joined::NoSuchCode => Err(JoinError::NoSuchCode),
            Joined::NoSuchUser => Err(JoinError::NoSuchUser),
        }
    }

    /// Ends the enrollment of a student on behalf of the student.
    pub async fn leave(&self, class: ClassId, student: UserId, now: DateTime<Utc>) -> Result<(), LeaveError> {
        let found = class::Entity::find_with_standing(self.db.read(), class, student).await?;
        let (_, standing) = found.ok_or(LeaveError::NoSuchClass)?;
        authorize("leaveClass", standing).map_err(|_| LeaveError::NotEnrolled)?;
        let end = self.db.write((class, student, now), |db, &(class, student, now)| {
            Box::pin(seat::end(db, class, student, None, now))
        });
        if end.await? { Ok(()) } else { Err(LeaveError::NotEnrolled) }
    }

    /// Ends the enrollment of a student on behalf of the owner of the class.
    pub async fn remove(
        &self,
        class: ClassId,
        owner: UserId,
        student: UserId,
        now: DateTime<Utc>,
    ) -> Result<(), RemoveError> {
        let found = class::Entity::find_with_standing(self.db.read(), class, owner).await?;
        let (_, standing) = found.ok_or(RemoveError::NoSuchClass)?;
        authorize("removeStudentFromClass", standing).map_err(|_| RemoveError::NotOwner)?;
        let end = self.db.write((class, student, owner, now), |db, &(class, student, owner, now)| {
            Box::pin(seat::end(db, class, student, Some(owner), now))
        });
        if end.await? { Ok(()) } else { Err(RemoveError::NoSuchStudent) }
    }

    /// Makes a pending student an active one, on behalf of the owner of the class. An active student stays one.
    pub async fn admit(
        &self,
        class: ClassId,
        owner: UserId,
        student: UserId,
        now: DateTime<Utc>,
    ) -> Result<RosterRow, AdmitError> {
        let found = class::Entity::find_with_standing(self.db.read(), class, owner).await?;
        let (_, standing) = found.ok_or(AdmitError::NoSuchClass)?;
        authorize("admitStudent", standing).map_err(|_| AdmitError::NotOwner)?;
        let candidate = Candidate { class, owner, student, now };
        let admit = self.db.transaction(candidate, |db, candidate| {
            Box::pin(async move {
                let admission = seat::admit(db, *candidate).await?;
                let Candidate { class, student, .. } = *candidate;
                Ok((admission, enrollment::Entity::find_with_student(db, class, student).await?))
            })
        });
        match admit.await? {
            (Admission::Admitted | Admission::AlreadyActive, Some((enrollment, user))) => {
                Ok(RosterRow { user, enrollment, view: View::Full })
            }
            (Admission::Refused(NoSeat::Full), _) => Err(AdmitError::ClassFull),
            (Admission::Refused(NoSeat::Inactive), _) => Err(AdmitError::ClassInactive),
            (Admission::Refused(NoSeat::NotOwned), _) => Err(AdmitError::NotOwner),
            (Admission::NoSuchStudent, _) | (_, None) => Err(AdmitError::NoSuchStudent),
        }
    }
}
