//! `PATCH /user/me`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, types::MaybeUndefined};
use sea_orm::ActiveValue;
use serde_json::{Map, Value, json};

use super::{
    error::{self, ErrorCode},
    get_current_user_profile::UserProfile,
    types::Success,
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    domain::person::{AvatarUrl, DateOfBirth, PersonName, PhoneNumber},
    http::{
        api_error::ApiError,
        bearer::Challenge,
        client_address::ClientAddress,
        json::{Json, JsonBody},
        operation::{ErrorSpec, Operation, OperationResult},
        received_at::ReceivedAt,
        validation::Violation,
    },
    identity::own_account::{ChangeProfileError, ProfileChange},
};

/// A change of the caller's profile. A property that is absent stays as it is, and `null` removes it.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct UpdateProfileRequest {
    /// The first name: at least one character that is not blank, and no control character.
    first_name: MaybeUndefined<PersonName>,
    /// The last name: at least one character that is not blank, and no control character.
    last_name: MaybeUndefined<PersonName>,
    /// The date of birth, from 1900 to today in the latest time zone.
    date_of_birth: MaybeUndefined<DateOfBirth>,
    /// The phone number: digits, blanks and `+ - / ( ) .`, with at least three digits.
    phone_number: MaybeUndefined<PhoneNumber>,
    /// The URL of a picture, with the scheme `https`. The server never requests it.
    avatar_url: MaybeUndefined<AvatarUrl>,
}

impl JsonBody for UpdateProfileRequest {
    const NULL_REMOVES: bool = true;

    fn violations(members: &Map<String, Value>) -> Vec<Violation> {
        let violations = [
            Violation::of(members, "firstName", PersonName::parse),
            Violation::of(members, "lastName", PersonName::parse),
            Violation::of(members, "dateOfBirth", DateOfBirth::parse),
            Violation::of(members, "phoneNumber", PhoneNumber::parse),
            Violation::of(members, "avatarUrl", AvatarUrl::parse),
        ];
        violations.into_iter().flatten().collect()
    }
}

/// `PATCH /user/me`
#[derive(Default)]
pub struct UpdateCurrentUserProfile;

#[OpenApi(tag = "Tag::Accounts")]
impl UpdateCurrentUserProfile {
    /// Change the caller's profile
    ///
    /// Changes the given properties. A property that is absent stays as it is. `null` removes a property (RFC 7396).
    #[oai(path = "/user/me", method = "patch", operation_id = "updateCurrentUserProfile")]
    async fn update_current_user_profile(
        &self,
        caller: Caller,
        body: Json<UpdateProfileRequest>,
        address: ClientAddress,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<UpdateCurrentUserProfile> {
        let UpdateProfileRequest { first_name, last_name, date_of_birth, phone_number, avatar_url } = body.0;
        let change = ProfileChange {
            first_name: value(first_name),
            last_name: value(last_name),
            date_of_birth: value(date_of_birth.map_value(DateOfBirth::date)),
            phone_number: value(phone_number),
            avatar_url: value(avatar_url),
        };
        let owner = caller.owner(address.0);
        Ok(Success::response(services.identity.own_account.change_profile(owner, change, at.0).await?))
    }
}

/// The new value of a property.
fn value<T>(property: MaybeUndefined<T>) -> ActiveValue<Option<T>>
where
    Option<T>: Into<sea_orm::Value>,
{
    match property {
        MaybeUndefined::Undefined => ActiveValue::NotSet,
        MaybeUndefined::Null => ActiveValue::Set(None),
        MaybeUndefined::Value(value) => ActiveValue::Set(Some(value)),
    }
}

impl Operation for UpdateCurrentUserProfile {
    type Body = Success<UserProfile>;
    type Code = ErrorCode;
    const ID: &'static str = "updateCurrentUserProfile";
    const SUCCESS: (u16, &'static str) = (200, "Profile updated");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] =
        &[NOT_YET_BORN, error::UNAUTHORIZED, error::INTERNAL_SERVER_ERROR, error::SERVICE_UNAVAILABLE];

    fn request_example() -> Option<Value> {
        Some(
            json!({ "firstName": "Linh", "lastName": "Nguyễn", "dateOfBirth": "1990-05-04", "phoneNumber": null }),
        )
    }

    fn success_example() -> Value {
        json!({
            "success": true,
            "code": 200,
            "message": Self::SUCCESS.1,
            "data": {
                "id": "019df262-4efa-7000-8000-000000000006",
                "email": "user@example.com",
                "firstName": "Linh",
                "lastName": "Nguyễn",
                "dateOfBirth": "1990-05-04",
                "avatarUrl": null,
                "createdAt": "2026-05-04T09:42:00Z",
                "updatedAt": "2026-05-04T09:42:00Z",
                "phoneNumber": null,
            },
        })
    }
}

/// The date of birth is in the future.
const NOT_YET_BORN: ErrorSpec<ErrorCode> = ErrorSpec {
    status: 400,
    description: "Bad Request - A property is not valid",
    code: ErrorCode::BadRequest,
    message: "dateOfBirth must not be in the future",
};

impl From<ChangeProfileError> for ApiError<ErrorCode> {
    fn from(error: ChangeProfileError) -> Self {
        match error {
            ChangeProfileError::NotYetBorn => Self::documented(NOT_YET_BORN),
            ChangeProfileError::Gone => Self::unauthorized(Challenge::InvalidToken),
            ChangeProfileError::Database(error) => error.into(),
        }
    }
}
