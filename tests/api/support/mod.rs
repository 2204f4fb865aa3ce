//! A sample school on a new database, with a clock and a random source that the test controls.

pub mod accounts;
mod answer;
mod databases;
mod envelope;
mod fixed_random;
pub mod page;
pub mod process;
pub mod proxy;
pub mod rosters;
pub mod signing_in;
pub mod smtp;
pub mod source;

use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, LazyLock, Mutex, OnceLock},
};

use chrono::{DateTime, TimeDelta, Utc};
use homeroom::{
    api::openapi::Document,
    classroom::{
        self,
        classes::{Classes, NewClass},
    },
    clock::Clock,
    config,
    db::Db,
    domain::{
        class_name::ClassName,
        email::Email,
        id::{AppId, ClassId, UserId},
        join_code::JoinCode,
        label::Label,
        mail_domain::MailDomain,
        password::Password,
        redirect_uri::RedirectUri,
    },
    entity::app,
    identity::{
        self,
        accounts::Accounts,
        apps::{Apps, Registration},
        password_hashing::{self, PasswordHashing},
        password_policy::PasswordPolicy,
        signing_keys::SigningKeys,
    },
    mail::{self, Composer, Delivery, OutboxDirectory},
    random::OsRandom,
    rate_limit::policies::{AccountLimits, JoinLimits, PasswordLimits},
    school,
    server::{Parts, Server},
};
use poem::{Endpoint, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

pub(crate) use self::databases::both;
pub use self::{
    answer::{ADDRESS, Answer, Call, PROTECTION, failure},
    databases::Kind,
    envelope::{CLASSROOM_CODES, SIGN_IN_CODES, assert_envelope, assert_failure},
    fixed_random::FixedRandom,
};

pub const APP: AppId = AppId::from_u128(0x1111_1111_1111_1111_1111_1111_1111_1111);
pub const OWN_CLASS: ClassId = ClassId::from_u128(0x2222_2222_2222_2222_2222_2222_2222_2222);
pub const OTHER_CLASS: ClassId = ClassId::from_u128(0x3333_3333_3333_3333_3333_3333_3333_3333);
pub const REDIRECT_URI: &str = "https://app.example.com/callback";
pub const TEACHER: &str = "user@example.com";
pub const STUDENT: &str = "student@example.com";
pub const COLLEAGUE: &str = "colleague@example.com";
pub const PASSWORD: &str = "VeryStrongPass123!";
pub const STUDENT_DOMAIN: &str = "students.example";
pub const STATE: &str = "state-from-client";
pub const PUBLIC_URL: &str = "https://homeroom.example.com";

/// A clock that stops until the test moves it.
#[derive(Debug)]
pub struct StoppedClock(Mutex<DateTime<Utc>>);

impl StoppedClock {
    /// Moves the clock.
    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

type BoxedEndpoint = Box<dyn poem::endpoint::DynEndpoint<Output = Response>>;

/// A server over a sample school: a teacher with a class, a colleague with another, and a student.
pub struct School {
    pub clock: Arc<StoppedClock>,
    pub random: Arc<FixedRandom>,
    pub db: Db,
    pub server: Server,
    endpoint: BoxedEndpoint,
    // Dropped last, because other fields may have files open in it.
    directory: TempDir,
}

impl School {
    /// Starts a school on a new database. Its clock shows 2026-05-04T09:42:00.250Z.
    pub async fn start(kind: Kind) -> Self {
        Self::start_with_hashing(
            kind,
            password_hashing::Settings {
                workers: NonZeroUsize::MIN,
                queue: NonZeroUsize::new(1024),
                ..Default::default()
            },
        )
        .await
    }

    /// Starts a school without rate limits.
    pub async fn start_without_limits(kind: Kind) -> Self {
        let mut school = Self::start(kind).await;
        school.restart(|parts| {
            parts.identity.rate_limit = PasswordLimits::NONE;
            parts.identity.account_limits = AccountLimits::NONE;
            parts.classroom.rate_limit = JoinLimits::NONE;
            parts.classroom.join_code_rate = 0;
            parts.school.account_rate = 0;
            parts.school.import_rate = 0;
        });
        school
    }

    /// Starts a school with these classroom settings.
    pub async fn start_with_classroom(kind: Kind, classroom: classroom::Settings) -> Self {
        let mut school = Self::start(kind).await;
        school.restart(|parts| parts.classroom = classroom);
        school
    }

    /// Starts a school with these hash settings.
    pub async fn start_with_hashing(kind: Kind, hashing: password_hashing::Settings) -> Self {
        let directory = TempDir::new().unwrap();
        let db = Db::connect(&kind.location(directory.path()).await).await.unwrap();
        db.migrate().await.unwrap();
        let now = DateTime::from_timestamp_millis(1_777_887_720_250).unwrap();
        let clock = Arc::new(StoppedClock(Mutex::new(now)));
        let random = Arc::new(FixedRandom::default());
        let hashing = PasswordHashing::start(hashing, &OsRandom).unwrap();
        populate(&db, &hashing, &random, now).await;
        keys_in(directory.path());
        let server = Server::new(parts(&db, &clock, &random, hashing, directory.path()));
        let endpoint = endpoint(&server, "/");
        Self { clock, random, db, server, endpoint, directory }
    }

    /// The directory of the signing keys.
    pub fn keys(&self) -> std::path::PathBuf {
        self.directory.path().join("keys")
    }

    /// Replaces the server by one with changed parts on the same database.
    pub fn restart(&mut self, change: impl FnOnce(&mut Parts)) {
        let hashing = password_hashing::Settings {
            workers: NonZeroUsize::MIN,
            queue: NonZeroUsize::new(1024),
            ..Default::default()
        };
        let hashing = PasswordHashing::start(hashing, &OsRandom).unwrap();
        let mut parts = parts(&self.db, &self.clock, &self.random, hashing, self.directory.path());
        change(&mut parts);
        let path = parts.public_url.path().to_owned();
        self.server = Server::new(parts);
        self.endpoint = endpoint(&self.server, &path);
    }

    /// A request, to be sent with [`Call::send`].
    pub fn post(&self, path: &str) -> Call<'_> {
        Call::new(self, "POST", path)
    }

    /// A request, to be sent with [`Call::send`].
    pub fn get(&self, path: &str) -> Call<'_> {
        Call::new(self, "GET", path)
    }

    /// A request of any method, to be sent with [`Call::send`].
    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        Call::new(self, method, path)
    }

    pub(self) async fn respond(&self, request: poem::Request) -> Response {
        self.endpoint.get_response(request).await
    }

    /// Signs in and returns the redirect URL.
    pub async fn sign_in(&self, email: &str) -> Url {
        let answer = self.post("/api/v1/codes").json(&sign_in_body(email)).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        Url::parse(answer.json()["items"][0]["nextAction"]["url"].as_str().unwrap()).unwrap()
    }

    /// Signs in and returns the code.
    pub async fn code(&self, email: &str) -> String {
        code_in(&self.sign_in(email).await)
    }

    /// Signs in and returns the access token.
    pub async fn token(&self, email: &str) -> String {
        let code = self.code(email).await;
        let answer = self.post("/api/v1/tokens").json(&exchange_body(&code)).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["items"][0]["accessToken"].as_str().unwrap().to_owned()
    }

    /// Generates a join code for the teacher's class.
    pub async fn generate_join_code(&self, token: &str) -> JoinCode {
        let answer = self.post(&format!("/classes/{OWN_CLASS}/join-code")).bearer(token).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        JoinCode::parse(answer.json()["data"]["joinCode"].as_str().unwrap()).unwrap()
    }

    /// Tries to join with a code.
    pub async fn join(&self, token: &str, code: &str) -> Answer {
        self.post(&format!("/classes/join/{code}")).bearer(token).send().await
    }

    /// The registration of the sample app.
    pub async fn registration(&self) -> Registration {
        Apps::new(self.db.clone()).find(APP).await.unwrap().unwrap()
    }

    /// Changes the sample app.
    pub async fn register(&self, change: impl FnOnce(&mut Registration)) {
        let mut registration = self.registration().await;
        change(&mut registration);
        Apps::new(self.db.clone()).register(&registration).await.unwrap();
    }

    /// Creates an account with the sample password.
    pub async fn add_account(&self, email: &str) -> UserId {
        let hashing = PasswordHashing::start(
            password_hashing::Settings {
                workers: NonZeroUsize::MIN,
                queue: NonZeroUsize::new(1024),
                ..Default::default()
            },
            &OsRandom,
        )
        .unwrap();
        account(&self.db, &hashing, &self.random, email, self.clock.now()).await
    }
}

