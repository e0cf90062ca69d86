//! Handlers whose requests outlive their clients.

use std::convert::Infallible;
use std::sync::Arc;

use ::http::StatusCode;

use super::handler::Handler;
use super::request::Request;
use super::respond::IntoResponse;
use super::response::Response;
use crate::Ctx;

/// `handler` for requests that go on when their client leaves before it has its answer, as an order does that was placed:
/// `on_disconnect = "detach"` of a gateway's route. Each is [detached](Ctx::detach) work, as a task of its worker: its context
/// is not done with the request's and has 60 s of its own, and a drain waits for it. Who is still there gets the answer.
///
/// A body that has not come whole when the client leaves does not come any more, and its reader is told so.
///
/// ```
/// use towpath::Ctx;
/// use towpath::http::{self, Request, Router};
///
/// async fn order(ctx: &Ctx, _: Request) -> String {
///     format!("placed within {:?}", ctx.remaining())
/// }
///
/// let router = Router::new().post("/orders", http::detached(order));
/// # drop(router);
/// ```
pub fn detached(handler: impl Handler) -> impl Handler {
    Detached(Arc::new(handler))
}

struct Detached<H>(Arc<H>);

impl<H: Handler> Handler for Detached<H> {
    async fn call<'a>(&'a self, ctx: &'a Ctx, request: Request) -> Response {
        let handler = Arc::clone(&self.0);
        let work = ctx.detach_local("detached handler", |ctx| async move {
            Ok::<_, Infallible>(handler.call(&ctx, request).await)
        });
        work.await.unwrap_or_else(|error| {
            super::report(&error.to_string());
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        })
    }

    fn check(&self) -> Result<(), super::error::BoxError> {
        self.0.check()
    }
}
