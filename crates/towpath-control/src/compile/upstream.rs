//! Upstreams: settings, endpoints, and what of the previous plan goes on living in them.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use towpath::pool::{Pool, PoolConfig};
use towpath_config::options::{self, Balance, HealthKind};
use towpath_config::value::EndpointAddress;
use towpath_config::{Diagnostic, Options, Span, Spanned};
use towpath_gateway::plan::{
    Action, Endpoint, Health, Plan, Probe, ProxyOut, ProxyVersion, Route, Upstream, UpstreamSettings,
};
use towpath_gateway::upstream::Http1;
use towpath_net::Address;
use towpath_traffic::balance::Kind;

use super::name::{names, unknown, within};
use super::uses::{self, Uses};
use super::{CompileEnv, Faults, layer4, listener, pool, resolve, tls};

/// An endpoint without a weight of its own has this one.
const WEIGHT: u32 = 1;

/// Bytes of the name of a gRPC service: its length is one byte of a protobuf message then.
const SERVICE_BYTES_MAX: usize = 127;

/// What a health check does unless the file says otherwise: an endpoint that dies is out within 15 seconds, and one
/// lost answer takes none out.
const HEALTH_PATH: &str = "/";
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(1);
const HEALTH_HEALTHY: u32 = 2;
const HEALTH_UNHEALTHY: u32 = 3;

/// The upstreams of a file by name; `None` for one that has faults.
pub(super) struct Upstreams<'o> {
    options: &'o Options,
    by_name: BTreeMap<&'o str, Option<Made>>,
}

/// An upstream, and pools that stay with other settings.
struct Made {
    upstream: Arc<Upstream>,
    resized: Vec<Resized>,
}

/// A pool of the previous plan that goes on with other settings (P19).
#[derive(Debug)]
pub(super) struct Resized {
    pool: Arc<Pool<Http1>>,
    config: PoolConfig,
}

/// An endpoint as written.
struct Wanted {
    name: String,
    address: Address,
    /// The name that its certificate has to be for.
    host: String,
    weight: u32,
}

/// What an upstream is made from.
struct Draft<'a> {
    name: &'a str,
    balance: Kind,
    settings: UpstreamSettings,
    wanted: Vec<Wanted>,
}

/// Reads every upstream, used or not.
pub(super) fn compile<'o>(
    options: &'o Options,
    previous: Option<&Plan>,
    env: &CompileEnv<'_>,
    faults: &mut Faults,
) -> Upstreams<'o> {
    let before = previous.map(Plan::upstreams_by_name).unwrap_or_default();
    let uses = uses::of(options);
    let mut by_name = BTreeMap::new();
    for (name, upstream) in &options.upstream {
        let old = before.get(name.value.as_str()).copied();
        let uses = uses.get(name.value.as_str()).copied().unwrap_or_default();
        let draft = within(&format!("upstream.{name}"), faults, |faults| {
            read(name, upstream, (old, uses), env, faults)
        });
        by_name.insert(name.value.as_str(), draft.map(|draft| make(draft, old, env)));
    }
    Upstreams { options, by_name }
}

/// Warns of upstreams that nobody names. They are not in the plan.
pub(super) fn warn_unused(options: &Options, faults: &mut Faults) {
    let uses = uses::of(options);
    for name in options.upstream.keys().filter(|name| !uses.contains_key(name.value.as_str())) {
        let warning = Diagnostic::warning(name.span, format!("no route uses the upstream \"{name}\""));
        let hint = "take it out, or name it in a route or a tcp or udp listener";
        faults.push(warning.hint(hint).within(format!("upstream.{name}")));
    }
}

