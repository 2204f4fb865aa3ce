//! Tests of the whole server over its public interfaces: one binary with a module per subject.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic fails the test")]

mod architecture;
mod backup;
mod command_line;
mod connections;
mod consent;
mod contract;
mod cors;
mod demo;
mod doctor;
mod durability;
mod examples;
mod faults;
mod hostile;
mod join_codes;
mod jwts;
mod logs;
mod mail;
mod memory;
mod middleware;
mod migrations;
mod operator;
mod origins;
mod pkce;
mod races;
mod rate_limit;
mod readme;
mod running;
mod shutdown;
mod sign_in;
mod static_bodies;
mod support;
mod telemetry;
mod tokens;
mod validation;
mod values;
