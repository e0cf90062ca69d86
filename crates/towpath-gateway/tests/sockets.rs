//! Forwarding over sockets of the kernel, by workers that are threads: TCP and Unix, and where connections are placed.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use towpath::pool::{Pool, PoolConfig};
use towpath_gateway::plan::{
    Action, Endpoint, Listener, ListenerSettings, Plan, Protocol, RelaySettings, Route, Router, Target, Tcp,
    Upstream, UpstreamSettings,
};
use towpath_gateway::upstream::Http1;
use towpath_gateway::{Engine, EngineConfig, Reason, engine};
use towpath_net::listen::Options;
use towpath_net::{Address, Binding, Stream};
use towpath_traffic::balance::Kind;
use towpath_traffic::route::{RouteRule, RouteTable};

const WORKERS: usize = 4;

/// Any wait ends here: a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts an engine that forwards from `binding` to `address`.
fn forward(binding: &Arc<Binding>, address: Address) -> Engine {
    start(binding, address, |_, target| {
        (Protocol::Tcp(Tcp { target, relay: RelaySettings::default() }), Router::empty())
    })
}

/// Starts an engine that proxies every request from `binding` to `address`.
fn proxy(binding: &Arc<Binding>, address: Address) -> Engine {
    start(binding, address, |engine, target| {
        let route = Route::new("all", Action::Upstream(Arc::clone(&target.upstream)));
        let rule = RouteRule { name: "all".into(), ..RouteRule::default() };
        let router = Router {
            table: RouteTable::build(vec![rule]).expect("a rule without faults"),
            routes: vec![Arc::new(route)],
            counters: vec![engine.registry().route("in", "all")],
        };
        (Protocol::Http, router)
    })
}

fn start(
    binding: &Arc<Binding>,
    address: Address,
    speak: impl FnOnce(&Engine, Arc<Target>) -> (Protocol, Router),
) -> Engine {
    let registry = Arc::new(engine::registry(WORKERS));
    let config = EngineConfig { workers: WORKERS, pin: false, registry, ..EngineConfig::default() };
    let engine = Engine::start(config).expect("threads");
    let pool = PoolConfig { max_connections: None, ..PoolConfig::default() };
    let endpoint = Endpoint {
        name: address.to_string().into(),
        address: address.clone(),
        weight: 1,
        pool: Pool::new(Http1::new(address), pool.clone(), WORKERS, 1),
        healthy: AtomicBool::new(true),
    };
    let settings = UpstreamSettings { pool, health: None, proxy_protocol: None, http2: false, tls: None };
    let counters = engine.registry().upstream("echo");
    let upstream =
        Upstream::new("echo", Kind::RoundRobin, vec![Arc::new(endpoint)], settings, counters, (WORKERS, 1));
    let upstream = Arc::new(upstream);
    let counters = engine.registry().relay("in", "echo");
    let target = Arc::new(Target { upstream: Arc::clone(&upstream), counters });
    let (protocol, router) = speak(&engine, target);
    let listener = Listener {
        name: "in".into(),
        bindings: vec![Arc::clone(binding)],
        settings: ListenerSettings::default(),
        protocol,
        router: Arc::new(router),
        tls: None,
        counters: engine.registry().listener("in"),
    };
    let (listeners, upstreams) = (vec![Arc::new(listener)], vec![upstream]);
    engine.apply(Arc::new(Plan { version: 1, listeners, upstreams, ..Plan::empty() }));
    let deadline = Instant::now() + PATIENCE;
    while !engine.is_current() {
        assert!(Instant::now() < deadline, "the workers take the plan over");
        std::thread::yield_now();
    }
    engine
}

