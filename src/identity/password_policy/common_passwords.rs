//! The list of common passwords.

/// One password per line, in lower case and sorted. `scripts/common-passwords` writes the file, and `common_passwords.md` names the
/// source.
const LIST: &str = include_str!("common_passwords.txt");

/// Whether a password in any case is on the list.
pub(super) fn contains(password: &str) -> bool {
    let lower = zeroize::Zeroizing::new(password.to_lowercase());
    LIST.lines().any(|common| common == *lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_has_ten_thousand_sorted_passwords_of_eight_characters_and_more() {
        let list: Vec<&str> = LIST.lines().collect();
        assert!(list.len() >= 10_000, "{}", list.len());
        assert!(list.is_sorted_by(|one, next| one < next));
        for common in list {
            assert!(common.chars().count() >= 8, "{common}");
            assert_eq!(common, common.to_lowercase());
        }
    }

    #[test]
    fn contains_password_of_the_list_in_any_case_is_true() {
        for common in ["password1", "Password1", "PASSWORD1", "qwertyuiop"] {
            assert!(contains(common), "{common}");
        }
        for common in LIST.lines().step_by(1_000) {
            assert!(contains(&common.to_uppercase()), "{common}");
        }
        for rare in ["", "password1\npassword12", "a password that is not on the list"] {
            assert!(!contains(rare), "{rare}");
        }
    }
}
