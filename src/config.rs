//! What an operator decides, each by a flag or by its environment variable. Rooms get their own part of it.

mod trusted_proxy;

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::TimeDelta;
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use tracing_subscriber::EnvFilter;
use url::Url;
use zeroize::Zeroizing;

use crate::{
    classroom,
    db::{self, DatabaseUrl, InvalidDatabaseUrl},
    identity,
    identity::password_hashing::{self, HashEngine},
    rate_limit::policies::{JoinLimits, PasswordLimits},
};

/// Where data is kept.
#[derive(Debug, Clone, Args)]
pub struct Data {
    /// The directory of the signing keys, and of the SQLite database unless another is named
    #[arg(long, env = "HOMEROOM_DATA_DIR", value_name = "DIR", default_value = "data")]
    pub data_dir: PathBuf,

    /// The database, `postgres://USER:PASSWORD@HOST/NAME` or `sqlite:PATH` [default: homeroom.db in the data directory]
    #[arg(long, env = "HOMEROOM_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<SecretUrl>,

    /// A file that holds the database's URL, such as a container's secret, with or without a line break at its end; instead of
    /// --database-url [default: none]
    #[arg(long, env = "HOMEROOM_DATABASE_URL_FILE", value_name = "FILE", conflicts_with = "database_url")]
    pub database_url_file: Option<PathBuf>,

    /// How many connections to PostgreSQL there may be at once (1 to 1000)
    #[arg(long, env = "HOMEROOM_DATABASE_CONNECTIONS", value_name = "COUNT",
          default_value_t = db::CONNECTIONS, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub database_connections: u32,
}

/// A database URL that has not been read yet. It may hold a password, so that neither help nor errors show it.
#[derive(Clone)]
pub struct SecretUrl(String);

impl From<String> for SecretUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl std::fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretUrl(..)")
    }
}

/// No database can be named by what an operator says.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL is none.
    #[error("--database-url: {0}")]
    Url(InvalidDatabaseUrl),
    /// What the file holds is no URL.
    #[error("--database-url-file {}: {cause}", path.display())]
    UrlInFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with the URL.
        cause: InvalidDatabaseUrl,
    },
    /// The file cannot be read.
    #[error("--database-url-file {} cannot be read: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
}

impl Data {
    /// The database.
    pub fn database(&self) -> Result<DatabaseUrl, DatabaseError> {
        if let Some(path) = &self.database_url_file {
            let path = path.clone();
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => Zeroizing::new(text),
                Err(cause) => return Err(DatabaseError::File { path, cause }),
            };
            // Editors put a byte order mark before a text, and a line break after it.
            let url = text.trim_start_matches('\u{FEFF}');
            let url = url.strip_suffix('\n').map_or(url, |url| url.strip_suffix('\r').unwrap_or(url));
            return url.parse().map_err(|cause| DatabaseError::UrlInFile { path, cause });
        }
        match &self.database_url {
            Some(SecretUrl(url)) => url.parse().map_err(DatabaseError::Url),
            None => Ok(DatabaseUrl::in_directory(&self.data_dir)),
        }
    }

    /// The directory of the signing keys.
    pub fn keys(&self) -> PathBuf {
        self.data_dir.join("keys")
    }

    /// The directory itself.
    pub fn directory(&self) -> &Path {
        &self.data_dir
    }
}

/// How passwords are hashed.
#[derive(Debug, Clone, Args)]
pub struct Hashing {
    /// What fills the memory of the password hash: `simd` is the faster, `argon2` the reference
    #[arg(long, env = "HOMEROOM_HASH_ENGINE", value_name = "ENGINE", value_enum, default_value_t)]
    pub hash_engine: HashEngine,

    /// How many threads hash, each with 19 MiB of its own while it is busy [default: one per core]
    #[arg(long, env = "HOMEROOM_HASH_WORKERS", value_name = "COUNT")]
    pub hash_workers: Option<NonZeroUsize>,

    /// How many sign-ins may wait for a thread before further ones are refused (503). After a stall of the database up to four
    /// times as many may wait [default: half a second's worth, at least 32 per thread]
    #[arg(long, env = "HOMEROOM_HASH_QUEUE", value_name = "COUNT")]
    pub hash_queue: Option<NonZeroUsize>,
}

impl Hashing {
    /// The workers' part.
    pub fn settings(&self) -> password_hashing::Settings {
        let default = password_hashing::Settings::default();
        let workers = self.hash_workers.unwrap_or(default.workers);
        password_hashing::Settings { engine: self.hash_engine, workers, queue: self.hash_queue, ..default }
    }
}

