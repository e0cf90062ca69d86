//! The plan: configuration compiled into named, immutable objects, and the few live things they own.
//!
//! A plan never changes. A reload builds a new one, and an object whose definition is equal is carried into it as
//! the same `Arc`, with its sockets, pools, health and counters; the cost of a change follows the change. Requests
//! hold the objects they use, so an object that left the plan ends when its last request does.
//!
//! A plan can be built in Rust without any file: that is how the engine is embedded and tested.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use towpath_proto::coding::DecodeLimits;
use towpath_telemetry::accesslog;
use towpath_telemetry::metrics::{PerWorker, RouteCounters};
use towpath_traffic::balance;
use towpath_traffic::retry;
use towpath_traffic::route::{Captures, RouteTable, Template};

pub(crate) use coding::is_compressed;
pub use coding::{COMPRESS_BODY_BYTES_MIN, COMPRESS_TYPES, Compress, MediaPattern};
pub use l4::{
    CONNECT_ATTEMPTS, Passthrough, ProxyOut, ProxyVersion, RELAY_IDLE_TIMEOUT, RelaySettings, Target, Tcp,
};
pub use listener::{Forwarded, Listener, ListenerSettings, Network, Protocol};
pub use server_name::{NameFault, NameTable};
pub use tls::{ListenerTls, NamePattern, PolicyFiles, TlsPolicy, UpstreamTls};
pub use towpath::files::Files;
pub use towpath_traffic::rate::Rate as AcceptRate;
pub use udp::{
    UDP_IDLE_TIMEOUT, UDP_REPLY_RATIO, UDP_SESSIONS_MAX, UDP_SESSIONS_PER_SOURCE_MAX, Udp, UdpSettings,
};
pub use upstream::{Endpoint, Health, Probe, Upstream, UpstreamSettings};
pub use websocket::{MessageRate, Origins, PING_TIMEOUT, Ping, WebSocketSettings};

mod coding;
mod l4;
mod listener;
mod server_name;
mod tls;
mod udp;
mod upstream;
mod websocket;

/// Everything the workers need to serve, in one immutable value.
#[derive(Debug)]
pub struct Plan {
    /// Counts up with every plan of the process, starting at 1; shown by `/plan` and `/metrics`.
    pub version: u64,
    /// The listeners, in the order of their names.
    pub listeners: Vec<Arc<Listener>>,
    /// Every upstream that a route or a listener names, in the order of their names.
    pub upstreams: Vec<Arc<Upstream>>,
    /// Every route, in the order of their names; listeners refer to the ones they serve.
    pub routes: Vec<Arc<Route>>,
    /// How an access-log line looks; `None` when the log is off.
    pub access_log: Option<Arc<accesslog::Format>>,
    /// What happens between the first SIGTERM and the end.
    pub shutdown: Shutdown,
}

impl Plan {
    pub(crate) fn has_route(&self, name: &str) -> bool {
        self.routes.binary_search_by(|route| (*route.name).cmp(name)).is_ok()
    }
}

/// How a drain runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// What is in flight may take this long; then it is cut. Default 30 s.
    pub grace: Duration,
    /// Idle connections are closed spread over this time, each after its next response if one comes, so that
    /// clients do not all return at once. Default 10 s, at most `grace`.
    pub spread: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace: Duration::from_secs(30), spread: Duration::from_secs(10) }
    }
}

/// The routes of one listener and the table that finds them.
#[derive(Debug)]
pub struct Router {
    /// Finds an index into `routes`.
    pub table: RouteTable,
    /// The routes in the order the table was built from; one with several matches stands here as often.
    pub routes: Vec<Arc<Route>>,
    /// The counters of each of `routes` on this listener, from the registry, which keeps them over reloads by name.
    pub counters: Vec<PerWorker<RouteCounters>>,
}

impl Router {
    /// A router without routes, for listeners that do not read requests.
    pub fn empty() -> Self {
        let table = RouteTable::build(Vec::new()).unwrap_or_else(|_| unreachable!("no rules, no faults"));
        Self { table, routes: Vec::new(), counters: Vec::new() }
    }
}

