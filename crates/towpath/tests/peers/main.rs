//! A server of the kit between programs that are not ours.

#![expect(clippy::unwrap_used, reason = "in a test a failed step is a failed test, in helpers too")]

mod http2;
mod serving;
mod tower;
