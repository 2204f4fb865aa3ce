//! `homeroom class`

mod print;

use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use sea_orm::ActiveValue;

use super::{
    given::{Given, or_none},
    listing::{Format, Listing},
    say, usage, with_existing,
};
use crate::{
    classroom::{
        class_administration::{self, ChangeError, ClassReader, Details},
        classes::{ClassChange, Classes, NewClass},
    },
    cli::owner::{account, teacher},
    clock::{Clock, SystemClock},
    config::Data,
    db::Db,
    domain::{
        class_name::ClassName, description::ClassDescription, email::Email, id::ClassId,
        max_students::MaxStudents, sort_key::SortKey,
    },
    entity::{class_row::Selection, enrollment::Status},
    random::OsRandom,
};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a class
    Add(Add),
    /// Print the classes, oldest first, or by name with --search: id, id of the owner, name, state
    List(List),
    /// Print one class with its owner, the number of its students, and its join code
    Show {
        #[command(flatten)]
        class: Class,
        #[command(flatten)]
        format: Format,
    },
    /// Change the given properties of a class, or give it to another owner
    Set(Box<Set>),
    /// Remove a class with its enrollments and its join code. The accounts of its students stay
    Remove {
        #[command(flatten)]
        class: Class,
        /// Remove it. Without this flag, the command prints what would be removed, and its exit status is 2
        #[arg(long)]
        yes: bool,
    },
    /// Print the students of a class by name: id, last name, first name, user name or e-mail address, state of the password, status,
    /// day of the enrollment
    Roster(Roster),
}

#[derive(Debug, Args)]
struct Add {
    /// E-mail address of the teacher who owns the class
    #[arg(long, value_name = "EMAIL")]
    owner: String,
    /// Name (1 to 50 characters)
    #[arg(long, value_name = "NAME")]
    name: String,
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, Args)]
struct List {
    /// Only classes of the account with this e-mail address
    #[arg(long, value_name = "EMAIL", value_parser = |text: &str| Email::parse(text))]
    owner: Option<Email>,
    /// Only classes whose name contains this text. Case and accents do not matter
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only classes that are not in use
    #[arg(long)]
    inactive: bool,
    #[command(flatten)]
    listing: Listing,
}

/// The class that a command is about.
#[derive(Debug, Args)]
struct Class {
    /// The id, as `class list` prints it
    #[arg(long, value_name = "UUID")]
    id: ClassId,
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, Args)]
#[group(id = "change", required = true, multiple = true, args = [
    "name", "description", "active", "max_students", "requires_approval", "owner"
])]
struct Set {
    #[command(flatten)]
    class: Class,
    /// The name (1 to 50 characters)
    #[arg(long, value_name = "NAME", value_parser = |text: &str| ClassName::parse(text))]
    name: Option<ClassName>,
    /// The description. An empty value removes it
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| or_none(text, ClassDescription::parse))]
    description: Option<Given<ClassDescription>>,
    /// Whether the class is in use. No student can join an inactive class
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
    /// The maximum number of active students (1 to 10000), or `none`. Present students stay
    #[arg(long, value_name = "COUNT", value_parser = max_students)]
    max_students: Option<Given<MaxStudents>>,
    /// Whether joining with a code needs the owner's approval
    #[arg(long, value_name = "BOOL")]
    requires_approval: Option<bool>,
    /// E-mail address of the new owner. The enrollment of the new owner in the class ends
    #[arg(long, value_name = "EMAIL", value_parser = |text: &str| Email::parse(text))]
    owner: Option<Email>,
}

#[derive(Debug, Args)]
struct Roster {
    #[command(flatten)]
    class: Class,
    /// Only students with this status
    #[arg(long, value_enum, value_name = "STATUS", default_value_t)]
    status: Statuses,
    #[command(flatten)]
    format: RosterFormat,
}

