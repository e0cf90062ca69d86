//! `[upstream.NAME]`: a group of endpoints, how one is chosen, and the connections kept to them.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;
use toml::de::DeValue;

use crate::reader::{Node, Reader};
use crate::shape::Shape;
use crate::source::Spanned;
use crate::table::options;
use crate::value::{Cap, EndpointAddress, FilePath, List, Opt, Reject, Switch, Text, Value, word_or, words};

options! {
    /// A named group of endpoints. Needs `endpoints` or `discover`.
    pub struct Upstream {
        /// Addresses, `["127.0.0.1:9001", "app.internal:80", "unix:/run/app.sock"]`, or tables
        /// `{ address = "127.0.0.1:9001", weight = 2 }`.
        pub endpoints: Opt<List<Endpoint>>,
        /// How an endpoint is chosen. Default `"round-robin"`.
        pub balance: Opt<Balance>,
        /// What the endpoints speak. Default `"http1"`.
        pub protocol: Opt<UpstreamProtocol>,
        /// The connections kept to the endpoints.
        pub pool: Opt<Pool>,
        /// How long making a connection may take. Default `"5s"`.
        pub connect_timeout: Opt<Duration>,
        /// Asks each endpoint whether it is well. Default: only real traffic tells.
        pub health: Opt<Health>,
        /// Tells the endpoints who the client is, by a PROXY header before its bytes; for the upstreams of `tcp` and
        /// `tls-passthrough` listeners. Default: no header.
        pub proxy_protocol: Opt<ProxyVersion>,
        /// Speaks TLS to the endpoints: a table, or `true` with everything at its default. Default: clear text.
        pub tls: Opt<Switch<UpstreamTls>>,
        /// Where the endpoints are learnt from.
        pub discover: Opt<Discover>,
    }

    /// Connections kept open for the next request.
    pub struct Pool {
        /// Most connections to one endpoint: idle, in use and being made; or `"unlimited"`. Default 50.
        pub max_connections: Opt<Cap>,
        /// Most connections to all endpoints together; `"auto"` is half of the limit of open files. Default `"auto"`.
        pub max_total: Opt<TotalCap>,
        /// Idle connections kept ready to each endpoint. Default 0.
        pub min_idle: Opt<u32>,
        /// Most idle connections to one endpoint; a small value churns. Default: `max_connections`.
        pub max_idle: Opt<u32>,
        /// An idle connection is closed after this; `"0s"` turns reuse off. Default `"300s"`.
        pub idle_timeout: Opt<Duration>,
        /// No connection older than this is used again, give or take 10 %. Default `"3600s"`.
        pub max_lifetime: Opt<Duration>,
        /// How long a request may wait for a connection. Default `"30s"`.
        pub acquire_timeout: Opt<Duration>,
        /// Most requests that may wait. Default: four times `max_connections`.
        pub max_waiters: Opt<u32>,
        /// Who is served first when the queue is half full. Default `"fifo"`.
        pub overload: Opt<Overload>,
        /// How an idle connection is tried before use: `"none"`, `"peek"`, `"always"` or `"if_idle_for:10s"`.
        /// Default `"peek"`, which costs one system call.
        pub validate: Opt<Validate>,
        /// Where idle connections are kept, first to last. Default `["worker", "shared"]`.
        pub tiers: Opt<List<Tier>>,
        /// When nothing is alive and the endpoint refuses, all waiters fail at once. Default `true`.
        pub fail_fast: Opt<bool>,
        /// A connection in use for longer is to be logged, with its holder. Not in this release: the key is taken and
        /// warned about.
        pub leak_threshold: Opt<Duration>,
    }

    /// Asks each endpoint whether it is well.
    pub struct Health {
        /// What is asked. Default `"http"`, and `"tcp"` where neither a route uses the upstream nor `path` is written.
        pub kind: Opt<HealthKind>,
        /// The path asked by GET; any 2xx or 3xx is well. Default `"/"`.
        pub path: Opt<String>,
        /// The service that a check of kind `"grpc"` asks about. Default `""`: the whole server.
        pub service: Opt<String>,
        /// From one question to the next. Default `"5s"`.
        pub interval: Opt<Duration>,
        /// How long an answer may take. Default `"1s"`.
        pub timeout: Opt<Duration>,
        /// Good answers in a row until an endpoint is used again. Default 2.
        pub healthy: Opt<NonZeroU32>,
        /// Bad answers in a row until an endpoint is left alone. Default 3.
        pub unhealthy: Opt<NonZeroU32>,
    }

    /// TLS to the endpoints.
    pub struct UpstreamTls {
        /// Whether the endpoint must prove its name. Default `true`.
        pub verify: Opt<bool>,
        /// Certificate authorities as a PEM file. Default: those of the system.
        pub ca: Opt<FilePath>,
        /// The name asked for and checked. Default: the host of the endpoint.
        pub server_name: Opt<String>,
        /// A certificate chain to show, as a PEM file.
        pub certificate: Opt<FilePath>,
        /// Its private key, as a PEM file.
        pub private_key: Opt<FilePath>,
    }

    /// Where endpoints are learnt from: exactly one of `etcd`, `consul`, `eureka`, `kubernetes`, `dns` and `file`.
    pub struct Discover {
        /// URL of an etcd server.
        pub etcd: Opt<String>,
        /// URL of a Consul agent.
        pub consul: Opt<String>,
        /// URL of a Eureka server.
        pub eureka: Opt<String>,
        /// `"in-cluster"`, or the URL of an API server.
        pub kubernetes: Opt<String>,
        /// A name and port, `"shop.internal:8080"`.
        pub dns: Opt<String>,
        /// A JSON file.
        pub file: Opt<FilePath>,
        /// The service's name there.
        pub service: Opt<String>,
        /// Only instances with this tag.
        pub tag: Opt<String>,
    }

    /// An endpoint written as a table.
    pub(crate) struct EndpointTable {
        /// The address. Required.
        pub address: Opt<EndpointAddress>,
        /// Its share beside the others. Default 1.
        pub weight: Opt<u32>,
    }
}

