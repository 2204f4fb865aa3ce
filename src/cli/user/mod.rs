//! `homeroom user`

mod export;
mod password;
mod print;

use anyhow::Context;
use chrono::NaiveDate;
use clap::{Args, Subcommand};

use self::password::new_password;
pub use self::print::session_json;
use super::{
    COMMAND_CONNECTIONS,
    given::{Given, or_none},
    language,
    listing::{Format, Listing},
    say, usage, with_database, with_existing,
};
use crate::{
    clock::{Clock, SystemClock},
    config::{Data, Hashing, PasswordGuessing, Passwords},
    db::Db,
    domain::{
        account_page::LinkAction,
        email::Email,
        id::AppId,
        language::Language,
        person::{AvatarUrl, PersonName, PhoneNumber},
    },
    entity::{
        audit_event::{self, Action, Actor},
        user,
    },
    identity::{
        accounts::{Accounts, AddError, Change, ChangeError, HandOver, Removal},
        apps::Apps,
        password_hashing::PasswordHashing,
    },
    random::{self, OsRandom},
};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create an account with a confirmed e-mail address. The password is read from standard input, or prompted for
    Add(Box<Add>),
    /// Change the given properties of an account. A new password, a new e-mail address and `--enabled false` end all its
    /// sessions
    Set(Box<Set>),
    /// Stop an account from signing in, and end all its sessions
    Disable(Account),
    /// Let a disabled account sign in again
    Enable(Account),
    /// Forget the failed sign-ins of an account, from all addresses
    Unlock(Account),
    /// Print a link with which the owner of an account sets a new password, or only its secret without an account page. It is valid
    /// once, for 30 minutes
    ResetLink {
        #[command(flatten)]
        account: Account,
        /// The app. The link leads to its account page [default: the enabled app with an account page, if there is exactly one]
        #[arg(long, value_name = "UUID")]
        app: Option<AppId>,
    },
    /// Print everything that is stored about the owner of an account, as JSON
    Export(Account),
    /// Remove an account with all its personal data
    Remove(Remove),
    /// Print one account with its profile, its sessions, and until when sign-ins are refused
    Show {
        #[command(flatten)]
        account: Account,
        #[command(flatten)]
        format: Format,
        #[command(flatten)]
        limits: Box<PasswordGuessing>,
    },
    /// Print every account: id, e-mail address with its domain in ASCII form, state, the kind of password of a school account, and
    /// until when sign-ins are refused
    List {
        /// Print only the accounts that the school made
        #[arg(long)]
        school: bool,
        #[command(flatten)]
        listing: Listing,
        #[command(flatten)]
        limits: Box<PasswordGuessing>,
    },
}

/// The account that a command is about.
#[derive(Debug, Args)]
struct Account {
    /// The e-mail address
    #[arg(long, value_name = "EMAIL")]
    email: String,
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    hashing: Hashing,
    #[command(flatten)]
    passwords: Passwords,
}

#[derive(Debug, Args)]
#[group(id = "change", required = true, multiple = true, args = [
    "password", "enabled", "new_email", "first_name", "last_name", "date_of_birth", "phone_number", "avatar_url", "language"
])]
struct Set {
    #[command(flatten)]
    account: Account,
    /// Set a password, which is read from standard input, or prompted for
    #[arg(long)]
    password: bool,
    /// Whether the account may sign in
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
    /// Another e-mail address, which counts as confirmed. A school account becomes an ordinary one
    #[arg(long, value_name = "EMAIL", value_parser = |text: &str| Email::parse(text))]
    new_email: Option<Email>,
    /// The first name. An empty value removes it
    #[arg(long, value_name = "NAME", value_parser = |text: &str| or_none(text, PersonName::parse))]
    first_name: Option<Given<PersonName>>,
    /// The last name. An empty value removes it
    #[arg(long, value_name = "NAME", value_parser = |text: &str| or_none(text, PersonName::parse))]
    last_name: Option<Given<PersonName>>,
    /// The date of birth, such as 2012-05-04. An empty value removes it
    #[arg(long, value_name = "DATE", value_parser = |text: &str| or_none(text, str::parse::<NaiveDate>))]
    date_of_birth: Option<Given<NaiveDate>>,
    /// The phone number. An empty value removes it
    #[arg(long, value_name = "NUMBER", value_parser = |text: &str| or_none(text, PhoneNumber::parse))]
    phone_number: Option<Given<PhoneNumber>>,
    /// The URL of a picture. An empty value removes it
    #[arg(long, value_name = "URL", value_parser = |text: &str| or_none(text, AvatarUrl::parse))]
    avatar_url: Option<Given<AvatarUrl>>,
    /// The language of mails: en, de or vi
    #[arg(long, value_name = "TAG", value_parser = language)]
    language: Option<Language>,
    #[command(flatten)]
    hashing: Hashing,
    #[command(flatten)]
    passwords: Passwords,
}

