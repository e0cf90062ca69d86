//! TCP: one worker, no log, files for as many relays as the limit allows; buffers and everything else as they come.
//!
//! "HAProxy as usually configured" has no splice option; `haproxy-splice` has both forced. nginx has no splicing.

use super::{Peer, Place, nginx_stream};
use crate::child::file_limit;

/// Files that carry no relay: listeners, logs, the poller, libraries, HAProxy's pipes.
const OTHER_FILES: u64 = 400;

/// The configuration of `peer`.
pub(super) fn config(peer: Peer, place: &Place) -> String {
    match peer {
        Peer::Nginx => nginx_config(place),
        Peer::Haproxy => haproxy_config(place, ""),
        Peer::HaproxySplice => {
            haproxy_config(place, "    option splice-request\n    option splice-response\n")
        }
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
protocol = "tcp"
upstream = "origin"

[upstream.origin]
endpoints = [{endpoints}]
pool = {{ max_connections = "unlimited" }}
"#
    )
}

fn nginx_config(place: &Place) -> String {
    let servers: String = place.origins.iter().map(|origin| format!("        server {origin};\n")).collect();
    let listen = place.listen;
    let stream = format!(
        r#"    tcp_nodelay on;
    upstream origin {{
{servers}    }}
    server {{
        listen {listen} backlog=4096;
        proxy_connect_timeout 5s;
        proxy_timeout 600s;
        proxy_half_close on;
        proxy_pass origin;
    }}
"#
    );
    nginx_stream(place, file_limit().saturating_sub(OTHER_FILES), &stream)
}

fn haproxy_config(place: &Place, options: &str) -> String {
    let servers: String = (place.origins.iter().enumerate())
        .map(|(index, origin)| format!("    server origin{index} {origin}\n"))
        .collect();
    let (listen, maxconn) = (place.listen, file_limit().saturating_sub(OTHER_FILES) / 2);
    format!(
        r#"global
    nbthread 1
    maxconn {maxconn}
    maxpipes 64
    no strict-limits

defaults
    mode tcp
    maxconn {maxconn}
    timeout connect 5s
    timeout client 600s
    timeout server 600s
{options}
listen bench
    bind {listen} backlog 4096
{servers}"#
    )
}
