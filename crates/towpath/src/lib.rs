//! The service kit: what the gateway is built from, for those who write the service too.
//!
//! ```text
//!   run ── root context, signals ──> http::Server ── handlers: async fn(&Ctx, Request)
//!   ctx    one request's end, deadline, values and tasks, passed down as &Ctx
//!   chan   channels between tasks
//!   pool   connections that are used again
//! ```

pub mod chan;
pub mod ctx;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod http;
pub mod http2;
pub mod pool;

mod app;
mod listen;

pub use app::{Failure, Result, run};
pub use ctx::Ctx;
pub use listen::Listening;
