//! gRPC services of [`tonic`]'s, on the same port as everything else.
//!
//! ```text
//!   client ──HTTP/2──> http::Server ── application/grpc ──> Grpc ── tonic's Routes ── your service
//!                            └── everything else ──> Router
//! ```
//!
//! ```no_run
//! use towpath::grpc::{self, Grpc};
//! use towpath::http::{Router, Server};
//! use towpath::Ctx;
//!
//! fn main() -> std::process::ExitCode {
//!     towpath::run(async |ctx: Ctx| {
//!         let (health, service) = grpc::health_reporter();
//!         health.set_service_status("", grpc::ServingStatus::Serving).await;
//!         let services = grpc::Routes::new(service);
//!         let router = Router::new().get("/", async |_: &Ctx, _| "REST is here, too\n");
//!         Server::new(Grpc::new(services).beside(router)).h2c(true).listen("127.0.0.1:50051").serve(&ctx).await?;
//!         Ok(())
//!     })
//! }
//! ```
//!
//! [`proto!`] makes the messages and the services of a `.proto` file; the trait of a service is what a program writes:
//!
//! ```no_run
//! use towpath::grpc::{self, Grpc, Request, Response, Routes, Status};
//! use towpath::http::Server;
//! use users::users_server::UsersServer;
//!
//! // package users; service Users { rpc Get(UserName) returns (User); … }
//! grpc::proto!("../../../examples/user.proto");
//!
//! struct Known;
//!
//! #[grpc::async_trait]
//! impl users::users_server::Users for Known {
//!     async fn get(&self, request: Request<users::UserName>) -> Result<Response<users::User>, Status> {
//!         Ok(Response::new(users::User { name: request.into_inner().name, age: 36, hobbies: Vec::new() }))
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     towpath::run(async |ctx| {
//!         let services = Grpc::new(Routes::new(UsersServer::new(Known)));
//!         Server::new(services).h2c(true).listen("127.0.0.1:50051").serve(&ctx).await?;
//!         Ok(())
//!     })
//! }
//! ```
//!
//! A service finds its [`Ctx`] among the extensions of `tonic::Request`. Its deadline is the client's `grpc-timeout` within
//! the server's [`Timeouts::handler`](crate::http::Timeouts::handler); where it has passed before the call is over the
//! client gets `DEADLINE_EXCEEDED`, and the service's future is dropped. A stream whose client names no deadline may last as
//! long as its connection. A service that panics is told of in the report and answers `INTERNAL`, without the panic's text; a
//! stream that does so ends with it. `?` makes a status of a [`Cause`] and of a [`ScopeError`] as the table of contexts says
//! (`CANCELLED`, `DEADLINE_EXCEEDED`, `UNAVAILABLE`, `INTERNAL`). Messages are bounded by tonic, 4 MiB if nothing else is said; the bytes and the pace of a
//! stream's messages together are not.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use ::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use http_body::Frame;
use tower_service::Service;

pub use prost;
#[doc(hidden)]
pub use prost_types;
pub use tonic::codegen::{BoxStream, async_trait, tokio_stream};
pub use tonic::service::{Routes, RoutesBuilder};
pub use tonic::{self, Code, Request, Response, Status, Streaming};
pub use tonic_health::ServingStatus;
pub use tonic_health::server::{HealthReporter, health_reporter};
#[doc(hidden)]
pub use tonic_prost::ProstCodec;
pub use tonic_reflection::server::Builder as ReflectionBuilder;

/// The messages and services of a `.proto` file, made while the program is compiled, by prost and tonic and without
/// `protoc`: `proto!("user.proto")`.
///
/// The path starts at the folder of the file that says it, as for `include_str!`, and imports start where the `.proto` file
/// is. Each package becomes a module, `package a.b` the module `b` in `a`, beside the constant `FILE_DESCRIPTOR_SET` for
/// [`ReflectionBuilder`]. A module holds a struct for each message and, for a `service Users`, the module `users_server` with
/// the trait `Users` to write and `UsersServer`, which goes into [`Routes`]. A method that is not written answers
/// `UNIMPLEMENTED`. Clients are not made.
///
/// What is wrong with the file is an error of the compiler's, with file, line and column. The crate must be known as
/// `towpath`.
pub use towpath_macros::proto;

use crate::Ctx;
use crate::ctx::wire::read_grpc_timeout;
use crate::ctx::{Cause, Done, ScopeError};
use crate::http::{
    self, Body, BoxHandler, Handler, IntoResponse, Method, StatusCode, report_panic, request_of, response_of,
};

mod stream;

pub use self::stream::{Messages, stream};

/// What every content type of gRPC begins with.
const CONTENT_TYPE: &str = "application/grpc";

/// Answers calls of gRPC with tonic's services, and leaves other requests to another handler; see the [module](self).
#[derive(Debug)]
pub struct Grpc {
    routes: Routes,
    other: Option<BoxHandler>,
}

impl Grpc {
    /// A handler for these services alone: what is no call of gRPC is a 415.
    pub fn new(routes: Routes) -> Self {
        Self { routes: routes.prepare(), other: None }
    }

    /// The same with `other` for what is no call of gRPC.
    #[must_use]
    pub fn beside(mut self, other: impl Handler) -> Self {
        self.other = Some(BoxHandler::new(other));
        self
    }
}

impl Handler for Grpc {
    async fn call<'a>(&'a self, ctx: &'a Ctx, request: http::Request) -> http::Response {
        match &self.other {
            _ if is_call(&request) => answer(self.routes.clone(), ctx, request).await,
            Some(other) => other.call(ctx, request).await,
            None => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "this is a server of gRPC\n").into_response(),
        }
    }

    fn check(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.other.as_ref().map_or(Ok(()), Handler::check)
    }
}

