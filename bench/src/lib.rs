//! The load bench: what the processes of a comparison have in common.
//!
//! It answers one question, "what does a unit of work cost in this proxy, beside its peers and beside the least a proxy
//! can do?", and is not a test: nothing here asserts a time.
//!
//! ```text
//!           core 1                      core 0                    core 1
//!   bench-load, -flow  ------>  control | towpath | peer  ----->  bench-origin, -far
//!   h2load                                                        nghttpd
//!        ^                              ^
//!        |  ready / go / result         |  CPU time, memory and system calls, read from outside
//!        +----- bench-http1, -http2, -grpc, -tls, -ws, -tcp, -udp, -idle, -idle-tcp, -idle-ws, -alloc, -models
//! ```
//!
//! `bench-control` (HTTP/1.1) and `bench-relay` (TCP, UDP) are the floor: bare edge-triggered relays of the same bytes.
//! Every figure is given as a ratio to the control of the same round, because a virtual machine's absolute figures move
//! by half within minutes. Where no bare relay does what the proxies do, such as ending TLS or HTTP/2, the control relays
//! HTTP/1.1 and tells how fast the machine is, no more.
//!
//! `bench-ctx` and `bench-pool` are alone in their process: what they measure is a library.

pub mod args;
pub mod certificate;
pub mod channel;
pub mod child;
pub mod client;
pub mod compare;
pub mod far;
pub mod generator;
pub mod histogram;
pub mod idle_relay;
pub mod l4;
pub mod library;
pub mod machine;
pub mod nghttp2;
pub mod peers;
pub mod poller;
pub mod procfs;
pub mod results;
pub mod rounds;
pub mod schedule;
pub mod secure;
pub mod source;
pub mod stats;
pub mod trace;
pub mod wire;
pub mod ws;

/// What every fallible step of the bench returns; its text is for the person who started it.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
