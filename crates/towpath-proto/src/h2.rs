//! HTTP/2 (RFC 9113) without I/O. So far: header compression.

pub mod hpack;
