//! The operator's settings. Each is a flag and an environment variable.

mod accounts;
mod audit;
mod data;
mod hashing;
mod mail;
mod passwords;
mod secret_file;
mod sessions;
mod students;
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

pub use self::{
    accounts::Accounts,
    audit::Audit,
    data::{Data, DatabaseError},
    hashing::Hashing,
    mail::{Mail, MailError},
    passwords::Passwords,
    sessions::Sessions,
    students::{StudentPasswords, Students, join_page, student_domain},
};
use crate::{
    classroom, identity,
    rate_limit::policies::{JoinLimits, PasswordLimits},
};

/// Limits on guessing passwords. Only failures count.
#[derive(Debug, Clone, Args)]
pub struct PasswordGuessing {
    /// The maximum number of wrong passwords for one account from one address (IPv6: /64) before there is a wait. The wait is 1 s,
    /// doubles with each further failure, and is at most 15 min. One failure is forgotten every 15 min, and all of them after a
    /// success. 0 is no limit
    #[arg(long, env = "HOMEROOM_PASSWORD_FREE_FAILURES", value_name = "COUNT",
          default_value_t = PasswordLimits::DEFAULT.free)]
    pub password_free_failures: u32,

    /// The maximum number of wrong passwords for one account from all addresses, of which one is forgotten every 15 min. Beyond it,
    /// the account can sign in only from addresses where it signed in within 90 days. 0 is no limit
    #[arg(long, env = "HOMEROOM_PASSWORD_ACCOUNT_FAILURES", value_name = "COUNT",
          default_value_t = PasswordLimits::DEFAULT.account)]
    pub password_account_failures: u32,

    /// The maximum number of wrong passwords from one address (IPv6: one /64, /56, /48) in 5 min. Beyond it, accounts with a failure
    /// from that address are refused. 0 is no limit
    #[arg(long, env = "HOMEROOM_PASSWORD_ADDRESS_FAILURES", value_name = "COUNT",
          default_value_t = PasswordLimits::DEFAULT.address)]
    pub password_address_failures: u32,

    /// The maximum number of wrong passwords from one address (IPv6: one /64, /56, /48) in 5 min. Beyond it, accounts are refused that
    /// have not signed in from that address within 90 days. 0 is no limit
    #[arg(long, env = "HOMEROOM_PASSWORD_ADDRESS_SPRAY", value_name = "COUNT",
          default_value_t = PasswordLimits::DEFAULT.address_spray)]
    pub password_address_spray: u32,

    /// The maximum number of wrong passwords from all addresses in 5 min, counted in 16 parts. Beyond it, accounts are refused that have
    /// not signed in from their address within 90 days. 0 is no limit
    #[arg(long, env = "HOMEROOM_PASSWORD_SERVER_SPRAY", value_name = "COUNT",
          default_value_t = PasswordLimits::DEFAULT.server_spray)]
    pub password_server_spray: u32,
}

impl PasswordGuessing {
    /// The limits.
    pub fn limits(&self) -> PasswordLimits {
        PasswordLimits {
            free: self.password_free_failures,
            account: self.password_account_failures,
            address: self.password_address_failures,
            address_spray: self.password_address_spray,
            server_spray: self.password_server_spray,
        }
    }
}

/// Limits on guessing passwords and join codes. Only failures count.
#[derive(Debug, Clone, Args)]
pub struct RateLimits {
    /// The limits on guessing passwords.
    #[command(flatten)]
    pub passwords: PasswordGuessing,

    /// The maximum number of wrong join codes of one user in 5 min. 0 is no limit
    #[arg(long, env = "HOMEROOM_JOIN_USER_FAILURES", value_name = "COUNT",
          default_value_t = JoinLimits::DEFAULT.user)]
    pub join_user_failures: u32,

    /// The maximum number of wrong join codes from one address (IPv6: one /64, /56, /48) in 5 min. Beyond it, users who sent one are
    /// refused. 0 is no limit
    #[arg(long, env = "HOMEROOM_JOIN_ADDRESS_FAILURES", value_name = "COUNT",
          default_value_t = JoinLimits::DEFAULT.address)]
    pub join_address_failures: u32,

    /// The reverse proxies whose `Forwarded` or `X-Forwarded-For` header is trusted, as addresses or networks, separated by commas
    /// [default: none]
    #[arg(long, env = "HOMEROOM_TRUSTED_PROXIES", value_name = "NETWORKS", value_delimiter = ',',
          value_parser = trusted_proxy::parse)]
    pub trusted_proxies: Vec<IpNet>,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object per line, with its spans.
    Json,
}

/// Connections, TLS and metrics.
#[derive(Debug, Clone, Args)]
pub struct Http {
    /// The address and port of `GET /metrics` for Prometheus [default: no metrics]
    #[arg(long, env = "HOMEROOM_METRICS_LISTEN", value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,

    /// The maximum number of connections. Each takes up to 96 KiB, or 128 KiB with TLS. Further connections wait in the queue of the
    /// operating system
    #[arg(long, env = "HOMEROOM_MAX_CONNECTIONS", value_name = "COUNT", default_value = "1024")]
    pub max_connections: NonZeroUsize,

    /// The maximum number of connections from one client address (IPv6: /48), and never more than are free. Further connections are
    /// closed. Those of --trusted-proxies are exempt. 0 is no limit [default: half of --max-connections]
    #[arg(long, env = "HOMEROOM_MAX_CONNECTIONS_PER_ADDRESS", value_name = "COUNT")]
    pub max_connections_per_address: Option<usize>,

