//! `GET /user/me`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi};
use serde_json::{Value, json};

use super::{
    error::{self, ErrorCode},
    types::{Date, Instant, Success},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    domain::{
        email::Email,
        id::UserId,
        person::{AvatarUrl, PersonName, PhoneNumber},
    },
    entity::user,
    http::{
        api_error::ApiError,
        bearer::Challenge,
        operation::{ErrorSpec, Operation, OperationResult},
    },
    identity::own_account::OwnAccountError,
};

/// The profile of a user.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct UserProfile {
    /// The user ID.
    id: UserId,
    /// The e-mail address, in lower case and with the domain in its ASCII form (UTS 46).
    email: Email,
    /// The first name. Absent if the user gave none.
    #[oai(skip_serializing_if_is_none)]
    first_name: Option<PersonName>,
    /// The last name. Absent if the user gave none.
    #[oai(skip_serializing_if_is_none)]
    last_name: Option<PersonName>,
    /// The date of birth. Absent if the user gave none.
    #[oai(skip_serializing_if_is_none)]
    date_of_birth: Option<Date>,
    /// The URL of a picture. Null if the user gave none.
    #[oai(nullable)]
    avatar_url: Option<AvatarUrl>,
    /// When the account was created.
    created_at: Instant,
    /// When the profile last changed, or an operator last changed the account. Without a change, when the account was created.
    updated_at: Instant,
    /// The phone number. Null if the user gave none.
    #[oai(nullable)]
    phone_number: Option<PhoneNumber>,
}

impl From<user::Model> for UserProfile {
    fn from(user: user::Model) -> Self {
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
            date_of_birth,
            phone_number,
            avatar_url,
            language: _,
            updated_at,
            school_account: _,
            password_state: _,
            sourced_id: _,
            left_roster: _,
        } = user;
        Self {
            id,
            email,
            first_name,
            last_name,
            date_of_birth: date_of_birth.map(Date),
            avatar_url,
            created_at: Instant(created_at),
            updated_at: Instant(updated_at.unwrap_or(created_at)),
            phone_number,
        }
    }
}

/// `GET /user/me`
#[derive(Default)]
pub struct GetCurrentUserProfile;

#[OpenApi(tag = "Tag::Accounts")]
impl GetCurrentUserProfile {
    /// Read the caller's profile
    ///
    /// Returns the names and the other personal data of the caller. `PATCH /user/me` changes them.
    #[oai(path = "/user/me", method = "get", operation_id = "getCurrentUserProfile")]
    async fn get_current_user_profile(
        &self,
        caller: Caller,
        services: Data<&Arc<Services>>,
    ) -> OperationResult<GetCurrentUserProfile> {
        Ok(Success::response(services.identity.own_account.find(caller.user).await?))
    }
}

impl Operation for GetCurrentUserProfile {
    type Body = Success<UserProfile>;
    type Code = ErrorCode;
    const ID: &'static str = "getCurrentUserProfile";
    const SUCCESS: (u16, &'static str) = (200, "Profile found");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] =
        &[error::UNAUTHORIZED, error::INTERNAL_SERVER_ERROR, error::SERVICE_UNAVAILABLE];

    fn success_example() -> Value {
        json!({
            "success": true,
            "code": 200,
            "message": Self::SUCCESS.1,
            "data": {
                "id": "019df262-4efa-7000-8000-000000000006",
                "email": "user@example.com",
                "avatarUrl": null,
                "createdAt": "2026-05-04T09:42:00Z",
                "updatedAt": "2026-05-04T09:42:00Z",
                "phoneNumber": null,
            },
        })
    }
}

impl From<OwnAccountError> for ApiError<ErrorCode> {
    fn from(error: OwnAccountError) -> Self {
        match error {
            OwnAccountError::Gone => Self::unauthorized(Challenge::InvalidToken),
            OwnAccountError::Database(error) => error.into(),
        }
    }
}
