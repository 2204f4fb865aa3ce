//! Reads a new password of an account, and checks it.

use std::io::{BufRead, IsTerminal, Read};

use anyhow::Context;
use zeroize::Zeroizing;

use crate::{
    cli::usage,
    config::Passwords,
    domain::password::{Password, PasswordError},
};

/// The maximum number of bytes to read of a line. It exceeds the longest password.
const MAX_LINE: u64 = 8 * Password::MAX_TYPED as u64;

/// Reads a password and checks it. The context holds words that an attacker would try for the owner of the account.
pub async fn new_password(rule: &Passwords, context: Vec<String>) -> anyhow::Result<Password> {
    let password = read_password()?;
    rule.policy().check(&password, context).await?.map_err(|weak| usage(format!("the password {weak}")))?;
    Ok(password)
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
    Password::parse(&text).map_err(|error| usage(format!("the password {error}")))
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
