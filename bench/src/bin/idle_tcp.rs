//! `bench-idle-tcp`: user memory per idle TCP relay, in Towpath and its peers. How: see `idle_relay`.
//!
//! ```text
//! bench-idle-tcp [--connections 50000] [--settle 15] [--peers control,towpath,nginx,haproxy]
//!                [--profile dist] [--out bench/results | none]
//! ```

use towpath_bench::Outcome;
use towpath_bench::idle_relay::{Subject, run};
use towpath_bench::peers::Service;

fn main() -> Outcome<()> {
    run(Subject {
        name: "idle-tcp",
        title: "Memory per idle TCP relay",
        about: "",
        relays: "relays",
        connections: 50_000,
        services: &[Service::Tcp],
        more: |_| Ok(String::new()),
    })
}
