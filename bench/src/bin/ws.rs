//! `bench-ws`: what a relayed WebSocket message costs in Towpath, nginx, HAProxy and the control.
//!
//! ```text
//! bench-ws [--rounds 7] [--seconds 2] [--connections 64] [--bytes 128] [--rate 10000]
//!          [--scenarios clear,clear-rate,tls] [--peers towpath,nginx,haproxy]
//!          [--profile dist] [--out bench/results | none]
//! ```

use towpath_bench::Outcome;
use towpath_bench::args::Args;
use towpath_bench::certificate::Files;
use towpath_bench::compare::{Load, Options, Scenario, Subject, TRACED_SECONDS, Unit, Words, run};
use towpath_bench::peers::{Service, bin_folder};

const ABOUT: &str = "Binary messages of one frame and their echoes on WebSockets that were opened by an \
                     upgrade of HTTP/1.1; one message under way on each, which counts once, there and \
                     back. Over TLS the client offers TLS 1.3 with X25519 and AES-128-GCM only. The \
                     control relays the same messages as bytes, always in clear text.";
/// The traced relay is many times slower, so little is asked of it.
const TRACED_RATE: u32 = 1_000;

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let options = Options::take(&mut args)?;
    let connections: usize = args.take("connections")?.unwrap_or(64);
    let bytes: u16 = args.take("bytes")?.unwrap_or(128);
    let rate: u32 = args.take("rate")?.unwrap_or(10_000);
    args.finish()?;
    let trust = Files::within(&bin_folder()?.join("bench")).certificate.display().to_string();
    let mut clear: Words = vec![
        ("ws", bytes.to_string()),
        ("connections", connections.to_string()),
        ("seconds", options.seconds.to_string()),
    ];
    let saturated = load(&clear, &[]);
    let secure = load(&clear, &[("trust", trust)]);
    clear.push(("rate", rate.to_string()));
    let scenario = |name: &str, how: &str, service, load, control| Scenario {
        name: name.to_owned(),
        title: format!("Messages of {bytes} bytes, {connections} WebSockets, {how}"),
        unit: Unit::Each("message"),
        service,
        load,
        control,
        without: &[],
    };
    let scenarios = vec![
        scenario("clear", "clear text, saturated", Service::Ws, saturated.clone(), None),
        scenario(
            "clear-rate",
            &format!("clear text, {rate} messages/s"),
            Service::Ws,
            load(&clear, &[]),
            None,
        ),
        scenario("tls", "TLS, saturated", Service::Wss, secure, Some(saturated)),
    ];
    run(Subject { name: "ws", title: "WebSocket through a proxy", about: ABOUT }, options, scenarios)
}

fn load(words: &[(&'static str, String)], more: &[(&'static str, String)]) -> Load {
    let traced = vec![("rate", TRACED_RATE.to_string()), ("seconds", TRACED_SECONDS.to_string())];
    Load::Ours { program: "bench-load", words: [words, more].concat(), traced }
}
