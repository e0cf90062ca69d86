//! Programs in Rust: built, kept, started again, refused.
//!
//! Most programs here need nothing, so that their kit is an empty crate and a build takes a second. Those in `kit` use the
//! real one, which is built once, without optimisation, in a folder that all of them and all later runs share.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

#[path = "../common/mod.rs"]
mod common;

mod cache;
mod examples;
mod kit;
mod outside;
mod place;
mod refused;
mod runs;
mod watch;
