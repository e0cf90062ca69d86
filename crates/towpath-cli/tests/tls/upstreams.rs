//! TLS towards origins that are not ours.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::authority::{Authority, Kind};
use crate::common::{PROMPT, Towpath, eventually, get};

/// OpenSSL's own server, which answers every GET with a page about the connection. Killed when the test ends.
struct Server {
    address: SocketAddr,
    process: Child,
}

impl Server {
    fn start(authority: &Authority, name: &str, more: &[&str]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (certificate, key) =
            (authority.text(&format!("{name}.crt")), authority.text(&format!("{name}.key")));
        let process = Command::new("openssl")
            .args(["s_server", "-quiet", "-www", "-accept", &address.to_string()])
            .args(["-cert", &certificate, "-key", &key])
            .args(more)
            .current_dir(authority.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Self { address, process: process.unwrap() };
        eventually("the TLS server", || TcpStream::connect(address).ok());
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(authority: &Authority, origin: SocketAddr, upstream: &str) -> Towpath {
    let file = authority.scratch.write(
        "towpath.toml",
        &format!(
            "[admin]\nlisten = \"127.0.0.1:0\"\n[workers]\ncount = 1\n[listener.web]\nbind = \"127.0.0.1:0\"\n\
             [route.all]\nmatch = {{ path = \"/*\" }}\nupstream = \"o\"\n\
             [upstream.o]\nendpoints = [\"{origin}\"]\n{upstream}\n{PROMPT}"
        ),
    );
    Towpath::run(&file, &["web", "admin"])
}

/// Status and reason of one request.
fn ask(gateway: &Towpath) -> (u16, String) {
    let reply = get(gateway.address("web"), "/");
    let reason = reply.field("proxy-status").unwrap_or_default().to_owned();
    (reply.status, reason)
}

#[test]
fn the_origin_has_to_be_who_it_should_be_t33() {
    let authority = Authority::new();
    authority.root("other");
    authority.sign("origin", &["DNS:shop.internal"]);
    authority.sign_as("old", &["DNS:shop.internal"], "ca", Kind::Ecdsa, "-1");
    let (good, old) = (Server::start(&authority, "origin", &[]), Server::start(&authority, "old", &[]));
    for (server, tls, is_well) in [
        (&good, "{ ca = \"ca.crt\", server_name = \"shop.internal\" }", true),
        (&good, "{ ca = \"ca.crt\", server_name = \"other.internal\" }", false),
        (&good, "{ ca = \"ca.crt\" }", false),
        (&good, "{ ca = \"other.crt\", server_name = \"shop.internal\" }", false),
        (&good, "{ server_name = \"shop.internal\" }", false),
        (&good, "true", false),
        (&old, "{ ca = \"ca.crt\", server_name = \"shop.internal\" }", false),
        (&good, "{ verify = false }", true),
        (&old, "{ verify = false }", true),
    ] {
        let gateway = start(&authority, server.address, &format!("tls = {tls}"));
        let (status, reason) = ask(&gateway);
        match is_well {
            true => assert_eq!(status, 200, "{tls}: {reason}"),
            false => {
                assert_eq!(status, 502, "{tls}");
                assert!(reason.contains("upstream_tls_failed"), "{tls}: {reason}");
            }
        }
        gateway.stop();
    }
}

#[test]
fn an_origin_in_clear_text_is_none_for_tls_t33() {
    let authority = Authority::new();
    let origin = crate::common::Origin::start(|_| (200, "clear".to_owned()));
    let gateway = start(&authority, origin.address, "tls = { verify = false }");
    let (status, reason) = ask(&gateway);
    assert_eq!(status, 502, "{reason}");
    gateway.stop();
}

#[test]
fn a_certificate_is_shown_to_origins_that_ask() {
    let authority = Authority::new();
    authority.sign("origin", &["DNS:shop.internal"]);
    authority.sign("gateway", &["DNS:gateway"]);
    let server =
        Server::start(&authority, "origin", &["-CAfile", "ca.crt", "-Verify", "2", "-verify_return_error"]);
    let plain = "tls = { ca = \"ca.crt\", server_name = \"shop.internal\" }";
    let gateway = start(&authority, server.address, plain);
    assert_eq!(ask(&gateway).0, 502);
    gateway.stop();
    let shown = "tls = { ca = \"ca.crt\", server_name = \"shop.internal\", certificate = \"gateway.crt\", \
                 private_key = \"gateway.key\" }";
    let gateway = start(&authority, server.address, shown);
    assert_eq!(ask(&gateway).0, 200);
    gateway.stop();
}

#[test]
fn probes_ask_by_tls_and_say_what_is_wrong() {
    let authority = Authority::new();
    authority.sign("origin", &["DNS:shop.internal"]);
    let server = Server::start(&authority, "origin", &[]);
    let health = "health = { interval = \"100ms\", timeout = \"5s\", unhealthy = 1, healthy = 1 }";
    let good = format!("{health}\ntls = {{ ca = \"ca.crt\", server_name = \"shop.internal\" }}");
    let gateway = start(&authority, server.address, &good);
    let upstreams = || get(gateway.address("admin"), "/upstreams").body;
    eventually("a good answer", || upstreams().contains("status 200").then_some(()));
    gateway.stop();
    let wrong = format!("{health}\ntls = {{ ca = \"ca.crt\", server_name = \"other.internal\" }}");
    let gateway = start(&authority, server.address, &wrong);
    gateway.wait_for_stderr("unhealthy: tls:");
    gateway.stop();
}

/// The body of one GET, as curl takes it: a body that is cut is a failure.
fn page(gateway: &Towpath) -> String {
    let url = format!("http://{}/", gateway.address("web"));
    let output = Command::new("curl").args(["--silent", "--show-error", "--noproxy", "*", &url]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_session_with_an_origin_is_resumed() {
    let authority = Authority::new();
    authority.sign("origin", &["DNS:shop.internal"]);
    let server = Server::start(&authority, "origin", &[]);
    let tls = "tls = { ca = \"ca.crt\", server_name = \"shop.internal\" }";
    let gateway = start(&authority, server.address, tls);
    let first = page(&gateway);
    assert!(first.contains("New, TLSv1.3"), "{first}");
    let second = page(&gateway);
    assert!(second.contains("Reused, TLSv1.3"), "{second}");
    gateway.stop();
}

#[test]
fn a_relay_speaks_tls_to_its_endpoint() {
    let authority = Authority::new();
    authority.sign("origin", &["DNS:shop.internal"]);
    let server = Server::start(&authority, "origin", &[]);
    let file = authority.scratch.write(
        "towpath.toml",
        &format!(
            "[listener.web]\nbind = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nupstream = \"o\"\n[upstream.o]\n\
             endpoints = [\"{}\"]\ntls = {{ ca = \"ca.crt\", server_name = \"shop.internal\" }}\n{PROMPT}",
            server.address
        ),
    );
    let gateway = Towpath::run(&file, &["web"]);
    assert!(page(&gateway).contains("TLSv1.3"));
    gateway.stop();
}

#[test]
fn a_connection_that_nginx_keeps_serves_the_next_request_t07() {
    let authority = Authority::new();
    authority.sign("origin", &["DNS:shop.internal"]);
    let nginx = Nginx::start(&authority);
    let tls = "tls = { ca = \"ca.crt\", server_name = \"shop.internal\" }";
    let gateway = start(&authority, nginx.address, tls);
    // Its tickets come behind the handshake, and must not be taken for bytes of nobody's request.
    let counts = [(); 5].map(|()| page(&gateway));
    assert_eq!(counts, ["1", "2", "3", "4", "5"]);
    gateway.stop();
}

/// nginx with TLS, which tells how many requests a connection has carried.
struct Nginx {
    address: SocketAddr,
    process: Child,
}

impl Nginx {
    fn start(authority: &Authority) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = authority.folder().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {folder}/{kind};"))
            .concat();
        let file = authority.scratch.write(
            "nginx.conf",
            &format!(
                "daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}} \
                 http {{ access_log off; {temporary} server {{ listen {address} ssl; ssl_certificate {folder}/origin.crt; \
                 ssl_certificate_key {folder}/origin.key; ssl_protocols TLSv1.2 TLSv1.3; \
                 location / {{ return 200 $connection_requests; }} }} }}"
            ),
        );
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        let process =
            Command::new("nginx").env("PATH", path).arg("-c").arg(&file).stderr(Stdio::null()).spawn();
        let nginx = Self { address, process: process.unwrap() };
        eventually("nginx", || TcpStream::connect(address).ok());
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
