//! The PHC strings that Homeroom writes and reads.

use argon2::{
    Algorithm, Params, Version,
    password_hash::{
        self,
        phc::{self, Output, ParamsString, PasswordHash as Text, Salt},
    },
};

use crate::domain::password::PasswordHash;

/// The number of bytes in new tags. Stored tags may have another length.
pub(super) const TAG_LENGTH: usize = 32;

/// The maximum memory in KiB, passes and lanes of a stored string. Imported strings may be stronger than new ones, within limits that
/// protect the other requests.
const MAX: (u32, u32, u32) = (64 * 1024, 10, 4);
/// The minimum number of bytes in a stored tag.
const MIN_TAG: usize = 16;

/// Why a stored string cannot be used. The messages do not contain it.
#[derive(Debug, thiserror::Error)]
pub enum PhcError {
    /// The text is not a PHC string.
    #[error("not a PHC string: {0}")]
    Syntax(#[from] phc::Error),
    /// The parameters are not those of Argon2.
    #[error("not the parameters of Argon2: {0}")]
    Parameters(#[from] password_hash::Error),
    /// The algorithm is not Argon2id, version 0x13.
    #[error("not a hash of Argon2id, version 19")]
    Algorithm,
    /// The salt or the tag is missing, or there is a key or associated data.
    #[error("a part is missing, or there is one too many")]
    Parts,
    /// The parameters exceed the limits, or the tag is too short.
    #[error("the parameters are out of bounds")]
    OutOfBounds,
}

/// A parsed PHC string: Argon2id, version 0x13, within the limits.
#[derive(Clone)]
pub(super) struct Phc {
    pub(super) params: Params,
    pub(super) salt: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

impl Phc {
    /// Parses a stored string.
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
        let (memory, passes, lanes) = MAX;
        let affordable = params.m_cost() <= memory && params.t_cost() <= passes && params.p_cost() <= lanes;
        // The parser rejects tags of more than 64 bytes.
        if !affordable || tag.len() < MIN_TAG {
            return Err(PhcError::OutOfBounds);
        }
        Ok(Self { params, salt: salt.to_vec(), tag: tag.as_bytes().to_vec() })
    }

    /// Formats the string for storage.
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
    use super::{super::cost::Cost, *};

    const SALT: &str = "c29tZXNhbHQ";
    const TAG: &str = "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    #[test]
    fn format_of_parsed_string_is_equal() {
        let text = format!("$argon2id$v=19$m=19456,t=2,p=1${SALT}${TAG}");
        let phc = Phc::parse(&text).unwrap();
        let params = Cost::DEFAULT.params().unwrap();
        assert_eq!((phc.params.clone(), phc.salt.as_slice()), (params, b"somesalt".as_slice()));
        assert_eq!(phc.format().unwrap().expose(), text);
    }

    #[test]
    fn parse_string_beyond_the_limits_is_refused() {
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
