//! The flags for classes and their students.

use clap::{Args, ValueEnum};
use url::Url;

use crate::{
    classroom,
    domain::{mail_domain::MailDomain, user_name::UserName},
    school,
};

/// Classes and their students.
#[derive(Debug, Clone, Args)]
pub struct Students {
    /// Classes that one user may own. Operators may create more. 0 is no limit
    #[arg(long, env = "HOMEROOM_CLASSES_PER_OWNER", value_name = "COUNT", default_value_t = classroom::CLASSES_PER_OWNER)]
    pub classes_per_owner: u32,

    /// The page on which students join a class. `getJoinCode` answers its URL with the join code as `code` [default: none]
    #[arg(long, env = "HOMEROOM_JOIN_PAGE", value_name = "URL", value_parser = join_page)]
    pub join_page: Option<Url>,

    /// The domain of the user names of accounts that the school makes for students. It needs no mailboxes, and nobody else may use
    /// it. Without it, the server makes no such accounts [default: none]
    #[arg(long, env = "HOMEROOM_STUDENT_DOMAIN", value_name = "DOMAIN", value_parser = student_domain)]
    pub student_domain: Option<MailDomain>,

    /// Whether students must change a generated password at the first sign-in, or may keep it
    #[arg(long, env = "HOMEROOM_STUDENT_PASSWORDS", value_name = "RULE", value_enum,
          default_value_t = StudentPasswords::Change)]
    pub student_passwords: StudentPasswords,

    /// Requests of one teacher that make accounts or passwords of students, at once and then per hour. 0 is no limit
    #[arg(long, env = "HOMEROOM_STUDENT_ACCOUNT_RATE", value_name = "COUNT", default_value_t = school::Settings::ACCOUNT_RATE)]
    pub student_account_rate: u32,

    /// Files of students that one teacher may import, at once and then per hour. 0 is no limit
    #[arg(long, env = "HOMEROOM_STUDENT_IMPORT_RATE", value_name = "COUNT", default_value_t = school::Settings::IMPORT_RATE)]
    pub student_import_rate: u32,
}

/// What happens to generated passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StudentPasswords {
    /// Students change them at the first sign-in.
    Change,
    /// Students may keep them.
    Keep,
}

impl Students {
    /// Whether students may keep a generated password.
    pub fn keep_passwords(&self) -> bool {
        self.student_passwords == StudentPasswords::Keep
    }

    /// The settings of the accounts that the school makes.
    pub fn school(&self) -> school::Settings {
        school::Settings {
            student_domain: self.student_domain.clone(),
            account_rate: self.student_account_rate,
            import_rate: self.student_import_rate,
        }
    }
}

/// A domain in which every user name is an address.
pub fn student_domain(text: &str) -> Result<MailDomain, String> {
    const MAX: usize = 254 - 1 - UserName::MAX;
    let domain = MailDomain::parse(text).map_err(|error| error.to_string())?;
    if domain.as_str().len() <= MAX { Ok(domain) } else { Err(format!("must have at most {MAX} characters")) }
}

/// The URL of a page, to which a query can be added.
pub fn join_page(text: &str) -> Result<Url, &'static str> {
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
    fn student_domain_is_a_mail_domain_with_space_for_user_names() {
        assert_eq!(student_domain("Students.Example").unwrap().as_str(), "students.example");
        assert!(student_domain(&format!("{}abc", "a23456789.".repeat(21))).is_ok());
        for domain in ["", "a@b.example", "a b", &format!("{}abcd", "a23456789.".repeat(21))] {
            assert!(student_domain(domain).is_err(), "{domain}");
        }
    }

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
