//! Pure wire rules: the message vocabulary and the codecs.
//!
//! A codec takes bytes in and reports messages as ranges of those bytes. It owns no buffer, opens no socket,
//! reads no clock and starts no task, so that every case of a protocol can be tried with a byte string in a
//! test, and the same decoder serves the gateway, the kit and the fuzzer.
//!
//! ```text
//!   bytes of a peer --> RequestDecoder  --> Head, Data, Trailers, End   (spans into the same bytes)
//!   bytes of a peer --> ResponseDecoder --> Interim, Head, Data, Trailers, End
//!   a judged head   --> h1::encode      --> bytes for the other side    (framing is always written anew)
//!   frames of a peer --> ws::Decoder    --> messages and control frames; ws::Encoder writes them
//!   frames of a peer <-> h2::Connection   Head, Data, Trailers, ...    (heads as spans of a decoded block)
//!   first bytes     --> proxy_protocol, client_hello --> who connects, and where to (before TLS and HTTP)
//!   a coded body    <-> coding          --> gzip, brotli and zstd, streaming and bounded
//!   a body in base64 --> grpc_web      --> bytes; trailers as the last frame of a body
//!   a certificate   --> x509            --> names and dates
//! ```
//!
//! What is not here: routing, policies, timeouts (a caller's clock), and any repair of a message that is
//! ambiguous. An ambiguity is refused with the RFC section beside the line that refuses it; the threat rows
//! (`T01` and on) are those of the threat model.

pub mod authority;
pub mod client_hello;
pub mod coding;
pub mod connection;
pub mod field;
pub mod grpc_web;
pub mod h1;
pub mod h2;
pub mod limits;
pub mod message;
pub mod path;
pub mod proxy_protocol;
pub mod tls_messages;
pub mod tls_policy;
pub mod ws;
pub mod x509;

mod base64;
mod cursor;
