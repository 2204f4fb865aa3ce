//! `homeroom app`

use std::io::Write;

use clap::{Args, Subcommand};

use super::{COMMAND_CONNECTIONS, Failure, say, with_database, with_existing};
use crate::{
    clock::{Clock, SystemClock},
    config::Data,
    db::Db,
    domain::{id::AppId, label::Label, origin::LoginDomain, redirect_uri::RedirectUri},
    entity::app,
    identity::apps::{Apps, RegisterError, Registration},
    random::OsRandom,
};

/// How long access and id tokens live unless an operator says otherwise, in minutes.
const ACCESS_TOKEN_MINUTES: i32 = 60;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Register an app and print its client id
    Add {
        /// The client id [default: a new one]
        #[arg(long, value_name = "UUID")]
        id: Option<AppId>,
        /// What people call it
        #[arg(long, value_name = "NAME", value_parser = |text: &str| Label::parse(text))]
        name: Label,
        #[command(flatten)]
        details: Box<Details>,
        #[command(flatten)]
        data: Data,
    },
    /// Change an app: what is not said stays as it is
    Set {
        /// The client id
        #[arg(value_name = "UUID")]
        id: AppId,
        /// What people call it
        #[arg(long, value_name = "NAME", value_parser = |text: &str| Label::parse(text))]
        name: Option<Label>,
        #[command(flatten)]
        details: Box<Details>,
        #[command(flatten)]
        data: Data,
    },
    /// Print every app: id, name, standing, then a line for each thing registered for it
    List(Data),
}

/// What is said of an app. `Option` is what was not said.
#[derive(Debug, Args)]
struct Details {
    /// Where it may send its users back to: https, or http on this machine, or, with --require-pkce, a private-use scheme
    /// such as `com.example.app:/callback`; once for each, empty for none
    #[arg(long, value_name = "URI", value_parser = |text: &str| or_none(text, RedirectUri::register))]
    redirect_uri: Option<Vec<Said<RedirectUri>>>,
    /// A domain of its own sign-in pages, such as login.example.com; once for each, empty for none
    #[arg(long, value_name = "DOMAIN", value_parser = |text: &str| or_none(text, LoginDomain::parse))]
    login_domain: Option<Vec<Said<LoginDomain>>>,
    /// The version of its privacy policy that is in force; empty for none
    #[arg(long, value_name = "VERSION", value_parser = |text: &str| or_none(text, Label::parse))]
    policy_version: Option<Said<Label>>,
    /// Whether who has not accepted that version is turned away
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    demand_policy: Option<bool>,
    /// Whether a code is only issued against a PKCE challenge
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    require_pkce: Option<bool>,
    /// How long its access and id tokens live, in minutes (1 to 1440); of a new app 60 unless it is said
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(i32).range(1..=1440))]
    access_token_minutes: Option<i32>,
    /// Whether anybody may sign in to it
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
}

impl Details {
    /// Puts what was said in the place of what was known.
    fn apply(self, registration: &mut Registration) {
        fn put<T>(place: &mut T, said: Option<T>) {
            if let Some(said) = said {
                *place = said;
            }
        }
        let Self {
            redirect_uri,
            login_domain,
            policy_version,
            demand_policy,
            require_pkce,
            access_token_minutes,
            enabled,
        } = self;
        let redirect_uris = redirect_uri.map(each_once);
        redirect_uris.iter().flatten().for_each(warn);
        put(&mut registration.redirect_uris, redirect_uris);
        put(&mut registration.login_domains, login_domain.map(each_once));
        put(&mut registration.app.policy_version, policy_version.map(|Said(version)| version));
        put(&mut registration.app.policy_demanded, demand_policy);
        put(&mut registration.app.pkce_required, require_pkce);
        put(&mut registration.app.access_token_minutes, access_token_minutes);
        put(&mut registration.app.enabled, enabled);
    }
}

