//! How a running gateway ends.

mod common;

use std::net::TcpStream;

use common::{Client, Origin, PROMPT, Scratch, Towpath, eventually, fixed, get, proxied};

#[test]
fn an_idle_gateway_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let scratch = Scratch::new();
        let mut running = Towpath::run(&scratch.write("a.toml", &fixed("x")), &["web"]);
        running.signal(signal);
        assert_eq!(running.wait().code(), Some(0));
        assert!(running.stderr().contains(&format!("SIG{signal}: draining")), "{}", running.stderr());
    }
}

#[test]
fn a_drain_finishes_what_is_in_flight_and_accepts_nothing() {
    let scratch = Scratch::new();
    let (origin, arrivals, release) = Origin::held();
    let file = scratch.write("a.toml", &proxied(origin.address, ""));
    let mut running = Towpath::run(&file, &["web", "admin"]);
    let (web, admin) = (running.address("web"), running.address("admin"));
    let mut client = Client::connect(web);
    client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    arrivals.recv().unwrap();
    running.signal("TERM");
    running.wait_for_stderr("draining");
    eventually("the end of accepting", || TcpStream::connect(web).is_err().then_some(()));
    let ready = get(admin, "/readyz");
    assert_eq!((ready.status, &ready.json()["reason"]), (503, &serde_json::json!("draining")));
    assert_eq!(get(admin, "/healthz").status, 200);
    release.send("whole".into()).unwrap();
    let reply = client.read();
    assert_eq!((reply.status, reply.body.as_str()), (200, "whole"));
    assert_eq!(reply.field("connection"), Some("close"));
    assert!(client.is_ended());
    assert_eq!(running.wait().code(), Some(0));
}

#[test]
fn a_second_signal_ends_everything_at_once() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let scratch = Scratch::new();
        let (origin, arrivals, _release) = Origin::held();
        let mut running = Towpath::run(&scratch.write("a.toml", &proxied(origin.address, "")), &["web"]);
        let mut client = Client::connect(running.address("web"));
        client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
        arrivals.recv().unwrap();
        running.signal(signal);
        running.wait_for_stderr("draining");
        running.signal(signal);
        assert_eq!(running.wait().code(), Some(code));
        assert!(client.is_ended());
    }
}

#[test]
fn when_the_grace_is_over_what_is_left_is_cut() {
    let scratch = Scratch::new();
    let (origin, arrivals, _release) = Origin::held();
    let text = format!(
        "[shutdown]\ngrace = \"100ms\"\nspread = \"0s\"\n{}",
        proxied(origin.address, "").replace(PROMPT, "")
    );
    let mut running = Towpath::run(&scratch.write("a.toml", &text), &["web"]);
    let mut client = Client::connect(running.address("web"));
    client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    arrivals.recv().unwrap();
    running.signal("TERM");
    assert_eq!(running.wait().code(), Some(0));
    assert!(running.stderr().contains("what is left is cut"), "{}", running.stderr());
    assert!(client.is_ended());
}

#[test]
fn an_idle_keep_alive_connection_does_not_hold_a_drain() {
    let scratch = Scratch::new();
    let text = format!("[shutdown]\ngrace = \"600s\"\nspread = \"50ms\"\n{}", fixed("x").replace(PROMPT, ""));
    let mut running = Towpath::run(&scratch.write("a.toml", &text), &["web"]);
    let mut client = Client::connect(running.address("web"));
    assert_eq!(client.get("/").status, 200);
    running.signal("TERM");
    assert_eq!(running.wait().code(), Some(0));
    assert!(client.is_ended());
}
