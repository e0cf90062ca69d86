//! Whether a failed attempt may be made again, and why not.
//!
//! Two rules, tried in this order:
//!
//! 1. **The stale connection.** A *reused* connection that dies before the first response byte most likely died while it
//!    was idle. With a replayable request that gives exactly one retry on a fresh dial, without any configuration and
//!    without counting as an attempt.
//! 2. **The route's `retry`.** What `on` lists is tried again until `attempts` are used up, on another endpoint if there
//!    is one, while the [`Budget`] allows.
//!
//! *Replayable*, for both: the client has not yet seen a byte of the response, the body is empty or still whole in our
//! hands, and the origin either processed nothing or may process the request twice (RFC 9110 §9.2.2).

mod budget;

use std::fmt;

pub use budget::{BUDGET_RATIO_PERCENT, BUDGET_RETRIES_PER_SECOND_MIN, Budget};

/// One attempt that failed, and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The request may be processed twice: [`is_idempotent`] says so of its method, or the route does.
    pub idempotent: bool,
    /// What became of the request body.
    pub body: Body,
    /// The connection had carried an earlier request.
    pub reused: bool,
    /// Bytes of the request handed to the connection, head and body.
    pub request_bytes: u64,
    /// Bytes of a response read from the connection.
    pub response_bytes: u64,
    /// The peer said that it processed nothing (HTTP/2 `REFUSED_STREAM`, or `GOAWAY` with a lower last id).
    pub unprocessed: bool,
    /// A part of the response has been sent downstream.
    pub response_forwarded: bool,
    /// Attempts made so far, this one included, without the one free retry of a stale connection.
    pub attempts: u32,
    /// The free retry of a stale connection has been used for this request.
    pub stale_retry_used: bool,
}

/// Where the request body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The request has none.
    Empty,
    /// All of it is held here.
    Buffered,
    /// It is being streamed, and nothing of it has been passed on yet.
    Untouched,
    /// It is being streamed, and some of it is gone.
    Streamed,
}

/// How the attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection came about.
    Connect,
    /// The connection was closed or reset before the response was complete.
    Closed,
    /// The response head did not come in time.
    Timeout,
    /// A response came, with this status, and the client has not seen it.
    Status(u16),
}

/// A route's `retry` setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How many attempts there may be in all, the first one included. 1 means no retry.
    pub attempts: u32,
    /// What is tried again.
    pub on: Conditions,
}

/// What `on` lists.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Conditions {
    connect_failure: bool,
    reset: bool,
    timeout: bool,
    server_error: bool,
    statuses: Vec<u16>,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Try once more on a fresh connection, at the same endpoint if it is still usable. Set
    /// [`Attempt::stale_retry_used`]; the budget is not asked.
    RetryStale,
    /// Try once more, better on another endpoint, if [`Budget::try_retry`] agrees.
    Retry,
    /// Do not; the failure is the answer.
    Stop(Stop),
}

/// Why there is no retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// The client has seen a part of the response.
    ResponseForwarded,
    /// Response bytes came before the connection failed; the origin was at work.
    ResponseStarted,
    /// A part of the body is gone.
    BodyGone,
    /// The origin may have processed the request, and must not process it twice.
    NotIdempotent,
    /// The route does not list this failure.
    NotListed,
    /// All attempts are used.
    AttemptsUsed,
}

/// Decides about another attempt. `rules` is the route's setting, if it has one.
pub fn decide(attempt: &Attempt, failure: Failure, rules: Option<&Rules>) -> Verdict {
    if let Some(stop) = obstacle(attempt, failure) {
        return Verdict::Stop(stop);
    }
    if is_stale(attempt, failure) && !attempt.stale_retry_used {
        return Verdict::RetryStale;
    }
    match rules {
        Some(rules) if !rules.on.list(failure) => Verdict::Stop(Stop::NotListed),
        Some(rules) if attempt.attempts >= rules.attempts => Verdict::Stop(Stop::AttemptsUsed),
        Some(_) => Verdict::Retry,
        None => Verdict::Stop(Stop::NotListed),
    }
}

/// What makes the request unfit to be sent again, whatever is configured.
fn obstacle(attempt: &Attempt, failure: Failure) -> Option<Stop> {
    let untouched_by_origin = attempt.request_bytes == 0 || attempt.unprocessed;
    let has_body = match attempt.body {
        Body::Empty | Body::Buffered | Body::Untouched => true,
        Body::Streamed => false,
    };
    if attempt.response_forwarded {
        Some(Stop::ResponseForwarded)
    } else if attempt.response_bytes > 0 && !matches!(failure, Failure::Status(_)) {
        Some(Stop::ResponseStarted)
    } else if !has_body {
        Some(Stop::BodyGone)
    } else if !untouched_by_origin && !attempt.idempotent {
        Some(Stop::NotIdempotent)
    } else {
        None
    }
}

/// Whether the connection was as good as dead before the request was made, so that another is no second attempt.
fn is_stale(attempt: &Attempt, failure: Failure) -> bool {
    (attempt.reused || attempt.unprocessed) && failure == Failure::Closed && attempt.response_bytes == 0
}

/// Whether a request of this method may be processed twice (RFC 9110 §9.2.2). Unknown methods may not.
pub fn is_idempotent(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE")
}

impl Conditions {
    /// The words that may stand in `on`, besides a status such as `503`.
    pub const WORDS: [&'static str; 4] = ["connect-failure", "reset", "timeout", "5xx"];

    /// Adds one word of `on`: one of [`WORDS`](Self::WORDS) or a status from 400 to 599. `false` when it is neither.
    #[must_use]
    pub fn add(&mut self, word: &str) -> bool {
        match word {
            "connect-failure" => self.connect_failure = true,
            "reset" => self.reset = true,
            "timeout" => self.timeout = true,
            "5xx" => self.server_error = true,
            _ => return self.add_status(word),
        }
        true
    }

    fn add_status(&mut self, word: &str) -> bool {
        match word.parse() {
            Ok(status @ 400..=599) if word.len() == 3 => {
                self.statuses.push(status);
                true
            }
            _ => false,
        }
    }

    fn list(&self, failure: Failure) -> bool {
        match failure {
            Failure::Connect => self.connect_failure,
            Failure::Closed => self.reset,
            Failure::Timeout => self.timeout,
            Failure::Status(status) => {
                (self.server_error && (500..=599).contains(&status)) || self.statuses.contains(&status)
            }
        }
    }

    /// Whether some response status would be tried again; if not, a response can be forwarded without asking.
    pub fn lists_status(&self) -> bool {
        self.server_error || !self.statuses.is_empty()
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ResponseForwarded => "a part of the response has been sent to the client",
            Self::ResponseStarted => "the response had begun",
            Self::BodyGone => "a part of the request body is no longer held",
            Self::NotIdempotent => "the origin may have processed it, and the method is not idempotent",
            Self::NotListed => "the route's `retry` does not list this failure",
            Self::AttemptsUsed => "all attempts are used",
        })
    }
}
