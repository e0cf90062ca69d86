//! `bench-grpc`: what a proxied unary call of gRPC costs in Towpath, nginx, HAProxy and Envoy.
//!
//! ```text
//! bench-grpc [--rounds 7] [--seconds 2] [--connections 8] [--streams 32]
//!            [--peers towpath,nginx,haproxy,envoy] [--profile dist] [--out bench/results | none]
//! ```

use towpath_bench::Outcome;
use towpath_bench::args::Args;
use towpath_bench::compare::{Load, Options, Scenario, Subject, Unit, run};
use towpath_bench::nghttp2::{H2load, Request};
use towpath_bench::peers::{Service, bin_folder};

const ABOUT: &str = "Unary calls with a message of 32 bytes each way and the status in trailers, over \
                     HTTP/2 in clear text on both sides; h2load is the generator, nghttpd the origin, and \
                     every connection always has all its streams under way. Every proxy but the control \
                     adds the forwarding headers; nginx takes a connection to the origin for each call \
                     that is under way. No bare relay takes HTTP/2 apart: the control relays HTTP/1.1, 64 \
                     connections, and tells how fast the machine is.";

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let options = Options::take(&mut args)?;
    let connections: usize = args.take("connections")?.unwrap_or(8);
    let streams: usize = args.take("streams")?.unwrap_or(32);
    args.finish()?;
    let seconds = options.seconds;
    let request = Request::Call(bin_folder()?.join("bench/htdocs"));
    let unary = Scenario {
        name: "unary".to_owned(),
        title: format!("Unary calls, {connections} connections with {streams} streams"),
        unit: Unit::Each("call"),
        service: Service::Grpc,
        load: Load::H2load(H2load { connections, streams, seconds, is_tls: false, request }),
        control: Some(Load::yardstick(seconds)),
        without: &[],
    };
    run(Subject { name: "grpc", title: "gRPC through a proxy", about: ABOUT }, options, vec![unary])
}
