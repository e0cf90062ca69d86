//! The rules of the connection pool, P2 to P20. A test is named after the rule it shows.
//!
//! The peer is in memory and the clock stands still, except in `threads`, which is about what real threads do.

#![expect(clippy::unwrap_used, reason = "in a test a failed step is a failed test, in helpers too")]

mod cancel;
mod fake;
mod get;
mod keys;
mod lease;
mod limits;
mod model;
mod threads;
mod upkeep;
