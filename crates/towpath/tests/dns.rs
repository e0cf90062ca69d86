//! Names by a DNS server of the test's own, with good and bad answers (S11).

#![cfg(feature = "dns")]
#![expect(clippy::unwrap_used, reason = "in a test a failed step is a failed test, in helpers too")]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use towpath::Ctx;
use towpath::net::{DnsSettings, Resolver};

/// A server that answers by the first label of a name, until it is dropped.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (socket.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let count = Arc::clone(&asked);
        let serve = move || {
            let mut room = [0; 4096];
            loop {
                let (bytes, from) = socket.recv_from(&mut room).unwrap();
                if bytes == 0 {
                    return;
                }
                count.fetch_add(1, SeqCst);
                if let Some(answer) = answer(&room[..bytes]) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        };
        Self { address, asked, thread: Some(std::thread::spawn(serve)) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&[], self.address).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

/// The answer to a question with one name (RFC 1035 §4).
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let label = question.get(13..13 + usize::from(question[12]))?;
    let name_end = 12 + question[12..].iter().position(|&byte| byte == 0)?;
    let kind = question[name_end + 2];
    let (a, aaaa) = (1, 28);
    let (mut code, mut records) = (0, Vec::new());
    let mut record = |kind: u8, ttl: u32, data: &[u8]| {
        let head = [0xc0, 12, 0, kind, 0, 1];
        records.push([&head[..], &ttl.to_be_bytes(), &(data.len() as u16).to_be_bytes(), data].concat());
    };
    match label.to_ascii_lowercase().as_slice() {
        b"good" if kind == a => record(a, 300, &[10, 0, 0, 1]),
        b"short" if kind == a => record(a, 0, &[10, 0, 0, 2]),
        b"both" if kind == a => record(a, 300, &[10, 0, 0, 3]),
        b"both" if kind == aaaa => record(aaaa, 300, &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        // Another name for itself.
        b"loop" => record(5, 300, &[0xc0, 12]),
        b"none" => code = 3,
        b"broken" => code = 2,
        b"garbage" => return Some([&question[..2], &[0xff; 600]].concat()),
        b"truncated" => return Some(question[..9].to_vec()),
        _ => {}
    }
    let head = [question[0], question[1], 0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0];
    Some([&head, &question[12..name_end + 5], &records.concat()].concat())
}

fn resolver(server: &Server, change: impl FnOnce(DnsSettings) -> DnsSettings) -> Resolver {
    let servers = vec![server.address];
    let settings = DnsSettings { servers, timeout: Duration::from_millis(300), ..DnsSettings::default() };
    Resolver::dns(&change(settings)).unwrap()
}

async fn look_up(resolver: &Resolver, name: &str) -> String {
    match resolver.resolve(&Ctx::background(), name).await {
        Ok(mut addresses) => {
            addresses.sort();
            addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ")
        }
        Err(error) if error.is_not_found() => "not found".to_owned(),
        Err(error) if error.is_retryable() => "later".to_owned(),
        Err(error) => format!("? {error}"),
    }
}

#[tokio::test]
async fn every_answer_is_an_address_or_a_typed_error_s11() {
    let server = Server::start();
    let resolver = resolver(&server, |settings| settings);
    for (name, expected) in [
        ("good.test.", "10.0.0.1"),
        ("both.test.", "10.0.0.3 fd00::1"),
        ("none.test.", "not found"),
        ("empty.test.", "not found"),
        ("broken.test.", "later"),
        ("garbage.test.", "later"),
        ("truncated.test.", "later"),
        ("127.0.0.7", "127.0.0.7"),
        ("[::1]", "::1"),
    ] {
        assert_eq!(look_up(&resolver, name).await, expected, "{name}");
    }
    let found = look_up(&resolver, "loop.test.").await;
    assert!(found == "later" || found == "not found", "{found}");
}

#[tokio::test]
async fn answers_are_kept_as_long_as_they_say_within_bounds_s11() {
    let server = Server::start();
    let kept = resolver(&server, |settings| DnsSettings { ttl_min: Duration::from_secs(60), ..settings });
    look_up(&kept, "short.test.").await;
    let asked = server.asked.load(SeqCst);
    for _ in 0..10 {
        assert_eq!(look_up(&kept, "short.test.").await, "10.0.0.2");
    }
    assert_eq!(server.asked.load(SeqCst), asked, "the floor holds");
    let none = |settings| DnsSettings { ttl_min: Duration::ZERO, ttl_max: Duration::ZERO, ..settings };
    let unkept = resolver(&server, none);
    look_up(&unkept, "good.test.").await;
    let asked = server.asked.load(SeqCst);
    look_up(&unkept, "good.test.").await;
    assert!(server.asked.load(SeqCst) > asked, "the ceiling holds");
}

#[tokio::test]
async fn the_last_answer_is_good_when_no_server_answers_rfc8767() {
    let server = Server::start();
    let none = |settings| DnsSettings { ttl_min: Duration::ZERO, ttl_max: Duration::ZERO, ..settings };
    let (stale, strict) = (
        resolver(&server, none),
        resolver(&server, |settings| DnsSettings { stale_max: Duration::ZERO, ..none(settings) }),
    );
    for resolver in [&stale, &strict] {
        assert_eq!(look_up(resolver, "good.test.").await, "10.0.0.1");
    }
    drop(server);
    assert_eq!(look_up(&stale, "good.test.").await, "10.0.0.1");
    assert_eq!(look_up(&stale, "both.test.").await, "later");
    assert_eq!(look_up(&strict, "good.test.").await, "later");
}

#[test]
fn a_resolver_outlives_the_runtime_that_asked_first() {
    let server = Server::start();
    let none = |settings| DnsSettings { ttl_min: Duration::ZERO, ttl_max: Duration::ZERO, ..settings };
    let resolver = resolver(&server, |settings| DnsSettings { stale_max: Duration::ZERO, ..none(settings) });
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(look_up(&resolver, "good.test.")), "10.0.0.1");
    }
}
