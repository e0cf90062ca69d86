//! Reload, drain, and addresses that somebody else has.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;

use crate::common::{Scratch, eventually, outcome};
use crate::{Gateway, echo, file};

fn objects(tcp: SocketAddr, udp: SocketAddr, more: &str) -> String {
    format!(
        "[listener.pg]\nbind = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nupstream = \"pg\"\n\
         [listener.dns]\nbind = \"127.0.0.1:0\"\nprotocol = \"udp\"\nupstream = \"dns\"\n\
         [upstream.pg]\nendpoints = [\"{tcp}\"]\n[upstream.dns]\nendpoints = [\"{udp}\"]\n{more}"
    )
}

/// One more listener of each kind of socket.
const MORE: &str = "[listener.more_tcp]\nbind = [\"127.0.0.1:0\", \"unix:more.sock\"]\nprotocol = \"tcp\"\n\
                    upstream = \"pg\"\n[listener.more_udp]\nbind = \"127.0.0.1:0\"\nprotocol = \"udp\"\n\
                    upstream = \"dns\"\n";

#[test]
fn listeners_come_and_go_and_what_is_open_stays_open_p09() {
    let (tcp, udp) = (echo::tcp(), echo::udp());
    let gateway = Gateway::start(&objects(tcp, udp, ""), &["pg", "dns"]);
    let (pg, dns) = (gateway.running.address("pg"), gateway.running.address("dns"));
    let mut relay = echo::connect(pg);
    echo::say(&mut relay, "before");
    let session = echo::talk_to(dns);
    echo::ask(&session, "before");

    let changes = gateway.reload(&objects(tcp, udp, MORE));
    assert_eq!(changes["changes"]["listeners"]["added"], serde_json::json!(["more_tcp", "more_udp"]));
    gateway.running.wait_for_stdout("listening more_udp udp://");
    assert_eq!((gateway.running.address("pg"), gateway.running.address("dns")), (pg, dns));
    assert_eq!(gateway.running.stdout().matches("listening pg ").count(), 1, "its socket was kept");
    echo::say(&mut relay, "during");
    echo::ask(&session, "during");
    let mut newcomer = echo::connect_unix(&gateway.scratch.path("more.sock"));
    echo::say(&mut newcomer, "new");
    let more_udp = gateway.running.address("more_udp");
    echo::ask(&echo::talk_to(more_udp), "new");

    // What is open on a listener that leaves goes on to its end.
    gateway.reload(&objects(tcp, udp, ""));
    eventually("the file to go", || (!gateway.scratch.path("more.sock").exists()).then_some(()));
    eventually("the port to be free", || UdpSocket::bind(more_udp).ok());
    echo::say(&mut newcomer, "still here");
    assert_eq!(echo::finish(newcomer), "end");
    echo::say(&mut relay, "after");
    echo::ask(&session, "after");

    // Changed settings and another endpoint leave what is open alone, too.
    let other = objects(echo::tcp(), udp, "")
        .replace("upstream = \"dns\"", "upstream = \"dns\"\nidle_timeout = \"9s\"");
    let changes = gateway.reload(&other);
    assert_eq!(changes["changes"]["listeners"]["changed"], serde_json::json!(["dns", "pg"]));
    echo::say(&mut relay, "after all");
    echo::ask(&session, "after all");
    assert_eq!((gateway.running.address("pg"), gateway.running.address("dns")), (pg, dns));
    let mut last = echo::connect(pg);
    echo::say(&mut last, "at the other endpoint");
    assert_eq!((echo::finish(last), echo::finish(relay)), ("end".to_owned(), "end".to_owned()));
    gateway.running.stop();
}

