//! The scope of tokens: what an app learns of a user (RFC 6749 section 3.3).

use sea_orm::DeriveValueType;

/// A granted scope: supported values, separated by blanks.
#[derive(Debug, Clone, Default, PartialEq, Eq, DeriveValueType)]
pub struct Scope(String);

impl Scope {
    /// The values of OpenID Connect Core section 5.4 that add claims, and the one that every client of it sends.
    const SUPPORTED: [&'static str; 3] = ["openid", "email", "profile"];

    /// The supported values of a requested scope.
    pub fn grant(requested: &str) -> Self {
        Self::of(|value| requested.split(' ').any(|requested| requested == value))
    }

    /// The part of this scope that a refresh requests. An empty request means the whole scope (RFC 6749 section 6).
    #[must_use]
    pub fn narrow(&self, requested: &str) -> Self {
        if requested.is_empty() {
            return self.clone();
        }
        let requested = Self::grant(requested);
        Self::of(|value| self.contains(value) && requested.contains(value))
    }

    fn of(is_granted: impl Fn(&str) -> bool) -> Self {
        let granted: Vec<&str> = Self::SUPPORTED.into_iter().filter(|value| is_granted(value)).collect();
        Self(granted.join(" "))
    }

    /// Whether it has this value.
    pub fn contains(&self, value: &str) -> bool {
        self.0.split(' ').any(|granted| granted == value)
    }

    /// Whether it has no value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values, separated by blanks.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grant_keeps_supported_values_once_in_a_fixed_order() {
        for (requested, granted) in [
            ("", ""),
            ("openid", "openid"),
            ("profile email openid email", "openid email profile"),
            ("emails OPENID address", ""),
        ] {
            assert_eq!(Scope::grant(requested).as_str(), granted, "{requested}");
        }
    }

    #[test]
    fn narrow_never_adds_a_value() {
        let scope = Scope::grant("openid email");
        for (requested, narrowed) in [
            ("", "openid email"),
            ("email profile", "email"),
            ("profile", ""),
            ("openid email", "openid email"),
        ] {
            assert_eq!(scope.narrow(requested).as_str(), narrowed, "{requested}");
        }
    }
}
