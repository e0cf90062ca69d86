//! Services of the ecosystem's as handlers, and handlers on other threads.

use std::future::{Future, poll_fn};
use std::sync::Arc;

use tokio::runtime::Handle;
use tower_service::Service;

use super::Failure;
use super::body::Body;
use super::error::BoxError;
use super::handler::Handler;
use super::headers::{from_map, to_map};
use super::request::{Peer, Request};
use super::respond::IntoResponse;
use super::response::Response;
use crate::Ctx;
use crate::ctx::Cause;

/// A handler made of `service`, such as a `Router` of axum's as it is. It is cloned for each request, as is their custom, and
/// runs on the worker that has the connection.
///
/// Its request has the [`Ctx`] and the [`Peer`] among its extensions. An error of the service is a 500.
///
/// ```
/// use axum::routing::get;
/// use axum::{Extension, Router};
/// use towpath::Ctx;
/// use towpath::http::{self, Server};
///
/// async fn left(Extension(ctx): Extension<Ctx>) -> String {
///     format!("{:?} left", ctx.remaining())
/// }
///
/// let server = Server::new(http::tower(Router::new().route("/left", get(left)))).listen("127.0.0.1:0");
/// # drop(server);
/// ```
pub fn tower<S, B>(service: S) -> impl Handler
where
    S: Service<::http::Request<Body>, Response = ::http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Tower(service)
}

struct Tower<S>(S);

impl<S, B> Handler for Tower<S>
where
    S: Service<::http::Request<Body>, Response = ::http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn call<'a>(&'a self, ctx: &'a Ctx, request: Request) -> Response {
        let mut service = self.0.clone();
        let outcome = async {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request_of(ctx, request)).await
        };
        match outcome.await {
            Ok(response) => response_of(response),
            Err(error) => Failure::internal(error).into_response(),
        }
    }
}

/// The same request as their types have it.
pub(crate) fn request_of(ctx: &Ctx, request: Request) -> ::http::Request<Body> {
    let (method, version, peer) = (request.method().clone(), request.version(), request.peer().clone());
    let target = match request.query_text() {
        Some(query) => format!("{}?{query}", request.path()),
        None => request.path().to_owned(),
    };
    // A judged path is one for `http`, too, but for rare characters that it refuses and we do not.
    let path =
        ::http::uri::PathAndQuery::try_from(target).unwrap_or(::http::uri::PathAndQuery::from_static("/"));
    let mut parts = ::http::uri::Parts::default();
    parts.path_and_query = Some(path);
    if version == ::http::Version::HTTP_2
        && let Some(authority) = request.host().and_then(|host| ::http::uri::Authority::try_from(host).ok())
    {
        parts.scheme = Some(if peer.is_tls { ::http::uri::Scheme::HTTPS } else { ::http::uri::Scheme::HTTP });
        parts.authority = Some(authority);
    }
    let mut made = ::http::Request::new(Body::empty());
    *made.method_mut() = method;
    *made.version_mut() = version;
    *made.uri_mut() = ::http::Uri::from_parts(parts).unwrap_or_default();
    *made.headers_mut() = to_map(request.headers());
    made.extensions_mut().insert(ctx.clone());
    made.extensions_mut().insert::<Peer>(peer);
    *made.body_mut() = request.into_body();
    made
}

/// The same response as ours.
pub(crate) fn response_of<B>(response: ::http::Response<B>) -> Response
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (parts, body) = response.into_parts();
    let mut made = Response::new(parts.status).with_body(Body::foreign(body));
    *made.headers_mut() = from_map(&parts.headers);
    made
}

/// Runs `handler` on the threads of `runtime`, as programs expect that move between threads or hold one for long: its future
/// is a task there, and is aborted when the client has gone or the time is up. A worker has connections to serve meanwhile.
///
/// ```
/// use tokio::runtime::Handle;
/// use towpath::http::{self, Request, Router};
/// use towpath::Ctx;
///
/// async fn sum(_ctx: Ctx, request: Request) -> String {
///     (0..request.path().len()).sum::<usize>().to_string()
/// }
///
/// # let runtime = tokio::runtime::Runtime::new()?;
/// # let _inside = runtime.enter();
/// let router = Router::new().get("/{rest...}", http::on_threads(&Handle::current(), sum));
/// # drop(router);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn on_threads<F, T, R>(runtime: &Handle, handler: F) -> impl Handler
where
    F: Fn(Ctx, Request) -> T + Send + Sync + 'static,
    T: Future<Output = R> + Send + 'static,
    R: IntoResponse + 'static,
{
    OnThreads { runtime: runtime.clone(), handler: Arc::new(handler) }
}

struct OnThreads<F> {
    runtime: Handle,
    handler: Arc<F>,
}

impl<F, T, R> Handler for OnThreads<F>
where
    F: Fn(Ctx, Request) -> T + Send + Sync + 'static,
    T: Future<Output = R> + Send + 'static,
    R: IntoResponse + 'static,
{
    async fn call<'a>(&'a self, ctx: &'a Ctx, request: Request) -> Response {
        let (handler, ctx) = (Arc::clone(&self.handler), ctx.clone());
        let task = self.runtime.spawn(async move {
            let made = handler(ctx.clone(), request).await;
            ctx.enter(|| made.into_response())
        });
        let mut task = AbortOnDrop(task);
        match (&mut task.0).await {
            Ok(response) => response,
            // As if it had panicked on the worker.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Cause::Shutdown.into_response(),
            },
        }
    }
}

/// A task that nobody waits for any more ends.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
