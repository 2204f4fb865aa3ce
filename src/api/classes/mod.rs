//! The classroom family: `/classes/...`, `/students/...` and `/user/me`, with responses `{success, code, message, data}`.

pub mod admit_student;
pub mod bulk_create_student_accounts;
mod class;
pub mod create_and_enroll_student;
pub mod create_class;
pub mod delete_class;
pub mod error;
pub mod generate_join_code;
pub mod get_class_by_id;
pub mod get_classes;
pub mod get_current_user_profile;
pub mod get_join_code;
pub mod get_students;
pub mod join_class_by_code;
pub mod leave_class;
pub mod remove_student;
pub mod reset_student_password;
pub mod revoke_join_code;
pub mod student;
pub mod submit_import;
pub mod types;
pub mod update_class;
pub mod update_current_user_profile;
pub mod update_student;

/// The operations of the family, in the order of the document.
pub type Operations =
    (ClassOperations, JoinCodeOperations, RosterOperations, StudentAccountOperations, ProfileOperations);

/// Classes.
type ClassOperations = (
    get_classes::GetClasses,
    create_class::CreateClass,
    get_class_by_id::GetClassById,
    update_class::UpdateClass,
    delete_class::DeleteClass,
);

/// Join codes, and joining with them.
type JoinCodeOperations = (
    generate_join_code::GenerateJoinCode,
    get_join_code::GetJoinCode,
    revoke_join_code::RevokeJoinCode,
    join_class_by_code::JoinClassByCode,
);

/// Rosters.
type RosterOperations = (
    get_students::GetStudents,
    remove_student::RemoveStudent,
    leave_class::LeaveClass,
    admit_student::AdmitStudent,
    update_student::UpdateStudent,
);

/// Accounts that the school makes.
type StudentAccountOperations = (
    create_and_enroll_student::CreateAndEnrollStudent,
    submit_import::SubmitImport,
    bulk_create_student_accounts::BulkCreateStudentAccounts,
    reset_student_password::ResetStudentPassword,
);

/// The profile of the caller.
type ProfileOperations =
    (get_current_user_profile::GetCurrentUserProfile, update_current_user_profile::UpdateCurrentUserProfile);
