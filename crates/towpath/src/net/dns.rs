//! Names by DNS servers, asked directly, with a cache. Feature `dns`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{Resolver as Hickory, ResolverBuilder, TokioResolver};
use tokio::time::Instant;

use super::error::{Error, Kind};
use super::resolver::{Lookup, Resolve, Resolver};

/// Names whose last answer is kept for the time when no server answers. Some 200 bytes each.
const STALE_NAMES_MAX: usize = 8_192;

/// How DNS servers are asked.
#[derive(Clone, Debug)]
pub struct DnsSettings {
    /// The servers. Default none: those of `/etc/resolv.conf`, with its search list, as they are when the resolver is made.
    pub servers: Vec<SocketAddr>,
    /// The least that an answer is believed for, whatever it says, so that a time of 0 does not make every dial a question.
    /// Default 1 s.
    pub ttl_min: Duration,
    /// The longest that an answer is believed for, and that a name is believed not to exist a tenth of. Default 1 h.
    pub ttl_max: Duration,
    /// How long an answer that has run out is good for when no server answers any more (RFC 8767). Zero for never. Default 1 h.
    pub stale_max: Duration,
    /// How long a server may take before it is asked again, twice in all. Default 2 s.
    pub timeout: Duration,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            ttl_min: Duration::from_secs(1),
            ttl_max: Duration::from_secs(3_600),
            stale_max: Duration::from_secs(3_600),
            timeout: Duration::from_secs(2),
        }
    }
}

impl Resolver {
    /// Asks DNS servers itself, keeps their answers as long as these say, within bounds, and falls back on the last good answer
    /// when no server answers. `/etc/hosts` is looked at first. Answers are not proved by DNSSEC.
    ///
    /// # Errors
    /// The system's own settings cannot be read, and no servers were named.
    pub fn dns(settings: &DnsSettings) -> Result<Self, Error> {
        Ok(Self::new(Dns {
            hickory: build(settings).map_err(|error| Error::from(std::io::Error::other(error)))?,
            stale_max: settings.stale_max,
            last: Mutex::default(),
        }))
    }
}

fn build(settings: &DnsSettings) -> Result<TokioResolver, NetError> {
    let mut builder: ResolverBuilder<TokioRuntimeProvider> = if settings.servers.is_empty() {
        Hickory::builder_tokio()?
    } else {
        let servers = settings.servers.iter().map(|server| {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            connections.iter_mut().for_each(|connection| connection.port = server.port());
            NameServerConfig::new(server.ip(), true, connections)
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        Hickory::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    // Both at once, as a dial tries both (RFC 8305 §3).
    options.ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
    options.timeout = settings.timeout;
    options.attempts = 1;
    let (ttl_min, ttl_max) = (settings.ttl_min.min(settings.ttl_max), settings.ttl_max);
    (options.positive_min_ttl, options.positive_max_ttl) = (Some(ttl_min), Some(ttl_max));
    let negative_max = (ttl_max / 10).max(ttl_min);
    (options.negative_min_ttl, options.negative_max_ttl) = (Some(ttl_min), Some(negative_max));
    builder.build()
}

struct Dns {
    hickory: TokioResolver,
    stale_max: Duration,
    /// The last good answers and when they were given, for the time without servers.
    last: Mutex<HashMap<String, (Vec<IpAddr>, Instant)>>,
}

impl Resolve for Dns {
    fn resolve<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        Box::pin(async move {
            let outcome = self.hickory.lookup_ip(name).await;
            let error = match outcome.map(|found| found.iter().collect::<Vec<_>>()) {
                Ok(addresses) if !addresses.is_empty() => {
                    self.remember(name, &addresses);
                    return Ok(addresses);
                }
                Ok(_) => return Err(not_found(name, "the answer is empty")),
                Err(error) => error,
            };
            if error.is_no_records_found() {
                // A server says so: what was true before is not any more.
                self.lock().remove(name);
                let why =
                    if error.is_nx_domain() { "there is no such name" } else { "the name has no address" };
                return Err(not_found(name, why));
            }
            match self.recall(name) {
                Some(addresses) => Ok(addresses),
                None => Err(Error::new(Kind::Name(name.to_owned(), error.to_string(), true))),
            }
        })
    }
}

impl Dns {
    fn remember(&self, name: &str, addresses: &[IpAddr]) {
        if self.stale_max.is_zero() {
            return;
        }
        let (mut last, now) = (self.lock(), Instant::now());
        if last.len() >= STALE_NAMES_MAX && !last.contains_key(name) {
            last.retain(|_, (_, since)| now.saturating_duration_since(*since) < self.stale_max);
            if last.len() >= STALE_NAMES_MAX {
                // It is the names that come all the time that matter, and they were first.
                return;
            }
        }
        last.insert(name.to_owned(), (addresses.to_vec(), now));
    }

    fn recall(&self, name: &str) -> Option<Vec<IpAddr>> {
        let last = self.lock();
        let (addresses, since) = last.get(name)?;
        (Instant::now().saturating_duration_since(*since) < self.stale_max).then(|| addresses.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Vec<IpAddr>, Instant)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found(name: &str, why: &str) -> Error {
    Error::new(Kind::Name(name.to_owned(), why.to_owned(), false))
}
