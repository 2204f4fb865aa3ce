//! DOOR: the contract. Typed handlers from which the document is generated; nothing outside this folder changes it.
//!
//! A request passes [`boundary`] first: its path, its method, its origin. The operation then extracts what it documents,
//! calls a room, and converts what comes back. Whatever fails, wherever, becomes one [`failure::Failure`], and the
//! boundary alone writes it down in the envelope of the path's family.

pub mod address;
pub mod boundary;
pub mod classes;
pub mod constants;
pub mod failure;
pub mod identity;
pub mod json;
pub mod openapi;
pub mod operation;
pub mod service;

mod cors;
mod form;
mod negotiation;
mod observation;
mod protection;
mod static_body;
mod text;
mod trace;
