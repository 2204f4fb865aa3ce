//! Homeroom: the two moments at the start of a lesson. A person signs in; a student joins a class.
//!
//! # The house
//!
//! A request passes through it one way: from a door to a room to the ground, and back.
//!
//! | storey | module | what is in it |
//! |---|---|---|
//! | doors | [`api`] | the contract: typed handlers from which the document is made. [`api::boundary`] is passed first and last |
//! | | [`cli`] | one file per command |
//! | | [`ops`] | metrics, on a listener of their own |
//! | rooms | [`identity`] | who somebody is: signing in, codes, tokens, accounts, apps |
//! | | [`classroom`] | classes, join codes, enrolments |
//! | ground | [`domain`] | values with rules: no HTTP, no statement, no clock |
//! | | [`entity`] | one file per table: row, relations, and queries named after their intent |
//! | | [`db`] | connecting to SQLite or PostgreSQL, telling their failures apart, and writing in batches |
//! | | [`rate_limit`] | the limits on guessing, counted in the database for every node |
//! | | [`clock`], [`random`] | the only places that ask the machine for time and chance |
//! | | [`metrics`] | what is counted and timed: names and their meaning |
//!
//! Beside them stand [`server`], where rooms and doors are put together; [`config`], what an operator decides; and
//! [`listener`], which turns connections into requests.
//!
//! # Who may import whom
//!
//! `cli -> server, config, rooms, ground`; `server -> api, ops, rooms, ground`; `api, ops -> rooms, ground`; rooms know neither
//! each other nor HTTP; `rate_limit -> entity, domain, db`; `entity -> domain`; `domain -> random`; `db` and
//! `migration` import nothing of ours but the schema and the metrics' names. A test holds the house to this.
//!
//! # Where a thing is said
//!
//! - A value's rule: its constructor in [`domain`]. The document's bounds are taken from there.
//! - A query: on its entity. The statement carries the rule, and the number of rows it changed decides.
//! - A status code: `api/*/error.rs`, by an exhaustive match. A failure is written down by
//!   [`api::failure::Failure::into_response`] alone.
//! - A status's description and example: with its operation, in `api/*/operations.rs`.

pub mod api;
pub mod classroom;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod domain;
pub mod entity;
pub mod identity;
pub mod listener;
pub mod metrics;
pub mod ops;
pub mod random;
pub mod rate_limit;
pub mod server;
