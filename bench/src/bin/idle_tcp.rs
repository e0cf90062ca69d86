//! `bench-idle-tcp`: user memory per idle TCP relay, in Towpath and its peers. How: see `idle_relay`.
//!
//! ```text
//! bench-idle-tcp [--connections 50000] [--settle 15] [--peers control,towpath,nginx,haproxy]
//!                [--profile dist] [--out bench/results | none]
//! ```

use towpath_bench::Outcome;

fn main() -> Outcome<()> {
    towpath_bench::idle_relay::run()
}