/// The documented request to sign in.
pub fn sign_in_body(email: &str) -> Value {
    json!({
        "appUuid": APP,
        "email": email,
        "password": PASSWORD,
        "state": STATE,
        "redirectUri": REDIRECT_URI,
        "acceptPrivacyPolicy": false,
    })
}

/// The request to exchange a code.
pub fn exchange_body(code: &str) -> Value {
    json!({
        "client_id": APP,
        "service": "email",
        "grant_type": "authorization_code",
        "redirect_uri": REDIRECT_URI,
        "code": code,
        "state": STATE,
    })
}

/// The code in a redirect URL.
pub fn code_in(url: &Url) -> String {
    url.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}

async fn populate(db: &Db, hashing: &PasswordHashing, random: &FixedRandom, now: DateTime<Utc>) {
    let registration = Registration {
        app: app::Model::new(APP, Label::parse("Sample app").unwrap(), now),
        redirect_uris: vec![RedirectUri::register(REDIRECT_URI).unwrap()],
        login_domains: Vec::new(),
        mail_domains: Vec::new(),
    };
    Apps::new(db.clone()).register(&registration).await.unwrap();
    let classes = Classes::new(db.clone(), Arc::new(OsRandom), 0);
    let teacher = account(db, hashing, random, TEACHER, now).await;
    let colleague = account(db, hashing, random, COLLEAGUE, now).await;
    account(db, hashing, random, STUDENT, now).await;
    for (id, owner, name) in [(OWN_CLASS, teacher, "10A1"), (OTHER_CLASS, colleague, "10A2")] {
        let class = NewClass { id: Some(id), ..NewClass::named(ClassName::parse(name).unwrap()) };
        classes.create_unlimited(class, owner, now).await.unwrap();
    }
}