/// What is done with the requests that match.
#[derive(Debug)]
pub struct Route {
    /// The name of its table in the file.
    pub name: Arc<str>,
    /// The one thing that answers.
    pub action: Action,
    /// From the complete request head to the last byte of the response; `None` means no limit. Default none.
    pub timeout: Option<Duration>,
    /// From the sent request to the response head. Default 60 s.
    pub response_header_timeout: Duration,
    /// Between two reads of a response body. Default 60 s.
    pub upstream_idle_timeout: Duration,
    /// Without a byte in either direction of an upgraded stream. Default 1 h: such streams are quiet by nature.
    pub tunnel_idle_timeout: Duration,
    /// Whether a complete request goes on when its client has left, within `timeout` or 60 s. Default false.
    pub outlives_client: bool,
    /// When a failed attempt may be repeated. Default: one more attempt after a failed connect, at another endpoint
    /// if there is one, as no origin has seen the request.
    pub retry: Option<retry::Rules>,
    /// Edits of the request's header fields, after hop-by-hop fields have gone.
    pub request_headers: HeaderEdits,
    /// Edits of the response's header fields.
    pub response_headers: HeaderEdits,
    /// Which responses of the origin are compressed. Default none: where secrets stand beside what a client can choose,
    /// lengths tell the secrets (T50).
    pub compress: Option<Compress>,
    /// Takes the content coding off requests, within these limits (T46). Default: it stays.
    pub decompress_request: Option<DecodeLimits>,
    /// Whether calls of gRPC-Web become calls of gRPC, where every upstream speaks HTTP/2. Default false: they pass.
    pub grpc_web: bool,
    /// How the path changes on its way to the origin.
    pub rewrite: Option<Rewrite>,
    /// The `Host` the origin sees.
    pub host: HostHeader,
    /// Upgrade tokens that may be forwarded, lower case. Default `websocket` alone (T06).
    pub upgrades: Vec<Box<[u8]>>,
    /// What is demanded of the WebSockets among them. Default nothing.
    pub websocket: WebSocketSettings,
    /// Largest request body in bytes; overrides the listener's.
    pub body_bytes_max: Option<u64>,
    /// Whether encoded `/ \ . ;` and NUL may stand in the path. Default false: 400 (T40).
    pub encoded_path: bool,
    /// Whether `Via` is added to requests and responses (RFC 9110 §7.6.3). Default true.
    pub via: bool,
}

impl Route {
    /// A route with every default and this action.
    pub fn new(name: &str, action: Action) -> Self {
        Self {
            name: name.into(),
            action,
            timeout: None,
            response_header_timeout: Duration::from_secs(60),
            upstream_idle_timeout: Duration::from_secs(60),
            tunnel_idle_timeout: Duration::from_secs(3600),
            outlives_client: false,
            retry: Some(default_retry()),
            request_headers: HeaderEdits::default(),
            response_headers: HeaderEdits::default(),
            compress: None,
            decompress_request: None,
            grpc_web: false,
            rewrite: None,
            host: HostHeader::Preserve,
            upgrades: vec![b"websocket".as_slice().into()],
            websocket: WebSocketSettings::default(),
            body_bytes_max: None,
            encoded_path: false,
            via: true,
        }
    }
}

fn default_retry() -> retry::Rules {
    let mut on = retry::Conditions::default();
    let known = on.add("connect-failure");
    debug_assert!(known, "one of the words of `Conditions`");
    retry::Rules { attempts: 2, on }
}

/// What answers a request.
#[derive(Debug)]
pub enum Action {
    /// An origin behind an upstream.
    Upstream(Arc<Upstream>),
    /// One of several upstreams, chosen by weight.
    Split(SplitUpstreams),
    /// A fixed response.
    Respond(Respond),
    /// A redirection.
    Redirect(Redirect),
    /// Files below a folder.
    Files(Arc<Files>),
}

impl Action {
    /// The upstream at this position among those that a request may go to.
    pub(crate) fn upstream(&self, share: usize) -> Option<&Arc<Upstream>> {
        match self {
            Self::Upstream(upstream) => Some(upstream),
            Self::Split(split) => split.shares.get(share).map(|(upstream, _)| upstream),
            _ => None,
        }
    }

    /// Whether every upstream that a request may go to speaks HTTP/2, and there is one.
    pub fn is_http2(&self) -> bool {
        match self {
            Self::Upstream(upstream) => upstream.settings.http2,
            Self::Split(split) => split.shares.iter().all(|(upstream, _)| upstream.settings.http2),
            _ => false,
        }
    }
}

/// Upstreams that share the requests of a route by weight.
#[derive(Debug)]
pub struct SplitUpstreams {
    /// The upstreams and their weights.
    pub shares: Vec<(Arc<Upstream>, u32)>,
    /// Whose turn it is, one for each worker and touched by no other.
    turns: Vec<Mutex<balance::Split>>,
}

impl SplitUpstreams {
    /// Shares requests among `shares`, seen from each of `workers`.
    pub fn new(shares: Vec<(Arc<Upstream>, u32)>, workers: usize) -> Self {
        let weights: Vec<u32> = shares.iter().map(|(_, weight)| *weight).collect();
        let turns = (0..workers.max(1) as u64).map(|seed| Mutex::new(balance::Split::new(&weights, seed)));
        Self { turns: turns.collect(), shares }
    }

