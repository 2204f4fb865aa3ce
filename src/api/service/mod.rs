//! What a server of this kind says of itself: its links, its keys, its health, its document and the page to read it on.

pub mod landing;
pub mod operations;
