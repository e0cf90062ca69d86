//! What a listener for datagrams needs.

use std::sync::Arc;
use std::time::Duration;

use towpath_net::UdpBinding;
use towpath_telemetry::metrics::{PerWorker, UdpCounters};

use super::Upstream;

/// Default of [`UdpSettings::idle_timeout`]: what an answer takes that is still of use, several times over, so that
/// sessions of one question, as DNS asks, do not pile up. Below the two minutes that RFC 4787 §4.3 REQ-5 asks of address
/// translators for protocols unknown to them; raise it for those that are silent for longer.
pub const UDP_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Default of [`UdpSettings::sessions_max`]. Each has a descriptor and a port of its own, and Linux has 28,232 ports
/// towards one endpoint: a good half, so that what else goes there finds some. At 30 s each it is 546 new clients a
/// second; beyond, the one silent for longest gives way, who has his answer long since.
pub const UDP_SESSIONS_MAX: usize = 16_384;

/// Default of [`UdpSettings::sessions_per_source_max`]: an office or a load generator behind one address has some hundreds
/// open at once; and it is a sixteenth of the whole, so that one source is far from filling it.
pub const UDP_SESSIONS_PER_SOURCE_MAX: usize = 1024;

/// Default of [`UdpSettings::reply_ratio`]: that of QUIC (RFC 9000 §8.1), the one number with which clients of the
/// Internet are known to live.
pub const UDP_REPLY_RATIO: u32 = 3;

/// A UDP proxy.
#[derive(Debug)]
pub struct Udp {
    /// The addresses it receives on.
    pub bindings: Vec<Arc<UdpBinding>>,
    /// Where every session goes. Its balance kind does not apply: a client is given an endpoint by the hash of its
    /// address and port and by the weights, so that it comes to the same one while that is there.
    pub upstream: Arc<Upstream>,
    /// What a client is allowed.
    pub settings: UdpSettings,
    /// Counters, from the registry, which keeps them over reloads by name.
    pub counters: PerWorker<UdpCounters>,
}

/// What a UDP listener allows and how long it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpSettings {
    /// A session ends when its *client* has sent nothing for so long; answers do not count. Default
    /// [`UDP_IDLE_TIMEOUT`].
    pub idle_timeout: Duration,
    /// Sessions over all workers; beyond it the one not used for longest ends, newcomers before validated ones. Default
    /// [`UDP_SESSIONS_MAX`]. Each costs a descriptor.
    pub sessions_max: usize,
    /// Sessions of one IPv4 address or IPv6 /64 over all workers; beyond it its own session not used for longest ends
    /// (T30). Default [`UDP_SESSIONS_PER_SOURCE_MAX`].
    pub sessions_per_source_max: usize,
    /// Bytes answered for each byte asked, 28 bytes of headers counted with every datagram, until the client has sent
    /// something after an answer; more is dropped (T30). `None` is no limit. Default [`UDP_REPLY_RATIO`].
    pub reply_ratio: Option<u32>,
}

impl Default for UdpSettings {
    fn default() -> Self {
        Self {
            idle_timeout: UDP_IDLE_TIMEOUT,
            sessions_max: UDP_SESSIONS_MAX,
            sessions_per_source_max: UDP_SESSIONS_PER_SOURCE_MAX,
            reply_ratio: Some(UDP_REPLY_RATIO),
        }
    }
}
