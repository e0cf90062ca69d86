//! What answers requests, and what stands before it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::error::BoxError;
use super::request::Request;
use super::respond::IntoResponse;
use super::response::Response;
use crate::Ctx;

/// Answers requests. Every `async fn(&Ctx, Request) -> impl IntoResponse` is one, also as a closure.
///
/// It runs on the worker that has the connection, from the first poll to the last, so its future may hold what is not
/// `Send`. One that is done when its context is done is ended softly; one that is not is dropped a while later, see
/// [`Timeouts`](super::Timeouts).
///
/// ```
/// use towpath::http::{Request, Router};
/// use towpath::Ctx;
///
/// async fn hello(_ctx: &Ctx, request: Request) -> String {
///     format!("Hello, {}!\n", request.param("name").unwrap_or("you"))
/// }
///
/// let router = Router::new().get("/hello/{name}", hello).get("/", async |_: &Ctx, _| "at home\n");
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn call<'a>(&'a self, ctx: &'a Ctx, request: Request) -> impl Future<Output = Response> + 'a;

    /// Whether it can serve at all; asked before a server listens. Default: it can.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check(&self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<F, R> Handler for F
where
    F: AsyncFn(&Ctx, Request) -> R + Send + Sync + 'static,
    R: IntoResponse + 'static,
{
    async fn call<'a>(&'a self, ctx: &'a Ctx, request: Request) -> Response {
        self(ctx, request).await.into_response()
    }
}

/// A future that stays on its thread.
pub(super) type LocalFuture<'a> = Pin<Box<dyn Future<Output = Response> + 'a>>;

/// A [`Handler`] of any type. Clones are the same one.
#[derive(Clone)]
pub struct BoxHandler(Arc<dyn Erased>);

impl BoxHandler {
    /// Forgets the type of `handler`.
    pub fn new(handler: impl Handler) -> Self {
        Self(Arc::new(handler))
    }

    pub(crate) fn start<'a>(&'a self, ctx: &'a Ctx, request: Request) -> LocalFuture<'a> {
        self.0.start(ctx, request)
    }

    /// This handler with `layer` before it.
    pub(crate) fn behind<L: Layer>(self, layer: Arc<L>) -> Self {
        Self(Arc::new(Behind { layer, inner: self }))
    }
}

impl fmt::Debug for BoxHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxHandler")
    }
}

impl Handler for BoxHandler {
    async fn call<'a>(&'a self, ctx: &'a Ctx, request: Request) -> Response {
        self.start(ctx, request).await
    }

    fn check(&self) -> Result<(), BoxError> {
        self.0.check()
    }
}

trait Erased: Send + Sync {
    fn start<'a>(&'a self, ctx: &'a Ctx, request: Request) -> LocalFuture<'a>;
    fn check(&self) -> Result<(), BoxError>;
}

impl<H: Handler> Erased for H {
    fn start<'a>(&'a self, ctx: &'a Ctx, request: Request) -> LocalFuture<'a> {
        Box::pin(self.call(ctx, request))
    }

    fn check(&self) -> Result<(), BoxError> {
        Handler::check(self)
    }
}

/// What stands before handlers: an `async fn(&Ctx, Request, Next<'_>) -> impl IntoResponse`. See
/// [`Router::with`](super::Router::with).
pub trait Layer: Send + Sync + 'static {
    /// Answers, by calling `next` or by itself.
    fn call<'a>(
        &'a self,
        ctx: &'a Ctx,
        request: Request,
        next: Next<'a>,
    ) -> impl Future<Output = Response> + 'a;
}

impl<F, R> Layer for F
where
    F: AsyncFn(&Ctx, Request, Next<'_>) -> R + Send + Sync + 'static,
    R: IntoResponse + 'static,
{
    async fn call<'a>(&'a self, ctx: &'a Ctx, request: Request, next: Next<'a>) -> Response {
        self(ctx, request, next).await.into_response()
    }
}

/// The rest of the way to the handler.
#[derive(Debug)]
pub struct Next<'a>(&'a BoxHandler);

impl Next<'_> {
    /// Goes on, with the context and request as they are now. *Discard-on-cancel*: dropped half-way, there is no response.
    pub async fn run(self, ctx: &Ctx, request: Request) -> Response {
        self.0.start(ctx, request).await
    }
}

struct Behind<L> {
    layer: Arc<L>,
    inner: BoxHandler,
}

impl<L: Layer> Handler for Behind<L> {
    async fn call<'a>(&'a self, ctx: &'a Ctx, request: Request) -> Response {
        self.layer.call(ctx, request, Next(&self.inner)).await
    }
}