#[test]
fn a_drain_lets_relays_end_and_accepts_nothing() {
    let (tcp, udp) = (echo::tcp(), echo::udp());
    let mut gateway = Gateway::start(&objects(tcp, udp, MORE), &["pg", "dns", "more_tcp"]);
    let (pg, socket) = (gateway.running.address("pg"), gateway.scratch.path("more.sock"));
    let mut relay = echo::connect(pg);
    echo::say(&mut relay, "before");
    echo::ask(&echo::talk_to(gateway.running.address("dns")), "before");
    gateway.running.signal("TERM");
    gateway.running.wait_for_stderr("draining");
    eventually("the end of accepting", || std::net::TcpStream::connect(pg).is_err().then_some(()));
    eventually("the file to go", || (!socket.exists()).then_some(()));
    echo::say(&mut relay, "during");
    assert_eq!(echo::finish(relay), "end");
    assert_eq!(gateway.running.wait().code(), Some(0), "{}", gateway.running.stderr());
    assert!(!gateway.running.stderr().contains("is over"), "{}", gateway.running.stderr());
}

#[test]
fn a_relay_that_outstays_the_grace_is_cut() {
    let scratch = Scratch::new();
    let text =
        file(&objects(echo::tcp(), echo::udp(), "")).replace("[shutdown]", "[shutdown]\ngrace = \"100ms\"");
    let mut running = crate::common::Towpath::run(&scratch.write("a.toml", &text), &["pg"]);
    let mut relay = echo::connect(running.address("pg"));
    echo::say(&mut relay, "before");
    running.signal("TERM");
    assert_eq!(running.wait().code(), Some(0));
    assert!(running.stderr().contains("what is left is cut"), "{}", running.stderr());
    assert!(matches!(relay.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn an_address_in_use_ends_with_98_and_names_the_listener_for_every_kind() {
    let scratch = Scratch::new();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let _unix = UnixListener::bind(scratch.path("held.sock")).unwrap();
    scratch.write("file.sock", "not a socket");
    let held = format!("held by {}", program());
    let cases = [
        ("tcp", tcp.local_addr().unwrap().to_string(), held.as_str()),
        ("tls-passthrough", tcp.local_addr().unwrap().to_string(), &held),
        ("udp", udp.local_addr().unwrap().to_string(), &held),
        ("tcp", "unix:held.sock".to_owned(), &held),
        ("tcp", "unix:file.sock".to_owned(), "no socket"),
    ];
    for (protocol, bind, holder) in cases {
        let text = format!(
            "[listener.taken]\nbind = \"{bind}\"\nprotocol = \"{protocol}\"\nupstream = \"a\"\n\
             [upstream.a]\nendpoints = [\"127.0.0.1:1\"]\n"
        );
        let (code, stdout, stderr) = outcome(&["run", scratch.write("a.toml", &text).to_str().unwrap()]);
        assert_eq!((code, stdout.as_str()), (98, ""), "{protocol} {bind}: {stderr}");
        assert!(
            stderr.contains("listener taken: ") && stderr.contains(holder),
            "{protocol} {bind}: {stderr}"
        );
    }
    assert!(scratch.path("file.sock").exists(), "a file that is no socket is left alone");
}

/// The name of this process as others see it.
fn program() -> String {
    std::fs::read_to_string("/proc/self/comm").unwrap().trim_end().to_owned()
}

#[test]
fn a_reload_that_finds_an_address_taken_changes_nothing_p07() {
    let (tcp, udp) = (echo::tcp(), echo::udp());
    let gateway = Gateway::start(&objects(tcp, udp, ""), &["pg", "dns"]);
    let session = echo::talk_to(gateway.running.address("dns"));
    echo::ask(&session, "before");
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken =
        MORE.replace("bind = \"127.0.0.1:0\"", &format!("bind = \"{}\"", holder.local_addr().unwrap()));
    gateway.scratch.write("a.toml", &file(&objects(tcp, udp, &taken)));
    let reply = crate::common::post(gateway.running.address("admin"), "/reload", "");
    assert_eq!(reply.status, 422, "{}", reply.body);
    assert!(reply.body.contains("listener more_udp"), "{}", reply.body);
    assert!(!gateway.scratch.path("more.sock").exists(), "what was bound before the fault is gone again");
    echo::ask(&session, "after");
    gateway.running.stop();
}
