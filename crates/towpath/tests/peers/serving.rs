//! A server in threads of this process, on a port of its own.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use towpath::Ctx;
use towpath::ctx::{CancelGuard, Cause};
use towpath::http::Server;

/// Serves until it is dropped.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    guard: Option<CancelGuard>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    pub(crate) fn start(server: impl FnOnce() -> Server + Send + 'static) -> Self {
        let (ctx, guard) = Ctx::background().with_cancel();
        let (sender, addresses) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let told = move |listening: &towpath::Listening| sender.send(listening.address()).unwrap();
            let server = server().listen("127.0.0.1:0").workers(1).on_listen(told);
            runtime.block_on(server.serve(&ctx)).unwrap();
        });
        Self { address: addresses.recv().unwrap(), guard: Some(guard), thread: Some(thread) }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.guard.take().into_iter().for_each(|guard| guard.cancel(Cause::Shutdown));
        let outcome = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || !matches!(outcome, Some(Err(_))), "the server has panicked");
    }
}

/// What a program writes on both of its outputs, or `None` where there is no such program.
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
pub(crate) fn output_of(program: &str, words: &[&str]) -> Option<String> {
    let output = match Command::new(program).args(words).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: {program}: {error}");
            return None;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text + &String::from_utf8_lossy(&output.stderr))
}
