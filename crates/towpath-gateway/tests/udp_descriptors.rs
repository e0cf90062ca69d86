//! A process without descriptors. Alone in its process, whose limit it lowers.

#![expect(clippy::unwrap_used, reason = "the helpers of a test end it as the test itself would")]

#[path = "udp/stage.rs"]
#[expect(dead_code, reason = "made for the other tests of UDP")]
mod stage;

use std::os::fd::AsRawFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use towpath_gateway::plan::UdpSettings;
use towpath_telemetry::metrics::SessionEnd;

use stage::{Gateway, Origin, run};

#[test]
fn without_descriptors_the_session_not_used_for_longest_gives_its_own() {
    const CLIENTS: u64 = 8;
    run(async {
        let origin = Origin::answering(|datagram| datagram.to_vec()).await;
        let gateway = Gateway::start(&[origin], UdpSettings::default());
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(gateway.client().await);
        }
        let highest = clients.iter().map(|client| client.socket.as_raw_fd()).max().unwrap();
        let limit = Rlimit { current: Some(highest as u64 + 4), ..getrlimit(Resource::Nofile) };
        setrlimit(Resource::Nofile, limit).unwrap();
        for client in &clients {
            assert_eq!(client.ask(b"hello").await, b"hello");
        }
        let evicted = gateway.ended(SessionEnd::EvictedBySystem);
        assert_eq!((gateway.open() + evicted, evicted > 0), (CLIENTS, true));
    });
}
