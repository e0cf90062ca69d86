//! Pools, balancing and health in front of nginx that comes, goes and closes connections.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::Gateway;
use crate::common::{Client, eventually, get, request};
use crate::curl::curl;
use crate::nginx::Nginx;

/// How often each body came back for `count` GETs on one connection; every one must succeed.
fn bodies(address: SocketAddr, path: &str, count: usize) -> BTreeMap<String, usize> {
    let mut client = Client::connect(address);
    let mut bodies = BTreeMap::new();
    for _ in 0..count {
        let reply = client.get(path);
        assert_eq!(reply.status, 200, "{}{}", reply.head, reply.body);
        *bodies.entry(reply.body).or_default() += 1;
    }
    bodies
}

#[test]
fn an_upstream_connection_carries_the_requests_of_many_clients() {
    let nginx = Nginx::answering("x");
    let gateway = Gateway::before(nginx.address);
    // 200 on one kept connection, then 100 clients that each leave after their request.
    let seen = curl(&["--output", "/dev/null", &gateway.url("/[1-200]")]);
    assert_eq!(seen.status, 200);
    for _ in 0..100 {
        let reply = request(gateway.running.address("web"), "GET", "/", &[("Connection", "close")], "");
        assert_eq!(reply.status, 200);
    }
    let log = nginx.log(300);
    let connections: BTreeSet<_> = log.iter().map(|line| line.connection).collect();
    let longest = log.iter().map(|line| line.request).max().unwrap_or(0);
    assert!(longest > 100 && connections.len() <= 2, "{longest} on one of {connections:?}");
    gateway.running.stop();
}

#[test]
fn an_origin_that_is_away_is_502_until_it_is_back() {
    let mut nginx = Nginx::answering("x");
    let gateway = Gateway::before(nginx.address);
    let web = gateway.running.address("web");
    let mut client = Client::connect(web);
    assert_eq!(client.get("/").status, 200);
    nginx.stop();
    for _ in 0..3 {
        let reply = client.get("/");
        assert_eq!(reply.status, 502);
        let cause = reply.field("proxy-status").unwrap_or_default();
        assert!(cause.contains("connection_refused"), "{}", reply.head);
        assert!(
            cause.contains("connect_refused") || reply.body.contains("connect_refused"),
            "{}",
            reply.body
        );
    }
    nginx.restart();
    // The pool dials again after a pause that has grown with the failures; the client's connection has stayed.
    eventually("the origin", || (client.get("/").body == "x").then_some(()));
    for _ in 0..100 {
        assert_eq!(client.get("/").status, 200);
    }
    gateway.running.stop();
}

/// nginx closes a connection after 20 ms without a request or after ten of them. Clients that pause for about as long
/// meet connections that close under their request; each is replaced (RFC 9112 §9.3.1) and nobody notices.
#[test]
fn a_connection_that_closes_at_the_instant_of_reuse_is_replaced() {
    let nginx =
        Nginx::start("keepalive_timeout 20ms; keepalive_requests 10;", "location / { return 200 x; }");
    let gateway = Gateway::before(nginx.address);
    let web = gateway.running.address("web");
    std::thread::scope(|scope| {
        for offset in 0..24 {
            scope.spawn(move || {
                let mut client = Client::connect(web);
                for round in 0..80 {
                    assert_eq!(client.get("/").status, 200);
                    // From 19.0 to 21.4 ms: on both sides of the instant at which nginx closes.
                    std::thread::sleep(Duration::from_micros(19_000 + (offset + round) % 24 * 100));
                }
            });
        }
    });
    let log = nginx.log(24 * 80);
    assert_eq!(log.len(), 24 * 80, "nothing was sent twice that had been answered");
    let connections: BTreeSet<_> = log.iter().map(|line| line.connection).collect();
    assert!(connections.len() >= 24 * 80 / 10, "{} connections", connections.len());
    gateway.running.stop();
}

#[test]
fn weights_share_between_two_upstreams() {
    let (stable, canary) = (Nginx::answering("stable"), Nginx::answering("canary"));
    let gateway = Gateway::start(&format!(
        "[route.all]\nupstreams = {{ stable = 90, canary = 10 }}\n\n[upstream.stable]\nendpoints = [\"{}\"]\n\n\
         [upstream.canary]\nendpoints = [\"{}\"]\n",
        stable.address, canary.address
    ));
    let bodies = bodies(gateway.running.address("web"), "/", 1000);
    let share = bodies.get("canary").copied().unwrap_or(0);
    assert!((80..=120).contains(&share), "{bodies:?}");
    gateway.running.stop();
}

#[test]
fn every_kind_of_balancing_reaches_both_endpoints() {
    const KINDS: [&str; 4] = ["round-robin", "random", "least-requests", "p2c-ewma"];
    let (one, two) = (Nginx::answering("one"), Nginx::answering("two"));
    let objects = KINDS.map(|kind| {
        format!(
            "[route.{kind}]\nmatch = {{ path = \"/{kind}\" }}\nupstream = \"{kind}\"\n\n[upstream.{kind}]\n\
             endpoints = [\"{}\", \"{}\"]\nbalance = \"{kind}\"\n\n",
            one.address, two.address
        )
    });
    let gateway = Gateway::start(&objects.concat());
    for kind in KINDS {
        let bodies = bodies(gateway.running.address("web"), &format!("/{kind}"), 100);
        assert_eq!(bodies.len(), 2, "{kind}: {bodies:?}");
        if kind == "round-robin" {
            assert_eq!(bodies["one"], 50);
        }
    }
    gateway.running.stop();
}

#[test]
fn a_stopped_endpoint_is_found_avoided_and_used_again() {
    let (mut one, two) = (Nginx::answering("one"), Nginx::answering("two"));
    let gateway = Gateway::start(&format!(
        "[route.all]\nupstream = \"both\"\n\n[upstream.both]\nendpoints = [\"{}\", \"{}\"]\n\
         balance = \"round-robin\"\n\
         health = {{ path = \"/\", interval = \"100ms\", timeout = \"1s\", healthy = 2, unhealthy = 2 }}\n",
        one.address, two.address
    ));
    let (web, admin) = (gateway.running.address("web"), gateway.running.address("admin"));
    let health = || {
        let state = get(admin, "/upstreams").json();
        let endpoints = &state["upstreams"][0]["endpoints"];
        [0, 1].map(|index| endpoints[index]["healthy"].as_bool().unwrap_or_else(|| panic!("{state}")))
    };
    eventually("both well", || (health() == [true, true]).then_some(()));
    assert_eq!(bodies(web, "/", 20).len(), 2);
    one.stop();
    eventually("one found ill", || (health() == [false, true]).then_some(()));
    assert_eq!(bodies(web, "/", 200), BTreeMap::from([("two".to_owned(), 200)]));
    one.restart();
    eventually("one found well", || (health() == [true, true]).then_some(()));
    assert_eq!(bodies(web, "/", 20).len(), 2);
    gateway.running.stop();
}
