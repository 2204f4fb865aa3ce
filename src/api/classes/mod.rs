//! The classroom family: `/classes/...` and `/user/me`, with responses `{success, code, message, data}`.

pub mod error;
pub mod generate_join_code;
pub mod get_class_by_id;
pub mod get_current_user_profile;
pub mod join_class_by_code;
pub mod types;
pub mod update_current_user_profile;

/// The operations of the family, in the order of the document.
pub type Operations = (
    generate_join_code::GenerateJoinCode,
    join_class_by_code::JoinClassByCode,
    get_class_by_id::GetClassById,
    get_current_user_profile::GetCurrentUserProfile,
    update_current_user_profile::UpdateCurrentUserProfile,
);
