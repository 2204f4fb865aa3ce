//! Homeroom.
pub mod api;
pub mod app;
pub mod classroom;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod entity;
pub mod entropy;
pub mod identity;
pub mod listener;
pub mod store;
