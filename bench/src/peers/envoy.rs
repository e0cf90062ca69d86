//! Envoy, from the Python package that brings its published binary: one worker, no log, no admin port; breakers raised,
//! no statistics by response code and no request ids, which the others have not either.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Place;

/// Where `cargo xtask` puts it: beside the folders of the profiles.
pub(super) fn program(bin: &Path) -> PathBuf {
    bin.parent().unwrap_or(bin).join("envoy/bin/envoy")
}

/// What it says of its version, for a record.
#[must_use]
pub fn version(bin: &Path) -> String {
    let output = Command::new(program(bin)).arg("--version").output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let version = said.split_once("version: ").map(|(_, version)| version.trim().to_owned());
    version.unwrap_or_else(|| "not installed".to_owned())
}

/// Arguments besides the file.
pub(super) const ARGUMENTS: &[&str] =
    &["--concurrency", "1", "--disable-hot-restart", "--log-level", "off", "--config-path"];

/// The configuration.
pub(super) fn config(place: &Place) -> String {
    let listen = socket_address(place.listen);
    let origin = socket_address(place.origins[0]);
    let transport = transport_socket(place);
    let upstream =
        if place.service.is_http2_behind() { "http2_protocol_options" } else { "http_protocol_options" };
    format!(
        r#"static_resources:
  listeners:
  - name: bench
    address: {listen}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          codec_type: HTTP2
          use_remote_address: true
          generate_request_id: false
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              request_headers_to_add:
              - header: {{ key: x-forwarded-host, value: "%REQ(:authority)%" }}
              routes:
              - match: {{ prefix: "/" }}
                route: {{ cluster: origin, timeout: 600s }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
              dynamic_stats: false
              suppress_envoy_headers: true
{transport}  clusters:
  - name: origin
    type: STATIC
    connect_timeout: 5s
    circuit_breakers:
      thresholds:
      - {{ max_connections: 1000000, max_pending_requests: 1000000, max_requests: 1000000 }}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ {upstream}: {{}} }}
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {origin} }}
"#
    )
}

fn socket_address(address: SocketAddr) -> String {
    format!("{{ socket_address: {{ address: {}, port_value: {} }} }}", address.ip(), address.port())
}

fn transport_socket(place: &Place) -> String {
    if !place.service.is_tls() {
        return String::new();
    }
    let (certificate, key) =
        (place.certificate.certificate.display(), place.certificate.private_key.display());
    format!(
        r#"      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: ["h2"]
            tls_certificates:
            - certificate_chain: {{ filename: "{certificate}" }}
              private_key: {{ filename: "{key}" }}
"#
    )
}
