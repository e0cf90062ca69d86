//! Futures that are dropped half-way, at every point there is.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// More polls than any of our futures takes in a test.
const POLLS_MAX: usize = 10_000;

/// Polls a future up to `count` times and drops it. What it gave if it was ready by then.
pub async fn polled<F: Future>(future: F, mut count: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if count == 0 {
            return Poll::Ready(None);
        }
        count -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if count == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Calls `scene` with 0, 1, 2 and so on, until it says that what it dropped behind so many polls was ready by then.
///
/// # Panics
/// When that takes forever, or no more than one poll: then nothing was dropped half-way.
pub fn after_every_poll(mut scene: impl FnMut(usize) -> bool) {
    let mut polls = 0;
    while !scene(polls) {
        polls += 1;
        assert!(polls < POLLS_MAX, "it does not end");
    }
    assert!(polls > 1, "it waits for next to nothing: {polls} polls");
}
