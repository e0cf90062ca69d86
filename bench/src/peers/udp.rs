//! UDP: one worker, no log. nginx takes part twice, because its two usual forms differ by a factor: `nginx` ends a
//! session after one answer, as one would for DNS, `nginx-session` keeps it until the client has been silent.

use super::{Peer, Place, nginx_stream};

/// Sessions live longer than any turn.
const IDLE_SECONDS: u32 = 30;
/// Far more sessions than a scenario has clients: nginx counts a connection for each side of one.
const WORKER_CONNECTIONS: u64 = 16_384;

/// The configuration of `peer`.
pub(super) fn config(peer: Peer, place: &Place) -> String {
    match peer {
        Peer::Nginx => nginx_config(place, "        proxy_responses 1;\n"),
        Peer::NginxSession => nginx_config(place, ""),
        _ => towpath_config(place),
    }
}

fn towpath_config(place: &Place) -> String {
    let (listen, endpoints) = (place.listen, place.quoted_origins());
    format!(
        r#"[workers]
count = 1

[access_log]
path = "off"

[listener.bench]
bind = "{listen}"
protocol = "udp"
upstream = "origin"
idle_timeout = "{IDLE_SECONDS}s"

[upstream.origin]
endpoints = [{endpoints}]
"#
    )
}

fn nginx_config(place: &Place, responses: &str) -> String {
    let (listen, origin) = (place.listen, place.origins[0]);
    let stream = format!(
        r#"    server {{
        listen {listen} udp;
        proxy_timeout {IDLE_SECONDS}s;
{responses}        proxy_pass {origin};
    }}
"#
    );
    nginx_stream(place, WORKER_CONNECTIONS, &stream)
}
