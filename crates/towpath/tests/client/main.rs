//! The HTTP client against origins in memory, by the word, under a paused clock; and against real servers.

#![expect(clippy::unwrap_used, reason = "in a test a failed step is a failed test, in helpers too")]

mod bad;
mod dropped;
mod exchange;
mod http1_required;
mod http2;
mod http2_peers;
mod http2_ping;
mod origin;
mod peer;
mod peers;
mod proxies;
mod redirects;
mod reuse;