/// The format of a roster.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
struct RosterFormat {
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    /// Print a CSV file with a header. Cells that a spreadsheet would take for formulas begin with an apostrophe
    #[arg(long)]
    csv: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Statuses {
    /// Takes part in the class
    #[default]
    Active,
    /// Waits for the owner's approval
    Pending,
    /// Left the class
    Dropped,
    /// Finished the class
    Completed,
    /// Went to another class or school
    Transferred,
    /// Finished school
    Graduated,
    /// Every status, one after another
    All,
}

impl Statuses {
    fn list(self) -> &'static [Status] {
        match self {
            Self::Active => &[Status::Active],
            Self::Pending => &[Status::Pending],
            Self::Dropped => &[Status::Dropped],
            Self::Completed => &[Status::Completed],
            Self::Transferred => &[Status::Transferred],
            Self::Graduated => &[Status::Graduated],
            Self::All => &[
                Status::Active,
                Status::Pending,
                Status::Dropped,
                Status::Completed,
                Status::Transferred,
                Status::Graduated,
            ],
        }
    }
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Add(add) => run_add(add).await,
        Command::List(list) => run_list(list).await,
        Command::Show { class: Class { id, data }, format } => {
            with_existing(&data, async |db| print::show(&read(db, id).await?, format)).await
        }
        Command::Set(set) => run_set(*set).await,
        Command::Remove { class: Class { id, data }, yes } => {
            with_existing(&data, async |db| run_remove(db, id, yes).await).await
        }
        Command::Roster(Roster { class: Class { id, data }, status, format }) => {
            with_existing(&data, async |db| {
                read(db, id).await?;
                print::roster(db, id, status.list(), format).await
            })
            .await
        }
    }
}

async fn run_add(Add { owner, name, data }: Add) -> anyhow::Result<()> {
    let email = Email::parse(&owner).map_err(|error| usage(format!("--owner {owner:?} {error}")))?;
    let name = ClassName::parse(&name).map_err(|error| usage(format!("--name {name:?} {error}")))?;
    with_existing(&data, async |db| {
        let owner = teacher(db, email).await?;
        let classes = Classes::new(db.clone(), Arc::new(OsRandom), 0);
        let class = classes.create_unlimited(NewClass::named(name), owner, SystemClock.now()).await;
        say(&format!("{}", class.context("creating the class")?.id))
    })
    .await
}

async fn run_list(List { owner, search, inactive, listing }: List) -> anyhow::Result<()> {
    with_existing(&listing.data, async |db| {
        let owner = match owner {
            Some(email) => Some(account(db, email).await?.id),
            None => None,
        };
        let search = search.map(|text| SortKey::of(&[&text]));
        let selection = Selection { owner, search, is_active: inactive.then_some(false) };
        let mut reader = ClassReader::new(db.clone(), selection);
        loop {
            let classes = reader.next().await.context("listing the classes")?;
            if classes.is_empty() {
                return Ok(());
            }
            for class in &classes {
                print::row(class, listing.format)?;
            }
        }
    })
    .await
}

async fn run_set(set: Set) -> anyhow::Result<()> {
    let Set { class, name, description, active, max_students, requires_approval, owner } = set;
    let Class { id, data } = class;
    let change = ClassChange {
        name,
        description: given(description),
        is_active: active,
        max_students: given(max_students),
        requires_approval,
        ..ClassChange::none()
    };
    with_existing(&data, async |db| {
        let owner = match owner {
            Some(email) => Some(teacher(db, email).await?),
            None => None,
        };
        let changed = class_administration::change(db, id, change, owner, SystemClock.now(), &OsRandom).await;
        changed.map_err(|error| match error {
            ChangeError::NoSuchClass => no_class(id),
            ChangeError::NoSuchOwner => usage(error),
            ChangeError::Database(_) => anyhow::Error::new(error).context("changing the class"),
        })
    })
    .await
}

async fn run_remove(db: &Db, id: ClassId, yes: bool) -> anyhow::Result<()> {
    if yes {
        let removed = class_administration::remove(db, id, SystemClock.now(), &OsRandom).await;
        return if removed.context("removing the class")? { Ok(()) } else { Err(no_class(id)) };
    }
    print::show(&read(db, id).await?, Format { json: false })?;
    Err(usage("nothing was removed; with --yes, the class is removed with its enrollments and its join code"))
}

async fn read(db: &Db, id: ClassId) -> anyhow::Result<Details> {
    let class = class_administration::read(db, id, SystemClock.now()).await.context("reading the class")?;
    class.ok_or_else(|| no_class(id))
}

fn no_class(id: ClassId) -> anyhow::Error {
    usage(format!("there is no class {id}"))
}

fn given<T: Into<sea_orm::Value>>(value: Option<Given<T>>) -> ActiveValue<Option<T>>
where
    Option<T>: Into<sea_orm::Value>,
{
    value.map_or(ActiveValue::NotSet, |Given(value)| ActiveValue::Set(value))
}

fn max_students(text: &str) -> Result<Given<MaxStudents>, String> {
    if text == "none" {
        return Ok(Given(None));
    }
    let number = text.parse().ok().and_then(|number: i64| MaxStudents::new(number).ok());
    let rule = || format!("must be from {} to {}, or `none`", MaxStudents::LEAST, MaxStudents::GREATEST);
    number.map(|number| Given(Some(number))).ok_or_else(rule)
}
