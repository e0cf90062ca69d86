//! Clients, origins and the gateway between them.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::{sleep, timeout};
use towpath::pool::{Pool, PoolConfig};
use towpath_gateway::plan::{
    Endpoint, Listener, ListenerSettings, Plan, Protocol, Router, Udp, UdpSettings, Upstream,
    UpstreamSettings,
};
use towpath_gateway::upstream::Http1;
use towpath_gateway::{Engine, EngineConfig, engine};
use towpath_net::{Address, UdpBinding};
use towpath_telemetry::accesslog::Format;
use towpath_telemetry::metrics::{DatagramDrop, PerWorker, SessionEnd, UdpCounters, UpstreamCounters};
use towpath_traffic::balance::Kind;

const LOG_FORMAT: &str = "$listener $version $upstream $remote_addr in=$bytes_in out=$bytes_out $reason";

/// How long anything may take that has to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a test on a thread as a worker has it.
pub(crate) fn run(test: impl Future<Output = ()>) {
    block_on(Builder::new_current_thread().enable_all(), test);
}

/// The same with a clock that jumps whenever there is nothing to do.
pub(crate) fn run_paused(test: impl Future<Output = ()>) {
    block_on(Builder::new_current_thread().enable_all().start_paused(true), test);
}

fn block_on(runtime: &mut Builder, test: impl Future<Output = ()>) {
    runtime.build_local(LocalOptions::default()).unwrap().block_on(test);
}

/// A gateway with one UDP listener.
pub(crate) struct Gateway {
    pub(crate) engine: Engine,
    binding: Arc<UdpBinding>,
    name: Cell<&'static str>,
    version: Cell<u64>,
    upstream: RefCell<Option<Arc<Upstream>>>,
    log: Receiver<Vec<u8>>,
}

impl Gateway {
    /// On a free port of 127.0.0.1.
    pub(crate) fn start(endpoints: &[SocketAddr], settings: UdpSettings) -> Self {
        Self::start_at("127.0.0.1:0", endpoints, settings)
    }

    pub(crate) fn start_at(bind: &str, endpoints: &[SocketAddr], settings: UdpSettings) -> Self {
        let (config, log) = config(1);
        let gateway = Self::new(Engine::start_local(config), bind, log);
        gateway.apply(endpoints, settings);
        gateway
    }

    /// With workers on threads of their own.
    pub(crate) fn start_threads(workers: usize, endpoints: &[SocketAddr], settings: UdpSettings) -> Self {
        let (config, log) = config(workers);
        let gateway = Self::new(Engine::start(config).unwrap(), "127.0.0.1:0", log);
        gateway.apply(endpoints, settings);
        gateway
    }

    fn new(engine: Engine, bind: &str, log: Receiver<Vec<u8>>) -> Self {
        Self {
            binding: UdpBinding::bind(bind.parse().unwrap(), engine.workers()).unwrap(),
            engine,
            name: Cell::new("dns"),
            version: Cell::new(0),
            upstream: RefCell::default(),
            log,
        }
    }

    /// Gives the listener another name in the plans to come.
    pub(crate) fn rename(&self, name: &'static str) {
        self.name.set(name);
    }

    /// Says of an endpoint what a prober would.
    pub(crate) fn set_healthy(&self, address: SocketAddr, is_healthy: bool) {
        let upstream = self.upstream.borrow();
        let endpoints = &upstream.as_ref().unwrap().endpoints;
        let endpoint = endpoints.iter().find(|endpoint| endpoint.address == Address::Tcp(address)).unwrap();
        endpoint.healthy.store(is_healthy, Ordering::Relaxed);
    }

    /// The lines of the access log so far.
    pub(crate) fn log(&self) -> String {
        self.log.try_iter().map(|block| String::from_utf8(block).unwrap()).collect()
    }

    /// Publishes a plan with these endpoints.
    pub(crate) fn apply(&self, endpoints: &[SocketAddr], settings: UdpSettings) {
        self.version.set(self.version.get() + 1);
        let registry = self.engine.registry();
        let upstream = upstream(endpoints, registry.upstream("origins"));
        let udp = Udp {
            bindings: vec![Arc::clone(&self.binding)],
            upstream: Arc::clone(&upstream),
            settings,
            counters: registry.udp(self.name.get()),
        };
        *self.upstream.borrow_mut() = Some(Arc::clone(&upstream));
        let listener = Listener {
            name: self.name.get().into(),
            bindings: Vec::new(),
            settings: ListenerSettings::default(),
            protocol: Protocol::Udp(udp),
            router: Arc::new(Router::empty()),
            tls: None,
            counters: registry.listener(self.name.get()),
        };
        let plan = Plan {
            version: self.version.get(),
            listeners: vec![Arc::new(listener)],
            upstreams: vec![upstream],
            access_log: Some(Arc::new(Format::parse(LOG_FORMAT).unwrap())),
            ..Plan::empty()
        };
        self.engine.apply(Arc::new(plan));
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.binding.address()
    }

