//! `bench-tls`: what handshakes, large and small responses over TLS cost in Towpath, nginx and HAProxy.
//!
//! ```text
//! bench-tls [--rounds 7] [--seconds 2] [--connections 64] [--handshakes 16] [--flows 8]
//!           [--scenarios full,resumed,large,small] [--peers towpath,nginx,haproxy]
//!           [--profile dist] [--out bench/results | none]
//! ```

use std::path::Path;

use towpath_bench::Outcome;
use towpath_bench::args::Args;
use towpath_bench::certificate::Files;
use towpath_bench::compare::{Load, Options, Scenario, Subject, TRACED_SECONDS, Unit, Words, run};
use towpath_bench::peers::{Service, bin_folder};

const ABOUT: &str = "Clients speak TLS 1.3 with X25519 and AES-128-GCM only and verify the certificate, \
                     which is ECDSA P-256; HTTP/1.1 on both sides, in clear text to the origin. \
                     Handshakes: a new connection each, without a request; when the client has the \
                     server's ticket it says goodbye, and the server closes; resumed ones use a ticket \
                     once, with a fresh key share. Responses: keep-alive, every connection always has a \
                     request under way. The control relays HTTP/1.1 in clear text: beside responses the \
                     same ones, beside handshakes 128 bytes on 64 connections, to tell how fast the \
                     machine is.";

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let options = Options::take(&mut args)?;
    let connections: usize = args.take("connections")?.unwrap_or(64);
    let handshakes: usize = args.take("handshakes")?.unwrap_or(16);
    let flows: usize = args.take("flows")?.unwrap_or(8);
    args.finish()?;
    let seconds = options.seconds;
    let trust = Files::within(&bin_folder()?.join("bench")).certificate;
    let handshake = |kind: &str| Scenario {
        name: kind.to_owned(),
        title: format!("Handshakes, {kind}, {handshakes} at a time"),
        unit: Unit::Each("handshake"),
        service: Service::Https,
        load: load(&trust, ("handshake", kind), handshakes, seconds),
        control: Some(Load::yardstick(seconds)),
        without: &[],
    };
    let responses = |name: &str, title: &str, path: &str, connections| Scenario {
        name: name.to_owned(),
        title: format!("{title}, {connections} connections"),
        unit: Unit::Each("response"),
        service: Service::Https,
        load: load(&trust, ("path", path), connections, seconds),
        control: Some(Load::plain_http1(path, connections, seconds)),
        without: &[],
    };
    let scenarios = vec![
        handshake("full"),
        handshake("resumed"),
        responses("large", "Responses of 1 MiB", "/1024k", flows),
        responses("small", "Responses of 128 bytes", "/128", connections),
    ];
    run(Subject { name: "tls", title: "TLS through a proxy", about: ABOUT }, options, scenarios)
}

fn load(trust: &Path, what: (&'static str, &str), connections: usize, seconds: f64) -> Load {
    let words: Words = vec![
        (what.0, what.1.to_owned()),
        ("trust", trust.display().to_string()),
        ("connections", connections.to_string()),
        ("seconds", seconds.to_string()),
    ];
    Load::Ours { program: "bench-load", words, traced: vec![("seconds", TRACED_SECONDS.to_string())] }
}
