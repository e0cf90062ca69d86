//! HTTP of every kind: keep-alive on both sides with the limits raised, the same three forwarding headers, buffers large
//! enough for the largest response of a scenario in one read, nothing on disk. HAProxy wants twice as many files as
//! connections even where they are never used; `no strict-limits` lets it start without. A WebSocket holds its buffers
//! for as long as it lives, so for these they are as they come.
//!
//! Versions, groups and suites of TLS are the client's choice, who has one of each: see `secure`.

use super::{Peer, Place, Service, envoy, nginx_user};
use crate::child::file_limit;

/// As many connections as HTTP/1.1's largest scenario could need on both sides.
const CONNECTIONS: u64 = 19_000;
/// Files that carry no WebSocket: listeners, logs, the poller, libraries.
const OTHER_FILES: u64 = 400;

/// The configuration of `peer`.
pub(super) fn config(peer: Peer, place: &Place) -> String {
    match peer {
        Peer::Nginx => nginx_config(place),
        Peer::Haproxy => haproxy_config(place, ""),
        Peer::HaproxyEdge => {
            haproxy_config(place, "    expose-experimental-directives\n    tune.fd.edge-triggered on\n")
        }
        Peer::Envoy => envoy::config(place),
        _ => towpath_config(place),
    }
}

fn towpath_config(place: &Place) -> String {
    let (listen, endpoints, service) = (place.listen, place.quoted_origins(), place.service);
    let mut listener = String::new();
    if service.is_tls() {
        listener = format!(
            "tls = \"bench\"\n\n[tls.bench]\ncertificate = {:?}\nprivate_key = {:?}\n",
            place.certificate.certificate, place.certificate.private_key
        );
    } else if service.is_http2() {
        listener.push_str("h2c = true\n");
    }
    let protocol = if service.is_http2_behind() { "protocol = \"http2\"\n" } else { "" };
    format!(
        r#"[workers]
count = 1

[access_log]
path = "off"

[listener.bench]
bind = "{listen}"
{listener}
[route.all]
match = {{ path = "/*" }}
upstream = "origin"

[upstream.origin]
endpoints = [{endpoints}]
{protocol}pool = {{ max_connections = "unlimited" }}
"#
    )
}

fn nginx_config(place: &Place) -> String {
    let (user, folder, listen) = (nginx_user(), place.folder.display(), place.listen);
    let service = place.service;
    let ssl = if service.is_tls() { " ssl" } else { "" };
    let http2 = if service.is_http2() { " http2" } else { "" };
    let servers: String = place.origins.iter().map(|origin| format!("        server {origin};\n")).collect();
    let (certificate, location) = (nginx_certificate(place), nginx_location(service));
    let buffers = match service.is_websocket() {
        true => "",
        false => {
            "    proxy_buffer_size 32k;\n    proxy_buffers 8 32k;\n    proxy_max_temp_file_size 0;\n    \
             grpc_buffer_size 32k;\n"
        }
    };
    let connections = connections(service);
    format!(
        r#"{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{
    worker_connections {connections};
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
{buffers}    upstream origin {{
{servers}        keepalive 1024;
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }}
    server {{
        listen {listen}{ssl}{http2} backlog=4096;
{certificate}        location / {{
{location}        }}
    }}
}}
"#
    )
}

fn nginx_certificate(place: &Place) -> String {
    if !place.service.is_tls() {
        return String::new();
    }
    let (certificate, key) =
        (place.certificate.certificate.display(), place.certificate.private_key.display());
    format!(
        "        ssl_certificate {certificate};\n        ssl_certificate_key {key};\n        \
         ssl_protocols TLSv1.2 TLSv1.3;\n"
    )
}

fn nginx_location(service: Service) -> String {
    let (module, pass) = match service {
        Service::Grpc => ("grpc", "grpc_pass grpc://origin"),
        _ => ("proxy", "proxy_pass http://origin"),
    };
    let mut lines = vec![pass.to_owned()];
    if module == "proxy" {
        lines.push("proxy_http_version 1.1".to_owned());
    }
    lines.extend(match service.is_websocket() {
        true => vec![
            "proxy_set_header Upgrade $http_upgrade".to_owned(),
            "proxy_set_header Connection $http_connection".to_owned(),
            "proxy_read_timeout 600s".to_owned(),
            "proxy_send_timeout 600s".to_owned(),
        ],
        false if module == "proxy" => vec!["proxy_set_header Connection \"\"".to_owned()],
        false => vec![],
    });
    lines.extend([
        format!("{module}_set_header Host $host"),
        format!("{module}_set_header X-Forwarded-For $proxy_add_x_forwarded_for"),
        format!("{module}_set_header X-Forwarded-Proto $scheme"),
        format!("{module}_set_header X-Forwarded-Host $host"),
    ]);
    lines.iter().map(|line| format!("            {line};\n")).collect()
}

fn haproxy_config(place: &Place, directives: &str) -> String {
    let (listen, service) = (place.listen, place.service);
    let alpn = if service.is_http2() { "h2" } else { "http/1.1" };
    let bind = match service.is_tls() {
        true => format!(" ssl crt {} alpn {alpn}", place.certificate.both.display()),
        false if service.is_http2() => " proto h2".to_owned(),
        false => String::new(),
    };
    let scheme = if service.is_tls() { "https" } else { "http" };
    let proto = if service.is_http2_behind() { " proto h2" } else { "" };
    let servers: String = (place.origins.iter().enumerate())
        .map(|(index, origin)| {
            let name = if index == 0 { "origin".to_owned() } else { format!("origin{index}") };
            format!("    server {name} {origin}{proto} pool-purge-delay 600s\n")
        })
        .collect();
    let (buffers, tunnel, maxconn) = match service.is_websocket() {
        true => ("", "    timeout tunnel 600s\n", connections(service) / 2),
        false => ("    tune.bufsize 32768\n", "", connections(service)),
    };
    format!(
        r#"global
    nbthread 1
    maxconn {maxconn}
    no strict-limits
{buffers}{directives}
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
{tunnel}    timeout http-keep-alive 600s
    timeout http-request 10s
    option forwardfor
    http-reuse always

frontend bench
    bind {listen}{bind} backlog 4096
    http-request set-header X-Forwarded-Proto {scheme}
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    default_backend origin

backend origin
{servers}"#
    )
}

/// What a proxy may have open: a WebSocket takes two, and there are as many as the limit of files allows.
fn connections(service: Service) -> u64 {
    if service.is_websocket() { file_limit().saturating_sub(OTHER_FILES) } else { CONNECTIONS }
}