#[derive(Debug, Args)]
struct Remove {
    #[command(flatten)]
    account: Account,
    /// The account that becomes the owner of the classes
    #[arg(long, value_name = "EMAIL", conflicts_with = "delete_classes")]
    hand_over_to: Option<String>,
    /// Delete the classes of the account, with their enrollments
    #[arg(long)]
    delete_classes: bool,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Add(add) => run_add(*add).await,
        Command::Set(set) => run_set(*set).await,
        Command::Disable(account) => change(&account, vec![Change::Enabled(false)]).await,
        Command::Enable(account) => change(&account, vec![Change::Enabled(true)]).await,
        Command::Unlock(account) => {
            with_account(&account, async |db, user| {
                let unlock = Accounts::new(db.clone());
                unlock.unlock(&user, SystemClock.now(), &OsRandom).await.context("unlocking")
            })
            .await
        }
        Command::ResetLink { account, app } => {
            with_account(&account, async |db, user| reset_link(db, &user, app).await).await
        }
        Command::Export(account) => {
            with_account(&account, async |db, user| export::run(db, user).await).await
        }
        Command::Remove(remove) => run_remove(remove).await,
        Command::Show { account, format, limits } => {
            with_account(&account, async |db, user| print::show(db, user, format, limits.limits()).await)
                .await
        }
        Command::List { school, listing, limits } => {
            let format = listing.format;
            with_existing(&listing.data, async |db| print::list(db, school, format, limits.limits()).await)
                .await
        }
    }
}

async fn run_add(Add { account, hashing, passwords }: Add) -> anyhow::Result<()> {
    let email = email("--email", &account.email)?;
    let password = new_password(&passwords, vec![email.as_str().to_owned()]).await?;
    with_database(&account.data, COMMAND_CONNECTIONS, async |db| {
        let hashing = start(&hashing)?;
        let added =
            Accounts::new(db.clone()).add(&hashing, &OsRandom, email, password, SystemClock.now()).await;
        match added {
            Ok(id) => say(&format!("{id}")),
            Err(AddError::EmailTaken) => Err(usage(AddError::EmailTaken)),
            Err(error) => Err(anyhow::Error::new(error).context("creating the account")),
        }
    })
    .await
}

async fn run_set(set: Set) -> anyhow::Result<()> {
    let Set {
        account,
        password,
        enabled,
        new_email,
        first_name,
        last_name,
        date_of_birth,
        phone_number,
        avatar_url,
        language,
        hashing,
        passwords,
    } = set;
    let mut changes: Vec<Change> = [
        enabled.map(Change::Enabled),
        new_email.map(Change::Email),
        first_name.map(|Given(name)| Change::FirstName(name)),
        last_name.map(|Given(name)| Change::LastName(name)),
        date_of_birth.map(|Given(date)| Change::DateOfBirth(date)),
        phone_number.map(|Given(number)| Change::PhoneNumber(number)),
        avatar_url.map(|Given(url)| Change::AvatarUrl(url)),
        language.map(Change::Language),
    ]
    .into_iter()
    .flatten()
    .collect();
    with_account(&account, async |db, user| {
        if password {
            let password = new_password(&passwords, words(&user)).await?;
            let hashed = start(&hashing)?.hash(password, random::bytes(&OsRandom)).await;
            changes.push(Change::Password(hashed.context("hashing the password")?));
        }
        apply(db, &user, changes).await
    })
    .await
}

async fn change(account: &Account, changes: Vec<Change>) -> anyhow::Result<()> {
    with_account(account, async |db, user| apply(db, &user, changes).await).await
}

