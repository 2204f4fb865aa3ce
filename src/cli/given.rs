//! Values of flags such as `--account-page`: a text sets the property, and an empty text removes it.

/// A value, or an empty text, which stands for none.
#[derive(Debug, Clone)]
pub struct Given<T>(pub Option<T>);

pub fn or_none<T, E>(text: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<Given<T>, E> {
    if text.is_empty() { Ok(Given(None)) } else { parse(text).map(|value| Given(Some(value))) }
}

/// The given values without duplicates.
pub fn unique<T: PartialEq>(given: Vec<Given<T>>) -> Vec<T> {
    let mut values = Vec::new();
    for value in given.into_iter().filter_map(|Given(value)| value) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}