async fn account(
    db: &Db,
    hashing: &PasswordHashing,
    random: &FixedRandom,
    email: &str,
    now: DateTime<Utc>,
) -> UserId {
    let (email, password) = (Email::parse(email).unwrap(), Password::parse(PASSWORD).unwrap());
    Accounts::new(db.clone()).add(hashing, random, email, password, now).await.unwrap()
}

/// The parts of the server of a school. Its keys are in `directory`.
/// The endpoint of a server. Servers without a path share one document, which takes long to build.
fn endpoint(server: &Server, public_path: &str) -> BoxedEndpoint {
    static DOCUMENT: LazyLock<Arc<Document>> = LazyLock::new(|| Arc::new(Document::new("/").unwrap()));
    let document =
        if public_path == "/" { DOCUMENT.clone() } else { Arc::new(Document::new(public_path).unwrap()) };
    Box::new(poem::endpoint::ToDynEndpoint(server.endpoint_with(&document)))
}

fn parts(
    db: &Db,
    clock: &Arc<StoppedClock>,
    random: &Arc<FixedRandom>,
    hashing: PasswordHashing,
    directory: &Path,
) -> Parts {
    let public_url = Url::parse(PUBLIC_URL).unwrap();
    Parts {
        db: db.clone(),
        clock: clock.clone(),
        random: random.clone(),
        hashing,
        keys: SigningKeys::open(&directory.join("keys"), clock.now(), &OsRandom).unwrap(),
        identity: identity::Settings {
            issuer: config::audience(&public_url),
            audience: config::audience(&public_url),
            code_life: TimeDelta::seconds(60),
            refresh_reuse_interval: TimeDelta::seconds(10),
            password_policy: PasswordPolicy::default(),
            rate_limit: PasswordLimits::DEFAULT,
            account_limits: AccountLimits::DEFAULT,
            student_domain: Some(MailDomain::parse(STUDENT_DOMAIN).unwrap()),
            keep_initial_passwords: false,
        },
        classroom: classroom::Settings::default(),
        school: school::Settings {
            student_domain: Some(MailDomain::parse(STUDENT_DOMAIN).unwrap()),
            ..school::Settings::default()
        },
        audit_retention: None,
        mail: mail::Settings {
            composer: Composer::default(),
            from: "Homeroom <homeroom@localhost>".parse().unwrap(),
            delivery: Delivery::Files(OutboxDirectory::new(directory.join("outbox"))),
        },
        public_url,
        trusted_proxies: Vec::new(),
        hsts: None,
    }
}

/// A key directory in `directory`. All schools share one key, because generating a key takes long.
fn keys_in(directory: &Path) -> std::path::PathBuf {
    static KEY: OnceLock<(std::ffi::OsString, Vec<u8>)> = OnceLock::new();
    let (name, pem) = KEY.get_or_init(|| {
        let directory = TempDir::new().unwrap();
        SigningKeys::open(directory.path(), DateTime::UNIX_EPOCH, &OsRandom).unwrap();
        let file = std::fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap();
        (file.file_name(), std::fs::read(file.path()).unwrap())
    });
    let keys = directory.join("keys");
    std::fs::create_dir(&keys).unwrap();
    std::fs::write(keys.join(name), pem).unwrap();
    keys
}
