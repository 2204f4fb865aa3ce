//! `homeroom user`

use std::io::{BufRead, IsTerminal, Read};

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::{COMMAND_CONNECTIONS, Failure, say, with_database, with_existing};
use crate::{
    clock::{Clock, SystemClock},
    config::{Data, Hashing},
    db::Db,
    domain::{
        email::Email,
        password::{Password, PasswordError},
    },
    entity::user,
    identity::{
        accounts::{Accounts, AddError},
        password_hashing::PasswordHashing,
    },
    random::{self, OsRandom},
    rate_limit::limiter::Limiter,
};

/// Fewest characters of a password that is chosen here (NIST SP 800-63B section 3.1.1.2).
const MIN_PASSWORD: usize = 8;
/// Most bytes that are read of a line: the longest password, and more than one byte too many.
const MAX_LINE: u64 = 8 * Password::MAX_TYPED as u64;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an account with a confirmed address; its password is read from standard input, or asked for
    Add(Box<Add>),
    /// Change an account: what is not said stays as it is. Tokens that it was issued live out their time
    Set(Box<Set>),
    /// Forget the failed attempts on an account, wherever they came from
    Unlock {
        /// The e-mail address
        #[arg(long, value_name = "EMAIL")]
        email: String,
        #[command(flatten)]
        data: Data,
    },
    /// Print every account: id, address with its domain in ASCII form, standing
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

#[derive(Debug, Args)]
#[group(id = "change", required = true, multiple = true, args = ["password", "enabled"])]
struct Set {
    /// The e-mail address
    #[arg(long, value_name = "EMAIL")]
    email: String,
    /// Another password, which is read from standard input, or asked for
    #[arg(long)]
    password: bool,
    /// Whether it may sign in
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
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
            with_database(&add.data, COMMAND_CONNECTIONS, async |db| {
                let hashing = start(&add.hashing)?;
                let added = Accounts::new(db.clone())
                    .add(&hashing, &OsRandom, email, password, SystemClock.now())
                    .await;
                match added {
                    Ok(id) => say(&format!("{id}")),
                    Err(AddError::EmailTaken) => Err(Failure::Usage(AddError::EmailTaken.to_string())),
                    Err(error) => Err(Failure::of("making the account", &error)),
                }
            })
            .await
        }
        Command::Set(set) => {
            let email = email(&set.email)?;
            with_existing(&set.data, async |db| {
                let account = existing(db, &email).await?;
                let password_hash = if set.password {
                    let hashed = start(&set.hashing)?.hash(read_password()?, random::bytes(&OsRandom)).await;
                    Some(hashed.map_err(|error| Failure::of("hashing the password", &error))?)
                } else {
                    None
                };
                let changed = Accounts::new(db.clone()).change(&account, password_hash, set.enabled).await;
                changed.map_err(|error| Failure::of("changing the account", &error))
            })
            .await
        }
        Command::Unlock { email: text, data } => {
            let email = email(&text)?;
            with_existing(&data, async |db| {
                existing(db, &email).await?;
                let limiter = Limiter::new(db.clone());
                limiter.forget_account(&email).await.map_err(|error| Failure::of("unlocking", &error))
            })
            .await
        }
        Command::List(data) => with_existing(&data, list).await,
    }
}

async fn list(db: &Db) -> Result<(), Failure> {
    for user in Accounts::new(db.clone()).list().await.map_err(|error| Failure::of("listing", &error))? {
        let standing = match (user.enabled, user.email_verified_at) {
            (false, _) => "disabled",
            (true, None) => "unconfirmed",
            (true, Some(_)) => "active",
        };
        say(&format!("{}\t{}\t{standing}", user.id, user.email.as_str()))?;
    }
    Ok(())
}

fn start(hashing: &Hashing) -> Result<PasswordHashing, Failure> {
    PasswordHashing::start(hashing.settings(), &OsRandom)
        .map_err(|error| Failure::of("starting the password hash", &error))
}

async fn existing(db: &Db, email: &Email) -> Result<user::Model, Failure> {
    let account = Accounts::new(db.clone()).find(email.clone()).await;
    let account = account.map_err(|error| Failure::of("looking up", &error))?;
    account.ok_or_else(|| Failure::Usage(format!("--email {} has no account", email.as_str())))
}

fn email(text: &str) -> Result<Email, Failure> {
    Email::parse(text).map_err(|error| Failure::Usage(format!("--email {text:?} {error}")))
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
        let mut line = Zeroizing::new(Vec::new());
        std::io::stdin().lock().take(MAX_LINE).read_until(b'\n', &mut line).map_err(failed)?;
        if line.len() as u64 == MAX_LINE {
            return Err(Failure::Usage(format!("the password {PasswordError}")));
        }
        Zeroizing::new(piped_password(&line).map_err(|error| Failure::Usage(error.to_owned()))?.to_owned())
    };
    let password = Password::parse(&text).map_err(|error| Failure::Usage(format!("the password {error}")))?;
    if password.expose().chars().count() < MIN_PASSWORD {
        return Err(Failure::Usage(format!("the password must have at least {MIN_PASSWORD} characters")));
    }
    Ok(password)
}

/// The password on the first line of a pipe or file, without the byte order mark that PowerShell and editors put before
/// it, and without the line's end.
fn piped_password(line: &[u8]) -> Result<&str, &'static str> {
    const UTF_16: &str = "the password on standard input must be UTF-8, and is UTF-16; in PowerShell set \
                          $OutputEncoding = [System.Text.UTF8Encoding]::new()";
    if line.starts_with(b"\xFF\xFE") || line.starts_with(b"\xFE\xFF") || line.contains(&0) {
        return Err(UTF_16);
    }
    let text = str::from_utf8(line).map_err(|_| "the password on standard input must be UTF-8")?;
    Ok(text.strip_prefix('\u{FEFF}').unwrap_or(text).trim_end_matches(['\r', '\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn piped_password_loses_its_byte_order_mark_and_its_line_end() {
        for line in [
            "pass word é",
            "pass word é\n",
            "pass word é\r\n",
            "\u{FEFF}pass word é",
            "\u{FEFF}pass word é\r\n",
        ] {
            assert_eq!(piped_password(line.as_bytes()), Ok("pass word é"), "{line:?}");
        }
        // One mark alone is one of the encoding.
        assert_eq!(piped_password("\u{FEFF}\u{FEFF} a ".as_bytes()), Ok("\u{FEFF} a "));
        assert_eq!(piped_password(b""), Ok(""));
    }

    #[test]
    fn piped_password_in_another_encoding_is_refused_with_the_reason() {
        let utf_16 = |mark: &str, to_bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            format!("{mark}password\r\n").encode_utf16().flat_map(to_bytes).collect()
        };
        for line in [
            utf_16("\u{FEFF}", u16::to_le_bytes),
            utf_16("\u{FEFF}", u16::to_be_bytes),
            utf_16("", u16::to_le_bytes),
            utf_16("", u16::to_be_bytes),
        ] {
            assert!(piped_password(&line).unwrap_err().contains("UTF-16"), "{line:?}");
        }
        assert_eq!(piped_password(b"pass w\xF6rd\n"), Err("the password on standard input must be UTF-8"));
    }
}