/// The upstreams that `routes` and `listeners` name, in the order of their names, and the pools that have to be told.
pub(super) fn used(
    upstreams: Upstreams<'_>,
    routes: &[Arc<Route>],
    listeners: &[listener::Reading<'_>],
) -> (Vec<Resized>, Vec<Arc<Upstream>>) {
    let protocols = listeners.iter().filter_map(|listener| listener.protocol.as_ref());
    let targets = protocols.flat_map(layer4::upstreams);
    let named: HashSet<*const Upstream> =
        routes.iter().flat_map(|route| upstreams_of(route)).chain(targets).map(Arc::as_ptr).collect();
    let (mut resized, mut used) = (Vec::new(), Vec::new());
    for made in upstreams.by_name.into_values().flatten() {
        if named.contains(&Arc::as_ptr(&made.upstream)) {
            resized.extend(made.resized);
            used.push(made.upstream);
        }
    }
    (resized, used)
}

/// The upstreams a route can choose.
pub(super) fn upstreams_of(route: &Route) -> Vec<&Arc<Upstream>> {
    match &route.action {
        Action::Upstream(upstream) => vec![upstream],
        Action::Split(split) => split.shares.iter().map(|(upstream, _)| upstream).collect(),
        Action::Respond(_) | Action::Redirect(_) | Action::Files(_) => Vec::new(),
    }
}

/// A number that differs by name and is the same at every reload.
pub(super) fn seed(env: &CompileEnv<'_>, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (env.seed, name).hash(&mut hasher);
    hasher.finish()
}

impl Upstreams<'_> {
    /// The upstream of this name. `None` when there is none, which is a fault, or when it has faults of its own.
    pub(super) fn find(&self, name: &Spanned<String>, faults: &mut Faults) -> Option<Arc<Upstream>> {
        match self.by_name.get(name.value.as_str()) {
            Some(found) => found.as_ref().map(|made| made.upstream.clone()),
            None => {
                faults.push(unknown("upstream", name, names(&self.options.upstream)));
                None
            }
        }
    }
}

impl Resized {
    /// Tells the pool.
    pub(super) fn apply(&self) {
        self.pool.resize(self.config.clone());
    }
}

fn read<'a>(
    name: &'a str,
    upstream: &options::Upstream,
    (old, uses): (Option<&Arc<Upstream>>, Uses),
    env: &CompileEnv<'_>,
    faults: &mut Faults,
) -> Option<Draft<'a>> {
    let balance =
        upstream.balance.as_ref().map_or(Some(Kind::default()), |balance| read_balance(balance.value));
    let table = format!("upstream.{name}.pool");
    let pool = within(&table, faults, |faults| {
        let before = old.map(|old| &old.settings.pool);
        pool::read(upstream, uses, before, env.connections_total.as_ref(), faults)
    });
    let table = format!("upstream.{name}.health");
    let health = upstream.health.as_ref().map(|health| {
        within(&table, faults, |faults| read_health(health, uses, tls::is_http2(upstream), faults))
    });
    if let Some(balance) =
        upstream.balance.as_ref().filter(|_| uses.by_sessions && !uses.by_routes && !uses.by_relays)
    {
        let warning = Diagnostic::warning(balance.span, "balance has no effect on datagrams");
        faults
            .push(warning.hint(
                "a client keeps its endpoint, by the hash of its address and the weights; take it out",
            ));
    }
    let proxy_protocol = read_proxy_protocol(upstream.proxy_protocol.as_ref(), uses, faults);
    let table = format!("upstream.{name}.tls");
    let tls = within(&table, faults, |faults| {
        let before = old.and_then(|old| old.settings.tls.as_ref());
        tls::read_upstream(upstream, before, uses, faults)
    });
    let endpoints = upstream.endpoints.iter().flat_map(|endpoints| endpoints.iter());
    let wanted: Vec<_> = endpoints.map(|endpoint| read_endpoint(endpoint, old, env, faults)).collect();
    let wanted = wanted.into_iter().collect::<Option<Vec<_>>>().filter(|wanted| !wanted.is_empty())?;
    let settings = UpstreamSettings {
        pool: pool?,
        health: health.map_or(Some(None), |health| health.map(Some))?,
        proxy_protocol,
        http2: tls::is_http2(upstream),
        tls: tls.ok()?,
    };
    Some(Draft { name, balance: balance?, settings, wanted })
}

/// `None` for a kind of later releases.
fn read_balance(balance: Balance) -> Option<Kind> {
    match balance {
        Balance::RoundRobin => Some(Kind::RoundRobin),
        Balance::Random => Some(Kind::Random),
        Balance::LeastRequests => Some(Kind::LeastRequests),
        Balance::P2cEwma => Some(Kind::P2cEwma),
        Balance::RingHash | Balance::Maglev => None,
    }
}

fn read_health(
    health: &Spanned<options::Health>,
    uses: Uses,
    http2: bool,
    faults: &mut Faults,
) -> Option<Health> {
    Some(Health {
        probe: read_probe(health, uses, http2, faults)?,
        interval: health.interval.as_ref().map_or(HEALTH_INTERVAL, |time| time.value),
        timeout: health.timeout.as_ref().map_or(HEALTH_TIMEOUT, |time| time.value),
        healthy: health.healthy.as_ref().map_or(HEALTH_HEALTHY, |count| count.value.get()),
        unhealthy: health.unhealthy.as_ref().map_or(HEALTH_UNHEALTHY, |count| count.value.get()),
    })
}

