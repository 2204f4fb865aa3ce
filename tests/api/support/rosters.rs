//! Helpers for tests of rosters: many students, and the rows of a class.

use std::collections::HashSet;

use chrono::TimeDelta;
use homeroom::{
    classroom::classes::NewClass,
    clock::Clock,
    domain::{
        class_name::ClassName,
        email::Email,
        id::{ClassId, EnrollmentId, UserId},
        max_students::MaxStudents,
        person::PersonName,
        redirect_uri::RedirectUri,
        secret_token::AuthorizationCode,
        state::State,
    },
    entity::{
        authorization_code, class,
        enrollment::{self, Origin, Status},
        roster_row, user,
    },
    random::OsRandom,
};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use serde_json::Value;

use super::{APP, Answer, REDIRECT_URI, STATE, School, TEACHER, exchange_body};

impl School {
    /// Creates accounts `student0@example.com` and so on with the sample password, without the slow hash.
    pub async fn add_students(&self, count: usize) -> Vec<UserId> {
        let (hash, now) = (self.account(TEACHER).await.password_hash, self.clock.now());
        let account = |number: usize| {
            let email = Email::parse(&format!("student{number}@example.com")).unwrap();
            user::Model::new(UserId::new(now, &OsRandom), email, hash.clone(), now)
        };
        let accounts: Vec<user::Model> = (0..count).map(account).collect();
        roster_row::insert::<user::Entity, _>(self.db.writer(), &accounts).await.unwrap();
        accounts.into_iter().map(|account| account.id).collect()
    }

    /// Gives an account names.
    pub async fn name(&self, user: UserId, first: &str, last: &str) {
        let name = |text: &str| Set((!text.is_empty()).then(|| PersonName::parse(text).unwrap()));
        let names =
            user::ActiveModel { first_name: name(first), last_name: name(last), ..Default::default() };
        let change = self
            .db
            .transaction(names, move |db, names| Box::pin(user::Entity::change(db, user, names.clone())));
        assert!(change.await.unwrap());
    }

    /// Stores an authorization code, without the slow hash of a sign-in.
    pub async fn issue_code(&self, code: &str, user: UserId) {
        let now = self.clock.now();
        let issued = authorization_code::Model {
            digest: AuthorizationCode::presented(code).digest(),
            app_id: APP,
            user_id: user,
            redirect_uri: RedirectUri::register(REDIRECT_URI).unwrap(),
            state: State::parse(STATE).unwrap(),
            code_challenge: None,
            issued_at: now,
            expires_at: now + TimeDelta::seconds(60),
            redeemed_at: None,
            session_id: None,
        };
        let issue = self.db.write(issued.into_active_model(), |db, issued| {
            Box::pin(authorization_code::Entity::insert(issued.clone()).exec_without_returning(db))
        });
        issue.await.unwrap();
    }

    /// An access token of a user, without the slow hash.
    pub async fn token_of(&self, user: UserId) -> String {
        let code = format!("code-of-{user}");
        self.issue_code(&code, user).await;
        let answer = self.post("/api/v1/tokens").json(&exchange_body(&code)).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["items"][0]["accessToken"].as_str().unwrap().to_owned()
    }

