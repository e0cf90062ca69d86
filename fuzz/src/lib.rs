//! What the fuzz targets check. A target is one line that calls one of these functions, so that a finding can
//! be replayed and debugged as ordinary code.

pub mod client;
pub mod client_hello;
pub mod codec;
pub mod coding;
pub mod ctx;
pub mod differential;
pub mod h2_frames;
pub mod hpack;
pub mod proxy_protocol;
pub mod tls_messages;
pub mod tls_policy;
pub mod websocket;
