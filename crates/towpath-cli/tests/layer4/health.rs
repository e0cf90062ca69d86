//! Health checks that only connect.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use serde_json::Value as Json;

use crate::Gateway;
use crate::common::eventually;

/// Waits until the endpoint at this place is as healthy as expected, and gives what the last probe said.
fn wait_for(gateway: &Gateway, endpoint: usize, healthy: bool) -> String {
    eventually("a change of health", || {
        let upstreams = gateway.admin("/upstreams");
        let endpoint: &Json = &upstreams["upstreams"][0]["endpoints"][endpoint];
        let is_probed = endpoint["health"]["last_probe"] != "not probed yet";
        let is_so = endpoint["healthy"] == healthy && is_probed;
        is_so.then(|| endpoint["health"]["last_probe"].as_str().unwrap_or_default().to_owned())
    })
}

#[test]
fn endpoints_that_accept_are_healthy_also_over_unix_sockets() {
    let origin = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = origin.local_addr().unwrap();
    let gateway = Gateway::start(
        &format!(
            "[listener.pg]\nbind = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nupstream = \"pg\"\n\
             [upstream.pg]\nendpoints = [\"{address}\", \"unix:origin.sock\"]\n\
             health = {{ interval = \"20ms\", healthy = 1, unhealthy = 2 }}\n"
        ),
        &["pg"],
    );
    assert_eq!(wait_for(&gateway, 0, true), "connected");
    assert!(wait_for(&gateway, 1, false).starts_with("connect: "));
    let path = gateway.scratch.path("origin.sock");
    let unix = UnixListener::bind(&path).unwrap();
    assert_eq!(wait_for(&gateway, 1, true), "connected");
    drop((unix, origin));
    assert!(wait_for(&gateway, 0, false).contains("refused"));
    assert!(wait_for(&gateway, 1, false).contains("refused"));
    gateway.running.stop();
}