async fn apply(db: &Db, user: &user::Model, changes: Vec<Change>) -> anyhow::Result<()> {
    let outcome = Accounts::new(db.clone()).change(user, changes, SystemClock.now(), &OsRandom).await;
    outcome.map_err(|error| match error {
        ChangeError::NoSuchAccount | ChangeError::EmailTaken => usage(error),
        ChangeError::Database(_) => anyhow::Error::new(error).context("changing the account"),
    })
}

async fn run_remove(remove: Remove) -> anyhow::Result<()> {
    let Remove { account, hand_over_to, delete_classes } = remove;
    let owner = hand_over_to.map(|text| email("--hand-over-to", &text)).transpose()?;
    with_account(&account, async |db, user| {
        let owner = match owner {
            Some(owner) => Some(existing(db, "--hand-over-to", &owner).await?),
            None => None,
        };
        if owner.as_ref().is_some_and(|owner| owner.school_account) {
            return Err(usage("--hand-over-to is the account of a student"));
        }
        let owner = owner.map(|owner| owner.id);
        if owner == Some(user.id) {
            return Err(usage("--hand-over-to is the account that is removed"));
        }
        let classes = Accounts::new(db.clone()).owned_classes(user.id).await.context("counting classes")?;
        if classes > 0 && owner.is_none() && !delete_classes {
            return Err(usage(format!(
                "the account owns {classes} classes: give them to another owner with --hand-over-to, or delete them with \
                 --delete-classes"
            )));
        }
        let event =
            |action| audit_event::Model::new(action, SystemClock.now(), &OsRandom).by(Actor::Operator);
        let hand_over =
            owner.map(|to| HandOver { to, event: event(Action::ClassOwnerChange).user(to) });
        let event = event(Action::AccountDelete).user(user.id);
        let removal = Removal { user: user.id, hand_over, event, notice: None };
        let removed = Accounts::new(db.clone()).remove(removal).await.context("removing the account")?;
        removed.map(drop).ok_or_else(|| usage(ChangeError::NoSuchAccount))
    })
    .await
}

async fn reset_link(db: &Db, user: &user::Model, app: Option<AppId>) -> anyhow::Result<()> {
    if !user.enabled {
        return Err(usage("the account is disabled; enable it with `user enable`"));
    }
    let apps = Apps::new(db.clone());
    let page = if let Some(id) = app {
        let found = apps.find(id).await.context("looking up the app")?;
        let page = found.ok_or_else(|| usage(format!("there is no app {id}")))?.app.account_page;
        Some(page.ok_or_else(|| usage(format!("the app {id} has no account page")))?)
    } else {
        let all = apps.list().await.context("looking up the apps")?;
        let mut pages = all.into_iter().filter(|app| app.app.enabled).filter_map(|app| app.app.account_page);
        pages.next().filter(|_| pages.next().is_none())
    };
    let hash = Accounts::new(db.clone()).reset_link(user, SystemClock.now(), &OsRandom).await;
    let hash = hash.context("creating the link")?;
    say(&page.map_or_else(|| hash.expose().to_owned(), |page| page.link(LinkAction::Reset, &hash)))
}

/// The words of an account that an attacker would try as its password.
fn words(account: &user::Model) -> Vec<String> {
    let names = [&account.first_name, &account.last_name].into_iter().flatten();
    names.map(|name| name.as_str().to_owned()).chain([account.email.as_str().to_owned()]).collect()
}

fn start(hashing: &Hashing) -> anyhow::Result<PasswordHashing> {
    let settings = hashing.settings().map_err(usage)?;
    PasswordHashing::start(settings, &OsRandom).context("starting the password hash")
}

/// Runs `work` with an account of an existing database.
async fn with_account<T>(
    account: &Account,
    work: impl AsyncFnOnce(&Db, user::Model) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let address = email("--email", &account.email)?;
    with_existing(&account.data, async |db| {
        let user = existing(db, "--email", &address).await?;
        work(db, user).await
    })
    .await
}

async fn existing(db: &Db, flag: &str, email: &Email) -> anyhow::Result<user::Model> {
    let account = Accounts::new(db.clone()).find(email.clone()).await;
    let account = account.context("looking up the account")?;
    account.ok_or_else(|| usage(format!("{flag} {} has no account", email.as_str())))
}

fn email(flag: &str, text: &str) -> anyhow::Result<Email> {
    Email::parse(text).map_err(|error| usage(format!("{flag} {text:?} {error}")))
}
