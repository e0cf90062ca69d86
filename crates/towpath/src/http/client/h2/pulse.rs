//! Whether an origin that says nothing is still there (RFC 9113 §6.7).

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use towpath_net::time::{Sleep, sleep_until};

/// The silence after which an origin is asked, unless another is set, and how long it has to answer then. Together they are less
/// than the 30 s that a request waits for a byte, so that one on a connection that has died can still go out on another. And
/// in the 50 s after which an idle connection ends they are three PINGs: servers of gRPC that expect none, as is their default,
/// end a connection with the fourth in a row (ENHANCE_YOUR_CALM, "too_many_pings").
///
/// Go and hyper ask nobody unless they are told to, and wait 15 s and 20 s then.
pub(in crate::http::client) const PING_INTERVAL: Duration = Duration::from_secs(15);
pub(in crate::http::client) const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The least time between two PINGs: more of them would be what servers take for a flood.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Asks for a sign of life behind each silence of `interval`, and gives up when none comes for `timeout`. Whatever comes is
/// one. As of all deadlines, it is a store that moves it, and who wakes up too early sleeps on.
pub(super) struct Pulse {
    interval: Option<Duration>,
    timeout: Duration,
    /// When a PING was sent last.
    asked_at: Option<Instant>,
    sleep: Option<(Instant, Sleep)>,
}

/// What is to be done about a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Send a PING.
    Ask,
    /// The PING had no answer.
    GiveUp,
}

impl Pulse {
    /// Without an interval it asks nothing.
    pub(super) fn new(interval: Option<Duration>, timeout: Duration) -> Self {
        let interval = interval.map(|interval| interval.max(INTERVAL_MIN));
        Self { interval, timeout, asked_at: None, sleep: None }
    }

    /// Ready when the silence since `heard_at` has been too long.
    pub(super) fn poll(&mut self, heard_at: Instant, cx: &mut Context<'_>) -> Poll<Silence> {
        let Some(interval) = self.interval else { return Poll::Pending };
        loop {
            let asked_at = self.asked_at.filter(|asked_at| *asked_at > heard_at);
            let until = match asked_at {
                None => heard_at.checked_add(interval),
                Some(asked_at) => asked_at.checked_add(self.timeout),
            };
            let Some(until) = until else { return Poll::Pending };
            // An answer may bring the next question nearer than the end of the wait for it was.
            self.sleep.take_if(|(at, _)| *at > until);
            let (at, sleep) = self.sleep.get_or_insert_with(|| (until, sleep_until(until)));
            let is_early = *at < until;
            ready!(Pin::new(sleep).poll(cx));
            self.sleep = None;
            if is_early {
                continue;
            }
            if asked_at.is_some() {
                return Poll::Ready(Silence::GiveUp);
            }
            self.asked_at = Some(Instant::now());
            return Poll::Ready(Silence::Ask);
        }
    }
}
