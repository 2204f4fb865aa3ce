//! `homeroom user`

use std::io::{BufRead, IsTerminal};

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::{Failure, open, open_existing, say};
use crate::{
    clock::{Clock, SystemClock},
    config::{Data, Hashing},
    domain::{email::Email, password::Password},
    entropy::OsEntropy,
    identity::{
        accounts::{self, AccountError},
        password_hashing::PasswordHashing,
    },
    throttle,
};

/// Fewest characters of a password that is chosen here (NIST SP 800-63B section 3.1.1.2).
const MIN_PASSWORD: usize = 8;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an account with a confirmed address; its password is read from standard input, or asked for
    Add(Box<Add>),
    /// Forget the failed attempts on an account, wherever they came from
    Unlock {
        /// The e-mail address
        #[arg(long, value_name = "EMAIL")]
        email: String,
        #[command(flatten)]
        data: Data,
    },
    /// Print every account: id, address, standing
    List(Data),
}

#[derive(Debug, Args)]
struct Add {
    /// The e-mail address
    #[arg(long, value_name = "EMAIL")]
    email: String,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    hashing: Hashing,
}

pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Add(add) => {
            let email = email(&add.email)?;
            let password = read_password()?;
            let store = open(&add.data).await?;
            let hashing = PasswordHashing::start(add.hashing.settings(), &OsEntropy)
                .map_err(|error| Failure::of("starting the password hash", &error))?;
            let added = accounts::add(&store, &hashing, &OsEntropy, email, password, SystemClock.now()).await;
            match added {
                Ok(id) => say(&format!("{id}")),
                Err(AccountError::Taken) => return Err(Failure::Usage(AccountError::Taken.to_string())),
                Err(error) => return Err(Failure::of("making the account", &error)),
            }
        }
        Command::Unlock { email: text, data } => {
            let email = email(&text)?;
            let store = open_existing(&data).await?;
            let account = accounts::find(&store, email.clone()).await;
            if account.map_err(|error| Failure::of("looking up", &error))?.is_none() {
                return Err(Failure::Usage("--email has no account".to_owned()));
            }
            throttle::unlock(&store, &email).await.map_err(|error| Failure::of("unlocking", &error))?;
        }
        Command::List(data) => {
            let store = open_existing(&data).await?;
            for user in accounts::list(&store).await.map_err(|error| Failure::of("listing", &error))? {
                let standing = match (user.enabled, user.email_verified_at) {
                    (false, _) => "disabled",
                    (true, None) => "unconfirmed",
                    (true, Some(_)) => "active",
                };
                say(&format!("{}\t{}\t{standing}", user.id, user.email.as_str()));
            }
        }
    }
    Ok(())
}

fn email(text: &str) -> Result<Email, Failure> {
    Email::parse(text).map_err(|error| Failure::Usage(format!("--email '{text}' {error}")))
}

/// A password: the first line of standard input, or, at a terminal, what is typed twice alike.
fn read_password() -> Result<Password, Failure> {
    let failed = |error: std::io::Error| Failure::of("reading the password", &error);
    let text = if std::io::stdin().is_terminal() {
        let first = Zeroizing::new(rpassword::prompt_password("Password: ").map_err(failed)?);
        let second = Zeroizing::new(rpassword::prompt_password("Once more: ").map_err(failed)?);
        if first != second {
            return Err(Failure::Usage("the passwords differ".to_owned()));
        }
        first
    } else {
        let mut line = Zeroizing::new(String::new());
        std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
        let end = line.trim_end_matches(['\r', '\n']).len();
        line.truncate(end);
        line
    };
    if text.chars().count() < MIN_PASSWORD {
        return Err(Failure::Usage(format!("the password must have at least {MIN_PASSWORD} characters")));
    }
    Password::parse(&text).map_err(|error| Failure::Usage(format!("the password {error}")))
}
