//! `homeroom roster import`

use std::{io::Write, path::PathBuf, sync::Arc};

use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::{
    cli::{complain, counted, owner::teacher, say, usage, with_existing},
    clock::{Clock, SystemClock},
    config::{Data, Hashing, student_domain},
    csv_table::Faults,
    db::{self, Db},
    domain::{email::Email, mail_domain::MailDomain},
    identity::password_hashing,
    random::OsRandom,
    school::roster::{
        apply::{Unchanged, apply},
        existing::Existing,
        files::{self, ReadError},
        plan::{Plan, PlanError, Settings, plan},
        report::{Change, Kind, Report},
    },
};

#[derive(Debug, Args)]
pub struct Arguments {
    /// The directory of the files
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The domain of the user names of students, as for `serve`
    #[arg(long, env = "HOMEROOM_STUDENT_DOMAIN", value_name = "DOMAIN", value_parser = student_domain)]
    student_domain: Option<MailDomain>,
    /// E-mail address of the owner of new classes that have no teacher
    #[arg(long, value_name = "EMAIL", value_parser = |text: &str| Email::parse(text))]
    owner: Option<Email>,
    /// The part of earlier imported rows that may end, in percent. Ten rows may always end
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=100))]
    max_ended: u8,
    /// Print what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print a line for each change
    #[arg(long)]
    verbose: bool,
    /// Print one JSON object for each change, and one for the totals
    #[arg(long, conflicts_with = "verbose")]
    json: bool,
    #[command(flatten)]
    hashing: Hashing,
    #[command(flatten)]
    data: Data,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let cost = arguments.hashing.settings().map_err(usage)?.cost;
    let roster = match files::read(&arguments.directory) {
        Ok(roster) => roster,
        Err(ReadError::Faulty(faults)) => return Err(refused(&faults)),
        Err(error) => return Err(error).context("reading the files"),
    };
    with_existing(&arguments.data, async |db| {
        let owner = match &arguments.owner {
            Some(email) => Some(teacher(db, email.clone()).await?),
            None => None,
        };
        let domain = arguments.student_domain.as_ref();
        let existing = Existing::read(db, &roster, domain).await.context("reading the database")?;
        let now = SystemClock.now();
        let settings = Settings {
            domain,
            owner,
            max_ended: arguments.max_ended,
            now,
            random: &OsRandom,
            unusable: &|| password_hashing::unusable(cost, &OsRandom),
        };
        let plan = match plan(&roster, &existing, &settings) {
            Ok(plan) => plan,
            Err(PlanError::Faulty(faults)) => return Err(refused(&faults)),
            Err(PlanError::Hash(error)) => return Err(error).context("making a hash"),
            Err(error @ (PlanError::NoDomain | PlanError::TooManyEnd(_))) => return Err(usage(error)),
        };
        // The rows are not needed any more, and the files neither.
        drop(existing);
        print(&plan.report, &arguments)?;
        if arguments.dry_run {
            return Ok(());
        }
        apply_to(db, plan, now).await
    })
    .await
}

async fn apply_to(db: &Db, plan: Plan, now: chrono::DateTime<chrono::Utc>) -> anyhow::Result<()> {
    let progress = |done: usize, all: usize| {
        if done > 0 && (done.is_multiple_of(50) || done == all) {
            let _ = writeln!(std::io::stderr(), "{done} of {all} classes");
        }
    };
    let unchanged = apply(db, plan, now, Arc::new(OsRandom), progress).await.map_err(|error| {
        let hint = match db::kind(&error) {
            db::ErrorKind::UniqueViolation => {
                "another import or a user changed the same rows; run the import again"
            }
            _ => "applying the changes; run the import again, and it does the rest",
        };
        anyhow::Error::new(error).context(hint)
    })?;
    for Unchanged { sourced_id, reason } in &unchanged {
        complain(&format!("class {}: not changed, because {reason}", sourced_id.as_str()));
    }
    if unchanged.is_empty() {
        Ok(())
    } else {
        anyhow::bail!("{} not changed", counted(unchanged.len(), "class was", "classes were"))
    }
}

/// Prints the faults, a line each, and returns the error of the command.
fn refused(faults: &Faults) -> anyhow::Error {
    for fault in faults.first() {
        complain(&fault.to_string());
    }
    if let Some(further) = faults.further() {
        complain(&further);
    }
    usage("the files have faults; nothing was changed")
}

fn print(report: &Report, arguments: &Arguments) -> anyhow::Result<()> {
    for note in &report.notes {
        complain(&format!("note: {note}"));
    }
    if arguments.json || arguments.verbose {
        for entry in &report.entries {
            let (kind, change) = (entry.kind.as_str(), entry.change.as_str());
            let id = entry.sourced_id.as_str();
            if arguments.json {
                say(&json!({ "kind": kind, "sourcedId": id, "change": change, "fields": entry.fields })
                    .to_string())?;
            } else {
                let fields = entry.fields.join(",");
                say(format!("{kind}\t{id}\t{change}\t{fields}").trim_end())?;
            }
        }
    }
    if arguments.json {
        let totals = Kind::ALL.into_iter().map(|kind| {
            let mut totals: serde_json::Map<_, _> = Change::ALL
                .into_iter()
                .map(|change| (change.as_str().to_owned(), json!(report.count(kind, change))))
                .collect();
            totals.insert("unchanged".to_owned(), json!(report.unchanged(kind)));
            (kind.as_str().to_owned(), totals.into())
        });
        return say(&json!({ "totals": totals.collect::<serde_json::Map<_, _>>() }).to_string());
    }
    say(&format!("{:<12}{:>9}{:>9}{:>9}{:>9}{:>11}", "", "new", "linked", "changed", "ended", "unchanged"))?;
    for kind in Kind::ALL {
        let counts = Change::ALL.map(|change| format!("{:>9}", report.count(kind, change))).concat();
        say(&format!("{:<12}{counts}{:>11}", kind.table(), report.unchanged(kind)))?;
    }
    Ok(())
}
