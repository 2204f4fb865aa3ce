//! The sign-in family: `/api/v1/...`, with responses `{kind, totalItems, itemsLength, items}`.

pub mod change_password;
pub mod confirm_user;
pub mod create_code;
pub mod create_token;
pub mod create_user;
pub mod delete_current_user;
pub mod delete_session;
pub mod error;
pub mod get_current_user;
pub mod get_sessions;
pub mod revoke_token;
pub mod types;
pub mod update_user;

mod request_origin;
mod user;

/// The operations of the family, in the order of the document.
pub type Operations = (
    create_code::CreateCode,
    create_token::CreateToken,
    revoke_token::RevokeToken,
    get_sessions::GetSessions,
    delete_session::DeleteSession,
    create_user::CreateUser,
    confirm_user::ConfirmUser,
    update_user::UpdateUser,
    get_current_user::GetCurrentUser,
    delete_current_user::DeleteCurrentUser,
    change_password::ChangePassword,
);
