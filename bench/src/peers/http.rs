//! HTTP/1.1: keep-alive on both sides with the limits raised, the same three forwarding headers, buffers large enough
//! for the largest response of a scenario in one read. HAProxy wants twice as many files as connections even where
//! they are never used; `no strict-limits` lets it start without.

use std::net::SocketAddr;
use std::path::Path;

use super::{Peer, Place, nginx_user};

/// The configuration of `peer`.
pub(super) fn config(peer: Peer, place: &Place) -> String {
    let Place { listen, folder, .. } = place;
    let origin = place.origins[0];
    match peer {
        Peer::Nginx => nginx_config(*listen, origin, folder),
        Peer::Haproxy => haproxy_config(*listen, origin, false),
        Peer::HaproxyEdge => haproxy_config(*listen, origin, true),
        _ => towpath_config(*listen, origin),
    }
}

fn towpath_config(listen: SocketAddr, origin: SocketAddr) -> String {
    format!(
        r#"[workers]
count = 1

[access_log]
path = "off"

[listener.bench]
bind = "{listen}"

[route.all]
match = {{ path = "/*" }}
upstream = "origin"

[upstream.origin]
endpoints = ["{origin}"]
pool = {{ max_connections = "unlimited" }}
"#
    )
}

fn nginx_config(listen: SocketAddr, origin: SocketAddr, folder: &Path) -> String {
    let user = nginx_user();
    let folder = folder.display();
    format!(
        r#"{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{
    worker_connections 19000;
    use epoll;
    multi_accept on;
}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    proxy_buffer_size 32k;
    proxy_buffers 8 32k;
    upstream origin {{
        server {origin};
        keepalive 1024;
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }}
    server {{
        listen {listen} backlog=4096;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $host;
        }}
    }}
}}
"#
    )
}

fn haproxy_config(listen: SocketAddr, origin: SocketAddr, edge_triggered: bool) -> String {
    let edge = match edge_triggered {
        true => "    expose-experimental-directives\n    tune.fd.edge-triggered on\n",
        false => "",
    };
    format!(
        r#"global
    nbthread 1
    maxconn 19000
    no strict-limits
    tune.bufsize 32768
{edge}
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    timeout http-request 10s
    option forwardfor
    http-reuse always

frontend bench
    bind {listen} backlog 4096
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    default_backend origin

backend origin
    server origin {origin} pool-purge-delay 600s
"#
    )
}
