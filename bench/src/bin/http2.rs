//! `bench-http2`: what a proxied HTTP/2 request costs in Towpath, nginx, HAProxy and Envoy.
//!
//! ```text
//! bench-http2 [--rounds 7] [--seconds 2] [--connections 8] [--streams 32] [--scenarios clear,tls,both]
//!             [--peers towpath,nginx,haproxy,envoy] [--profile dist] [--out bench/results | none]
//! ```

use towpath_bench::Outcome;
use towpath_bench::args::Args;
use towpath_bench::compare::{Load, Options, Scenario, Subject, Unit, run};
use towpath_bench::nghttp2::{H2load, Request};
use towpath_bench::peers::Service;

const ABOUT: &str = "Responses of 128 bytes; h2load is the generator, and every connection always has all \
                     its streams under way. Over TLS it offers TLS 1.3 with X25519 and AES-128-GCM only; \
                     the certificate is ECDSA P-256. Every proxy but the control adds the forwarding \
                     headers. No bare relay turns HTTP/2 into anything: the control relays HTTP/1.1 in \
                     clear text, 64 connections, and tells how fast the machine is.";

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let options = Options::take(&mut args)?;
    let connections: usize = args.take("connections")?.unwrap_or(8);
    let streams: usize = args.take("streams")?.unwrap_or(32);
    args.finish()?;
    let seconds = options.seconds;
    let scenario = |name: &str, way: &str, service: Service| Scenario {
        name: name.to_owned(),
        title: format!("{way}, {connections} connections with {streams} streams"),
        unit: Unit::Each("request"),
        service,
        load: Load::H2load(H2load {
            connections,
            streams,
            seconds,
            is_tls: service.is_tls(),
            request: Request::Get,
        }),
        control: Some(Load::yardstick(seconds)),
        without: &[],
    };
    let scenarios = vec![
        scenario("clear", "HTTP/2 in clear text to HTTP/1.1", Service::Http2),
        scenario("tls", "HTTP/2 over TLS to HTTP/1.1", Service::Http2Tls),
        scenario("both", "HTTP/2 to HTTP/2, both in clear text", Service::Http2Both),
    ];
    run(Subject { name: "http2", title: "HTTP/2 through a proxy", about: ABOUT }, options, scenarios)
}
