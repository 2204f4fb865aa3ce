//! Operations that belong to no family: links, public keys, health, and the document of the API.

pub mod document;
pub mod health;
pub mod jwks;
pub mod landing;

/// The operations, in the order of the document.
pub type Operations = (
    jwks::GetKeySet,
    health::GetLiveness,
    health::GetReadiness,
    landing::GetServiceInfo,
    document::GetDocumentYaml,
    document::GetDocumentJson,
    document::GetDocs,
);
