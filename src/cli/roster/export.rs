//! `homeroom roster export`

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::{
    cli::{counted, say, usage, with_existing},
    clock::{Clock, SystemClock},
    config::Data,
    entity::audit_event::{self, Action, Actor},
    random::OsRandom,
    school::roster::{
        export::{ExportError, export},
        model::Format,
    },
};

#[derive(Debug, Args)]
pub struct Arguments {
    /// The directory of the files. It is new or empty
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The format
    #[arg(long, value_enum, default_value_t)]
    format: Kind,
    /// The name of the school in the files
    #[arg(long, value_name = "NAME", default_value = "Homeroom")]
    org_name: String,
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Kind {
    /// OneRoster 1.2
    #[default]
    Oneroster,
    /// School Data Sync v2.1
    Sds,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let format = match arguments.format {
        Kind::Oneroster => Format::OneRoster,
        Kind::Sds => Format::Sds,
    };
    with_existing(&arguments.data, async |db| {
        let exported = export(db, &arguments.directory, format, &arguments.org_name).await;
        let [users, classes, enrollments] = match exported {
            Err(ExportError::NotEmpty) => return Err(usage(ExportError::NotEmpty)),
            exported => exported.context("writing the files")?,
        };
        let event =
            audit_event::Model::new(Action::RosterExport, SystemClock.now(), &OsRandom).by(Actor::Operator);
        let record = db.write(event, |db, event| Box::pin(audit_event::Entity::record(db, event.clone())));
        record.await.context("recording the export")?;
        let users = counted(users, "user", "users");
        let classes = counted(classes, "class", "classes");
        let enrollments = counted(enrollments, "enrollment", "enrollments");
        say(&format!("{users}, {classes}, {enrollments}"))
    })
    .await
}
