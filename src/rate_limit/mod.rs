//! The limits on guessing passwords and join codes.
//!
//! [`policies`] is the table of all limits: what is counted, how much of it is allowed, and which attempts a full count
//! refuses. [`limiter`] applies it. Counts are kept in the database, so that every node knows them and a restart forgets
//! none.
//!
//! - Only failures count. An account that does not exist is counted like one that does.
//! - An attempt that is being judged takes a place in the counts that are its own, so that attempts at the same time cannot
//!   outrun them. Counts that strangers share (of networks, of the server) hold failures that were judged, and nothing else.
//! - A success forgets the failures of its account from its network alone. So strangers cannot tell that there was one.

pub mod limiter;
pub mod policies;