/// Limits on guessing. Only failures count.
#[derive(Debug, Clone, Args)]
pub struct RateLimits {
    /// How many wrong passwords for one account from one address (IPv6: /64) have no consequence. After the last of them
    /// and each further one the account has to wait there: 1 s at first, twice as long each time, at most 15 min. One
    /// failure is forgotten every 15 min, and all of them at a success; 0 is no limit
    #[arg(long, env = "HOMEROOM_PASSWORD_FREE_FAILURES", value_name = "COUNT",
          default_value_t = PasswordLimits::DEFAULT.free)]
    pub password_free_failures: u32,

    /// How many wrong passwords for one account, from all addresses together, may be remembered, of which one is forgotten every
    /// 15 min. Beyond, only addresses are let in from which the account signed in within 90 days; 0 is no limit
    #[arg(long, env = "HOMEROOM_PASSWORD_ACCOUNT_FAILURES", value_name = "COUNT",
          default_value_t = PasswordLimits::DEFAULT.account)]
    pub password_account_failures: u32,

    /// How many wrong passwords may come from one address (IPv6: from one /64, /56, /48) in 5 min. Beyond, accounts are
    /// refused that have failed from there; 0 is no limit
    #[arg(long, env = "HOMEROOM_PASSWORD_ADDRESS_FAILURES", value_name = "COUNT",
          default_value_t = PasswordLimits::DEFAULT.address)]
    pub password_address_failures: u32,

    /// How many wrong passwords may come from one address (IPv6: from one /64, /56, /48) in 5 min. Beyond, accounts are
    /// refused that have not signed in from there within 90 days; 0 is no limit
    #[arg(long, env = "HOMEROOM_PASSWORD_ADDRESS_SPRAY", value_name = "COUNT",
          default_value_t = PasswordLimits::DEFAULT.address_spray)]
    pub password_address_spray: u32,

    /// How many wrong passwords may come from all addresses together in 5 min, counted in 16 parts. Beyond, accounts are
    /// refused that have not signed in from their address within 90 days; 0 is no limit
    #[arg(long, env = "HOMEROOM_PASSWORD_SERVER_SPRAY", value_name = "COUNT",
          default_value_t = PasswordLimits::DEFAULT.server_spray)]
    pub password_server_spray: u32,

    /// How many join codes that admit nobody one user may try in 5 min; 0 is no limit
    #[arg(long, env = "HOMEROOM_JOIN_USER_FAILURES", value_name = "COUNT",
          default_value_t = JoinLimits::DEFAULT.user)]
    pub join_user_failures: u32,

    /// How many join codes that admit nobody may come from one address (IPv6: from one /64, /56, /48) in 5 min. Beyond,
    /// users are refused who have tried one; 0 is no limit
    #[arg(long, env = "HOMEROOM_JOIN_ADDRESS_FAILURES", value_name = "COUNT",
          default_value_t = JoinLimits::DEFAULT.address)]
    pub join_address_failures: u32,

    /// The reverse proxies, as addresses or networks, whose `Forwarded` or `X-Forwarded-For` says where a request comes
    /// from; comma-separated [default: none]
    #[arg(long, env = "HOMEROOM_TRUSTED_PROXIES", value_name = "NETWORKS", value_delimiter = ',',
          value_parser = trusted_proxy::parse)]
    pub trusted_proxies: Vec<IpNet>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// A JSON object a line, with the spans that it stands in.
    Json,
}

/// How the server is reached, and by whom it is watched.
#[derive(Debug, Clone, Args)]
pub struct Doors {
    /// The address and port to answer `GET /metrics` on, for Prometheus [default: nothing is measured]
    #[arg(long, env = "HOMEROOM_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,

    /// How many connections there may be at once, each with up to 96 KiB, or 128 KiB with TLS; more wait in the system's
    /// queue
    #[arg(long, env = "HOMEROOM_MAX_CONNECTIONS", value_name = "COUNT", default_value = "1024")]
    pub max_connections: NonZeroUsize,

    /// How many connections there may be at once from one client address (IPv6: /48), and never more than there are free
    /// places; more are closed at once. Those of --trusted-proxies are exempt; 0 is no limit [default: half of
    /// --max-connections]
    #[arg(long, env = "HOMEROOM_MAX_CONNECTIONS_PER_ADDRESS", value_name = "COUNT")]
    pub max_connections_per_address: Option<usize>,

    /// How many seconds a connection may idle after an answer (1 to 3600). It has to be longer than the time after which a
    /// proxy or load balancer in front closes an idle connection, often 60 s; else some requests meet a closed connection
    #[arg(long, env = "HOMEROOM_KEEP_ALIVE", value_name = "SECONDS",
          default_value_t = 75, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub keep_alive: u64,

    /// The certificate to show, with its chain, as PEM; read again every minute [default: no TLS, as behind a proxy]
    #[arg(long, env = "HOMEROOM_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's private key, as PEM [default: no TLS]
    #[arg(long, env = "HOMEROOM_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Tells browsers to use nothing but HTTPS for as many seconds (RFC 6797) [default: they are not told]
    #[arg(long, env = "HOMEROOM_HSTS", value_name = "SECONDS")]
    pub hsts: Option<u32>,
}

impl Doors {
    /// How many connections one client address may have; 0 is no limit.
    pub fn max_connections_per_address(&self) -> usize {
        // A whole school may be behind one address.
        self.max_connections_per_address.unwrap_or_else(|| self.max_connections.get().div_ceil(2))
    }

