//! Limits on guessing passwords and join codes, and on flooding with registrations, resets and mails.
//!
//! [`policies`] is the table of all limits. [`limiter`] applies it, and [`lockouts`] shows it to operators. The counts are in the database, shared by all nodes and
//! kept across restarts.
//!
//! - Only failures count. An address without an account is counted like one with an account.
//! - An attempt in progress is reserved in its own counts, so that concurrent attempts cannot exceed them. Shared counts (of
//!   networks, of the server) hold committed failures only.
//! - A success resets the count of its account from its network, and no other. So the counts do not show other clients
//!   that there was a success.

pub mod limiter;
pub mod lockouts;
pub mod policies;
