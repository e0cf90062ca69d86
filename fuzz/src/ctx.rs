//! What the kit believes of a caller's word about a request: how long it may take, its trace and its baggage.
//!
//! The files are the kit's own; see [`crate::client`].

use std::time::Duration;

use self::timeout::{read_grpc_timeout, read_ms, write_grpc_timeout};
use self::trace::{Baggage, TraceParent, continued};
use self::value::{CtxValue, Propagate};

#[path = "../../crates/towpath/src/ctx/wire/timeout.rs"]
mod timeout;
#[path = "../../crates/towpath/src/ctx/wire/trace.rs"]
#[expect(dead_code, reason = "nothing is sent on here")]
mod trace;
#[path = "../../crates/towpath/src/ctx/value.rs"]
#[expect(dead_code, reason = "no context carries the values here")]
mod value;

/// The lines are a timeout, `traceparent`, `tracestate`, and all the others `baggage`.
pub fn check(input: &[u8]) {
    let mut lines = input.splitn(4, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    check_timeout(line());
    check_trace(line(), line());
    check_baggage(line());
}

/// What more digits say than the clock of a context can hold is cut to this.
const CENTURIES: Duration = Duration::from_nanos(u64::MAX);

/// A timeout ends, and what is passed on of it is never longer.
fn check_timeout(value: &[u8]) {
    if let Some(span) = read_grpc_timeout(value) {
        let passed_on = write_grpc_timeout(span);
        assert!(span <= CENTURIES, "{span:?}");
        assert!(
            read_grpc_timeout(passed_on.as_bytes()).is_some_and(|it| it <= span),
            "{span:?}, {passed_on}"
        );
    }
    if let Some(span) = read_ms(value) {
        assert!(!span.is_zero() && span <= CENTURIES, "{span:?}");
    }
}

/// A trace is the caller's or a new one, and what is passed on of either can be read by the next.
fn check_trace(parent: &[u8], state: &[u8]) {
    let (ours, state) = continued(Some(parent), Some(state));
    let is_good = |ctx: TraceParent| ctx.trace_id() != 0 && ctx.span_id() != 0;
    assert!(is_good(ours), "{ours}");
    assert_eq!(ours.encode().as_deref().and_then(TraceParent::decode), Some(ours));
    let theirs = std::str::from_utf8(parent).ok().and_then(TraceParent::decode);
    if let Some(theirs) = theirs.filter(|it| it.trace_id() == ours.trace_id()) {
        assert!(is_good(theirs) && theirs.is_sampled() == ours.is_sampled(), "{theirs}");
    }
    if let Some(state) = state {
        assert!(theirs.is_some(), "a trace that begins here has nothing of the caller's: {}", state.text());
        check_text(&state);
    }
}

fn check_baggage(value: &[u8]) {
    if let Ok(Some(baggage)) = Baggage::read(Some(value)) {
        check_text(&baggage);
        assert_eq!(Baggage::decode(baggage.text()), Some(baggage));
    }
}

/// What is passed on is one line of a head.
fn check_text<T: CtxValue>(value: &T) {
    let Propagate::Wire { bytes_max, .. } = T::PROPAGATE else { unreachable!() };
    let text = value.encode().unwrap_or_default();
    assert!(text.len() <= bytes_max && text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text:?}");
}