fn is_call(request: &http::Request) -> bool {
    let kind = request.header("Content-Type").and_then(|kind| kind.strip_prefix(CONTENT_TYPE));
    // `application/grpc-web` is another protocol.
    request.method() == Method::POST
        && kind.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}

async fn answer(mut routes: Routes, ctx: &Ctx, mut request: http::Request) -> http::Response {
    let timeout = request.headers().get_bytes("grpc-timeout");
    let is_timed = timeout.is_some();
    if timeout.is_some_and(|text| read_grpc_timeout(text).is_none()) {
        let status = Status::invalid_argument("grpc-timeout is 1 to 8 digits and one of H M S m u n");
        return response_of(status.into_http::<tonic::body::Body>());
    }
    request.lift_body_limits();
    let request = request_of(ctx, request);
    let called = ctx.run(caught(async {
        poll_fn(|cx| Service::<::http::Request<Body>>::poll_ready(&mut routes, cx)).await?;
        routes.call(request).await
    }));
    match called.await {
        Ok(Ok(Ok(response))) => {
            let done = is_timed.then(|| ctx.done());
            response_of(response.map(|body| Reply { body: Some(body), done }))
        }
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(status)) => response_of(status.into_http::<tonic::body::Body>()),
        Err(cause) => response_of(status_of(&cause).into_http::<tonic::body::Body>()),
    }
}

/// A future whose panic is a status.
async fn caught<F: Future>(future: F) -> Result<F::Output, Status> {
    let mut future = pin!(future);
    poll_fn(|cx| match polled(|| future.as_mut().poll(cx)) {
        Ok(poll) => poll.map(Ok),
        Err(status) => Poll::Ready(Err(status)),
    })
    .await
}

/// One poll of a service's code. What panicked is not polled again.
fn polled<T>(poll: impl FnOnce() -> T) -> Result<T, Status> {
    catch_unwind(AssertUnwindSafe(poll)).map_err(|panic| {
        report_panic(&*panic);
        Status::internal("Internal Server Error")
    })
}

impl From<Cause> for Status {
    fn from(cause: Cause) -> Self {
        status_of(&cause)
    }
}

/// The first error is what counts: the cause where the context was done, a status where the body returned one, `INTERNAL`
/// for tasks that failed or could not be ended.
impl From<ScopeError<Self>> for Status {
    fn from(error: ScopeError<Self>) -> Self {
        match error {
            ScopeError::Body { error, .. } => error,
            ScopeError::Canceled { cause, .. } => status_of(&cause),
            ScopeError::Task { .. } => Self::internal("a part of it failed"),
            ScopeError::Leaked { .. } => Self::internal("a part of it does not end"),
        }
    }
}

/// What a client is told when a context ended before the call did.
fn status_of(cause: &Cause) -> Status {
    let text = match cause {
        // Where in the program it was set is nobody else's business.
        Cause::DeadlineExceeded { .. } => "the deadline has passed".to_owned(),
        cause => cause.to_string(),
    };
    Status::new(Code::from(i32::from(cause.grpc_status())), text)
}

/// The messages of a call. Where they cannot go on, as the context is done or the code that makes them has panicked, comes
/// the status that says why.
struct Reply {
    /// There until the end.
    body: Option<tonic::body::Body>,
    /// The end of a call that has a deadline of its client's.
    done: Option<Done>,
}

impl Reply {
    fn end(&mut self, status: &Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.body = None;
        let mut trailers = HeaderMap::new();
        if status.add_header(&mut trailers).is_err() {
            trailers.insert("grpc-status", HeaderValue::from(status.code() as i32));
        }
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        match polled(|| Pin::new(body).poll_frame(cx)) {
            // What is ready wins over an end of the same instant.
            Ok(Poll::Ready(frame)) => return Poll::Ready(frame),
            Ok(Poll::Pending) => {}
            Err(status) => return this.end(&status),
        }
        let Some(done) = &mut this.done else { return Poll::Pending };
        let cause = ready!(Pin::new(done).poll(cx));
        this.end(&status_of(&cause))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.as_ref().map_or_else(http_body::SizeHint::default, |body| body.size_hint())
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::ctx::Reason;

    #[test]
    fn causes_are_statuses_as_the_table_says_s64() {
        for (cause, code) in [
            (Cause::ClientGone, Code::Cancelled),
            (Cause::from(Reason::new("enough")), Code::Cancelled),
            (Cause::Shutdown, Code::Unavailable),
            (Cause::Overload, Code::Unavailable),
            (
                Ctx::background().with_timeout(std::time::Duration::ZERO).err().unwrap(),
                Code::DeadlineExceeded,
            ),
        ] {
            assert_eq!(Status::from(cause.clone()).code(), code, "{cause}");
            let canceled = ScopeError::Canceled { cause, later: Vec::new(), body: None };
            assert_eq!(Status::from(canceled).code(), code);
        }
        let own = ScopeError::Body { error: Status::not_found("no"), later: Vec::new() };
        assert_eq!(Status::from(own).code(), Code::NotFound);
        let leaked = ScopeError::Leaked { tasks: Vec::new(), first: None };
        assert_eq!(Status::from(leaked).code(), Code::Internal);
        let late = Ctx::background().with_timeout(std::time::Duration::ZERO).err().unwrap();
        assert_eq!(Status::from(late).message(), "the deadline has passed", "not where it was set");
    }
}
