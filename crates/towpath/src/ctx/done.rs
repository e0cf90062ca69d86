//! Waiting for the end of a context, and for a future no longer than that.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use towpath_net::time::{Sleep, sleep_until};

use super::Ctx;
use super::cause::Cause;
use super::cell::Place;

/// Ready with the cause once the context is done. *Cancel-safe*; a clone waits for itself.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use std::time::Duration;
/// use towpath::ctx::{Cause, Ctx};
///
/// let ctx = Ctx::background().with_timeout(Duration::from_secs(2));
/// assert!(matches!(ctx.done().await, Cause::DeadlineExceeded { .. }));
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a wait begins when it is polled"]
pub struct Done {
    ctx: Ctx,
    place: Option<Place>,
    /// Armed by the first poll that has to wait (R11).
    timer: Option<Sleep>,
}

impl Done {
    pub(super) fn new(ctx: Ctx) -> Self {
        Self { ctx, place: None, timer: None }
    }

    /// Whether it is new here: then the caller looks for a cause once more (R5).
    fn watch(&mut self, cx: &Context<'_>) -> bool {
        let Some(anchor) = self.ctx.0.anchor() else { return false };
        let is_new = self.place.is_none();
        self.place = Some(anchor.watch(self.place, cx.waker()));
        is_new
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.ctx.deadline() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| sleep_until(deadline));
        let poll = Pin::new(timer).poll(cx);
        if poll.is_ready() {
            self.timer = None;
        }
        poll
    }
}

impl Future for Done {
    type Output = Cause;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Cause> {
        loop {
            if let Some(cause) = self.ctx.err() {
                return Poll::Ready(cause);
            }
            if self.watch(cx) {
                continue;
            }
            // A timer that fires a moment early is armed again.
            if self.poll_deadline(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Clone for Done {
    fn clone(&self) -> Self {
        Self::new(self.ctx.clone())
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let (Some(place), Some(anchor)) = (self.place, self.ctx.0.anchor()) {
            anchor.cell.leave(place);
        }
    }
}

impl Ctx {
    /// Waits until the context is done; says why.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use towpath::ctx::{Cause, Ctx};
    ///
    /// let (ctx, guard) = Ctx::background().with_cancel();
    /// let waiting = tokio::spawn(ctx.done());
    /// guard.cancel(Cause::ClientGone);
    /// assert!(matches!(waiting.await, Ok(Cause::ClientGone)));
    /// # }
    /// ```
    pub fn done(&self) -> Done {
        Done::new(self.clone())
    }

    /// Runs `future` for as long as the context is not done. *Cancel-safe* as far as `future` is.
    ///
    /// A context that is done already lets nothing begin. Afterwards the future is polled first, so that a result which
    /// is ready wins over a cancel of the same instant. One timer is armed at most, and not before the future has to
    /// wait (R10, R11).
    ///
    /// # Errors
    /// The context was done first; `future` has been dropped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use towpath::ctx::{Cause, Ctx};
    ///
    /// let ctx = Ctx::background().with_timeout(Duration::from_secs(2));
    /// let job = async {
    ///     tokio::time::sleep(Duration::from_secs(3)).await;
    ///     "finished"
    /// };
    /// assert!(matches!(ctx.run(job).await, Err(Cause::DeadlineExceeded { .. })));
    /// # }
    /// ```
    pub async fn run<F: Future>(&self, future: F) -> Result<F::Output, Cause> {
        self.check()?;
        let (mut future, mut done) = (pin!(future), self.done());
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => Pin::new(&mut done).poll(cx).map(Err),
        })
        .await
    }

    /// Whether it can ever be done.
    pub(super) fn can_end(&self) -> bool {
        self.deadline().is_some() || self.0.anchor().is_some()
    }
}
