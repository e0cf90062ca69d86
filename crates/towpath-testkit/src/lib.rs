//! Development only: origins, a proxy and clients in one thread, on the in-memory network and under a virtual clock.
//!
//! ```text
//!   client ──┐                                   ┌── origin        a dialogue, written as text:
//!   client2 ─┼── in-memory network ── proxy ─────┼── origin#2        client> GET / HTTP/1.1      what a party does
//!            └── "proxy"                         └── other           origin< GET / HTTP/1.1      what a party sees
//! ```
//!
//! [`check`] reads a dialogue, lets the parties do what it says, writes down what each of them saw, and compares. The
//! clock stands still while any task has something to do, so waits of minutes take no time, and the same dialogue gives
//! the same transcript each time. With [`check_torn`] what is sent arrives in random pieces and nothing may change.
//!
//! The proxy under test is what a start function returns; this crate does not know any.
//!
//! - [`dialogue`]: the text form, and the checks.
//! - [`frames`]: what parties say that speak HTTP/2.
//! - [`polls`]: futures that are dropped half-way.
//! - [`stage`]: the parties, for tests that are a loop instead of a text.
//! - [`wire`]: bytes as text and back.
//! - [`snapshot`]: texts inside test sources that are compared, and written anew on demand.

pub mod dialogue;
pub mod frames;
pub mod polls;
pub mod snapshot;
pub mod stage;
pub mod wire;

mod peer;

pub use dialogue::{Proxy, check, check_torn};
pub use stage::{Seen, Stage, run};
