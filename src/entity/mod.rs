//! One file per table: the row, its relations, and the queries of the table.

pub mod app;
pub mod app_login_domain;
pub mod app_redirect_uri;
pub mod authorization_code;
pub mod class;
pub mod enrollment;
pub mod join_code;
pub mod policy_acceptance;
pub mod rate_limit;
pub mod user;
