//! One file per table: the row, its relations, and queries named after what they are for.

pub mod app;
pub mod app_login_domain;
pub mod app_redirect_uri;
pub mod authorization_code;
pub mod class;
pub mod enrolment;
pub mod policy_acceptance;
pub mod throttle;
pub mod user;
