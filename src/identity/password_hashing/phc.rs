//! PHC strings, as far as Homeroom writes and reads them.

use argon2::{
    Algorithm, Params, Version,
    password_hash::{
        self,
        phc::{self, Output, ParamsString, PasswordHash as Text, Salt},
    },
};

use crate::domain::password::PasswordHash;

/// Bytes of the tags that are made. Those that are read may have another length.
pub(super) const TAG_LENGTH: usize = 32;

/// 19 MiB, two passes, one lane: what OWASP's password storage guide asks for at least.
pub(super) const PARAMS: Params = match Params::new(19_456, 2, 1, Some(TAG_LENGTH)) {
    Ok(params) => params,
    Err(_) => panic!("RFC 9106 allows these parameters"),
};

/// Most memory in KiB, passes and lanes that a stored string may ask for, and the fewest bytes of its tag. Strings from
/// elsewhere may be stronger than ours; beyond this they are a mistake that would only keep everyone waiting.
const MOST: (u32, u32, u32) = (64 * 1024, 10, 4);
const SHORTEST_TAG: usize = 16;

/// A stored string cannot be verified against. None of these tells what it held.
#[derive(Debug, thiserror::Error)]
pub enum PhcError {
    /// It is not written as a PHC string.
    #[error("not a PHC string: {0}")]
    Syntax(#[from] phc::Error),
    /// Its parameters are none of Argon2.
    #[error("not the parameters of Argon2: {0}")]
    Parameters(#[from] password_hash::Error),
    /// It is of another algorithm, or of Argon2 before version 0x13.
    #[error("not a hash of Argon2id, version 19")]
    Algorithm,
    /// It has no salt or no tag, or it has a key or data, of which there are none.
    #[error("a part is missing, or there is one too many")]
    Parts,
    /// It asks for more work than a password is worth, or its tag is short enough to be guessed.
    #[error("the parameters are out of bounds")]
    OutOfBounds,
}

/// A PHC string's parts: Argon2id, version 0x13, within bounds.
#[derive(Clone)]
pub(super) struct Phc {
    pub(super) params: Params,
    pub(super) salt: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

impl Phc {
    /// Reads a stored string.
    pub(super) fn parse(text: &str) -> Result<Self, PhcError> {
        let text = Text::new(text)?;
        if text.algorithm != Algorithm::Argon2id.ident() || text.version != Some(Version::V0x13.into()) {
            return Err(PhcError::Algorithm);
        }
        let params = Params::try_from(&text)?;
        let (Some(salt), Some(tag)) = (text.salt, text.hash) else { return Err(PhcError::Parts) };
        if !params.data().is_empty() || !params.keyid().is_empty() {
            return Err(PhcError::Parts);
        }
        let (memory, passes, lanes) = MOST;
        let affordable = params.m_cost() <= memory && params.t_cost() <= passes && params.p_cost() <= lanes;
        // What is longer than 64 bytes is not even read.
        if !affordable || tag.len() < SHORTEST_TAG {
            return Err(PhcError::OutOfBounds);
        }
        Ok(Self { params, salt: salt.to_vec(), tag: tag.as_bytes().to_vec() })
    }

    /// Writes the string to be stored.
    pub(super) fn format(&self) -> Result<PasswordHash, PhcError> {
        let text = Text {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&self.params)?,
            salt: Some(Salt::new(&self.salt)?),
            hash: Some(Output::new(&self.tag)?),
        };
        Ok(text.to_string().into())
    }
}

impl std::fmt::Debug for Phc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Phc").field("params", &self.params).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &str = "c29tZXNhbHQ";
    const TAG: &str = "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    #[test]
    fn what_is_written_is_read_again() {
        let text = format!("$argon2id$v=19$m=19456,t=2,p=1${SALT}${TAG}");
        let phc = Phc::parse(&text).unwrap();
        assert_eq!((&phc.params, phc.salt.as_slice()), (&PARAMS, b"somesalt".as_slice()));
        assert_eq!(phc.format().unwrap().expose(), text);
    }

    #[test]
    fn strings_at_the_bounds_are_read_and_beyond_them_are_not() {
        Phc::parse(&format!("$argon2id$v=19$m=65536,t=10,p=4${SALT}${TAG}")).unwrap();
        for head in [
            "$argon2id$v=19$m=65537,t=2,p=1",
            "$argon2id$v=19$m=4294967295,t=2,p=1",
            "$argon2id$v=19$m=19456,t=11,p=1",
            "$argon2id$v=19$m=19456,t=2,p=5",
            "$argon2id$v=19$m=19456,t=0,p=1",
            "$argon2id$v=19$m=16,t=2,p=4",
            "$argon2id$v=19$m=19456,t=2,p=1,data=c29tZWRhdGE",
            "$argon2id$v=19$m=19456,t=2,p=1,keyid=c29t",
            "$argon2id$v=16$m=19456,t=2,p=1",
            "$argon2id$m=19456,t=2,p=1",
            "$argon2i$v=19$m=19456,t=2,p=1",
            "$argon2d$v=19$m=19456,t=2,p=1",
            "$scrypt$ln=16,r=8,p=1",
        ] {
            Phc::parse(&format!("{head}${SALT}${TAG}")).unwrap_err();
        }
        let sound = "$argon2id$v=19$m=19456,t=2,p=1";
        let (fifteen, long) = ("A".repeat(20), "A".repeat(88));
        for tail in [
            "",
            "$",
            "$c2hvcnQ",
            &format!("${SALT}"),
            &format!("${SALT}${fifteen}"),
            &format!("${SALT}${long}"),
        ] {
            Phc::parse(&format!("{sound}{tail}")).unwrap_err();
        }
        Phc::parse("").unwrap_err();
    }
}