/// What is asked. Endpoints that only relays use need not speak HTTP, and those of sessions not even TCP.
fn read_probe(
    health: &Spanned<options::Health>,
    uses: Uses,
    http2: bool,
    faults: &mut Faults,
) -> Option<Probe> {
    match (health.kind.as_ref().map(|kind| kind.value), &health.path) {
        (Some(HealthKind::Tcp), _) => Some(Probe::Connect),
        (Some(HealthKind::Grpc), _) => read_service(health.service.as_ref(), http2, health.span, faults),
        (None, None) if uses.by_sessions && !uses.by_routes => {
            let message = "a health check asks by TCP, and these endpoints get datagrams";
            let hint = "write kind = \"tcp\" if they also accept connections, else take it out";
            faults.push(Diagnostic::error(health.span, message).hint(hint));
            None
        }
        (None, None) if uses.are_layer4() => Some(Probe::Connect),
        (_, path) => read_path(path.as_ref(), faults).map(Probe::Get),
    }
}

/// gRPC is spoken in HTTP/2 alone.
fn read_service(
    written: Option<&Spanned<String>>,
    http2: bool,
    place: Span,
    faults: &mut Faults,
) -> Option<Probe> {
    if !http2 {
        let fault = Diagnostic::error(place, "a check of kind \"grpc\" asks by HTTP/2");
        faults.push(fault.hint("write protocol = \"http2\" in the upstream"));
        return None;
    }
    let service = written.map_or("", |service| service.value.as_str());
    if service.len() > SERVICE_BYTES_MAX || !service.bytes().all(|byte| byte.is_ascii_graphic()) {
        let span = written.map_or(Span::NONE, |service| service.span);
        let fault = Diagnostic::error(span, format!("\"{service}\" is not the name of a service"));
        faults.push(fault.hint("for example \"shop.v1.Cart\", of no more than 127 bytes"));
        return None;
    }
    Some(Probe::Grpc(service.to_owned()))
}

fn read_path(written: Option<&Spanned<String>>, faults: &mut Faults) -> Option<String> {
    let path = written.map_or(HEALTH_PATH, |path| path.value.as_str());
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        let span = written.map_or(Span::NONE, |path| path.span);
        let fault = Diagnostic::error(span, format!("\"{path}\" is not a path to ask for"));
        faults.push(fault.hint("a path begins with \"/\" and has no spaces, for example \"/healthz\""));
        return None;
    }
    Some(path.to_owned())
}

fn read_proxy_protocol(
    written: Option<&Spanned<options::ProxyVersion>>,
    uses: Uses,
    faults: &mut Faults,
) -> Option<ProxyOut> {
    let written = written?;
    if uses.by_routes {
        let message = "proxy_protocol is not for the upstreams of routes: a connection serves one client after the other";
        let hint = "routes tell about the client in headers; see forwarded of the listener";
        faults.push(Diagnostic::error(written.span, message).hint(hint));
    }
    if uses.by_sessions {
        let message = "proxy_protocol is not sent with datagrams";
        faults.push(
            Diagnostic::error(written.span, message).hint("give the udp listener an upstream of its own"),
        );
    }
    let version = match written.value {
        options::ProxyVersion::V1 => ProxyVersion::V1,
        options::ProxyVersion::V2 => ProxyVersion::V2,
    };
    Some(ProxyOut { version, checksum: false })
}

fn read_endpoint(
    endpoint: &options::Endpoint,
    old: Option<&Arc<Upstream>>,
    env: &CompileEnv<'_>,
    faults: &mut Faults,
) -> Option<Wanted> {
    let name = endpoint.address.to_string();
    let address = match &endpoint.address.value {
        EndpointAddress::Ip(address) => Address::Tcp(*address),
        EndpointAddress::Name { host, port } => {
            let before = old.and_then(|old| address_before(old, &name));
            Address::Tcp(look_up((host, *port), endpoint.address.span, before, env, faults)?)
        }
        EndpointAddress::Unix(path) => {
            Address::Unix(listener::socket_path(&Spanned::new(path, endpoint.address.span), faults)?)
        }
    };
    let weight = endpoint.weight.as_ref().map_or(WEIGHT, |weight| weight.value);
    let host = tls::host_of(&endpoint.address.value);
    Some(Wanted { name, address, host, weight })
}

fn address_before(old: &Upstream, name: &str) -> Option<SocketAddr> {
    old.endpoints.iter().find(|endpoint| *endpoint.name == *name).and_then(|endpoint| {
        match &endpoint.address {
            Address::Tcp(address) => Some(*address),
            _ => None,
        }
    })
}

