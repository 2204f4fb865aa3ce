//! `homeroom app`

use std::io::Write;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    COMMAND_CONNECTIONS,
    given::{Given, or_none, unique},
    listing::{Listing, time},
    say, usage, with_database, with_existing,
};
use crate::{
    clock::{Clock, SystemClock},
    config::Data,
    db::Db,
    domain::{
        account_page::AccountPage, id::AppId, label::Label, mail_domain::MailDomain, origin::LoginDomain,
        redirect_uri::RedirectUri,
    },
    entity::{
        app,
        audit_event::{self, Action, Actor},
    },
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
    List(Listing),
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
    /// The minutes after which a session without a refresh ends (1 to 525600). At least those of access tokens. 1440 for a new app
    /// without this flag
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(i32).range(1..=525_600))]
    session_idle_minutes: Option<i32>,
    /// The minutes after which a session ends in any case (1 to 525600). At least the idle ones. 43200 for a new app without this
    /// flag. Sessions that have begun keep their lifetime
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(i32).range(1..=525_600))]
    session_minutes: Option<i32>,
    /// Whether people may register an account through it. `closed` for a new app without this flag
    #[arg(long, value_name = "STATE", value_enum)]
    registration: Option<RegistrationState>,
    /// A mail domain, such as school.example. Only e-mail addresses in a mail domain of the app may register. Without mail domains, every
    /// e-mail address may. Repeat the flag for each domain. An empty value removes all
    #[arg(long, value_name = "DOMAIN", value_parser = |text: &str| or_none(text, MailDomain::parse))]
    mail_domain: Option<Vec<Given<MailDomain>>>,
    /// The page that links in mails lead to, with the parameters `action` and `confirmHash`. An empty value removes it. Without it,
    /// mails contain the secret alone
    #[arg(long, value_name = "URL", value_parser = |text: &str| or_none(text, AccountPage::parse))]
    account_page: Option<Given<AccountPage>>,
    /// Whether users may sign in to it. `false` ends all its sessions
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
}

/// Whether people may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RegistrationState {
    Open,
    Closed,
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
            session_idle_minutes,
            session_minutes,
            registration: registration_state,
            mail_domain,
            account_page,
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
        put(&mut registration.app.session_idle_minutes, session_idle_minutes);
        put(&mut registration.app.session_minutes, session_minutes);
        let open = registration_state.map(|state| state == RegistrationState::Open);
        put(&mut registration.app.registration_open, open);
        put(&mut registration.mail_domains, mail_domain.map(unique));
        put(&mut registration.app.account_page, account_page.map(|Given(page)| page));
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
                register(db, &registration, "registered", now).await?;
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
                let was_enabled = registration.app.enabled;
                details.apply(&mut registration);
                let reason = match (was_enabled, registration.app.enabled) {
                    (true, false) => "disabled",
                    (false, true) => "enabled",
                    _ => "changed",
                };
                register(db, &registration, reason, now).await
            })
            .await
        }
        Command::List(Listing { format, data }) => {
            with_existing(&data, async |db| {
                for registration in Apps::new(db.clone()).list().await.context("listing")? {
                    format.say(|| text(&registration), || json(&registration))?;
                }
                Ok(())
            })
            .await
        }
    }
}

/// A new app with default properties.
pub fn new(id: AppId, name: Label, now: DateTime<Utc>) -> Registration {
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

async fn register(
    db: &Db,
    registration: &Registration,
    reason: &str,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let event = audit_event::Model::new(Action::AppChange, now, &OsRandom)
        .app(registration.app.id)
        .by(Actor::Operator)
        .because(reason);
    let registered = Apps::new(db.clone()).register_with_event(registration, Some(event)).await;
    registered.map_err(|error| match error {
        RegisterError::DomainTaken
        | RegisterError::NoPolicyToDemand
        | RegisterError::PkceNotRequired(_)
        | RegisterError::IdleTooShort
        | RegisterError::SessionTooShort => usage(error),
        RegisterError::Database(error) => anyhow::Error::new(error).context("registering the app"),
    })
}

/// The lines of an app: id, name and state, then one line for each property.
fn text(registration: &Registration) -> String {
    let Registration { app, redirect_uris, login_domains, mail_domains } = registration;
    let state = if app.enabled { "enabled" } else { "disabled" };
    let mut lines = vec![format!("{}\t{}\t{state}", app.id, app.name.as_str())];
    let mut property = |name: &str, value: &str| lines.push(format!("\t{name}\t{value}"));
    for uri in redirect_uris {
        property("redirect URI", uri.as_str());
    }
    for domain in login_domains {
        property("login domain", domain.as_str());
    }
    if let Some(version) = &app.policy_version {
        let demanded = if app.policy_demanded { ", demanded" } else { "" };
        property("privacy policy", &format!("{}{demanded}", version.as_str()));
    }
    if app.pkce_required {
        property("PKCE", "required");
    }
    property("access tokens", &format!("{} minutes", app.access_token_minutes));
    let (idle, lifetime) = (app.session_idle_minutes, app.session_minutes);
    property("sessions", &format!("{lifetime} minutes, {idle} without a refresh"));
    property("registration", if app.registration_open { "open" } else { "closed" });
    for domain in mail_domains {
        property("mail domain", domain.as_str());
    }
    if let Some(page) = &app.account_page {
        property("account page", page.as_str());
    }
    lines.join("\n")
}

fn json(registration: &Registration) -> Value {
    let Registration { app, redirect_uris, login_domains, mail_domains } = registration;
    let app::Model {
        id,
        name,
        enabled,
        policy_version,
        policy_demanded,
        pkce_required,
        access_token_minutes,
        created_at,
        registration_open,
        session_idle_minutes,
        session_minutes,
        account_page,
    } = app;
    json!({
        "id": id,
        "name": name.as_str(),
        "enabled": enabled,
        "redirectUris": redirect_uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>(),
        "loginDomains": login_domains.iter().map(LoginDomain::as_str).collect::<Vec<_>>(),
        "policyVersion": policy_version.as_ref().map(Label::as_str),
        "policyDemanded": policy_demanded,
        "pkceRequired": pkce_required,
        "accessTokenMinutes": access_token_minutes,
        "sessionIdleMinutes": session_idle_minutes,
        "sessionMinutes": session_minutes,
        "registration": if *registration_open { "open" } else { "closed" },
        "mailDomains": mail_domains.iter().map(MailDomain::as_str).collect::<Vec<_>>(),
        "accountPage": account_page.as_ref().map(AccountPage::as_str),
        "createdAt": time(*created_at),
    })
}
