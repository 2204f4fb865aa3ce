//! `homeroom user`

use std::io::{BufRead, IsTerminal, Read};

use anyhow::Context;
use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::{COMMAND_CONNECTIONS, say, usage, with_database, with_existing};
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

/// The minimum number of characters of a new password (NIST SP 800-63B section 3.1.1.2).
const MIN_PASSWORD: usize = 8;
/// The maximum number of bytes to read of a line. It exceeds the longest password.
const MAX_LINE: u64 = 8 * Password::MAX_TYPED as u64;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create an account with a confirmed address. The password is read from standard input, or prompted for
    Add(Box<Add>),
    /// Change the given properties of an account. Issued tokens stay valid until they expire
    Set(Box<Set>),
    /// Forget the failed sign-ins of an account, from all addresses
    Unlock {
        /// The e-mail address
        #[arg(long, value_name = "EMAIL")]
        email: String,
        #[command(flatten)]
        data: Data,
    },
    /// Print every account: id, address with its domain in ASCII form, state
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
    /// Set a password, which is read from standard input, or prompted for
    #[arg(long)]
    password: bool,
    /// Whether the account may sign in
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    hashing: Hashing,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
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
                    Err(AddError::EmailTaken) => Err(usage(AddError::EmailTaken)),
                    Err(error) => Err(anyhow::Error::new(error).context("creating the account")),
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
                    Some(hashed.context("hashing the password")?)
                } else {
                    None
                };
                let changed = Accounts::new(db.clone()).change(&account, password_hash, set.enabled).await;
                changed.context("changing the account")
            })
            .await
        }
        Command::Unlock { email: text, data } => {
            let email = email(&text)?;
            with_existing(&data, async |db| {
                existing(db, &email).await?;
                let limiter = Limiter::new(db.clone());
                limiter.forget_account(&email).await.context("unlocking")
            })
            .await
        }
        Command::List(data) => with_existing(&data, list).await,
    }
}

async fn list(db: &Db) -> anyhow::Result<()> {
    for user in Accounts::new(db.clone()).list().await.context("listing")? {
        let state = match (user.enabled, user.email_verified_at) {
            (false, _) => "disabled",
            (true, None) => "unconfirmed",
            (true, Some(_)) => "active",
        };
        say(&format!("{}\t{}\t{state}", user.id, user.email.as_str()))?;
    }
    Ok(())
}

fn start(hashing: &Hashing) -> anyhow::Result<PasswordHashing> {
    PasswordHashing::start(hashing.settings(), &OsRandom).context("starting the password hash")
}

async fn existing(db: &Db, email: &Email) -> anyhow::Result<user::Model> {
    let account = Accounts::new(db.clone()).find(email.clone()).await;
    let account = account.context("looking up")?;
    account.ok_or_else(|| usage(format!("--email {} has no account", email.as_str())))
}

fn email(text: &str) -> anyhow::Result<Email> {
    Email::parse(text).map_err(|error| usage(format!("--email {text:?} {error}")))
}

/// Reads a password: the first line of standard input, or at a terminal two equal entries.
fn read_password() -> anyhow::Result<Password> {
    const READING: &str = "reading the password";
    let text = if std::io::stdin().is_terminal() {
        let first = Zeroizing::new(rpassword::prompt_password("Password: ").context(READING)?);
        let second = Zeroizing::new(rpassword::prompt_password("Repeat: ").context(READING)?);
        if first != second {
            return Err(usage("the passwords differ"));
        }
        first
    } else {
        let mut line = Zeroizing::new(Vec::new());
        std::io::stdin().lock().take(MAX_LINE).read_until(b'\n', &mut line).context(READING)?;
        if line.len() as u64 == MAX_LINE {
            return Err(usage(format!("the password {PasswordError}")));
        }
        Zeroizing::new(piped_password(&line).map_err(usage)?.to_owned())
    };
    let password = Password::parse(&text).map_err(|error| usage(format!("the password {error}")))?;
    if password.expose().chars().count() < MIN_PASSWORD {
        return Err(usage(format!("the password must have at least {MIN_PASSWORD} characters")));
    }
    Ok(password)
}

/// The password in the first line of a pipe or file, without the byte order mark that PowerShell and editors write, and without the
/// line break.
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
    fn piped_password_byte_order_mark_and_line_break_are_removed() {
        for line in [
            "pass word é",
            "pass word é\n",
            "pass word é\r\n",
            "\u{FEFF}pass word é",
            "\u{FEFF}pass word é\r\n",
        ] {
            assert_eq!(piped_password(line.as_bytes()), Ok("pass word é"), "{line:?}");
        }
        // Only the first mark is a byte order mark.
        assert_eq!(piped_password("\u{FEFF}\u{FEFF} a ".as_bytes()), Ok("\u{FEFF} a "));
        assert_eq!(piped_password(b""), Ok(""));
    }

    #[test]
    fn piped_password_not_utf_8_is_refused_with_the_reason() {
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
