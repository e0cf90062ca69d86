//! The engine of Towpath: plans, workers, proxying. It never reads configuration: a [`plan::Plan`] comes from whoever
//! compiles one.
//!
//! ```text
//!   Engine ── Apply(plan) | Drain | Stop ──> worker 0..N, each one thread
//!                                              accept ─┬─ connection ── http ─┬─ upstream pool ── origin
//!                                                      └─ l4: relays of bytes ┘
//! ```
//!
//! - [`plan`]: what is served, as immutable objects.
//! - [`engine`]: start, apply, drain, stop.
//! - [`error`]: why the gateway answers for itself.
//! - [`upstream`]: connections to origins, as the pool keeps them.

pub mod engine;
pub mod error;
pub mod plan;
pub mod upstream;

mod accept;
mod charge;
mod coding;
mod connection;
mod http;
mod http2;
mod joined;
mod l4;
mod tls;
mod websocket;
mod worker;

pub use engine::{Engine, EngineConfig};
pub use error::Reason;
