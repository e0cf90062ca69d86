//! Bytes through each kind of listener.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::common::{Client, Origin, PATIENCE, eventually};
use crate::{Gateway, echo};

/// A listener of each kind that needs no certificate.
fn everything(tcp: std::net::SocketAddr, udp: std::net::SocketAddr, web: std::net::SocketAddr) -> String {
    format!(
        r#"
[listener.pg]
bind = ["127.0.0.1:0", "unix:pg.sock"]
protocol = "tcp"
upstream = "pg"
socket_mode = "0600"

[listener.inner]
bind = "127.0.0.1:0"
protocol = "tcp"
upstream = "inner"

[listener.dns]
bind = "127.0.0.1:0"
protocol = "udp"
upstream = "dns"

[listener.web]
bind = "unix:web.sock"

[route.all]
upstream = "web"

[upstream.pg]
endpoints = ["{tcp}"]
[upstream.inner]
endpoints = ["unix:inner.sock"]
[upstream.dns]
endpoints = ["{udp}"]
[upstream.web]
endpoints = ["{web}"]
"#
    )
}

#[test]
fn every_kind_of_listener_forwards_and_is_shown() {
    let web = Origin::start(|line| (200, line.to_owned()));
    let objects = everything(echo::tcp(), echo::udp(), web.address);
    let gateway = Gateway::start(&objects, &["pg", "inner", "dns", "web"]);
    echo::unix(&gateway.scratch.path("inner.sock"));
    let running = &gateway.running;
    let folder = gateway.scratch.folder().display().to_string();
    for line in [
        "listening pg tcp://127.0.0.1:",
        &format!("listening pg tcp+unix:{folder}/pg.sock"),
        "listening inner tcp://127.0.0.1:",
        "listening dns udp://127.0.0.1:",
        &format!("listening web http+unix:{folder}/web.sock"),
    ] {
        assert!(running.stdout().contains(line), "{line} in {}", running.stdout());
    }

    let address = tcp_address(&gateway, "pg");
    let mut client = echo::connect(address);
    echo::say(&mut client, "through tcp");
    assert_eq!(echo::finish(client), "end", "the end was passed on, and the answer to it came back");

    let mut client = echo::connect_unix(&gateway.scratch.path("pg.sock"));
    echo::say(&mut client, "from a Unix socket");
    assert_eq!(echo::finish(client), "end");
    let mode = gateway.scratch.path("pg.sock").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let mut client = echo::connect(running.address("inner"));
    echo::say(&mut client, "to a Unix socket");
    assert_eq!(echo::finish(client), "end");

    let client = echo::talk_to(running.address("dns"));
    echo::ask(&client, "through udp");
    echo::ask(&client, &"x".repeat(9_000));

    let mut client = Client::connect_unix(&gateway.scratch.path("web.sock")).unwrap();
    assert_eq!(client.get("/over-unix").body, "GET /over-unix HTTP/1.1");

    let plan = gateway.admin("/plan");
    let kinds: Vec<_> = plan["listeners"].as_array().unwrap().iter().map(|one| &one["protocol"]).collect();
    assert_eq!(kinds, ["udp", "tcp", "tcp", "http"]);
    assert_eq!(gateway.admin("/config")["listener"]["pg"]["socket_mode"], "0600");
    assert_eq!(gateway.admin("/readyz")["ready"], true);
    let upstreams = gateway.admin("/upstreams");
    let names: Vec<_> = upstreams["upstreams"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["dns", "inner", "pg", "web"]);
    let metrics = crate::common::get(running.address("admin"), "/metrics").body;
    assert!(metrics.contains("upstream=\"inner\""), "{metrics}");
    gateway.running.stop();
}

/// The TCP address of a listener that has a Unix socket too.
fn tcp_address(gateway: &Gateway, name: &str) -> std::net::SocketAddr {
    let prefix = format!("listening {name} tcp://");
    let lines = gateway.running.stdout();
    lines.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap().parse().unwrap()
}

#[test]
fn a_proxy_header_that_came_in_goes_out_in_the_version_of_the_upstream_t56() {
    let origin = TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = Gateway::start(
        &format!(
            "[listener.pg]\nbind = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nupstream = \"pg\"\n\
             proxy_protocol = {{ from = [\"127.0.0.0/8\"] }}\n\
             [upstream.pg]\nendpoints = [\"{}\"]\nproxy_protocol = \"v1\"\n",
            origin.local_addr().unwrap()
        ),
        &["pg"],
    );
    let mut client = echo::connect(gateway.running.address("pg"));
    let sent = "PROXY TCP4 192.0.2.1 198.51.100.2 1234 5432\r\nhello";
    client.write_all(sent.as_bytes()).unwrap();
    origin.set_nonblocking(true).unwrap();
    let (mut arrived, _) = eventually("the connection to the origin", || origin.accept().ok());
    arrived.set_nonblocking(false).unwrap();
    arrived.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut heard = vec![0; sent.len()];
    arrived.read_exact(&mut heard).unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), sent);

    // From a listed peer the header is required.
    let mut stranger = echo::connect(gateway.running.address("pg"));
    stranger.write_all(b"hello, it is me and nobody else\r\n").unwrap();
    assert!(matches!(stranger.read(&mut [0]), Ok(0) | Err(_)), "it is cut off");
    drop((client, arrived));
    gateway.running.stop();
}

#[test]
fn a_client_over_its_limit_is_cut_off_and_others_are_not() {
    let gateway = Gateway::start(
        &format!(
            "[listener.pg]\nbind = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nupstream = \"pg\"\n\
             max_connections_per_address = 1\n[upstream.pg]\nendpoints = [\"{}\"]\n",
            echo::tcp()
        ),
        &["pg"],
    );
    let address = gateway.running.address("pg");
    let mut first = echo::connect(address);
    echo::say(&mut first, "first");
    assert!(echo::is_cut_off(address), "the second");
    echo::say(&mut first, "still here");
    assert_eq!(echo::finish(first), "end");
    gateway.running.stop();
}
