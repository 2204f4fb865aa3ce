//! What a server of this kind says of itself: its keys, its health, its document and the pages to read it on.

pub mod operations;
