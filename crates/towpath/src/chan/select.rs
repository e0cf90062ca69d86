//! Waiting for the first of several, for no longer than a context.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Waits for the first of several futures, or for the end of a context: `Ok` with the value of the arm that was first, or
/// `Err` with the [`Cause`](crate::ctx::Cause).
///
/// An arm is `pattern = future => expression,`. Patterns must always match, so that a closed channel has to be dealt with.
/// Among arms that are ready one is taken by chance, so that none starves. A context that is done already lets no arm
/// begin; afterwards an arm that is ready wins over a cancel of the same instant. The futures that were not first are
/// dropped, so each has to be *cancel-safe* or thrown away.
///
/// Futures are taken by value. `&mut future` is refused: a future that is kept but not polled may hold a lock that the
/// arm which was taken waits for (R30).
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use std::time::Duration;
/// use towpath::ctx::{Cause, Ctx};
///
/// let ctx = Ctx::background().with_timeout(Duration::from_secs(2));
/// let (sender, mut receiver) = towpath::chan::bounded(1);
/// assert!(sender.try_send(42).is_ok());
/// for _ in 0..2 {
///     let answer = towpath::select!(&ctx,
///         value = receiver.recv() => value,
///         () = tokio::time::sleep(Duration::from_secs(3)) => None,
///     );
///     match answer {
///         Ok(value) => assert_eq!(value, Some(42)),
///         Err(cause) => assert!(matches!(cause, Cause::DeadlineExceeded { .. })),
///     }
/// }
/// # }
/// ```
///
/// ```compile_fail
/// # async fn refused(ctx: towpath::ctx::Ctx) {
/// let mut wait = std::pin::pin!(std::future::pending::<()>());
/// let _ = towpath::select!(&ctx, () = &mut wait => (),);
/// # }
/// ```
#[macro_export]
macro_rules! select {
    (@arms $ctx:ident ($($arm:tt)*)) => {
        match $ctx.err() {
            Some(cause) => Err(cause),
            None => $crate::chan::__tokio_select! {
                $($arm)*
                cause = $crate::chan::at_last($ctx.done()) => Err(cause),
            },
        }
    };
    (@arms $ctx:ident ($($arm:tt)*) $pattern:pat = &mut $($rest:tt)*) => {
        compile_error!("select! takes futures by value: one that is kept but not polled may hold a lock")
    };
    (@arms $ctx:ident ($($arm:tt)*) $pattern:pat = $future:expr => $body:expr $(, $($rest:tt)*)?) => {
        $crate::select!(@arms $ctx (
            $($arm)*
            value = $future => {
                // Outside of the arm's head, where a pattern that does not match would only switch the arm off.
                let $pattern = value;
                Ok($body)
            },
        ) $($($rest)*)?)
    };
    ($ctx:expr, $($arms:tt)+) => {{
        let ctx: &$crate::ctx::Ctx = $ctx;
        $crate::select!(@arms ctx () $($arms)+)
    }};
}

#[doc(hidden)]
pub use tokio::select as __tokio_select;

/// What [`select!`] waits for a context with: one turn after the others, so that a result of the same instant wins.
#[doc(hidden)]
#[derive(Debug)]
pub struct AtLast<F: Future> {
    future: F,
    output: Option<F::Output>,
}

#[doc(hidden)]
pub fn at_last<F: Future + Unpin>(future: F) -> AtLast<F>
where
    F::Output: Unpin,
{
    AtLast { future, output: None }
}

impl<F: Future + Unpin> Future for AtLast<F>
where
    F::Output: Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if let Some(output) = self.output.take() {
            return Poll::Ready(output);
        }
        if let Poll::Ready(output) = Pin::new(&mut self.future).poll(cx) {
            self.output = Some(output);
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
