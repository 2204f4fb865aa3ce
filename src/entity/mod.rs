//! One file per table: the row, its relations, and the queries of the table.

pub mod app;
pub mod app_login_domain;
pub mod app_mail_domain;
pub mod app_redirect_uri;
pub mod audit_event;
pub mod authorization_code;
pub mod class;
pub mod class_row;
pub mod enrollment;
pub mod join_code;
pub mod outgoing_mail;
pub mod password_reset;
pub mod policy_acceptance;
pub mod rate_limit;
pub mod refresh_token;
pub mod registration;
pub mod roster_row;
pub mod school_account;
pub mod seat;
pub mod session;
pub mod user;
