//! Joining a class by its join code.

use std::{net::IpAddr, sync::Arc};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr};

use crate::{
    db::{self, Db, ErrorKind},
    domain::{
        id::{EnrollmentId, UserId},
        join_code::JoinCode,
        network::Network,
        sort_key::SortKey,
    },
    entity::{
        class,
        enrollment::{self, Origin, Status},
        join_code,
    },
    random::RandomSource,
    rate_limit::{
        limiter::{Action, LimitError, Limiter},
        policies::JoinLimits,
    },
};

/// Enrolls students.
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
    /// The student is already enrolled in the class.
    #[error("the student is already enrolled")]
    AlreadyEnrolled,
    /// The account was deleted after its token was issued.
    #[error("the account does not exist")]
    NoSuchUser,
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
            origin: Origin::JoinCode,
            student_key: SortKey::of(&[&student.to_string()]),
            sourced_id: None,
        };
        let admit = self.db.transaction((enrollment.clone(), code.clone()), |db, (enrollment, code)| {
            Box::pin(admit(db, enrollment, code))
        });
        match admit.await {
            Ok(true) => {
                metrics::counter!(crate::metrics::ENROLLMENTS).increment(1);
                Ok(enrollment)
            }
            // Since the queries above, another request enrolled the student, or a new code replaced this one.
            Ok(false) if enrollment::Entity::exists(self.db.read(), class.id, student).await? => {
                Err(JoinError::AlreadyEnrolled)
            }
            Ok(false) => Err(JoinError::NoSuchCode),
            Err(error) if db::kind(&error) == ErrorKind::ForeignKeyViolation => Err(JoinError::NoSuchUser),
            Err(error) => Err(error.into()),
        }
    }
}

/// Inserts an enrollment and counts it. Returns whether the code admitted the student.
async fn admit(
    db: &impl ConnectionTrait,
    enrollment: &enrollment::Model,
    code: &JoinCode,
) -> Result<bool, DbErr> {
    if !enrollment::Entity::admit(db, enrollment, code).await? {
        return Ok(false);
    }
    join_code::Entity::count_join(db, enrollment.class_id, code).await?;
    Ok(true)
}
