//! The user in responses, and other parts of the operations on accounts.

use poem_openapi::Object;
use serde_json::{Map, Value, json};

use super::{
    error::{self, ErrorCode},
    types::{Instant, Items},
};
use crate::{
    domain::{
        email::Email,
        id::UserId,
        language::Language,
        person::{PersonName, PhoneNumber},
    },
    entity::user,
    http::{
        api_error::ApiError,
        constant_types::Item,
        operation::{Operation, OperationResponse},
        validation::Violation,
    },
    identity::password_policy::WeakPassword,
};

/// The user of the examples.
const EXAMPLE_USER: &str = "019df262-4efa-7000-8000-000000000006";
/// The one message for every link that cannot be used.
pub(super) const LINK_REFUSED: &str = "The link is invalid, has expired or was used";

/// A user.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct User {
    /// The id of the user: `sub` of the tokens.
    uuid: UserId,
    /// The e-mail address, in lower case and with the domain in its ASCII form (UTS 46). For an account that the school made, it is a
    /// user name.
    email: Email,
    /// Whether the user confirmed the e-mail address. Sign-in requires it, except for an account that the school made: its
    /// address is a user name, which is never confirmed.
    email_verified: bool,
    /// When the user registered, or was created by an operator.
    created_at: Instant,
    /// The first name.
    #[oai(nullable)]
    first_name: Option<PersonName>,
    /// The last name.
    #[oai(nullable)]
    last_name: Option<PersonName>,
    /// The phone number.
    #[oai(nullable)]
    phone_number: Option<PhoneNumber>,
    /// The language of mails: `en`, `de` or `vi`.
    #[oai(nullable)]
    language: Option<Language>,
}

impl Item for User {
    const KIND: &'static str = "users";
}

impl From<user::Model> for User {
    fn from(user: user::Model) -> Self {
        let email_verified = user.has_confirmed_mailbox();
        let user::Model {
            id,
            email,
            password_hash: _,
            password_version: _,
            enabled: _,
            email_verified_at: _,
            created_at,
            first_name,
            last_name,
            date_of_birth: _,
            phone_number,
            avatar_url: _,
            language,
            updated_at: _,
            school_account: _,
            password_state: _,
            sourced_id: _,
            left_roster: _,
        } = user;
        Self {
            uuid: id,
            email,
            email_verified,
            created_at: Instant(created_at),
            first_name,
            last_name,
            phone_number,
            language: Some(language),
        }
    }
}

/// A success body with this user.
pub(super) fn example(email: &str, email_verified: bool) -> Value {
    json!({
        "kind": "users",
        "totalItems": 1,
        "itemsLength": 1,
        "items": [{
            "uuid": EXAMPLE_USER,
            "email": email,
            "emailVerified": email_verified,
            "createdAt": "2026-05-04T09:42:00.250Z",
            "firstName": null,
            "lastName": null,
            "phoneNumber": null,
            "language": "en",
        }],
    })
}

/// The success response of an operation on users that returns none.
pub(super) fn no_users<O: Operation<Body = Items<User>>>() -> OperationResponse<O> {
    Items::response(None::<user::Model>)
}

/// The example of such a response.
pub(super) fn no_users_example() -> Value {
    json!({ "kind": "users", "totalItems": 0, "itemsLength": 0, "items": [] })
}

/// The error of a property with a weak new password.
pub(super) fn weak_password(property: &str, weakness: &WeakPassword) -> ApiError<ErrorCode> {
    let mut error = ApiError::documented(error::bad_request(""));
    error.messages = vec![format!("{property} {weakness}").into()];
    error
}

/// Whether a body has a property. `null` counts as absent.
pub(super) fn has(members: &Map<String, Value>, name: &str) -> bool {
    members.get(name).is_some_and(|value| !value.is_null())
}

/// The violation of a `passwordConfirmation` that differs from `password`.
pub(super) fn confirmation_violation(members: &Map<String, Value>) -> Option<Violation> {
    let both = has(members, "password") && has(members, "passwordConfirmation");
    (both && members["password"] != members["passwordConfirmation"]).then(|| Violation {
        property: "passwordConfirmation".to_owned(),
        rule: "must be equal to password".to_owned(),
    })
}
