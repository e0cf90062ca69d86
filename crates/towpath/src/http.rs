//! HTTP for services: a [`Server`] with a [`Router`], handlers that are async functions of a context and a [`Request`]; and
//! a [`Client`], of which [`get`] is the shortest form.
//!
//! ```text
//!   Server ── listens, one worker per processor ──> connection ── head ──> Request
//!                                                                            │
//!     Router ── pattern, middleware ── Handler: async fn(&Ctx, Request) -> impl IntoResponse
//!                                                                            │
//!   client <── head, body as it comes, trailers <──────────────────────── Response
//! ```
//!
//! A connection belongs to one worker, a thread with its own event loop, and so do its handlers: they may hold what is not
//! `Send` and need no lock for what they keep to themselves. A handler that computes for long hands that to
//! [`Ctx::spawn_blocking`](crate::Ctx::spawn_blocking).
//!
//! What a peer sent is judged before a handler sees it: one framing, one authority, a canonical path. The rules and
//! limits are those of the gateway, because the codec is the same.

mod body;
mod client;
mod cors;
mod detached;
mod error;
mod folder;
mod handler;
mod headers;
mod request;
mod respond;
mod response;
mod router;
mod server;
mod service;
mod sse;
pub mod ws;

pub use ::http::{Method, StatusCode};

pub use self::body::{Body, BodySender};
pub use self::client::{Call, Client, ClientSettings, HttpVersion, get};
pub use self::cors::Cors;
pub use self::detached::detached;
pub use self::error::{Error, Failure};
pub use self::folder::Folder;
pub use self::handler::{BoxHandler, Handler, Layer, Next};
pub use self::headers::{HeaderFault, Headers};
pub use self::request::{Params, Peer, Request};
pub use self::respond::{Form, Html, IntoResponse, Json};
pub use self::response::Response;
pub use self::router::{PatternFault, Router};
pub(crate) use self::server::report;
#[cfg(feature = "grpc")]
pub(crate) use self::server::report_panic;
pub use self::server::{BindError, Limits, Reason, Refusals, ServeError, Server, Timeouts};
pub use self::service::{on_threads, tower};
#[cfg(feature = "grpc")]
pub(crate) use self::service::{request_of, response_of};
pub use self::sse::{Event, Events, NobodyListens};
pub use towpath_traffic::rate::Rate;

/// Serves `handler` on `address` until `ctx` is done: a [`Server`] with every default. *Discard-on-cancel*: to drop it cuts
/// what is under way.
///
/// # Errors
/// It could not begin; see [`ServeError`].
pub async fn serve(ctx: &crate::Ctx, address: &str, handler: impl Handler) -> Result<(), ServeError> {
    Server::new(handler).listen(address).serve(ctx).await
}
