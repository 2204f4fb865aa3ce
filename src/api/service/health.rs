//! `GET /health/live` and `GET /health/ready`

use std::sync::{Arc, atomic::Ordering};

use poem::web::Data;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::json;

use crate::{
    api::{Services, openapi::Tag},
    http::{
        json::Json,
        operation::{Describe, OperationDetails},
    },
};

/// The health of the server.
#[derive(Debug, Object)]
#[oai(rename = "ServiceHealth")]
pub struct Health {
    /// The status of the server.
    status: HealthStatus,
}

/// The status of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "ServiceHealthStatus", rename_all = "camelCase")]
enum HealthStatus {
    /// The server runs, or can do its work.
    Up,
    /// The server cannot do its work.
    Down,
}

const UP: Json<Health> = Json(Health { status: HealthStatus::Up });
const DOWN: Json<Health> = Json(Health { status: HealthStatus::Down });

/// The response of the liveness check.
#[derive(ApiResponse)]
pub enum LivenessResponse {
    /// The server runs
    #[oai(status = 200)]
    Up(Json<Health>),
}

/// The response of the readiness check.
#[derive(ApiResponse)]
pub enum ReadinessResponse {
    /// The server can do its work
    #[oai(status = 200)]
    Up(Json<Health>),
    /// The database does not answer, or the server is about to stop
    #[oai(status = 503)]
    Down(Json<Health>),
}

/// `GET /health/live`
#[derive(Default)]
pub struct GetLiveness;

#[OpenApi(tag = "Tag::Service")]
impl GetLiveness {
    /// Whether the server runs
    ///
    /// The response does not depend on the database. A server that does not respond should be restarted.
    #[oai(path = "/health/live", method = "get", operation_id = "getLiveness")]
    async fn get_liveness(&self) -> LivenessResponse {
        LivenessResponse::Up(UP)
    }
}

impl Describe for GetLiveness {
    fn details() -> Vec<OperationDetails> {
        vec![OperationDetails::new("getLiveness").response_example(200, json!({ "status": "up" }))]
    }
}

/// `GET /health/ready`
#[derive(Default)]
pub struct GetReadiness;

#[OpenApi(tag = "Tag::Service")]
impl GetReadiness {
    /// Whether the server can do its work
    ///
    /// It can if its database answers and it is not about to stop.
    #[oai(path = "/health/ready", method = "get", operation_id = "getReadiness")]
    async fn get_readiness(&self, services: Data<&Arc<Services>>) -> ReadinessResponse {
        match services.db.ping().await {
            Ok(()) if !services.draining.load(Ordering::Relaxed) => ReadinessResponse::Up(UP),
            _ => ReadinessResponse::Down(DOWN),
        }
    }
}

impl Describe for GetReadiness {
    fn details() -> Vec<OperationDetails> {
        vec![
            OperationDetails::new("getReadiness")
                .response_example(200, json!({ "status": "up" }))
                .response_example(503, json!({ "status": "down" })),
        ]
    }
}