    /// A new client at 127.0.0.1.
    pub(crate) async fn client(&self) -> Client {
        self.client_at("127.0.0.1:0", self.address()).await
    }

    /// A new client that binds `local` and asks `address`; from anywhere else it receives nothing.
    pub(crate) async fn client_at(&self, local: &str, address: SocketAddr) -> Client {
        let socket = UdpSocket::bind(local).await.unwrap();
        socket.connect(address).await.unwrap();
        Client { socket }
    }

    pub(crate) fn count(&self, number: impl Fn(&UdpCounters) -> u64) -> u64 {
        self.engine.registry().udp(self.name.get()).sum(number)
    }

    pub(crate) fn open(&self) -> u64 {
        self.count(|counters| counters.sessions_open.value())
    }

    pub(crate) fn ended(&self, end: SessionEnd) -> u64 {
        self.count(|counters| counters.ended[end as usize].value())
    }

    pub(crate) fn dropped(&self, why: DatagramDrop) -> u64 {
        self.count(|counters| counters.dropped[why as usize].value())
    }
}

fn config(workers: usize) -> (EngineConfig, Receiver<Vec<u8>>) {
    let (sink, log) = sync_channel(16);
    let registry = Arc::new(engine::registry(workers));
    (EngineConfig { workers, registry, log: Some(sink), ..EngineConfig::default() }, log)
}

fn upstream(endpoints: &[SocketAddr], counters: PerWorker<UpstreamCounters>) -> Arc<Upstream> {
    let endpoints = endpoints.iter().map(|address| {
        let address = Address::Tcp(*address);
        Arc::new(Endpoint {
            name: address.to_string().into(),
            weight: 1,
            pool: Pool::new(Http1::new(address.clone()), PoolConfig::default(), 1, 1),
            healthy: AtomicBool::new(true),
            address,
        })
    });
    let settings = UpstreamSettings {
        pool: PoolConfig::default(),
        health: None,
        proxy_protocol: None,
        http2: false,
        tls: None,
    };
    let upstream =
        Upstream::new("origins", Kind::RoundRobin, endpoints.collect(), settings, counters, (1, 1));
    Arc::new(upstream)
}

/// One socket that talks to the gateway.
pub(crate) struct Client {
    pub(crate) socket: UdpSocket,
}

impl Client {
    pub(crate) async fn send(&self, datagram: &[u8]) {
        assert_eq!(self.socket.send(datagram).await.unwrap(), datagram.len());
    }

    pub(crate) async fn receive(&self) -> Vec<u8> {
        receive(&self.socket).await.0
    }

    /// Sends and waits for the answer.
    pub(crate) async fn ask(&self, datagram: &[u8]) -> Vec<u8> {
        self.send(datagram).await;
        self.receive().await
    }
}

/// A server behind the gateway, played by the test.
pub(crate) struct Origin {
    pub(crate) socket: UdpSocket,
}

impl Origin {
    pub(crate) async fn start() -> Self {
        Self { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap() }
    }

    /// One that answers every datagram with `answer` of it, for as long as the test runs.
    pub(crate) async fn answering(answer: impl Fn(&[u8]) -> Vec<u8> + 'static) -> SocketAddr {
        let origin = Self::start().await;
        let address = origin.address();
        tokio::task::spawn_local(async move {
            let mut room = vec![0; 65_536];
            while let Ok((len, from)) = origin.socket.recv_from(&mut room).await {
                let _ = origin.socket.send_to(&answer(&room[..len]), from).await;
            }
        });
        address
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// The next datagram, and the session it came from.
    pub(crate) async fn receive(&self) -> (Vec<u8>, SocketAddr) {
        receive(&self.socket).await
    }

    pub(crate) async fn send(&self, datagram: &[u8], to: SocketAddr) {
        self.socket.send_to(datagram, to).await.unwrap();
    }
}

async fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut room = vec![0; 65_536];
    let received = timeout(PATIENCE, socket.recv_from(&mut room)).await;
    let (len, from) = received.expect("a datagram comes in time").unwrap();
    room.truncate(len);
    (room, from)
}

/// Waits for what no event tells of.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..PATIENCE.as_millis() {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("never happened: {what}");
}

/// An address at which nobody is.
pub(crate) async fn nobody() -> SocketAddr {
    Origin::start().await.address()
}
