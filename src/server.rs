//! The composition root: builds the services and the HTTP endpoint. `main` and the tests call it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use ipnet::IpNet;
use poem::{Endpoint, Response};
use url::Url;

use crate::{
    api::{
        self, Services,
        openapi::{Document, DocumentError},
    },
    classroom::{self, Classroom},
    clock::Clock,
    db::Db,
    http::{
        client_address::TrustedProxies,
        metrics_endpoint::{MetricsEndpoint, MetricsError},
    },
    identity::{
        self, Identity,
        password_hashing::PasswordHashing,
        signing_keys::{ReloadKeys, SigningKeys},
    },
    jobs::{Runner, sweep::Sweep},
    mail::{self, Outbox, Sender},
    random::RandomSource,
    school::{self, School},
};

/// The period of the jobs that reload files and delete expired rows.
pub const UPKEEP: Duration = Duration::from_mins(1);

/// The dependencies and settings of a server.
pub struct Parts {
    /// The database.
    pub db: Db,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub random: Arc<dyn RandomSource>,
    /// The threads that hash passwords.
    pub hashing: PasswordHashing,
    /// The keys that sign tokens.
    pub keys: SigningKeys,
    /// The URL by which users reach the server.
    pub public_url: Url,
    /// `max-age` of `Strict-Transport-Security` in seconds. `None` sends no such header.
    pub hsts: Option<u32>,
    /// The settings of sign-in.
    pub identity: identity::Settings,
    /// The settings of classes.
    pub classroom: classroom::Settings,
    /// The settings of accounts that the school makes.
    pub school: school::Settings,
    /// The settings of mails.
    pub mail: mail::Settings,
    /// The age at which an event of the audit trail is deleted. `None` keeps all events.
    pub audit_retention: Option<TimeDelta>,
    /// The proxies whose `Forwarded` and `X-Forwarded-For` headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
}

/// The services of a server, and everything that its endpoint needs.
#[derive(Clone)]
pub struct Server {
    /// Sign-in, tokens and apps.
    pub identity: Arc<Identity>,
    /// Classes.
    pub classroom: Arc<Classroom>,
    /// Accounts that the school makes.
    pub school: Arc<School>,
    /// Sends mails.
    pub sender: Sender,
    db: Db,
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomSource>,
    public_url: Url,
    trusted_proxies: TrustedProxies,
    hsts: Option<u32>,
    audit_retention: Option<TimeDelta>,
    draining: Arc<AtomicBool>,
}

/// Builds the OpenAPI document of a server whose public URL has this path.
pub fn document(public_path: &str) -> Result<Document, DocumentError> {
    Document::new(public_path)
}

impl Server {
    /// Builds the services.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            db,
            clock,
            random,
            hashing,
            keys,
            public_url,
            trusted_proxies,
            hsts,
            identity,
            classroom,
            school,
            mail: mail::Settings { composer, from, delivery },
            audit_retention,
        } = parts;
        let (outbox, draining) = (Outbox::new(composer), Arc::new(AtomicBool::new(false)));
        let sender = Sender::new(db.clone(), clock.clone(), from, delivery, &outbox, draining.clone());
        let identity = Arc::new(Identity::new(db.clone(), random.clone(), hashing, keys, outbox, identity));
        Self {
            sender,
            school: Arc::new(School::new(&db, &random, &identity, school)),
            identity,
            classroom: Arc::new(Classroom::new(&db, &random, &classroom)),
            db,
            clock,
            random,
            public_url,
            trusted_proxies: TrustedProxies::new(trusted_proxies),
            hsts,
            audit_retention,
            draining,
        }
    }

    /// Reports the server as not ready from now on, so that load balancers send new requests to other nodes. Mails that are being
    /// sent have until the end of [`Runner::stop`], and no more are begun.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Starts the background jobs.
    pub fn start_jobs(&self) -> Runner {
        let mut runner = Runner::default();
        runner.every(UPKEEP, ReloadKeys(self.identity.keys.clone()));
        runner.every(UPKEEP, Sweep::new(self.db.clone(), self.clock.clone(), self.audit_retention));
        self.sender.start(&mut runner);
        runner
    }

    /// Installs the metrics recorder of the process, and returns the endpoint that reads it. Works once per process, and before
    /// [`endpoint`](Self::endpoint), which uses the recorder that is installed then.
    pub fn metrics(&self) -> Result<MetricsEndpoint, MetricsError> {
        MetricsEndpoint::record(self.db.clone())
    }

    /// The HTTP endpoint of the API. It builds the OpenAPI document, so that an error in the document stops the start and not a
    /// request.
    pub fn endpoint(&self) -> Result<impl Endpoint<Output = Response> + 'static, DocumentError> {
        Ok(self.endpoint_with(&Arc::new(document(self.public_url.path())?)))
    }

    /// The same, with a document that was built before for the path of this server's public URL.
    pub fn endpoint_with(&self, document: &Arc<Document>) -> impl Endpoint<Output = Response> + use<> {
        let services = Services {
            identity: self.identity.clone(),
            classroom: self.classroom.clone(),
            school: self.school.clone(),
            db: self.db.clone(),
            document: document.clone(),
            public_url: self.public_url.clone(),
            draining: self.draining.clone(),
        };
        let endpoint = api::endpoint(services, self.trusted_proxies.clone());
        let (identity, clock, random) = (self.identity.clone(), self.clock.clone(), self.random.clone());
        api::middleware(endpoint, document, identity, clock, random, self.hsts)
    }
}
