//! `homeroom app`

use std::io::Write;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::{COMMAND_CONNECTIONS, say, usage, with_database, with_existing};
use crate::{
    clock::{Clock, SystemClock},
    config::Data,
    db::Db,
    domain::{id::AppId, label::Label, origin::LoginDomain, redirect_uri::RedirectUri},
    entity::app,
    identity::apps::{Apps, RegisterError, Registration},
    random::OsRandom,
};

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
        /// The name that users see
        #[arg(long, value_name = "NAME", value_parser = |text: &str| Label::parse(text))]
        name: Label,
        #[command(flatten)]
        details: Box<Details>,
        #[command(flatten)]
        data: Data,
    },
    /// Change the given properties of an app
    Set {
        /// The client id
        #[arg(value_name = "UUID")]
        id: AppId,
        /// The name that users see
        #[arg(long, value_name = "NAME", value_parser = |text: &str| Label::parse(text))]
        name: Option<Label>,
        #[command(flatten)]
        details: Box<Details>,
        #[command(flatten)]
        data: Data,
    },
    /// Print every app: id, name, state, then a line for each registered property
    List(Data),
}

/// The properties of an app. `None` is a property that the command does not name.
#[derive(Debug, Args)]
struct Details {
    /// A redirect URI: https, or http on this machine, or with --require-pkce a private-use scheme such as
    /// `com.example.app:/callback`. Repeat the flag for each URI. An empty value removes all
    #[arg(long, value_name = "URI", value_parser = |text: &str| or_none(text, RedirectUri::register))]
    redirect_uri: Option<Vec<Given<RedirectUri>>>,
    /// A domain of its own sign-in pages, such as login.example.com. Repeat the flag for each domain. An empty value removes all
    #[arg(long, value_name = "DOMAIN", value_parser = |text: &str| or_none(text, LoginDomain::parse))]
    login_domain: Option<Vec<Given<LoginDomain>>>,
    /// The current version of its privacy policy. An empty value removes it
    #[arg(long, value_name = "VERSION", value_parser = |text: &str| or_none(text, Label::parse))]
    policy_version: Option<Given<Label>>,
    /// Whether users have to accept that version to sign in
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    demand_policy: Option<bool>,
    /// Whether sign-in requires a PKCE challenge
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    require_pkce: Option<bool>,
    /// The lifetime of its access and id tokens, in minutes (1 to 1440). 60 for a new app without this flag
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(i32).range(1..=1440))]
    access_token_minutes: Option<i32>,
    /// Whether users may sign in to it
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
}

impl Details {
    /// Replaces the given properties.
    fn apply(self, registration: &mut Registration) {
        fn put<T>(property: &mut T, given: Option<T>) {
            if let Some(given) = given {
                *property = given;
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
        let redirect_uris = redirect_uri.map(unique);
        redirect_uris.iter().flatten().for_each(warn);
        put(&mut registration.redirect_uris, redirect_uris);
        put(&mut registration.login_domains, login_domain.map(unique));
        put(&mut registration.app.policy_version, policy_version.map(|Given(version)| version));
        put(&mut registration.app.policy_demanded, demand_policy);
        put(&mut registration.app.pkce_required, require_pkce);
        put(&mut registration.app.access_token_minutes, access_token_minutes);
        put(&mut registration.app.enabled, enabled);
    }
}

/// Warns of a redirect URI that contains a probable mistake.
fn warn(uri: &RedirectUri) {
    let meaning = match uri.doubtful_character() {
        Some('*') => "the * is literal; wildcards are not supported",
        Some(_) => "this is one URI that contains a comma; repeat the flag for each URI",
        None => return,
    };
    // A warning that cannot be written does not fail the command.
    _ = writeln!(std::io::stderr(), "warning: --redirect-uri {}: {meaning}", uri.as_str());
}

/// A value, or an empty text, which stands for none.
#[derive(Debug, Clone)]
struct Given<T>(Option<T>);

fn or_none<T, E>(text: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<Given<T>, E> {
    if text.is_empty() { Ok(Given(None)) } else { parse(text).map(|value| Given(Some(value))) }
}

/// The given values without duplicates.
fn unique<T: PartialEq>(given: Vec<Given<T>>) -> Vec<T> {
    let mut values = Vec::new();
    for value in given.into_iter().filter_map(|Given(value)| value) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let now = SystemClock.now();
    match arguments.command {
        Command::Add { id, name, details, data } => {
            with_database(&data, COMMAND_CONNECTIONS, async |db| {
                let id = id.unwrap_or_else(|| AppId::new(now, &OsRandom));
                if find(db, id).await?.is_some() {
                    return Err(usage(format!("the app {id} exists; change it with `app set`")));
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
                let mut registration = found.ok_or_else(|| usage(format!("there is no app {id}")))?;
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
                let registrations = registrations.context("listing")?;
                registrations.iter().try_for_each(print)
            })
            .await
        }
    }
}

/// A new app with default properties.
pub fn new(id: AppId, name: Label, now: chrono::DateTime<chrono::Utc>) -> Registration {
    Registration {
        app: app::Model::new(id, name, now),
        redirect_uris: Vec::new(),
        login_domains: Vec::new(),
        mail_domains: Vec::new(),
    }
}

async fn find(db: &Db, id: AppId) -> anyhow::Result<Option<Registration>> {
    Apps::new(db.clone()).find(id).await.context("looking up the app")
}

async fn register(db: &Db, registration: &Registration) -> anyhow::Result<()> {
    Apps::new(db.clone()).register(registration).await.map_err(|error| match error {
        RegisterError::DomainTaken | RegisterError::NoPolicyToDemand | RegisterError::PkceNotRequired(_) => {
            usage(error)
        }
        RegisterError::Database(error) => anyhow::Error::new(error).context("registering the app"),
    })
}

fn print(
    Registration { app, redirect_uris, login_domains, mail_domains }: &Registration,
) -> anyhow::Result<()> {
    let state = if app.enabled { "enabled" } else { "disabled" };
    say(&format!("{}\t{}\t{state}", app.id, app.name.as_str()))?;
    for uri in redirect_uris {
        say(&format!("\tredirect URI\t{}", uri.as_str()))?;
    }
    for domain in login_domains {
        say(&format!("\tlogin domain\t{}", domain.as_str()))?;
    }
    for domain in mail_domains {
        say(&format!("\tmail domain\t{}", domain.as_str()))?;
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
