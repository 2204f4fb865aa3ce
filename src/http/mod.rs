//! The HTTP kit: every part of request handling that knows no operation.
//!
//! A request passes [`middleware`] first. It finds the route, responds to unknown paths and methods, and calls the operation.
//! The operation reads its parameters, its [`json`] body and the client address. Every error becomes an
//! [`ApiError`](api_error::ApiError), which the middleware writes in the envelope of the path's family.

pub mod api_error;
pub mod bearer;
pub mod body;
pub mod client_address;
pub mod constant_types;
pub mod cors;
pub mod file_upload;
pub mod html_page;
pub mod json;
pub mod metrics_endpoint;
pub mod middleware;
pub mod negotiation;
pub mod operation;
pub mod parameters;
pub mod received_at;
pub mod request_id;
pub mod routes;
pub mod static_body;
pub mod static_response;
pub mod string_types;
pub mod validation;

mod head_checks;
mod security_headers;
mod telemetry;
