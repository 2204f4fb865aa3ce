//! The classroom family: `/classes/...`, answered with `{success, code, message, data}`.

pub mod error;
pub mod operations;
pub mod types;