    /// How long a connection may idle after an answer.
    pub fn keep_alive(&self) -> Duration {
        Duration::from_secs(self.keep_alive)
    }

    /// The files of the certificate and of its key, if there is to be TLS.
    pub fn tls(&self) -> Option<(&Path, &Path)> {
        self.tls_cert.as_deref().zip(self.tls_key.as_deref())
    }
}

/// What `serve` and `demo` take.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, env = "HOMEROOM_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// The server's own URL, as its users know it: the audience of the access tokens [default: http:// and the listen
    /// address; https:// with --tls-cert; required when that is a wildcard]
    #[arg(long, env = "HOMEROOM_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<Url>,

    /// The issuer (`iss`) of the tokens, for clients that expect a constant there. Tokens of another issuer are refused
    /// [default: the public URL]
    #[arg(long, env = "HOMEROOM_ISSUER", value_name = "TEXT", value_parser = issuer)]
    pub issuer: Option<String>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would be the heading of the help")]
    pub data: Data,

    /// Which log lines to write to standard error, such as `warn` or `info,homeroom=debug`
    #[arg(long, env = "HOMEROOM_LOG", value_name = "FILTER", default_value = "info", value_parser = log_filter)]
    pub log: String,

    /// How to write them: `human`, or `json` with a line for each
    #[arg(long, env = "HOMEROOM_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would be the heading of the help")]
    pub doors: Doors,

    /// How long an authorization code can be redeemed, in seconds (10 to 600)
    #[arg(long, env = "HOMEROOM_CODE_LIFE", value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(i64).range(10..=600))]
    pub code_life: i64,

    /// How long a join code admits, in minutes (1 to 527040, which are 366 days)
    #[arg(long, env = "HOMEROOM_JOIN_CODE_LIFE", value_name = "MINUTES", default_value_t = 10_080,
          value_parser = clap::value_parser!(i64).range(1..=527_040))]
    pub join_code_life: i64,

    /// Join codes that may be generated for one class at once, and then in each minute; 0 sets no limit
    #[arg(long, env = "HOMEROOM_JOIN_CODE_RATE", value_name = "COUNT", default_value_t = 60)]
    pub join_code_rate: u32,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would be the heading of the help")]
    pub hashing: Hashing,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would be the heading of the help")]
    pub rate_limits: RateLimits,
}

/// The server listens on every address, and nobody said by which of them it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("--public-url is required when --listen is a wildcard address")]
pub struct PublicUrlRequired;

impl Config {
    /// The public URL, given the address that is listened on.
    pub fn public_url(&self, listening: SocketAddr) -> Result<Url, PublicUrlRequired> {
        match &self.public_url {
            Some(url) => Ok(url.clone()),
            None if listening.ip().is_unspecified() => Err(PublicUrlRequired),
            None => Url::parse(&format!("{}://{listening}", self.scheme())).map_err(|_| PublicUrlRequired),
        }
    }

    /// What is spoken on the address that is listened on.
    pub fn scheme(&self) -> &'static str {
        if self.doors.tls().is_some() { "https" } else { "http" }
    }

    /// The sign-in room's part.
    pub fn identity(&self, public_url: &Url) -> identity::Settings {
        let limits = &self.rate_limits;
        identity::Settings {
            issuer: self.issuer.clone().unwrap_or_else(|| audience(public_url)),
            audience: audience(public_url),
            code_life: TimeDelta::seconds(self.code_life),
            rate_limit: PasswordLimits {
                free: limits.password_free_failures,
                account: limits.password_account_failures,
                address: limits.password_address_failures,
                address_spray: limits.password_address_spray,
                server_spray: limits.password_server_spray,
            },
        }
    }

    /// The classroom's part.
    pub fn classroom(&self) -> classroom::Settings {
        classroom::Settings {
            join_code_life: TimeDelta::minutes(self.join_code_life),
            join_code_rate: self.join_code_rate,
            rate_limit: JoinLimits {
                user: self.rate_limits.join_user_failures,
                address: self.rate_limits.join_address_failures,
            },
        }
    }
}

/// The public URL as tokens name it: without the slash that the standard puts behind a bare host.
pub fn audience(public_url: &Url) -> String {
    public_url.as_str().trim_end_matches('/').to_owned()
}

/// RFC 7519 takes any text as an issuer. A blank in it is a mistake.
fn issuer(text: &str) -> Result<String, &'static str> {
    const RULE: &str = "must be 1 to 255 visible ASCII characters";
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && (1..=255).contains(&text.len()) { Ok(text.to_owned()) } else { Err(RULE) }
}

fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn public_url(text: &str) -> Result<Url, &'static str> {
    const RULE: &str = "must be an http or https URL without user name, query, fragment and doubled slash";
    let url = Url::parse(text).map_err(|_| RULE)?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        // In a relative reference, a path that begins so names another host (RFC 3986 section 4.2).
        && !url.path().contains("//");
    if matches!(url.scheme(), "http" | "https") && plain { Ok(url) } else { Err(RULE) }
}
