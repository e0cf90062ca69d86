//! `bench-idle-ws`: user memory per idle WebSocket in clear text and over TLS, in Towpath and its peers. How: see
//! `idle_relay`. A last row is what sessions of rustls take in a process that has nothing else.
//!
//! ```text
//! bench-idle-ws [--connections 10000] [--settle 15] [--services ws,wss] [--peers control,towpath,nginx,haproxy]
//!               [--profile dist] [--out bench/results | none]
//! ```

use towpath_bench::Outcome;
use towpath_bench::idle_relay::{Subject, run};
use towpath_bench::library::row;
use towpath_bench::peers::Service;

fn main() -> Outcome<()> {
    run(Subject {
        name: "idle-ws",
        title: "Memory per idle WebSocket",
        about: " With `ws` clients speak in clear text, with `wss` they speak TLS. The last row is what the sessions of \
                rustls's server side take in a process that has nothing else.",
        relays: "WebSockets, opened by an upgrade of HTTP/1.1",
        connections: 10_000,
        services: &[Service::Ws, Service::Wss],
        more: row,
    })
}
