//! `homeroom session`

use anyhow::Context;
use clap::{Args, Subcommand};

use super::{
    listing::{Listing, column, time},
    say, usage,
    user::session_json,
    with_existing,
};
use crate::{
    clock::{Clock, SystemClock},
    config::Data,
    db::Db,
    domain::{
        email::Email,
        id::{AppId, SessionId},
        user_agent::UserAgent,
    },
    entity::session::Selection,
    identity::{accounts::Accounts, session_administration},
    random::OsRandom,
};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every session that has not ended: id, e-mail address of the account, app, begin, last use, address and
    /// program of the client
    List {
        /// Only sessions of the account with this e-mail address
        #[arg(long, value_name = "EMAIL")]
        email: Option<String>,
        /// Only sessions in this app
        #[arg(long, value_name = "UUID")]
        app: Option<AppId>,
        #[command(flatten)]
        listing: Listing,
    },
    /// End sessions, and print their number. All nodes refuse their tokens within 5 seconds
    Revoke(Revoke),
}

#[derive(Debug, Args)]
#[group(id = "selection", required = true, multiple = true, args = ["id", "email", "app", "all"])]
struct Revoke {
    /// The session's id, as `session list` prints it
    #[arg(value_name = "ID")]
    id: Option<SessionId>,
    /// All sessions of the account with this e-mail address
    #[arg(long, value_name = "EMAIL")]
    email: Option<String>,
    /// All sessions in this app
    #[arg(long, value_name = "UUID")]
    app: Option<AppId>,
    /// All sessions of all accounts
    #[arg(long, conflicts_with_all = ["id", "email", "app"])]
    all: bool,
    #[command(flatten)]
    data: Data,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::List { email, app, listing } => {
            let format = listing.format;
            with_existing(&listing.data, async |db| {
                let selection = selection(db, None, email, app).await?;
                let sessions = session_administration::list(db, selection, SystemClock.now()).await;
                for (session, user) in sessions.context("listing")? {
                    let email = user.email.as_str();
                    let text = || {
                        let client =
                            [session.address.as_deref(), session.user_agent.as_ref().map(UserAgent::as_str)];
                        let [address, program] = client.map(|value| column(value.unwrap_or("-")));
                        let (begin, used) = (time(session.created_at), time(session.last_used_at));
                        let (id, app) = (session.id, session.app_id);
                        format!("{id}\t{email}\t{app}\t{begin}\t{used}\t{address}\t{program}")
                    };
                    let json = || {
                        let mut json = session_json(&session);
                        json["email"] = email.into();
                        json
                    };
                    format.say(text, json)?;
                }
                Ok(())
            })
            .await
        }
        Command::Revoke(Revoke { id, email, app, all: _, data }) => {
            with_existing(&data, async |db| {
                let selection = selection(db, id, email, app).await?;
                let now = SystemClock.now();
                let ended = session_administration::revoke(db, selection, now, &OsRandom).await;
                let ended = ended.context("ending the sessions")?;
                if let (0, Some(id)) = (ended, id) {
                    return Err(usage(format!("there is no session {id}, or it has ended")));
                }
                say(&format!("{ended}"))
            })
            .await
        }
    }
}

async fn selection(
    db: &Db,
    id: Option<SessionId>,
    email: Option<String>,
    app: Option<AppId>,
) -> anyhow::Result<Selection> {
    let user = match email {
        Some(text) => {
            let email = Email::parse(&text).map_err(|error| usage(format!("--email {text:?} {error}")))?;
            let account = Accounts::new(db.clone()).find(email).await.context("looking up the account")?;
            Some(account.ok_or_else(|| usage("--email has no account"))?.id)
        }
        None => None,
    };
    Ok(Selection { id, user, app })
}
