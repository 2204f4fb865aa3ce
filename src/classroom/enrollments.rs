//! Joining a class.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use sea_orm::DbErr;

use super::Classroom;
use crate::{
    db,
    domain::{
        id::{ClassId, EnrollmentId, UserId},
        join_code::{InvalidJoinCode, JoinCode},
        network::Network,
    },
    entity::{
        class,
        enrollment::{self, Status},
        join_code,
    },
    rate_limit::limiter::{Refusal, Secret},
};

/// Why nobody was enrolled.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The code is unknown, expired or replaced: nobody is told which.
    #[error("the join code admits to no class")]
    NoSuchCode,
    /// The student, or others from the same network, tried too many codes that admit nobody.
    #[error("too many failures")]
    RateLimited {
        /// In how many seconds to come again. At least 1.
        retry_after_seconds: u64,
    },
    /// The class is the bearer's own.
    #[error("the owner of a class cannot join it")]
    OwnClass,
    /// The student has a place in the class.
    #[error("the student is enrolled already")]
    AlreadyEnrolled,
    /// The account is gone since its token was issued.
    #[error("the account is gone")]
    NoSuchUser,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl From<Refusal> for JoinError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::RateLimited { retry_after_seconds } => Self::RateLimited { retry_after_seconds },
            Refusal::Database(error) => error.into(),
        }
    }
}

impl Classroom {
    /// Enrols `student` in the class that the code admits to which they `typed`, at an address. What can be no code
    /// is a guess like any other.
    pub async fn join(
        &self,
        typed: &str,
        student: UserId,
        address: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<enrollment::Model, JoinError> {
        let counts = self.settings.rate_limit.counts(student, Network::of(address));
        let attempt = self.limiter.check(Secret::JoinCode, counts, now).await?;
        let reservation = self.limiter.reserve(attempt).await?;
        let admitting = match JoinCode::parse(typed) {
            Ok(code) => join_code::Entity::find_class(self.db.read(), &code, now)
                .await
                .map(|class| class.map(|class| (class, code))),
            Err(InvalidJoinCode) => Ok(None),
        };
        match admitting {
            Ok(Some((class, code))) => {
                // Whatever comes of it, it was no guess.
                let ((), joined) =
                    tokio::join!(reservation.release(), self.enrol(&class, &code, student, now));
                joined
            }
            Ok(None) => {
                reservation.fail().await?;
                Err(JoinError::NoSuchCode)
            }
            Err(error) => {
                reservation.release().await;
                Err(error.into())
            }
        }
    }

    async fn enrol(
        &self,
        class: &class::Model,
        code: &JoinCode,
        student: UserId,
        now: DateTime<Utc>,
    ) -> Result<enrollment::Model, JoinError> {
        if class.owner_id == student {
            return Err(JoinError::OwnClass);
        }
        if enrollment::Entity::exists(self.db.read(), class.id, student).await? {
            return Err(JoinError::AlreadyEnrolled);
        }
        let enrollment = enrollment::Model {
            id: EnrollmentId::new(now, &*self.random),
            class_id: class.id,
            student_id: student,
            enrolled_at: now.date_naive(),
            status: Status::Active,
            created_at: now,
            updated_at: now,
        };
        let admit = self.db.write((enrollment.clone(), code.clone()), |db, (enrollment, code)| {
            Box::pin(enrollment::Entity::admit(db, enrollment, code))
        });
        match admit.await {
            Ok(true) => {
                metrics::counter!(crate::metrics::ENROLLMENTS).increment(1);
                Ok(enrollment)
            }
            Ok(false) => Err(self.why_not_admitted(class.id, student).await?),
            Err(error) if db::kind(&error) == db::ErrorKind::ForeignKeyViolation => {
                Err(JoinError::NoSuchUser)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The class was there a moment ago: another request enrolled this student since, or the code was replaced.
    async fn why_not_admitted(&self, class: ClassId, student: UserId) -> Result<JoinError, DbErr> {
        let enrolled = enrollment::Entity::exists(self.db.read(), class, student).await?;
        Ok(if enrolled { JoinError::AlreadyEnrolled } else { JoinError::NoSuchCode })
    }
}