/// Warns of a redirect URI that is most likely meant otherwise.
fn warn(uri: &RedirectUri) {
    let meaning = match uri.doubtful_character() {
        Some('*') => "the * stands for itself, there are no wildcards",
        Some(_) => "this is one URI with a comma in it; give the flag once for each URI",
        None => return,
    };
    // A warning that cannot be written is no reason to fail.
    _ = writeln!(std::io::stderr(), "warning: --redirect-uri {}: {meaning}", uri.as_str());
}

/// A value, or the empty text that stands for none.
#[derive(Debug, Clone)]
struct Said<T>(Option<T>);

fn or_none<T, E>(text: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<Said<T>, E> {
    if text.is_empty() { Ok(Said(None)) } else { parse(text).map(|value| Said(Some(value))) }
}

/// What was said, each value once.
fn each_once<T: PartialEq>(said: Vec<Said<T>>) -> Vec<T> {
    let mut values = Vec::new();
    for value in said.into_iter().filter_map(|Said(value)| value) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let now = SystemClock.now();
    match arguments.command {
        Command::Add { id, name, details, data } => {
            with_database(&data, COMMAND_CONNECTIONS, async |db| {
                let id = id.unwrap_or_else(|| AppId::new(now, &OsRandom));
                if find(db, id).await?.is_some() {
                    return Err(Failure::Usage(format!(
                        "there is an app {id} already; change it with `app set`"
                    )));
                }
                let mut registration = new(id, name, now);
                details.apply(&mut registration);
                register(db, &registration).await?;
                say(&format!("{id}"))
            })
            .await
        }
        Command::Set { id, name, details, data } => {
            with_existing(&data, async |db| {
                let found = find(db, id).await?;
                let mut registration =
                    found.ok_or_else(|| Failure::Usage(format!("there is no app {id}")))?;
                if let Some(name) = name {
                    registration.app.name = name;
                }
                details.apply(&mut registration);
                register(db, &registration).await
            })
            .await
        }
        Command::List(data) => {
            with_existing(&data, async |db| {
                let registrations = Apps::new(db.clone()).list().await;
                let registrations = registrations.map_err(|error| Failure::of("listing", &error))?;
                registrations.iter().try_for_each(print)
            })
            .await
        }
    }
}

/// An app of which nothing is said yet but its name.
pub fn new(id: AppId, name: Label, now: chrono::DateTime<chrono::Utc>) -> Registration {
    Registration {
        app: app::Model {
            id,
            name,
            enabled: true,
            policy_version: None,
            policy_demanded: false,
            pkce_required: false,
            access_token_minutes: ACCESS_TOKEN_MINUTES,
            created_at: now,
        },
        redirect_uris: Vec::new(),
        login_domains: Vec::new(),
    }
}

async fn find(db: &Db, id: AppId) -> Result<Option<Registration>, Failure> {
    Apps::new(db.clone()).find(id).await.map_err(|error| Failure::of("looking up the app", &error))
}

async fn register(db: &Db, registration: &Registration) -> Result<(), Failure> {
    Apps::new(db.clone()).register(registration).await.map_err(|error| match error {
        RegisterError::DomainTaken | RegisterError::NoPolicyToDemand | RegisterError::PkceNotRequired(_) => {
            Failure::Usage(error.to_string())
        }
        RegisterError::Database(error) => Failure::of("registering the app", &error),
    })
}

fn print(Registration { app, redirect_uris, login_domains }: &Registration) -> Result<(), Failure> {
    let standing = if app.enabled { "enabled" } else { "disabled" };
    say(&format!("{}\t{}\t{standing}", app.id, app.name.as_str()))?;
    for uri in redirect_uris {
        say(&format!("\tredirect URI\t{}", uri.as_str()))?;
    }
    for domain in login_domains {
        say(&format!("\tlogin domain\t{}", domain.as_str()))?;
    }
    if let Some(version) = &app.policy_version {
        let demanded = if app.policy_demanded { ", demanded" } else { "" };
        say(&format!("\tprivacy policy\t{}{demanded}", version.as_str()))?;
    }
    if app.pkce_required {
        say("\tPKCE\trequired")?;
    }
    say(&format!("\taccess tokens\t{} minutes", app.access_token_minutes))
}
