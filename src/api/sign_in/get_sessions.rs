//! `GET /api/v1/users/me/sessions`

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi};
use serde_json::{Value, json};

use super::{
    error::{self, ErrorCode},
    types::{EXAMPLE_APP, Instant, Items},
};
use crate::{
    api::{Services, caller::Caller, openapi::Tag},
    domain::id::{AppId, SessionId},
    entity::session,
    http::{
        constant_types::Item,
        operation::{ErrorSpec, Link, Operation, OperationResult},
        received_at::ReceivedAt,
    },
    identity::sessions::ListedSession,
};

/// A session of the user: a sign-in of one app on one device.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct UserSession {
    /// The session ID.
    uuid: SessionId,
    /// The app that the user signed in to.
    app_uuid: AppId,
    /// The name of that app.
    #[oai(validator(max_length = 100))]
    app_name: String,
    /// Whether it is the session of the access token.
    is_current: bool,
    /// When the session began.
    created_at: Instant,
    /// When the app last got tokens.
    last_used_at: Instant,
    /// When the session ends, unless the app refreshes its tokens before.
    expires_at: Instant,
    /// The address of the client when the session began. Null if it is unknown.
    #[oai(nullable, validator(max_length = 45, pattern = "^[0-9A-Fa-f.:]+$"))]
    address: Option<String>,
    /// The `User-Agent` header of the client when the session began, shortened. Null if there was none.
    #[oai(nullable, validator(max_length = 256, pattern = "^[ -~]+$"))]
    user_agent: Option<String>,
}

impl Item for UserSession {
    const KIND: &'static str = "sessions";
}

impl UserSession {
    /// A session, for the caller with the session `current`.
    pub(super) fn of(ListedSession { session, app_name }: ListedSession, current: SessionId) -> Self {
        let session::Model {
            id,
            user_id: _,
            app_id,
            redirect_uri: _,
            scope: _,
            address,
            user_agent,
            authenticated_at: _,
            created_at,
            last_used_at,
            idle_expires_at,
            expires_at: _,
        } = session;
        Self {
            uuid: id,
            app_uuid: app_id,
            app_name: app_name.as_str().to_owned(),
            is_current: id == current,
            created_at: Instant(created_at),
            last_used_at: Instant(last_used_at),
            expires_at: Instant(idle_expires_at),
            address,
            user_agent: user_agent.map(|agent| agent.as_str().to_owned()),
        }
    }
}

/// `GET /api/v1/users/me/sessions`
#[derive(Default)]
pub struct GetSessions;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::SignIn")]
impl GetSessions {
    /// List the sessions of the signed-in user
    ///
    /// The sessions of the user in all apps, newest first. A user has at most 100: a further sign-in ends the oldest one.
    #[oai(path = "/users/me/sessions", method = "get", operation_id = "getSessions")]
    async fn get_sessions(
        &self,
        caller: Caller,
        services: Data<&Arc<Services>>,
        at: ReceivedAt,
    ) -> OperationResult<GetSessions> {
        let sessions = services.identity.sessions.list(caller.user, at.0).await?;
        Ok(Items::response(sessions.into_iter().map(|session| UserSession::of(session, caller.session))))
    }
}

impl Operation for GetSessions {
    type Body = Items<UserSession>;
    type Code = ErrorCode;
    const ID: &'static str = "getSessions";
    const SUCCESS: (u16, &'static str) = (200, "The sessions");
    const ERRORS: &'static [ErrorSpec<ErrorCode>] =
        &[error::UNAUTHORIZED, error::APP_DISABLED, error::INTERNAL_SERVER_ERROR, error::SERVICE_UNAVAILABLE];
    const LINKS: &'static [Link] = &[Link {
        to: "deleteSession",
        parameter: "sessionId",
        value: "$response.body#/items/0/uuid",
        description: "The user ends the newest session.",
    }];

    fn success_example() -> Value {
        json!({ "kind": "sessions", "totalItems": 1, "itemsLength": 1, "items": [example()] })
    }
}

/// The session of the examples.
pub(super) const EXAMPLE_SESSION: &str = "019df262-4efa-7000-8000-000000000005";

/// The example of a session.
pub(super) fn example() -> Value {
    json!({
        "uuid": EXAMPLE_SESSION,
        "appUuid": EXAMPLE_APP,
        "appName": "Sample app",
        "isCurrent": true,
        "createdAt": "2026-05-04T09:42:00.250Z",
        "lastUsedAt": "2026-05-04T09:42:00.250Z",
        "expiresAt": "2026-05-05T09:42:00.250Z",
        "address": "192.0.2.7",
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    })
}
