//! Languages of mails and pages.

use sea_orm::{DeriveActiveEnum, EnumIter};

/// A language that the server writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Language {
    /// English.
    #[default]
    #[sea_orm(string_value = "en")]
    English,
    /// German.
    #[sea_orm(string_value = "de")]
    German,
    /// Vietnamese.
    #[sea_orm(string_value = "vi")]
    Vietnamese,
}

impl Language {
    /// All languages.
    pub const ALL: [Self; 3] = [Self::English, Self::German, Self::Vietnamese];

    /// The language of a language tag (RFC 5646), such as `de-AT`. Other languages become English.
    pub fn from_tag(tag: &str) -> Self {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        let language = Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary));
        language.unwrap_or_default()
    }

    /// The language tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::Vietnamese => "vi",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_from_tag_ignores_case_and_region() {
        for (tag, language) in [
            ("de", Language::German),
            ("DE-at", Language::German),
            ("vi_VN", Language::Vietnamese),
            ("en-GB", Language::English),
            ("fr", Language::English),
            ("", Language::English),
            ("deu", Language::English),
        ] {
            assert_eq!(Language::from_tag(tag), language, "{tag}");
        }
    }
}
