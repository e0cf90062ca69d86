//! TLS on both sides of the real binary, against OpenSSL, curl and nginx.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[path = "../common/mod.rs"]
mod common;

mod authority;
mod clients;
mod files;
mod upstreams;
