//! The flags for classes and their students.

use clap::Args;
use url::Url;

use crate::classroom;

/// Classes and their students.
#[derive(Debug, Clone, Args)]
pub struct Students {
    /// Classes that one user may own. Operators may create more. 0 is no limit
    #[arg(long, env = "HOMEROOM_CLASSES_PER_OWNER", value_name = "COUNT", default_value_t = classroom::CLASSES_PER_OWNER)]
    pub classes_per_owner: u32,

    /// The page on which students join a class. `getJoinCode` answers its URL with the join code as `code` [default: none]
    #[arg(long, env = "HOMEROOM_JOIN_PAGE", value_name = "URL", value_parser = join_page)]
    pub join_page: Option<Url>,
}

fn join_page(text: &str) -> Result<Url, &'static str> {
    const RULE: &str =
        "must be an http or https URL of at most 2000 characters, without user name and fragment";
    let url = Url::parse(text).map_err(|_| RULE)?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let fits = matches!(url.scheme(), "http" | "https") && url.as_str().len() <= 2000;
    if is_plain && fits { Ok(url) } else { Err(RULE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_page_is_a_web_page_without_user_name_and_fragment() {
        for page in ["https://join.example.com", "http://localhost:3000/join?lang=vi"] {
            assert!(join_page(page).is_ok(), "{page}");
        }
        for page in [
            "",
            "join",
            "ftp://a.example",
            "javascript:alert(1)",
            "https://a@b.example",
            "https://a.example/#b",
        ] {
            assert!(join_page(page).is_err(), "{page}");
        }
    }
}
