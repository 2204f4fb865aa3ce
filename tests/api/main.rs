//! The server as its users meet it: one binary, a module for each subject.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

<<<<<<< HEAD
mod architecture;
mod boundary;
mod contract;
mod examples;
mod hostile;
=======
mod consent;
mod cors;
>>>>>>> 076f484 (tests: Sign in, swap codes and cross origins on both databases)
mod join_codes;
mod jwts;
mod origins;
mod pkce;
mod sign_in;
mod sign_in_form;
mod support;
mod tokens;
