//! Help for tests of services: a handler asked without a network, a server for one test, a clock that stands still.
//!
//! The clock is there with the cargo feature `test`, for development dependencies only: it makes every look at the clock
//! slower.

use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use crate::Ctx;
use crate::ctx::{Cause, Tracker};
use crate::http::{Handler, Request, Response, ServeError, Server};

/// Asks `handler` as a server would, without a connection: what Go calls a recorder. *Cancel-safe* as the handler is.
///
/// ```
/// # #[tokio::main(flavor = "local")]
/// # async fn main() {
/// use towpath::Ctx;
/// use towpath::http::{Method, Request, Router};
///
/// let router = Router::new().get("/hello/{name}", async |_: &Ctx, request: Request| {
///     format!("Hello, {}!", request.param("name").unwrap_or_default())
/// });
/// let response = towpath::test::respond(&router, Request::new(Method::GET, "/hello/Ada")).await;
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.text().await.unwrap(), "Hello, Ada!");
/// # }
/// ```
pub async fn respond(handler: &impl Handler, request: Request) -> Response {
    handler.call(&Tracker::new().root(), request).await
}

/// A server on a free port of this machine, for as long as the value lives.
///
/// ```
/// use std::io::{Read, Write};
/// use towpath::Ctx;
/// use towpath::http::{Router, Server};
///
/// let router = Router::new().get("/", async |_: &Ctx, _| "hello");
/// let server = towpath::test::serve(move || Server::new(router))?;
/// let mut client = std::net::TcpStream::connect(server.address())?;
/// client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.ends_with("hello"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TestServer {
    address: SocketAddr,
    canceler: crate::ctx::Canceler,
    thread: Option<JoinHandle<()>>,
}

/// Starts the server that `make` makes, which need listen nowhere, on a thread of its own.
///
/// # Errors
/// It cannot begin.
pub fn serve(make: impl FnOnce() -> Server + Send + 'static) -> Result<TestServer, ServeError> {
    let (ctx, guard) = Ctx::background().with_cancel();
    let (told, heard) = sync_channel(1);
    let thread = std::thread::spawn(move || {
        let failed = told.clone();
        let server = make().listen("127.0.0.1:0").on_listen(move |at| drop(told.try_send(Ok(at.address()))));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default());
        let outcome = match runtime {
            Ok(runtime) => runtime.block_on(server.serve_here(&ctx)),
            Err(error) => Err(ServeError::Thread(error)),
        };
        if let Err(error) = outcome {
            let _ = failed.try_send(Err(error));
        }
    });
    match heard.recv() {
        Ok(Ok(address)) => Ok(TestServer { address, canceler: guard.disarm(), thread: Some(thread) }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ServeError::Thread(std::io::Error::other("the server's thread has ended"))),
    }
}

impl TestServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path on it.
    ///
    /// ```
    /// use towpath::Ctx;
    /// use towpath::http::{Router, Server};
    ///
    /// let server = towpath::test::serve(|| Server::new(Router::new()))?;
    /// assert!(server.url("/users").ends_with("/users"));
    /// # Ok::<(), towpath::http::ServeError>(())
    /// ```
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.canceler.cancel(Cause::Shutdown);
        // A panic there has been told already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Runs `test` on a runtime of its own whose clock stands still while any task has something to do, so that waits of hours
/// take no time and always the same. With an address `memory:NAME` a server and its clients need no socket.
///
/// ```
/// use std::time::Duration;
/// use towpath::Ctx;
///
/// towpath::test::paused(async {
///     let ctx = Ctx::background().with_timeout(Duration::from_secs(3600));
///     assert_eq!(ctx.done().await.name(), "deadline");
/// });
/// ```
#[cfg(feature = "test")]
pub fn paused<F: Future>(test: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build_local(Default::default());
    match runtime {
        Ok(runtime) => runtime.block_on(test),
        Err(error) => panic!("the system gives no event loop: {error}"),
    }
}
