//! Homeroom.
pub mod clock;
pub mod domain;
pub mod entity;
pub mod entropy;
pub mod store;
