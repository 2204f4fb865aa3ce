//! `homeroom keys`

use anyhow::Context;
use clap::{Args, Subcommand};

use serde_json::json;

use super::{
    listing::{Listing, time},
    say, usage,
};
use crate::{
    clock::{Clock, SystemClock},
    config::Data,
    domain::id::KeyId,
    identity::signing_keys::{self, KeyState, RetireError, SigningKeys},
    random::OsRandom,
};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a key. A running server publishes it within a minute, and signs with it after ten minutes, when all nodes have it
    Rotate(Data),
    /// Delete a key that no longer signs. Within a minute, a running server refuses the tokens that it signed
    Retire {
        /// The key's id, as `keys list` prints it
        kid: KeyId,
        #[command(flatten)]
        data: Data,
    },
    /// Print every key with its creation time and its state
    List(Listing),
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let now = SystemClock.now();
    match &arguments.command {
        Command::Rotate(data) => {
            let directory = data.keys();
            SigningKeys::open(&directory, now, &OsRandom)
                // The time is read again, so that the new key is younger than a first key that was created just now.
                .and_then(|_| signing_keys::rotate(&directory, SystemClock.now(), &OsRandom))
                .context("rotating")
                .and_then(|kid| say(&format!("{kid}")))
        }
        Command::Retire { kid, data } => {
            signing_keys::retire(&data.keys(), *kid, now).map_err(|error| match error {
                RetireError::Unknown(_) | RetireError::Signing(_) => usage(error),
                RetireError::Directory(_) => anyhow::Error::new(error).context("retiring"),
            })
        }
        Command::List(Listing { format, data }) => {
            let keys = signing_keys::list(&data.keys(), now).context("listing")?;
            for key in keys {
                let (state, signs_at) = match key.state {
                    KeyState::Signing => ("signing", None),
                    KeyState::Waiting { signs_at } => ("waiting", Some(signs_at)),
                    KeyState::Verifying => ("verifying", None),
                };
                let text = || {
                    let state = signs_at.map_or_else(
                        || state.to_owned(),
                        |signs_at| format!("signs at {}", signs_at.to_rfc3339()),
                    );
                    format!("{}\t{}\t{state}", key.kid, key.created_at.to_rfc3339())
                };
                let json = || {
                    json!({
                        "id": key.kid,
                        "createdAt": time(key.created_at),
                        "state": state,
                        "signsAt": signs_at.map(time),
                    })
                };
                format.say(text, json)?;
            }
            Ok(())
        }
    }
}
