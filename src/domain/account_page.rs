//! The page of an app that the links in mails lead to.

use sea_orm::DeriveValueType;
use url::{Host, Url};

use super::secret_token::ConfirmHash;

/// The URL of an app's page on which a user confirms an address or sets a new password.
#[derive(Debug, Clone, PartialEq, Eq, DeriveValueType)]
pub struct AccountPage(String);

/// The text is not the URL of an account page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an https URL, or an http URL on this machine, of at most {} characters, without user name and fragment",
    AccountPage::MAX
)]
pub struct InvalidAccountPage;

/// What the user does on the page: the value of the parameter `action` of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkAction {
    /// Confirm the address of a new account.
    Confirm,
    /// Set a new password.
    Reset,
}

impl AccountPage {
    /// The maximum number of characters.
    pub const MAX: usize = 2048;

    /// Accepts a URL and keeps its normal form (URL standard).
    pub fn parse(text: &str) -> Result<Self, InvalidAccountPage> {
        let url = Url::parse(text).map_err(|_| InvalidAccountPage)?;
        let is_local = match url.host() {
            Some(Host::Domain(domain)) => domain == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let secure = url.scheme() == "https" || (url.scheme() == "http" && is_local);
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let text = String::from(url);
        if secure && plain && text.len() <= Self::MAX { Ok(Self(text)) } else { Err(InvalidAccountPage) }
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The link in a mail: the page with the parameters `action` and `confirmHash`.
    pub fn link(&self, action: LinkAction, hash: &ConfirmHash) -> String {
        let action = match action {
            LinkAction::Confirm => "confirm",
            LinkAction::Reset => "reset",
        };
        let separator = if self.0.contains('?') { '&' } else { '?' };
        format!("{}{separator}action={action}&confirmHash={}", self.0, hash.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_account_page_insecure_url_is_refused() {
        for text in [
            "",
            "http://a.example/",
            "https://u@a.example/",
            "https://a.example/#a",
            "ftp://a.example/",
            "/a",
        ] {
            assert_eq!(AccountPage::parse(text), Err(InvalidAccountPage), "{text}");
        }
        for text in
            ["https://a.example/account", "http://localhost:3000/", "http://127.0.0.1/", "http://[::1]/"]
        {
            assert_eq!(AccountPage::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn link_of_a_page_with_a_query_continues_it() {
        let hash = ConfirmHash::presented("abc");
        let link = |page: &str| AccountPage::parse(page).unwrap().link(LinkAction::Reset, &hash);
        assert_eq!(link("https://a.example/p"), "https://a.example/p?action=reset&confirmHash=abc");
        assert_eq!(link("https://a.example/p?a=b"), "https://a.example/p?a=b&action=reset&confirmHash=abc");
    }
}
