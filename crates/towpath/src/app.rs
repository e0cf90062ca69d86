//! The frame of a program: a runtime, a context that ends with the process, an exit code.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::ctx::{Cause, Ctx, Tracker};
use crate::http::ServeError;
use crate::http::report;

/// How long detached work may go on once the program's own future has ended; the same as a server's grace.
const GRACE: Duration = Duration::from_secs(30);

/// What a program ends with.
pub type Result<T = ()> = std::result::Result<T, Failure>;

/// Any error, for programs that only pass it on. `?` makes one of every error.
///
/// ```
/// fn port(text: &str) -> towpath::Result<u16> {
///     Ok(text.parse()?)
/// }
/// assert_eq!(port("x").unwrap_err().to_string(), "invalid digit found in string");
/// ```
pub struct Failure(Box<dyn Error + Send + Sync>);

impl Failure {
    /// An error that only says something.
    ///
    /// ```
    /// assert_eq!(towpath::Failure::msg("no users").to_string(), "no users");
    /// ```
    pub fn msg(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    pub(crate) fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }

    fn exit_code(&self) -> u8 {
        self.0.downcast_ref::<ServeError>().map_or(1, ServeError::exit_code)
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Runs a program: makes a runtime and gives `main` a context that ends with SIGTERM or SIGINT. When `main` has returned,
/// detached work is waited for, 30 s at the most. A second signal ends the program at once.
///
/// The exit code is 0, or 1 when `main` fails and the error is written to standard error; 98 for an address in use and 2
/// for another fault of a server's set-up; 130 and 143 for a second signal.
///
/// ```no_run
/// use towpath::Ctx;
///
/// fn main() -> std::process::ExitCode {
///     towpath::run(async |ctx: Ctx| {
///         ctx.done().await;
///         Ok(())
///     })
/// }
/// ```
pub fn run<F>(main: F) -> ExitCode
where
    F: AsyncFnOnce(Ctx) -> Result,
{
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            report(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(supervised(main));
    // Blocking jobs that do not end must not hold the process.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

async fn supervised<F: AsyncFnOnce(Ctx) -> Result>(main: F) -> Result {
    let tracker = Tracker::of_the_process();
    let (ctx, guard) = Ctx::background().with_cancel();
    let stop = guard.disarm();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        let mut is_told = false;
        loop {
            let code = tokio::select! {
                Some(()) = interrupt.recv() => 130,
                Some(()) = terminate.recv() => 143,
                else => return,
            };
            if std::mem::replace(&mut is_told, true) {
                std::process::exit(code);
            }
            stop.cancel(Cause::Shutdown);
        }
    });
    let outcome = main(ctx).await;
    // What is left then is cut with the process.
    let _ = towpath_net::time::timeout(GRACE, tracker.idle()).await;
    outcome
}
