//! The service kit: what the gateway is built from, for those who write the service too.
//!
//! ```text
//!   run ── root context, signals ──> http::Server ── handlers: async fn(&Ctx, Request)
//!                                    tcp::serve   ── handlers: async fn(&Ctx, Conn)
//!                                    udp::serve   ── handlers: async fn(&Ctx, Datagram)
//!   ctx    one request's end, deadline, values and tasks, passed down as &Ctx
//!   chan   channels between tasks
//!   sync   a lock whose contention is counted
//!   net    connections as bytes: dial, listen, lines, frames
//!   pool   connections that are used again; postgres with the feature of that name
//! ```

pub mod chan;
pub mod ctx;
pub mod files;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod http;
pub mod http2;
pub mod net;
pub mod pool;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod supervise;
pub mod sync;
pub mod tcp;
pub mod test;
pub mod tls;
pub mod udp;

mod app;
mod listen;
mod serving;

#[doc = include_str!("../../../docs/kit.md")]
pub mod guide {}

pub use app::{Failure, Result, run};
pub use ctx::{Ctx, CtxValue};
pub use listen::Listening;