/// An endpoint that sends back what it gets, for as many connections as come.
fn echo<S: Read + Write + Send + 'static>(incoming: impl Iterator<Item = S> + Send + 'static) {
    std::thread::spawn(move || {
        for mut stream in incoming {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..count]).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

fn tcp_echo() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    echo(std::iter::from_fn(move || listener.accept().ok().map(|(stream, _)| stream)));
    Address::Tcp(address)
}

#[track_caller]
fn check_echo(stream: &mut (impl Read + Write), text: &[u8]) {
    stream.write_all(text).expect("written");
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).expect("answered");
    assert_eq!(answer, text);
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("accepted");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

#[test]
fn long_connections_are_even_over_workers_and_all_of_them_work() {
    const CONNECTIONS: u64 = 64;
    let binding = Binding::bind(SocketAddr::from(([127, 0, 0, 1], 0)), WORKERS).expect("a port");
    let engine = forward(&binding, tcp_echo());
    let mut clients = Vec::new();
    for number in 0..CONNECTIONS {
        let mut client = connect(binding.address());
        check_echo(&mut client, format!("hello {number}").as_bytes());
        clients.push(client);
    }
    let open: Vec<u64> = engine.registry().workers().iter().map(|worker| worker.open.value()).collect();
    assert_eq!(open.iter().sum::<u64>(), CONNECTIONS, "{open:?}");
    // The mean is 16. By the kernel's hash alone one in four such tests has a worker with 24 or more; placed, none is
    // near it.
    assert!(open.iter().all(|&open| open <= 26), "{open:?}");
    clients.iter_mut().for_each(|client| check_echo(client, b"still here"));
    drop(clients);
    engine.stop();
}

#[test]
fn unix_sockets_on_both_sides_pass_ends_on() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let inside = folder.join("echo.sock");
    let outside = folder.join("in.sock");
    // Left over from a run that was killed.
    let _ = std::fs::remove_file(&inside);
    let listener = UnixListener::bind(&inside).expect("a socket");
    echo(std::iter::from_fn(move || listener.accept().ok().map(|(stream, _)| stream)));
    let binding = Binding::unix(&outside, WORKERS, Options::default()).expect("a socket");
    let engine = forward(&binding, Address::Unix(inside.as_path().into()));
    let mut clients: Vec<UnixStream> =
        (0..16).map(|_| UnixStream::connect(&outside).expect("accepted")).collect();
    for client in &mut clients {
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        check_echo(client, &[7; 100_000]);
        client.shutdown(Shutdown::Write).expect("half closed");
        assert_eq!(client.read(&mut [0; 1]).expect("an end"), 0);
    }
    engine.stop();
    let _ = std::fs::remove_file(&inside);
}

const SWITCH: &[u8] = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
const SWITCHED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

/// Reads up to the empty line.
fn read_head(stream: &mut TcpStream) -> Vec<u8> {
    let (mut head, mut byte) = (Vec::new(), [0; 1]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a whole head");
        head.push(byte[0]);
    }
    head
}

/// An origin that switches one connection, and sends back what it gets from then on, up to its end.
fn switching_echo() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        read_head(&mut stream);
        stream.write_all(SWITCHED).expect("written");
        let mut back = stream.try_clone().expect("a descriptor");
        std::io::copy(&mut stream, &mut back).expect("an end on both sides");
    });
    Address::Tcp(address)
}

#[test]
fn a_tunnel_carries_megabytes_in_order_behind_what_came_too_early() {
    let binding = Binding::bind(SocketAddr::from(([127, 0, 0, 1], 0)), WORKERS).expect("a port");
    let engine = proxy(&binding, switching_echo());
    let mut client = connect(binding.address());
    // A prime period, so that a loss of any usual size is seen.
    let bytes: Vec<u8> = (0..8 << 20).map(|at: usize| (at % 251) as u8).collect();
    let (early, late) = bytes.split_at(20_000);
    client.write_all(&[SWITCH, early].concat()).expect("written");
    assert_eq!(&read_head(&mut client)[..SWITCHED.len() / 2], &SWITCHED[..SWITCHED.len() / 2]);
    let (mut writer, late) = (client.try_clone().expect("a descriptor"), late.to_vec());
    let writing = std::thread::spawn(move || {
        writer.write_all(&late).expect("written");
        writer.shutdown(Shutdown::Write).expect("half closed");
    });
    let mut echoed = Vec::new();
    client.read_to_end(&mut echoed).expect("an end that is no reset");
    writing.join().expect("all was sent");
    assert!(echoed == bytes, "{} of {} bytes, or others", echoed.len(), bytes.len());
    engine.stop();
}

/// Of TCP only: in memory a reset takes the bytes with it.
#[test]
fn a_client_that_spoke_and_resets_while_its_endpoint_is_dialled_is_gone() {
    let backlog = Options { backlog: 0, ..Options::default() };
    let hole = Binding::bind_with(SocketAddr::from(([127, 0, 0, 1], 0)), 1, backlog).expect("a port");
    // Nobody accepts, and the kernel drops what does not fit behind this one.
    let _full = connect(hole.address());
    let binding = Binding::bind(SocketAddr::from(([127, 0, 0, 1], 0)), WORKERS).expect("a port");
    let engine = forward(&binding, Address::Tcp(hole.address()));
    let mut client = connect(binding.address());
    client.write_all(b"hello").expect("written");
    let dials = || engine.registry().upstream_totals("echo").expect("its counters").requests;
    wait_for(|| dials() == 1);
    reset(client);
    let workers = engine.registry().workers();
    wait_for(|| workers.sum(|worker| worker.refusals.iter().map(|count| count.value()).sum()) == 1);
    assert_eq!(workers.sum(|worker| worker.refusals[Reason::ClientGone.index()].value()), 1);
    engine.stop();
}

fn wait_for(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it does not come");
        std::thread::yield_now();
    }
}

/// The standard library cannot.
fn reset(stream: TcpStream) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("an event loop");
    let _inside = runtime.enter();
    stream.set_nonblocking(true).expect("no wait");
    Stream::Socket(tokio::net::TcpStream::from_std(stream).expect("registered")).reset_on_drop();
}
