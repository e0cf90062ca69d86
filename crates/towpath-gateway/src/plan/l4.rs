//! What a listener needs that forwards connections without reading what they carry.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use towpath_telemetry::metrics::{PerWorker, RelayCounters};

use super::{NameTable, Upstream};

/// Default of [`RelaySettings::idle_timeout`]. Half of what relays carry are the pools of databases and brokers, silent
/// for minutes between two uses: nginx' 10 minutes is among the first things its users raise. An hour is what this
/// gateway gives tunnels, and below the two hours after which middle boxes forget a connection (RFC 5382 §5).
pub const RELAY_IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

/// Default of [`RelaySettings::connect_attempts`]: two endpoints may be down at a time without a client noticing, and
/// with [`towpath::pool::PoolConfig`]'s 5 s each, a client waits 15 s at most when everything is a black hole.
pub const CONNECT_ATTEMPTS: u32 = 3;

/// A TCP proxy.
#[derive(Debug)]
pub struct Tcp {
    /// Where every connection goes.
    pub target: Arc<Target>,
    /// How connections are made and ended.
    pub relay: RelaySettings,
}

/// A TLS proxy that forwards connections unopened, by what the ClientHello asks for (RFC 8446 §4.1.2).
#[derive(Debug)]
pub struct Passthrough {
    /// By application protocol (RFC 7301 §3.1). Asked before `names`; of several offered protocols that stand here, the
    /// one the client names first decides.
    pub alpn: HashMap<Box<[u8]>, Arc<Target>>,
    /// By server name (RFC 6066 §3).
    pub names: NameTable<Arc<Target>>,
    /// Where the others go, those without a server name among them; without it they are refused.
    pub default: Option<Arc<Target>>,
    /// How connections are made and ended.
    pub relay: RelaySettings,
}

/// Where relays go. A connection holds it, so that it and its upstream may leave the plan first.
#[derive(Debug)]
pub struct Target {
    /// The endpoints.
    pub upstream: Arc<Upstream>,
    /// The counters of this upstream on this listener, from the registry, which keeps them over reloads by name.
    pub counters: PerWorker<RelayCounters>,
}

/// How relays are made and ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelaySettings {
    /// Without a byte written in either direction for this long, a relay ends. Default [`RELAY_IDLE_TIMEOUT`].
    pub idle_timeout: Duration,
    /// Endpoints tried before a client is refused, each at most once; the retry budget counts all but the first.
    /// Default [`CONNECT_ATTEMPTS`].
    pub connect_attempts: u32,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self { idle_timeout: RELAY_IDLE_TIMEOUT, connect_attempts: CONNECT_ATTEMPTS }
    }
}

/// The PROXY header that an endpoint gets before the client's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyOut {
    /// Its version.
    pub version: ProxyVersion,
    /// Whether a header of version 2 ends with a CRC32c, 7 bytes (proxy-protocol.txt §2.2.3). Default false.
    pub checksum: bool,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text. A client without IP address is `UNKNOWN` in it.
    V1,
    /// Binary. Also tells the server name a client asked for (AUTHORITY), its protocol if it offered one and no more
    /// (ALPN), and passes on both of a header that came in.
    V2,
}

impl Passthrough {
    /// Every target, in no order.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.alpn.values().chain(self.names.values()).chain(&self.default)
    }
}
