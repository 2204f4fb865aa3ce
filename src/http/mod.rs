//! The HTTP kit: the parts of request handling that know no operation.

pub mod api_error;
pub mod client_address;
pub mod constants;
pub mod json;
pub mod metrics_endpoint;
pub mod middleware;
pub mod operation;
pub mod request_id;
pub mod routes;
pub mod static_body;
pub mod static_response;
pub mod text;

mod cors;
pub(crate) mod negotiation;
mod security_headers;
mod telemetry;
pub mod validation;