words! {
    /// What a health check asks.
    pub enum HealthKind {
        /// A GET of `path`.
        Http = "http",
        /// Whether a connection can be made.
        Tcp = "tcp",
        /// The health service of gRPC; needs `protocol = "http2"`.
        Grpc = "grpc",
    }

    /// A version of the PROXY protocol.
    pub enum ProxyVersion {
        /// One line of text.
        V1 = "v1",
        /// Binary, with what is known about the connection beside its addresses.
        V2 = "v2",
    }

    /// How an endpoint is chosen.
    pub enum Balance {
        /// One after the other.
        RoundRobin = "round-robin",
        /// By chance.
        Random = "random",
        /// The one with the fewest requests in flight.
        LeastRequests = "least-requests",
        /// The better of two drawn by chance, by latency and requests in flight.
        P2cEwma = "p2c-ewma",
        /// Consistent hashing on a ring.
        RingHash = "ring-hash",
        /// Consistent hashing by Maglev's table.
        Maglev = "maglev",
    }

    /// What the endpoints speak.
    pub enum UpstreamProtocol {
        /// HTTP/1.1.
        Http1 = "http1",
        /// HTTP/2.
        Http2 = "http2",
        /// HTTP/3.
        Http3 = "http3",
        /// What TLS agrees on.
        Auto = "auto",
    }

    /// Who is served first when many wait.
    pub enum Overload {
        /// The one who waits longest.
        Fifo = "fifo",
        /// The newest, who is likeliest to be still there.
        Lifo = "lifo",
    }
}

/// An endpoint and its share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Where it listens.
    pub address: Spanned<EndpointAddress>,
    /// Its share beside the others; `None` is 1.
    pub weight: Opt<u32>,
}