    /// The position of the upstream of the next request on `worker`; `None` when every weight is 0.
    pub(crate) fn pick(&self, worker: usize) -> Option<usize> {
        self.turns.get(worker)?.lock().unwrap_or_else(PoisonError::into_inner).pick()
    }
}

/// The name and value of a header field, both valid.
pub type HeaderField = (Box<[u8]>, Box<[u8]>);

/// A fixed response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respond {
    /// Status code, 200 to 599.
    pub status: u16,
    /// Extra header fields, names and values already valid.
    pub headers: Vec<HeaderField>,
    /// The body.
    pub body: Arc<[u8]>,
}

/// A redirection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308. Default 308.
    pub status: u16,
    /// Where to: literal text and `{name}` captures of the route's path pattern.
    pub to: Template,
}

/// How a path changes on its way to the origin. The result is made canonical again (T40).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// Takes this prefix off; what remains starts with `/`.
    StripPrefix(Box<[u8]>),
    /// Puts the second in the place of the first.
    ReplacePrefix(Box<[u8]>, Box<[u8]>),
    /// A whole new path.
    Path(Template),
}

impl Rewrite {
    /// Writes the path for the origin into `out`. A prefix ends at a segment border; a path that does not begin with it
    /// stays as it is. The caller makes the result canonical.
    pub fn apply(&self, path: &[u8], captures: &Captures<'_>, out: &mut Vec<u8>) {
        match self {
            Self::StripPrefix(prefix) => replace_prefix(path, prefix, b"", out),
            Self::ReplacePrefix(prefix, new) => replace_prefix(path, prefix, new, out),
            Self::Path(template) => template.expand(captures, out),
        }
    }
}

fn replace_prefix(path: &[u8], prefix: &[u8], new: &[u8], out: &mut Vec<u8>) {
    let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
    let rest = path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with(b"/"));
    match rest {
        None => out.extend_from_slice(path),
        Some(rest) => {
            out.extend_from_slice(new.strip_suffix(b"/").unwrap_or(new));
            out.extend_from_slice(rest);
            if out.is_empty() {
                out.push(b'/');
            }
        }
    }
}

/// The `Host` that the origin sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HostHeader {
    /// The client's.
    #[default]
    Preserve,
    /// The endpoint's, as written in the file.
    Upstream,
    /// This one.
    Literal(Box<[u8]>),
}

/// Edits of header fields: removals first, then replacements, then additions. Names are lower case and valid, values
/// valid; names the gateway itself owns (framing, hop-by-hop) were refused when the file was compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Names that go. Also holds every name in `set`, so that one look-up decides whether a field stays.
    pub remove: Vec<Box<[u8]>>,
    /// Fields that replace all of their name.
    pub set: Vec<HeaderField>,
    /// Fields that are added to those of their name.
    pub add: Vec<HeaderField>,
}

impl HeaderEdits {
    /// Whether a field of this name, in any case, is taken out.
    pub fn removes(&self, name: &[u8]) -> bool {
        self.remove.iter().any(|gone| gone.eq_ignore_ascii_case(name))
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}

impl Plan {
    /// A plan that serves nothing, for the moment before the first one.
    pub fn empty() -> Self {
        Self {
            version: 0,
            listeners: Vec::new(),
            upstreams: Vec::new(),
            routes: Vec::new(),
            access_log: None,
            shutdown: Shutdown::default(),
        }
    }

    /// The listener of this name.
    pub fn listener(&self, name: &str) -> Option<&Arc<Listener>> {
        self.listeners.iter().find(|listener| &*listener.name == name)
    }

    /// The upstreams by name.
    pub fn upstreams_by_name(&self) -> HashMap<&str, &Arc<Upstream>> {
        self.upstreams.iter().map(|upstream| (&*upstream.name, upstream)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_taken_off_at_a_segment_border_only() {
        let table = RouteTable::build(Vec::new()).unwrap();
        let strip = |prefix: &str, path: &str| {
            let mut out = Vec::new();
            Rewrite::StripPrefix(prefix.as_bytes().into()).apply(
                path.as_bytes(),
                &table.captures(0, b""),
                &mut out,
            );
            String::from_utf8(out).unwrap()
        };
        for (prefix, path, expected) in [
            ("/shop", "/shop/a", "/a"),
            ("/shop", "/shop", "/"),
            ("/shop/", "/shop/a", "/a"),
            ("/shop", "/shopping", "/shopping"),
            ("/", "/a", "/a"),
        ] {
            assert_eq!(strip(prefix, path), expected, "{prefix} off {path}");
        }
    }
}
