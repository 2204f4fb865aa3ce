//! `homeroom roster cards`

use std::{
    io::Write,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use clap::Args;
use tempfile::NamedTempFile;
use url::Url;

use crate::{
    classroom::class_administration::{self, FindError},
    cli::{complain, counted, language, say, usage, with_existing},
    clock::{Clock, SystemClock},
    config::{Data, Hashing, join_page},
    db::Db,
    domain::{email::Email, language::Language},
    entity::{class, user::PasswordState},
    identity::password_hashing::{PasswordHashing, Settings},
    random::{OsRandom, RandomSource},
    school::{
        cards::{
            Cards, Choice, ClassCards,
            layout::{self, Card, LayoutError, Sheet},
            pdf::{RenderError, render},
        },
        credentials::Credentials,
    },
};

/// The nice value of the thread that hashes passwords: a server on the same machine precedes it.
const NICE: i32 = 15;
/// After so many passwords there is a line about the progress.
const PROGRESS: usize = 25;

#[derive(Debug, Args)]
pub struct Arguments {
    /// A class: its id, its id in the school's own system, or its name. May be repeated
    #[arg(long, value_name = "ID|NAME", required = true)]
    class: Vec<String>,
    /// The PDF file, which must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The name of the school on the cards
    #[arg(long, value_name = "NAME")]
    school: Option<String>,
    /// The page on which students join a class, as for `serve`. It is printed, and the QR code leads to it, with the join code of the
    /// class if there is a valid one
    #[arg(long, env = "HOMEROOM_JOIN_PAGE", value_name = "URL", value_parser = join_page)]
    join_page: Url,
    /// The language of the cards: en, de or vi
    #[arg(long, value_name = "TAG", value_parser = language, default_value = "en")]
    language: Language,
    /// Replace also passwords that students chose
    #[arg(long)]
    reset: bool,
    /// Only the student with this user name
    #[arg(long, value_name = "USERNAME", value_parser = |text: &str| Email::parse(text))]
    student: Option<Email>,
    #[command(flatten)]
    hashing: Hashing,
    #[command(flatten)]
    data: Data,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let settings = arguments.hashing.settings().map_err(usage)?;
    let workers = arguments.hashing.hash_workers.unwrap_or(NonZeroUsize::MIN);
    let settings = Settings { workers, nice: NICE, ..settings };
    // The longest address in a QR code.
    let longest = format!("{}&code=00000000", arguments.join_page);
    layout::code(&longest).map_err(usage)?;
    if arguments.out.symlink_metadata().is_ok() {
        return Err(usage(format!("{} exists", arguments.out.display())));
    }
    with_existing(&arguments.data, async |db| {
        let classes = find(db, &arguments.class).await?;
        let hashing = PasswordHashing::start(settings, &OsRandom).context("starting the password hash")?;
        let random: Arc<dyn RandomSource> = Arc::new(OsRandom);
        let credentials = Credentials::new(db.clone(), random.clone(), Arc::new(hashing), None);
        let cards = Cards::new(db.clone(), random, credentials, arguments.join_page.clone());
        print(&cards, classes, &arguments).await
    })
    .await
}

/// The classes, each once, in the order of the arguments.
async fn find(db: &Db, names: &[String]) -> anyhow::Result<Vec<class::Model>> {
    let mut classes: Vec<class::Model> = Vec::new();
    for name in names {
        let class = class_administration::find(db, name).await.map_err(|error| match error {
            FindError::NoSuchClass | FindError::Several(_) => usage(format!("--class {name:?}: {error}")),
            FindError::Database(_) => anyhow::Error::new(error).context("looking up the class"),
        })?;
        if classes.iter().all(|other| other.id != class.id) {
            classes.push(class);
        }
    }
    Ok(classes)
}

async fn print(cards: &Cards, classes: Vec<class::Model>, arguments: &Arguments) -> anyhow::Result<()> {
    let progress = |done: usize, all: usize| {
        if done.is_multiple_of(PROGRESS) || done == all {
            complain(&format!("{done} of {all} passwords"));
        }
    };
    let choice = Choice { reset: arguments.reset, student: arguments.student.clone() };
    let prepared = cards.prepare(classes, &choice, SystemClock.now(), progress).await;
    let mut prepared = prepared.context("generating the passwords")?;
    note(&prepared, arguments);
    prepared.retain(|class| !class.students.is_empty());
    if prepared.is_empty() {
        return Err(usage(
            "no student gets a card: the school did not make their accounts, they joined with a code, or they chose a password, \
             which --reset replaces",
        ));
    }
    // Nobody else can read the file, and it gets its name only after the passwords are stored.
    let directory = arguments.out.parent().filter(|path| !path.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(directory.unwrap_or(Path::new("."))).context("creating the file")?;
    write(&mut file, &prepared, arguments)?;
    let (stored, failure) = commit(cards, &mut prepared).await;
    if stored.is_empty() {
        return Err(failure.unwrap_or_else(|| anyhow::anyhow!("no password was stored")));
    }
    if failure.is_some() {
        // The cards of the other classes would not work.
        write(&mut file, &stored, arguments)?;
    }
    if let Err(failed) = file.persist_noclobber(&arguments.out) {
        let (_, kept) = failed.file.keep().context("keeping the file")?;
        anyhow::bail!("{}: {}; the cards are in {}", arguments.out.display(), failed.error, kept.display());
    }
    for class in &stored {
        let cards = counted(class.students.len(), "card", "cards");
        say(&format!("{}\t{}\t{cards}", class.class.id, class.class.name.as_str()))?;
    }
    failure.map_or(Ok(()), Err)
}

/// Stores the passwords, class by class, up to the first failure. Returns the classes whose passwords are stored.
async fn commit(cards: &Cards, prepared: &mut Vec<ClassCards>) -> (Vec<ClassCards>, Option<anyhow::Error>) {
    let mut stored = Vec::new();
    for class in prepared.drain(..) {
        if let Err(error) = cards.commit(&class, SystemClock.now()).await {
            let name = class.class.name.as_str();
            let step = format!(
                "class {name:?} and those after it keep their passwords; run the command again for them"
            );
            return (stored, Some(anyhow::Error::new(error).context(step)));
        }
        stored.push(class);
    }
    (stored, None)
}

/// Replaces the content of the file by the cards.
fn write(file: &mut NamedTempFile, classes: &[ClassCards], arguments: &Arguments) -> anyhow::Result<()> {
    let sheet = Sheet {
        school: arguments.school.clone(),
        page: address(&arguments.join_page),
        language: arguments.language,
    };
    let cards: Vec<Card> = classes.iter().flat_map(ClassCards::cards).collect();
    let pdf = render(&cards, &sheet).map_err(|error| match error {
        RenderError::Layout(LayoutError::LinkTooLong | LayoutError::UserNameTooLong) => usage(error),
        error => anyhow::Error::new(error).context("making the cards"),
    })?;
    let file = file.as_file_mut();
    let replace =
        file.set_len(0).and_then(|()| std::io::Seek::rewind(file)).and_then(|()| file.write_all(&pdf));
    replace.and_then(|()| file.sync_all()).context("writing the file")
}

/// The address as people type it.
fn address(page: &Url) -> String {
    let text = page.as_str();
    let text = text.strip_prefix("https://").unwrap_or(text);
    text.strip_suffix('/').unwrap_or(text).to_owned()
}

/// Says what the operator cannot see on the cards.
fn note(classes: &[ClassCards], arguments: &Arguments) {
    for ClassCards { class, students, left_out, .. } in classes {
        let name = class.name.as_str();
        if *left_out > 0 && arguments.student.is_none() {
            complain(&format!(
                "note: class {name:?}: no card for {}: the school did not make the account, the student joined with a code, or the \
                 student chose a password",
                counted(*left_out, "student", "students")
            ));
        }
        let earlier =
            students.iter().filter(|(user, _)| user.password_state == PasswordState::Initial).count();
        if earlier > 0 {
            let earlier = counted(earlier, "earlier password becomes", "earlier passwords become");
            complain(&format!("note: class {name:?}: {earlier} invalid"));
        }
        for (user, _) in students {
            let names = [&user.first_name, &user.last_name].into_iter().flatten();
            if names.clone().any(|name| !layout::has_glyphs(name.as_str())) {
                complain(&format!("note: the name of {} is printed in Latin letters", user.email.as_str()));
            }
        }
    }
}
