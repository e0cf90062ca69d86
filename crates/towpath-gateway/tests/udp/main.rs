//! The UDP proxy on real sockets of the loopback, one worker on the test's own thread.

#![expect(clippy::unwrap_used, reason = "the helpers of a test end it as the test itself would")]

mod bounds;
mod faults;
mod reload;
mod stage;
mod traffic;
