//! The server as its users meet it: one binary, a module for each subject.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![expect(missing_docs, reason = "the names of tests are their documentation")]

mod join_codes;
mod support;
