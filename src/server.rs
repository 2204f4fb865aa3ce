//! The composition root: one place where rooms and doors are put together. `main` and the tests call the same.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;
use poem::{Endpoint, EndpointExt, IntoEndpoint, Response};
use poem_openapi::OpenApiService;
use sea_orm::DbErr;
use url::Url;

use crate::{
    api::{
        classes::operations::Classes,
        openapi::{self, Document},
        service::operations::Service,
        sign_in::operations::SignInOperations,
    },
    classroom::{self, Classroom},
    clock::Clock,
    db::Db,
    http::{
        client_address::TrustedProxies,
        metrics_endpoint::{MetricsEndpoint, MetricsError},
        middleware::Middleware,
    },
    identity::{self, Identity, password_hashing::PasswordHashing, signing_keys::SigningKeys},
    random::RandomSource,
};

/// How far the clocks of this machine and of the database may be apart.
const APART: TimeDelta = TimeDelta::minutes(1);

/// What a server is made of.
pub struct Parts {
    /// The database.
    pub db: Db,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where chance comes from.
    pub random: Arc<dyn RandomSource>,
    /// The password hash's workers.
    pub hashing: PasswordHashing,
    /// The keys that tokens are signed with.
    pub keys: SigningKeys,
    /// The server's own address, as its users know it.
    pub public_url: Url,
    /// For how many seconds browsers are told to use nothing but HTTPS, if at all.
    pub hsts: Option<u32>,
    /// What an operator decides of signing in.
    pub identity: identity::Settings,
    /// What an operator decides of classes.
    pub classroom: classroom::Settings,
    /// The proxies that are believed when they say where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
}

/// The rooms of a server, without its doors.
#[derive(Clone)]
pub struct Server {
    /// Who somebody is.
    pub identity: Arc<Identity>,
    /// Classes.
    pub classroom: Arc<Classroom>,
    db: Db,
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomSource>,
    public_url: Url,
    trusted_proxies: TrustedProxies,
    hsts: Option<u32>,
    leaving: Arc<AtomicBool>,
}

impl Server {
    /// Furnishes the rooms.
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
        } = parts;
        Self {
            identity: Arc::new(Identity::new(db.clone(), random.clone(), hashing, keys, identity)),
            classroom: Arc::new(Classroom::new(&db, &random, &classroom)),
            db,
            clock,
            random,
            public_url,
            trusted_proxies: TrustedProxies::new(trusted_proxies),
            hsts,
            leaving: Arc::default(),
        }
    }

    /// Says from now on that the server is not ready: it is about to stop, and what comes should go elsewhere.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Clears away what is over, unless this clock and the database's disagree: then one of them is wrong, and what it calls
    /// over may be in use.
    pub async fn sweep(&self, now: DateTime<Utc>) -> Result<(), DbErr> {
        let ahead = now - self.db.clock().await?;
        if ahead.abs() > APART {
            let seconds = ahead.num_seconds();
            tracing::warn!(seconds, "nothing is swept: this clock is that far ahead of the database's");
            return Ok(());
        }
        self.identity.sweep(now).await
    }

    /// Begins to measure, and gives what was measured. Once in a process, and before the door is made, which keeps to
    /// the recorder that it finds.
    pub fn metrics(&self) -> Result<MetricsEndpoint, MetricsError> {
        MetricsEndpoint::record(self.db.clone())
    }

    /// The HTTP door.
    pub fn endpoint(&self) -> impl Endpoint<Output = Response> + 'static {
        // The document is written now: a fault in it stops the server here, not its first request.
        let document = Arc::new(Document::new(self.public_url.path()));
        let operations: openapi::Operations = (
            SignInOperations::new(self.identity.clone(), self.public_url.clone()),
            Classes::new(self.classroom.clone(), self.identity.clone()),
            Service::new(self.identity.clone(), self.db.clone(), document.clone(), self.leaving.clone()),
        );
        let service = OpenApiService::new(operations, "Homeroom", openapi::VERSION).into_endpoint();
        let service = service.data(self.trusted_proxies.clone());
        Middleware::new(
            service,
            document,
            self.identity.clone(),
            self.clock.clone(),
            self.random.clone(),
            self.hsts,
        )
    }
}
