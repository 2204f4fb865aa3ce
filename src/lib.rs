//! Homeroom.
pub mod clock;
pub mod entropy;
