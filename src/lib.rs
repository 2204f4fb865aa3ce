//! Homeroom: one server for a school's sign-in and its classes.
//!
//! | layer | modules |
//! |---|---|
//! | adapters | [`cli`]: one file per command. [`api`]: the contract, typed handlers from which `openapi.yaml` is generated. [`http`]: the HTTP kit, which knows no operation |
//! | composition | [`server`] builds services and endpoint. [`config`]: flags. [`listener`]: connections and TLS |
//! | services | [`identity`]: sign-in, tokens, accounts, apps. [`classroom`]: classes, join codes, enrollments. [`school`]: rosters, above the two |
//! | infrastructure | [`rate_limit`], [`mail`]: mails and the outbox, [`entity`]: tables and their queries, [`db`], [`csv_table`]: CSV files, [`domain`]: value types, [`clock`], [`random`], [`metrics`] |
//!
//! Imports point downwards only, and services know no HTTP: `tests/api/architecture.rs` checks it. `docs/architecture.md` has the
//! code map, the path of a request and the invariants.

pub mod api;
pub mod classroom;
pub mod cli;
pub mod clock;
pub mod config;
pub mod csv_table;
pub mod db;
pub mod domain;
pub mod entity;
pub mod http;
pub mod identity;
pub mod jobs;
pub mod listener;
pub mod mail;
pub mod metrics;
pub mod random;
pub mod rate_limit;
pub mod school;
pub mod server;
