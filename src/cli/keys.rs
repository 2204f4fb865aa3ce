//! `homeroom keys`

use clap::{Args, Subcommand};

use super::{Failure, say};
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
    /// Make a new key: a running server publishes it within a minute, and signs with it after ten, when every node has it
    Rotate(Data),
    /// Delete a key that no longer signs: within a minute a running server refuses the tokens that it signed
    Retire {
        /// The key's id, as `keys list` prints it
        kid: KeyId,
        #[command(flatten)]
        data: Data,
    },
    /// Print every key with its birth and what it does
    List(Data),
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let now = SystemClock.now();
    match &arguments.command {
        Command::Rotate(data) => {
            let directory = data.keys();
            SigningKeys::open(&directory, now, &OsRandom)
                // Later than a first key that was made just now: of keys of one instant, either might be the older.
                .and_then(|_| signing_keys::rotate(&directory, SystemClock.now(), &OsRandom))
                .map_err(|error| Failure::of("rotating", &error))
                .and_then(|kid| say(&format!("{kid}")))
        }
        Command::Retire { kid, data } => {
            signing_keys::retire(&data.keys(), *kid, now).map_err(|error| match error {
                RetireError::Unknown(_) | RetireError::Signing(_) => Failure::Usage(error.to_string()),
                RetireError::Directory(_) => Failure::of("retiring", &error),
            })
        }
        Command::List(data) => {
            let keys =
                signing_keys::list(&data.keys(), now).map_err(|error| Failure::of("listing", &error))?;
            for key in keys {
                let state = match key.state {
                    KeyState::Signing => "signing".to_owned(),
                    KeyState::Waiting { signs_at } => format!("signs at {}", signs_at.to_rfc3339()),
                    KeyState::Verifying => "verifying".to_owned(),
                };
                say(&format!("{}\t{}\t{state}", key.kid, key.created_at.to_rfc3339()))?;
            }
            Ok(())
        }
    }
}
