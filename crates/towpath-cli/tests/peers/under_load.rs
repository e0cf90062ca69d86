//! Reloads and drains while clients keep asking: nothing fails and nothing is cut.

use std::path::Path;
use std::sync::atomic::Ordering;

use crate::common::{Scratch, Towpath, get};
use crate::load::{Tally, Tunnel, Wrk, assert_flawless, request_until_refused, start_echo_origin};
use crate::nginx::Nginx;

/// Reloads in one test; ten of each file. The full count is in `conformance/shown-by`.
const RELOADS: u64 = 20;

/// Two files that differ in everything a reload may change under a request: the listener's settings, the route it
/// takes, the upstream it goes to, and a second listener that comes and goes.
fn files(nginx: &Nginx, echo: std::net::SocketAddr) -> [String; 2] {
    let common = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n\n[workers]\ncount = 2\n\n[route.tunnel]\n\
         match = {{ path = \"/tunnel\" }}\nupstream = \"echo\"\nupgrades = [\"echo\"]\n\n\
         [upstream.echo]\nendpoints = [\"{echo}\"]\n\n"
    );
    let one = format!(
        "{common}[listener.web]\nbind = \"127.0.0.1:0\"\n\n[route.all]\nupstream = \"nginx\"\n\n\
         [upstream.nginx]\nendpoints = [\"{}\"]\n",
        nginx.address
    );
    let two = format!(
        "{common}[listener.web]\nbind = \"127.0.0.1:0\"\nmax_header_count = 50\ntimeouts = {{ header = \"5s\" }}\n\n\
         [listener.other]\nbind = \"127.0.0.1:0\"\n\n[route.all]\nmatch = {{ path = \"/*\" }}\nupstream = \"nginx\"\n\
         response_headers = {{ set = {{ x-plan = \"two\" }} }}\n\n[route.more]\nmatch = {{ path = \"/more\" }}\n\
         respond = {{ status = 200, body = \"more\" }}\n\n\
         [upstream.nginx]\nendpoints = [\"{}\"]\nbalance = \"round-robin\"\npool = {{ max_connections = 40 }}\n",
        nginx.address
    );
    [one, two]
}

/// Replaces the file at once, as an editor does.
fn replace(scratch: &Scratch, file: &Path, text: &str) {
    std::fs::rename(scratch.write("new", text), file).unwrap();
}

#[test]
fn reloads_under_load_fail_no_request_and_cut_no_tunnel() {
    let (nginx, scratch) = (Nginx::answering("x"), Scratch::new());
    let files = files(&nginx, start_echo_origin());
    let file = scratch.write("a.toml", &files[0]);
    let running = Towpath::run(&file, &["web", "admin"]);
    let web = running.address("web");
    let mut tunnel = Tunnel::open(web, "/tunnel");
    tunnel.assert_alive("before the first");
    let mut wrk = Wrk::start(&format!("http://{web}/"), 32, 4);
    for number in 1..=RELOADS {
        replace(&scratch, &file, &files[number as usize % 2]);
        running.signal("HUP");
        running.wait_for_stderr(&format!("plan {} serves", number + 1));
        tunnel.assert_alive(&format!("after number {number}"));
    }
    assert!(wrk.is_running(), "the reloads outlasted the load");
    assert_flawless(&wrk.report());
    tunnel.assert_alive("after the last");
    assert_eq!(running.address("web"), web, "the listener stayed");
    assert_eq!(get(running.address("admin"), "/plan").json()["version"], RELOADS + 1);
    drop(tunnel);
    running.stop();
}

/// Sixteen clients on kept connections, or on a new one for each request, ask until nobody accepts any more.
fn check_drain(keep_alive: bool) {
    let (nginx, scratch) = (Nginx::answering("x"), Scratch::new());
    let text = format!(
        "[workers]\ncount = 2\n\n[listener.web]\nbind = \"127.0.0.1:0\"\n\n[route.all]\nupstream = \"nginx\"\n\n\
         [upstream.nginx]\nendpoints = [\"{}\"]\n",
        nginx.address
    );
    let mut running = Towpath::run(&scratch.write("a.toml", &text), &["web"]);
    let (web, tally) = (running.address("web"), Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| request_until_refused(web, keep_alive, &tally));
        }
        nginx.log(1_000);
        running.signal("TERM");
    });
    assert!(tally.failed.lock().unwrap().is_empty(), "{tally:?}");
    assert!(tally.answered.load(Ordering::Relaxed) >= 1_000, "{tally:?}");
    assert_eq!(running.wait().code(), Some(0), "{}", running.stderr());
}

#[test]
fn a_drain_under_load_fails_no_request_of_a_kept_connection() {
    check_drain(true);
}

#[test]
fn a_drain_under_load_fails_no_request_of_a_new_connection() {
    check_drain(false);
}
