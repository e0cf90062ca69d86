//! What ends a wait for an origin that nothing else ends.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use towpath_net::time::{Sleep, sleep_until};

use crate::Ctx;
use crate::ctx::Done;
use crate::http::error::{Error, Kind};

/// The context of a request, and the time without a byte in either direction. That is moved by a store and looked at when
/// it fires (R23).
pub(super) struct Patience {
    done: Done,
    span: Duration,
    /// When a byte moved last.
    pub(super) since: Instant,
    sleep: Option<Sleep>,
}

impl Patience {
    pub(super) fn new(ctx: &Ctx, span: Duration) -> Self {
        Self { done: ctx.done(), span, since: Instant::now(), sleep: None }
    }

    /// Ready with an error when `part` has been waited for long enough.
    pub(super) fn poll<T>(&mut self, part: &'static str, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        if let Poll::Ready(cause) = Pin::new(&mut self.done).poll(cx) {
            return Poll::Ready(Err(cause.into()));
        }
        ready!(self.poll_idle(cx));
        Poll::Ready(Err(Error::new(Kind::Timeout(part))))
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(until) = self.since.checked_add(self.span) else { return Poll::Pending };
            let sleep = self.sleep.get_or_insert_with(|| sleep_until(until));
            ready!(Pin::new(sleep).poll(cx));
            self.sleep = None;
            if Instant::now() >= until {
                return Poll::Ready(());
            }
        }
    }
}