/// Most connections of all endpoints together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TotalCap {
    /// Half of the soft limit of open files.
    Auto,
    /// No bound.
    Unlimited,
    /// This many.
    Count(NonZeroU32),
}

/// How an idle connection is tried before use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Validate {
    /// Not at all.
    None,
    /// A read that does not wait: end of stream or any byte means dead.
    Peek,
    /// By the protocol's own question, each time.
    Always,
    /// By the protocol's own question, when it was idle for this long.
    IfIdleFor(Duration),
}

/// A place where idle connections are kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// The worker's own list.
    Worker,
    /// The exchange between workers.
    Shared,
    /// Another process, at this socket.
    Daemon(FilePath),
}

impl Value for Endpoint {
    fn shape() -> Shape {
        Shape::Either(vec![EndpointAddress::shape(), EndpointTable::shape()])
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if !matches!(node.value, DeValue::Table(_)) {
            let address = Spanned::<EndpointAddress>::read(node, reader)?;
            return Some(Self { address, weight: None });
        }
        let faults_before = reader.faults_count();
        let table = EndpointTable::read(node, reader)?;
        if table.address.is_none() && reader.faults_count() == faults_before {
            reader.missing(node, "address", "for example { address = \"127.0.0.1:9001\", weight = 2 }");
        }
        Some(Self { address: table.address?, weight: table.weight })
    }

    fn to_json(&self) -> Json {
        match &self.weight {
            None => self.address.to_json(),
            Some(weight) => {
                serde_json::json!({ "address": self.address.to_json(), "weight": weight.to_json() })
            }
        }
    }
}

impl Value for TotalCap {
    fn shape() -> Shape {
        Shape::Either(vec![Shape::word("auto"), Shape::word("unlimited"), NonZeroU32::shape()])
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let words = [("auto", Self::Auto), ("unlimited", Self::Unlimited)];
        word_or(node, reader, &words, Self::Count)
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Auto => Json::from("auto"),
            Self::Unlimited => Json::from("unlimited"),
            Self::Count(count) => count.to_json(),
        }
    }
}

impl Text for Validate {
    const WHAT: &'static str = "a way to validate";
    const EXAMPLE: &'static str = "peek";
    const PATTERN: &'static str = "^(none|peek|always|if_idle_for:[0-9]+(ms|s|m|h|d))$";

    fn parse(text: &str, folder: &Path) -> Result<Self, Reject> {
        match text {
            "none" => Ok(Self::None),
            "peek" => Ok(Self::Peek),
            "always" => Ok(Self::Always),
            other => match other.strip_prefix("if_idle_for:") {
                Some(time) => Duration::parse(time, folder).map(Self::IfIdleFor),
                None => Err(Reject::words(text, ["none", "peek", "if_idle_for:10s", "always"])),
            },
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Peek => "peek".to_owned(),
            Self::Always => "always".to_owned(),
            Self::IfIdleFor(time) => format!("if_idle_for:{}", time.to_text()),
        }
    }
}

impl Text for Tier {
    const WHAT: &'static str = "a tier";
    const EXAMPLE: &'static str = "shared";
    const PATTERN: &'static str = "^(worker|shared|daemon:.+)$";

    fn parse(text: &str, folder: &Path) -> Result<Self, Reject> {
        match text {
            "worker" => Ok(Self::Worker),
            "shared" => Ok(Self::Shared),
            other => match other.strip_prefix("daemon:") {
                Some(socket) => FilePath::parse(socket, folder).map(Self::Daemon),
                None => Err(Reject::words(text, ["worker", "shared", "daemon:SOCKET"])),
            },
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Worker => "worker".to_owned(),
            Self::Shared => "shared".to_owned(),
            Self::Daemon(socket) => format!("daemon:{}", socket.to_text()),
        }
    }
}
