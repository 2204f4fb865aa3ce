//! The sign-in family: `/api/v1/...`, answered with `{kind, totalItems, itemsLength, items}`.

pub mod error;
pub mod operations;
pub mod types;