    /// The seconds after which an idle connection is closed (1 to 3600). It must exceed the idle timeout of a proxy or load balancer in
    /// front, often 60 s. Otherwise some requests fail on a closed connection
    #[arg(long, env = "HOMEROOM_KEEP_ALIVE", value_name = "SECONDS",
          default_value_t = 75, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub keep_alive: u64,

    /// The TLS certificate with its chain, as PEM. It is read again every minute [default: no TLS, as behind a proxy]
    #[arg(long, env = "HOMEROOM_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The private key of the certificate, as PEM [default: no TLS]
    #[arg(long, env = "HOMEROOM_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// `max-age` of `Strict-Transport-Security` in seconds: browsers then use HTTPS only (RFC 6797) [default: no such header]
    #[arg(long, env = "HOMEROOM_HSTS", value_name = "SECONDS")]
    pub hsts: Option<u32>,
}

impl Http {
    /// The maximum number of connections from one client address. 0 is no limit.
    pub fn max_connections_per_address(&self) -> usize {
        // A school may share one address.
        self.max_connections_per_address.unwrap_or_else(|| self.max_connections.get().div_ceil(2))
    }

    /// The idle timeout of a connection.
    pub fn keep_alive(&self) -> Duration {
        Duration::from_secs(self.keep_alive)
    }

    /// The files of the certificate and its key, if TLS is configured.
    pub fn tls(&self) -> Option<(&Path, &Path)> {
        self.tls_cert.as_deref().zip(self.tls_key.as_deref())
    }
}

/// The settings of `serve` and `demo`.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// The address and port to listen on. Port 0 selects a free port
    #[arg(long, env = "HOMEROOM_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// The URL by which users reach the server. It is the audience of access tokens [default: http:// and the listen address;
    /// https:// with --tls-cert; required when that is a wildcard]
    #[arg(long, env = "HOMEROOM_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<Url>,

    /// The issuer (`iss`) of tokens, for clients that expect a certain value. Tokens of another issuer are refused [default: the public
    /// URL]
    #[arg(long, env = "HOMEROOM_ISSUER", value_name = "TEXT", value_parser = issuer)]
    pub issuer: Option<String>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would be the heading of the help")]
    pub data: Data,

    /// The filter for log lines on standard error, such as `warn` or `info,homeroom=debug`
    #[arg(long, env = "HOMEROOM_LOG", value_name = "FILTER", default_value = "info", value_parser = log_filter)]
    pub log: String,

    /// The format of log lines: `human`, or `json` with one object per line
    #[arg(long, env = "HOMEROOM_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would be the heading of the help")]
    pub http: Http,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would be the heading of the help")]
    pub mail: Mail,

    /// The lifetime of an authorization code, in seconds (10 to 600)
    #[arg(long, env = "HOMEROOM_CODE_LIFE", value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(i64).range(10..=600))]
    pub code_life: i64,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would be the heading of the help")]
    pub sessions: Sessions,

    /// The lifetime of a join code, in minutes (1 to 527040, which are 366 days)
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
    pub passwords: Passwords,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would be the heading of the help")]
    pub audit: Audit,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would be the heading of the help")]
    pub rate_limits: RateLimits,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would be the heading of the help")]
    pub accounts: Accounts,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would be the heading of the help")]
    pub students: Students,
}

/// The listen address is a wildcard, so that the public URL cannot be derived from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("--public-url is required when --listen is a wildcard address")]
pub struct PublicUrlRequired;

impl Config {
    /// The public URL of a server that listens on this address.
    pub fn public_url(&self, listening: SocketAddr) -> Result<Url, PublicUrlRequired> {
        match &self.public_url {
            Some(url) => Ok(url.clone()),
            None if listening.ip().is_unspecified() => Err(PublicUrlRequired),
            None => Url::parse(&format!("{}://{listening}", self.scheme())).map_err(|_| PublicUrlRequired),
        }
    }

    /// The URL scheme of the listener.
    pub fn scheme(&self) -> &'static str {
        if self.http.tls().is_some() { "https" } else { "http" }
    }

    /// The settings of the sign-in services.
    pub fn identity(&self, public_url: &Url) -> identity::Settings {
        identity::Settings {
            issuer: self.issuer.clone().unwrap_or_else(|| audience(public_url)),
            audience: audience(public_url),
            code_life: TimeDelta::seconds(self.code_life),
            refresh_reuse_interval: self.sessions.refresh_reuse_interval(),
            password_policy: self.passwords.policy(),
            account_limits: self.accounts.limits(),
            rate_limit: self.rate_limits.passwords.limits(),
            student_domain: self.students.student_domain.clone(),
            keep_initial_passwords: self.students.keep_passwords(),
        }
    }

    /// The settings of the classroom services.
    pub fn classroom(&self) -> classroom::Settings {
        classroom::Settings {
            join_code_life: TimeDelta::minutes(self.join_code_life),
            join_code_rate: self.join_code_rate,
            classes_per_owner: self.students.classes_per_owner,
            join_page: self.students.join_page.clone(),
            rate_limit: JoinLimits {
                user: self.rate_limits.join_user_failures,
                address: self.rate_limits.join_address_failures,
            },
        }
    }
}

/// The public URL as tokens contain it: without the trailing slash that URL parsers add to a bare host.
pub fn audience(public_url: &Url) -> String {
    public_url.as_str().trim_end_matches('/').to_owned()
}

/// RFC 7519 allows any text as an issuer. A blank in it is probably a mistake.
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
        // In a relative reference, a path that begins with // names another host (RFC 3986 section 4.2).
        && !url.path().contains("//");
    if matches!(url.scheme(), "http" | "https") && plain { Ok(url) } else { Err(RULE) }
}
