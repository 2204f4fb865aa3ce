//! The sign-in family: `/api/v1/...`, with responses `{kind, totalItems, itemsLength, items}`.

pub mod create_code;
pub mod create_token;
pub mod delete_session;
pub mod error;
pub mod get_sessions;
pub mod revoke_token;
pub mod types;

mod request_origin;

/// The operations of the family, in the order of the document.
pub type Operations = (
    create_code::CreateCode,
    create_token::CreateToken,
    revoke_token::RevokeToken,
    get_sessions::GetSessions,
    delete_session::DeleteSession,
);
