//! `homeroom class`

use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};

use serde_json::json;

use super::{
    listing::{Listing, time},
    say, usage, with_existing,
};
use crate::{
    classroom::classes::{Classes, NewClass},
    clock::{Clock, SystemClock},
    config::Data,
    db::Db,
    domain::{class_name::ClassName, email::Email},
    identity::accounts::Accounts,
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
    Add {
        /// E-mail address of the teacher who owns the class
        #[arg(long, value_name = "EMAIL")]
        owner: String,
        /// Name (1 to 50 characters)
        #[arg(long, value_name = "NAME")]
        name: String,
        #[command(flatten)]
        data: Data,
    },
    /// Print all classes: id, owner, name
    List(Listing),
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Add { owner, name, data } => {
            let email = Email::parse(&owner).map_err(|error| usage(format!("--owner {owner:?} {error}")))?;
            let name = ClassName::parse(&name).map_err(|error| usage(format!("--name {name:?} {error}")))?;
            with_existing(&data, async |db| {
                let owner = Accounts::new(db.clone()).find(email).await.context("looking up the owner")?;
                let owner =
                    owner.ok_or_else(|| usage("--owner has no account; create one with `user add`"))?;
                let class =
                    classes(db).create_unlimited(NewClass::named(name), owner.id, SystemClock.now()).await;
                say(&format!("{}", class.context("creating the class")?.id))
            })
            .await
        }
        Command::List(Listing { format, data }) => {
            with_existing(&data, async |db| {
                let listed = classes(db).all().await;
                for class in listed.context("listing the classes")? {
                    let text = || format!("{}\t{}\t{}", class.id, class.owner_id, class.name.as_str());
                    let json = || {
                        json!({
                            "id": class.id,
                            "ownerId": class.owner_id,
                            "name": class.name.as_str(),
                            "isActive": class.is_active,
                            "createdAt": time(class.created_at),
                        })
                    };
                    format.say(text, json)?;
                }
                Ok(())
            })
            .await
        }
    }
}

fn classes(db: &Db) -> Classes {
    Classes::new(db.clone(), Arc::new(OsRandom), 0)
}
