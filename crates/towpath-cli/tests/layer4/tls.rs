//! Passthrough between OpenSSL's own client and server.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Gateway;
use crate::common::{Scratch, eventually};

/// A TLS server whose certificate names it. It is killed by its process id when the test ends.
struct Server {
    address: SocketAddr,
    process: Child,
}

impl Server {
    fn start(folder: &Path, name: &str) -> Self {
        let (key, certificate) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.crt")));
        let made = openssl()
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "1",
            ])
            .args(["-subj", &format!("/CN={name}"), "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let address = free_address();
        let process = openssl()
            .args([
                "s_server",
                "-quiet",
                "-accept",
                &address.to_string(),
                "-alpn",
                "h2,http/1.1,acme-tls/1",
                "-key",
            ])
            .arg(&key)
            .arg("-cert")
            .arg(&certificate)
            .stdin(Stdio::piped())
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

fn openssl() -> Command {
    let mut command = Command::new("openssl");
    command.stdin(Stdio::null());
    command
}

/// A port that was free a moment ago; `s_server` cannot say which one it was given.
fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Whose certificate a client sees; `None` when it sees none.
fn subject(address: SocketAddr, options: &[&str]) -> Option<String> {
    let connect = address.to_string();
    let output = openssl().args(["s_client", "-connect", &connect]).args(options).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("subject="))?;
    Some(line.rsplit('=').next()?.trim().to_owned())
}

#[test]
fn tls_goes_to_the_server_that_its_hello_names_and_stays_closed_t32() {
    let scratch = Scratch::new();
    let servers = ["named", "wild", "acme"].map(|name| Server::start(scratch.folder(), name));
    let [named, wild, acme] = servers.each_ref().map(|server| server.address);
    let objects = |default: &str| {
        format!(
            r#"
[listener.edge]
bind = "127.0.0.1:0"
protocol = "tls-passthrough"
sni = {{ "A.example.com" = "named", "*.example.com" = "wild" }}
alpn = {{ "acme-tls/1" = "acme" }}
{default}
[upstream.named]
endpoints = ["{named}"]
[upstream.wild]
endpoints = ["{wild}"]
[upstream.acme]
endpoints = ["{acme}"]
"#
        )
    };
    let gateway = Gateway::start(&objects(""), &["edge"]);
    assert!(gateway.running.url("edge").starts_with("tls-passthrough://127.0.0.1:"));
    let edge = gateway.running.address("edge");
    let check = |options: &[&str], expected: Option<&str>| {
        assert_eq!(subject(edge, options).as_deref(), expected, "{options:?}");
    };
    check(&["-servername", "a.example.com"], Some("named"));
    check(&["-servername", "A.EXAMPLE.com"], Some("named"));
    check(&["-servername", "x.y.example.com"], Some("wild"));
    check(&["-servername", "a.example.com", "-alpn", "h2,acme-tls/1"], Some("acme"));
    check(&["-servername", "example.org"], None);
    check(&["-noservername"], None);

    gateway.reload(&objects("upstream = \"wild\""));
    check(&["-servername", "example.org"], Some("wild"));
    check(&["-noservername"], Some("wild"));
    check(&["-servername", "a.example.com"], Some("named"));
    gateway.running.stop();
}
