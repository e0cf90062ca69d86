//! `bench-udp`: what a relayed datagram costs in Towpath, nginx and the control. HAProxy has no relay of datagrams.
//!
//! ```text
//! bench-udp [--rounds 7] [--seconds 2] [--rate 10000] [--connections 128] [--flows 1] [--window 64]
//!           [--scenarios ask,ask-rate,bulk-down-1,bulk-up-1] [--peers control,towpath,nginx,nginx-session]
//!           [--profile dist] [--out bench/results | none]
//! ```

use towpath_bench::Outcome;
use towpath_bench::compare::{Load, Scenario, Subject, Unit, run};
use towpath_bench::far::DATAGRAM_BYTES;
use towpath_bench::l4::Options;
use towpath_bench::peers::{Peer, Service};

const ABOUT: &str = "Ask: 64-byte datagrams and their echoes, one under way for each client socket; an exchange counts \
                     once, there and back. Bulk: 1,200-byte datagrams sent in trains of 32 by segmentation offload \
                     under a window, with one small datagram the other way per train; what does not arrive is lost. \
                     `nginx` ends a session with its first answer (`proxy_responses 1`), `nginx-session` keeps it.";
/// The traced relay is many times slower, so little is asked of it.
const TRACED_RATE: u32 = 1_000;
const TRACED_SECONDS: f64 = 0.5;

fn main() -> Outcome<()> {
    let options = Options::from_env(Service::Udp)?;
    let mut scenarios = vec![ask(&options, None), ask(&options, Some(options.rate))];
    for direction in ["down", "up"] {
        scenarios.extend(options.flows.iter().map(|flows| bulk(&options, direction, *flows)));
    }
    let title = "UDP through a relay";
    run(Subject { name: "udp", title, about: ABOUT }, options.common, scenarios)
}

fn ask(options: &Options, rate: Option<u32>) -> Scenario {
    let mut words = vec![
        ("datagram", "64".to_owned()),
        ("connections", options.connections.to_string()),
        ("seconds", options.common.seconds.to_string()),
    ];
    words.extend(rate.map(|rate| ("rate", rate.to_string())));
    let mode = rate.map_or("saturated".to_owned(), |rate| format!("{rate} exchanges/s"));
    Scenario {
        name: if rate.is_some() { "ask-rate" } else { "ask" }.to_owned(),
        title: format!("Ask, 64 bytes, {} clients, {mode}", options.connections),
        unit: Unit::Each("exchange"),
        service: Service::Udp,
        load: Load::Ours {
            program: "bench-load",
            words,
            traced: vec![("rate", TRACED_RATE.to_string()), ("seconds", TRACED_SECONDS.to_string())],
        },
        control: None,
        without: &[],
    }
}

fn bulk(options: &Options, direction: &str, flows: usize) -> Scenario {
    let way = if direction == "down" { "origin to client" } else { "client to origin" };
    Scenario {
        name: format!("bulk-{direction}-{flows}"),
        title: format!("Bulk, {way}, flows: {flows}, window of {} datagrams", options.window),
        unit: Unit::Bytes(DATAGRAM_BYTES as u64),
        service: Service::Udp,
        load: Load::Ours {
            program: "bench-flow",
            words: vec![
                ("protocol", "udp".to_owned()),
                ("direction", direction.to_owned()),
                ("flows", flows.to_string()),
                ("window", options.window.to_string()),
                ("seconds", options.common.seconds.to_string()),
            ],
            traced: vec![("seconds", TRACED_SECONDS.to_string())],
        },
        control: None,
        // Its session is over after the first datagram of an answer.
        without: &[Peer::Nginx],
    }
}
