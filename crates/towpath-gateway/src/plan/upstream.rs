//! Upstreams: endpoints, how one is chosen, and the pools of connections to them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use towpath::pool::{Pool, PoolConfig};
use towpath_net::Address;
use towpath_telemetry::metrics::{PerWorker, UpstreamCounters};
use towpath_traffic::balance::{self, Balancer};

use super::{ProxyOut, UpstreamTls};
use crate::upstream::Http1;

/// A named group of endpoints.
#[derive(Debug)]
pub struct Upstream {
    /// The name of its table in the file.
    pub name: Arc<str>,
    /// How an endpoint is chosen.
    pub balance: balance::Kind,
    /// The endpoints in the order of the file.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// The settings that made it; equal settings and endpoints mean the same object after a reload.
    pub settings: UpstreamSettings,
    /// Counters, from the registry, which keeps them over reloads by name.
    pub counters: PerWorker<UpstreamCounters>,
    /// One for each worker and touched by no other: what a worker knows of load is what passed through it.
    balancers: Vec<Mutex<Balancer>>,
}

impl Upstream {
    /// An upstream as seen from `workers`. `seed` makes the choices of all its balancers.
    pub fn new(
        name: &str,
        balance: balance::Kind,
        endpoints: Vec<Arc<Endpoint>>,
        settings: UpstreamSettings,
        counters: PerWorker<UpstreamCounters>,
        (workers, seed): (usize, u64),
    ) -> Self {
        let weights: Vec<u32> = endpoints.iter().map(|endpoint| endpoint.weight).collect();
        let balancers = (0..workers.max(1) as u64)
            .map(|worker| Mutex::new(Balancer::new(balance, &weights, seed.wrapping_add(worker))))
            .collect();
        Self { name: name.into(), balance, endpoints, settings, counters, balancers }
    }

    /// The balancer of `worker`; uncontended, as no other worker takes it.
    pub(crate) fn balancer(&self, worker: usize) -> MutexGuard<'_, Balancer> {
        self.balancers[worker % self.balancers.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Settings shared by the endpoints of an upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamSettings {
    /// Limits and times of each endpoint's pool; `connect_timeout` is in it. One pool per endpoint (P1). The relays of
    /// TCP listeners take its slots too, but none of its idle connections.
    pub pool: PoolConfig,
    /// Active health checks; `None` means every endpoint counts as healthy.
    pub health: Option<Health>,
    /// The header that relays begin with, if any. Default none. An upstream that a route names may have none: the
    /// connections of its pools serve one client after the other.
    pub proxy_protocol: Option<ProxyOut>,
    /// Whether the endpoints speak HTTP/2: by prior knowledge in clear text (RFC 9113 §3.3), and nothing else with TLS.
    /// Default false: HTTP/1.1.
    pub http2: bool,
    /// TLS towards the endpoints; `None` for clear text. There is no way from one to the other (T33).
    pub tls: Option<Arc<UpstreamTls>>,
}

/// What a health check asks an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A GET of this path; any 2xx or 3xx is well.
    Get(String),
    /// Whether a connection can be made.
    Connect,
    /// The health service of gRPC: whether this service, or with an empty name the whole server, is SERVING.
    Grpc(String),
}

/// An active health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is asked.
    pub probe: Probe,
    /// Time between two checks. Default 5 s.
    pub interval: Duration,
    /// How long one may take. Default 1 s.
    pub timeout: Duration,
    /// Successes in a row that make an endpoint healthy. Default 2.
    pub healthy: u32,
    /// Failures in a row that make it unhealthy. Default 3.
    pub unhealthy: u32,
}

/// One address of an upstream.
#[derive(Debug)]
pub struct Endpoint {
    /// The address as written in the file; also the `Host` of [`super::HostHeader::Upstream`] and the name in
    /// logs.
    pub name: Arc<str>,
    /// Where to connect.
    pub address: Address,
    /// Share of the requests, 1 by default; 0 takes none.
    pub weight: u32,
    /// Its connections, shared by all workers.
    pub pool: Arc<Pool<Http1>>,
    /// Health bit, written by control, read by workers. Starts true.
    pub healthy: AtomicBool,
}

impl Endpoint {
    /// Whether requests may be sent to it.
    pub fn is_usable(&self) -> bool {
        self.weight > 0 && self.healthy.load(Ordering::Relaxed)
    }
}
