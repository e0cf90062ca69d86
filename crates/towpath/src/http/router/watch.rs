//! Finds handlers that hold their worker: nobody else on it is served meanwhile.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::http::server::report;

/// Longest time between two awaits that nobody is told of. What a person notices, and far more than any request of the kit's
/// own takes.
const HELD_MAX: Duration = Duration::from_millis(100);

/// Runs the handler of a route, and says on standard error when it kept its worker from everything else.
pub(super) async fn named<F: Future>(pattern: &str, handler: F) -> F::Output {
    let mut handler = pin!(handler);
    poll_fn(|cx| {
        let before = coarse_now();
        let outcome = handler.as_mut().poll(cx);
        let held = coarse_now().saturating_sub(before);
        complaint(pattern, held).into_iter().for_each(|complaint| report(&complaint));
        outcome
    })
    .await
}

/// The time of the last tick of the kernel's, some milliseconds ago: a look at it costs a fifth of one at the exact time.
fn coarse_now() -> Duration {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or_default(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

/// What is said of a poll that took so long.
fn complaint(pattern: &str, held: Duration) -> Option<String> {
    let advice = "what computes or waits without await belongs into Ctx::spawn_blocking";
    (held > HELD_MAX).then(|| format!("the handler of {pattern:?} held its worker for {held:.1?}; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_hold_is_told_of_and_by_its_pattern() {
        assert_eq!(complaint("GET /", HELD_MAX), None);
        let told = complaint("GET /sum/{to}", Duration::from_millis(1500));
        assert_eq!(
            told.as_deref(),
            Some(
                "the handler of \"GET /sum/{to}\" held its worker for 1.5s; \
                 what computes or waits without await belongs into Ctx::spawn_blocking"
            )
        );
    }
}