    /// Access tokens of users.
    pub async fn tokens_of(&self, users: &[UserId]) -> Vec<String> {
        let mut tokens = Vec::new();
        for users in users.chunks(16) {
            tokens
                .extend(futures_util::future::join_all(users.iter().map(|user| self.token_of(*user))).await);
        }
        assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), users.len());
        tokens
    }

    /// Creates a class.
    pub async fn add_class(&self, owner: UserId, name: &str) -> ClassId {
        let class = NewClass {
            id: Some(ClassId::new(self.clock.now(), &OsRandom)),
            ..NewClass::named(ClassName::parse(name).unwrap())
        };
        self.server.classroom.classes.create_unlimited(class, owner, self.clock.now()).await.unwrap().id
    }

    /// Changes columns of a class.
    pub async fn set_class(&self, class: ClassId, columns: class::ActiveModel) {
        let change = class::Entity::update_many().set(columns).filter(class::Column::Id.eq(class));
        assert_eq!(change.exec(self.db.writer()).await.unwrap().rows_affected, 1);
    }

    /// Sets the number of seats of a class.
    pub async fn set_seats(&self, class: ClassId, most: i64) {
        let max_students = Set(Some(MaxStudents::new(most).unwrap()));
        self.set_class(class, class::ActiveModel { max_students, ..Default::default() }).await;
    }

    /// Makes students wait for approval, or not.
    pub async fn require_approval(&self, class: ClassId, required: bool) {
        let columns = class::ActiveModel { requires_approval: Set(required), ..Default::default() };
        self.set_class(class, columns).await;
    }

    /// Enrolls a student without a join code.
    pub async fn enroll(&self, class: ClassId, student: UserId, status: Status) -> EnrollmentId {
        let now = self.clock.now();
        let account = user::Entity::find_by_id(student).one(self.db.read()).await.unwrap().unwrap();
        let row = enrollment::Model {
            id: EnrollmentId::new(now, &OsRandom),
            class_id: class,
            student_id: student,
            enrolled_at: now.date_naive(),
            status,
            created_at: now,
            updated_at: now,
            origin: Origin::Owner,
            student_key: user::sort_key(student, account.first_name.as_ref(), account.last_name.as_ref()),
            sourced_id: None,
        };
        let id = row.id;
        enrollment::Entity::insert(row.into_active_model())
            .exec_without_returning(self.db.writer())
            .await
            .unwrap();
        id
    }

    /// The enrollment of a student.
    pub async fn enrollment(&self, class: ClassId, student: UserId) -> Option<enrollment::Model> {
        let rows = enrollment::Entity::find()
            .filter(enrollment::Column::ClassId.eq(class))
            .filter(enrollment::Column::StudentId.eq(student));
        let mut rows = rows.all(self.db.writer()).await.unwrap();
        assert!(rows.len() <= 1, "{rows:?}");
        rows.pop()
    }

    /// The status of a student's enrollment.
    pub async fn status(&self, class: ClassId, student: UserId) -> Option<Status> {
        self.enrollment(class, student).await.map(|row| row.status)
    }

    /// Sets the status of a student's enrollment.
    pub async fn set_status(&self, class: ClassId, student: UserId, status: Status) {
        let row = self.enrollment(class, student).await.unwrap();
        let mut row = row.into_active_model();
        row.status = Set(status);
        enrollment::Entity::update(row).exec(self.db.writer()).await.unwrap();
    }

    /// The number of active students of a class.
    pub async fn seats(&self, class: ClassId) -> u64 {
        enrollment::Entity::seats(self.db.writer(), class).await.unwrap()
    }

    /// Requests the students of a class. `query` begins with `?` unless it is empty.
    pub async fn roster(&self, token: &str, class: ClassId, query: &str) -> Answer {
        self.get(&format!("/classes/{class}/students{query}")).bearer(token).send().await
    }

    /// Leaves a class.
    pub async fn leave(&self, token: &str, class: ClassId) -> Answer {
        self.post(&format!("/classes/{class}/leave")).bearer(token).send().await
    }

    /// Removes a student from a class.
    pub async fn remove_student(&self, token: &str, class: ClassId, student: UserId) -> Answer {
        self.call("DELETE", &format!("/classes/{class}/students/{student}")).bearer(token).send().await
    }

    /// Admits a student to a class.
    pub async fn admit(&self, token: &str, class: ClassId, student: UserId) -> Answer {
        self.post(&format!("/classes/{class}/students/{student}/admit")).bearer(token).send().await
    }

    /// Changes a student.
    pub async fn update_student(&self, token: &str, student: UserId, body: &Value) -> Answer {
        self.call("PUT", &format!("/students/{student}")).bearer(token).json(body).send().await
    }
}
