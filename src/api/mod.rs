//! DOOR: the contract. Typed handlers from which the document is generated; nothing outside this folder changes it.
//!
//! A request passes [the middleware](crate::http::middleware) first: its path, its method, its origin. The operation then extracts what it documents,
//! calls a room, and converts what comes back. Whatever fails, wherever, becomes one [`failure::ApiError`], and the
//! middleware alone writes it down in the envelope of the path's family.

pub mod classes;
pub mod openapi;
pub mod service;
pub mod sign_in;
