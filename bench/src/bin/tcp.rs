//! `bench-tcp`: what a relayed TCP byte, connection and message costs in Towpath, its peers and the control.
//!
//! ```text
//! bench-tcp [--rounds 7] [--seconds 2] [--rate 10000] [--connections 64] [--flows 1,8] [--mib 1024]
//!           [--scenarios bulk-down-1,…,connect,ping,ping-rate]
//!           [--peers control,towpath,nginx,haproxy,haproxy-splice] [--profile dist] [--out bench/results | none]
//! ```

use towpath_bench::Outcome;
use towpath_bench::compare::{Load, Scenario, Subject, Unit, Words, run};
use towpath_bench::l4::Options;
use towpath_bench::peers::Service;

const ABOUT: &str = "Bulk: so many bytes over fresh connections, discarded where they arrive. Connect: a new connection \
                     for a message of 64 bytes and its echo, which the origin closes. Ping: 64-byte messages and their \
                     echoes on kept connections; a message counts once, there and back.";
/// The traced relay is many times slower, so little is asked of it.
const TRACED_MIB: u64 = 128;
const TRACED_RATE: u32 = 1_000;
const TRACED_SECONDS: f64 = 1.0;

fn main() -> Outcome<()> {
    let options = Options::from_env(Service::Tcp)?;
    let mut scenarios = Vec::new();
    for direction in ["down", "up"] {
        scenarios.extend(options.flows.iter().map(|flows| bulk(&options, direction, *flows)));
    }
    scenarios.extend([connect(&options), ping(&options, None), ping(&options, Some(options.rate))]);
    let title = "TCP through a relay";
    run(Subject { name: "tcp", title, about: ABOUT }, options.common, scenarios)
}

fn bulk(options: &Options, direction: &str, flows: usize) -> Scenario {
    let way = if direction == "down" { "origin to client" } else { "client to origin" };
    Scenario {
        name: format!("bulk-{direction}-{flows}"),
        title: format!("Bulk, {way}, flows: {flows}, {} MiB", options.mib),
        unit: Unit::Bytes(1),
        service: Service::Tcp,
        load: Load::Ours {
            program: "bench-flow",
            words: vec![
                ("protocol", "tcp".to_owned()),
                ("direction", direction.to_owned()),
                ("flows", flows.to_string()),
                ("mib", options.mib.to_string()),
            ],
            traced: vec![("mib", TRACED_MIB.to_string())],
        },
        control: None,
        without: &[],
    }
}

fn connect(options: &Options) -> Scenario {
    Scenario {
        name: "connect".to_owned(),
        title: format!("Connect, 64 bytes, close; {} at a time", options.connections),
        unit: Unit::Each("connection"),
        service: Service::Tcp,
        load: Load::Ours {
            program: "bench-load",
            words: load("fresh", options),
            traced: vec![("seconds", TRACED_SECONDS.to_string())],
        },
        control: None,
        without: &[],
    }
}

fn ping(options: &Options, rate: Option<u32>) -> Scenario {
    let mut words = load("echo", options);
    words.extend(rate.map(|rate| ("rate", rate.to_string())));
    let mode = rate.map_or("saturated".to_owned(), |rate| format!("{rate} messages/s"));
    Scenario {
        name: if rate.is_some() { "ping-rate" } else { "ping" }.to_owned(),
        title: format!("Ping, 64 bytes, {} connections, {mode}", options.connections),
        unit: Unit::Each("message"),
        service: Service::Tcp,
        load: Load::Ours {
            program: "bench-load",
            words,
            traced: vec![("rate", TRACED_RATE.to_string()), ("seconds", TRACED_SECONDS.to_string())],
        },
        control: None,
        without: &[],
    }
}

fn load(kind: &'static str, options: &Options) -> Words {
    vec![
        (kind, "64".to_owned()),
        ("connections", options.connections.to_string()),
        ("seconds", options.common.seconds.to_string()),
    ]
}
