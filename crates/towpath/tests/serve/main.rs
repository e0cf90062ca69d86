//! TCP and UDP servers over real sockets.

#![expect(clippy::unwrap_used, reason = "in a test a failed step is a failed test, in helpers too")]

mod tcp;
mod udp;

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;

use towpath::Ctx;
use towpath::ctx::Canceler;
use towpath::http::ServeError;

/// A server in a thread of its own.
struct Running {
    address: SocketAddr,
    stop: Canceler,
    thread: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    /// Runs what `serve` makes: a future that serves until its context is done and tells the address.
    fn new<F>(serve: impl FnOnce(Ctx, mpsc::Sender<SocketAddr>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), ServeError>>,
    {
        let (ctx, guard) = Ctx::background().with_cancel();
        let (told, address) = mpsc::channel();
        let thread = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(ctx, told))
        });
        Self { address: address.recv().unwrap(), stop: guard.disarm(), thread }
    }

    fn stop(self) {
        self.stop.cancel("the test is over");
        self.thread.join().unwrap().unwrap();
    }
}