/// Resolves a name. A reload while the resolver is down goes on with the address that serves now; a start cannot.
fn look_up(
    (host, port): (&str, u16),
    span: Span,
    before: Option<SocketAddr>,
    env: &CompileEnv<'_>,
    faults: &mut Faults,
) -> Option<SocketAddr> {
    let why = match env.resolver.resolve(host, port) {
        Ok(answers) => match resolve::choose(&answers, before) {
            Some(address) => return Some(address),
            None => "it has no address".to_owned(),
        },
        Err(error) => error.to_string(),
    };
    let message = format!("the endpoint \"{host}:{port}\" cannot be resolved: {why}");
    match before {
        Some(address) => {
            let hint = format!("{address}, its address until now, stays in use");
            faults.push(Diagnostic::warning(span, message).hint(hint));
        }
        None => {
            let hint = "check the name, or write the address itself";
            faults.push(Diagnostic::error(span, message).hint(hint));
        }
    }
    before
}

/// The upstream of a draft: the old one if nothing differs, else a new one around what can stay.
fn make(draft: Draft<'_>, old: Option<&Arc<Upstream>>, env: &CompileEnv<'_>) -> Made {
    let mut free: Vec<&Arc<Endpoint>> = old.map_or(Vec::new(), |old| old.endpoints.iter().collect());
    let pools_stay = old.is_some_and(|old| {
        // A connection without TLS, or with another, must serve nobody who was promised this one (T33).
        pool::same_budget(&old.settings.pool, &draft.settings.pool) && old.settings.tls == draft.settings.tls
    });
    let is_resized = old.is_some_and(|old| old.settings.pool != draft.settings.pool);
    let mut resized = Vec::new();
    let mut endpoints = Vec::new();
    for wanted in draft.wanted {
        // The name is what TLS asks for.
        let is_named_so =
            |endpoint: &Endpoint| draft.settings.tls.is_none() || *endpoint.name == *wanted.name;
        let place = free
            .iter()
            .position(|endpoint| pools_stay && endpoint.address == wanted.address && is_named_so(endpoint));
        let Some(before) = place.map(|place| free.remove(place)) else {
            endpoints.push(Arc::new(new_endpoint(wanted, draft.name, &draft.settings, env)));
            continue;
        };
        if is_resized {
            resized.push(Resized { pool: before.pool.clone(), config: draft.settings.pool.clone() });
        }
        endpoints.push(carry(wanted, before, &draft.settings));
    }
    match old {
        Some(old) if is_same(old, draft.balance, &draft.settings, &endpoints) => {
            Made { upstream: old.clone(), resized }
        }
        _ => {
            let (counters, seed) = (env.registry.upstream(draft.name), seed(env, draft.name));
            let upstream = Upstream::new(
                draft.name,
                draft.balance,
                endpoints,
                draft.settings,
                counters,
                (env.workers, seed),
            );
            Made { upstream: Arc::new(upstream), resized }
        }
    }
}

fn new_endpoint(
    wanted: Wanted,
    upstream: &str,
    settings: &UpstreamSettings,
    env: &CompileEnv<'_>,
) -> Endpoint {
    let seed = seed(env, &format!("{upstream}/{}", wanted.name));
    let mut dialler = Http1::new(wanted.address.clone()).with_http2(settings.http2);
    if let Some(tls) = &settings.tls {
        dialler = dialler.with_tls(Arc::clone(tls), &wanted.host);
    }
    let pool = Pool::new(dialler, settings.pool.clone(), env.workers, seed);
    Endpoint {
        name: wanted.name.into(),
        address: wanted.address,
        weight: wanted.weight,
        pool,
        healthy: AtomicBool::new(true),
    }
}

/// An endpoint at the same address: the same object, or at least the same pool and the same health.
fn carry(wanted: Wanted, before: &Arc<Endpoint>, settings: &UpstreamSettings) -> Arc<Endpoint> {
    let was_healthy = before.healthy.load(Ordering::Relaxed);
    // Without checks nobody would ever call it healthy again.
    let healthy = settings.health.is_none() || was_healthy;
    if wanted.weight == before.weight && *wanted.name == *before.name && healthy == was_healthy {
        return before.clone();
    }
    Arc::new(Endpoint {
        name: wanted.name.into(),
        address: wanted.address,
        weight: wanted.weight,
        pool: before.pool.clone(),
        healthy: AtomicBool::new(healthy),
    })
}

fn is_same(old: &Upstream, balance: Kind, settings: &UpstreamSettings, endpoints: &[Arc<Endpoint>]) -> bool {
    old.balance == balance
        && old.settings == *settings
        && old.endpoints.len() == endpoints.len()
        && old.endpoints.iter().zip(endpoints).all(|(old, new)| Arc::ptr_eq(old, new))
}
