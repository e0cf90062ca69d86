//! The gateway under test: plans in a few words, and what a dialogue may order of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

use towpath::pool::{Pool, PoolConfig};
use towpath_gateway::plan::{
    Action, Endpoint, Forwarded, HeaderEdits, Listener, ListenerSettings, ListenerTls, Network, Plan,
    Protocol, ProxyOut, ProxyVersion, Redirect, RelaySettings, Respond, Route, Router, SplitUpstreams,
    Target, Tcp, Upstream, UpstreamSettings,
};
use towpath_gateway::upstream::Http1;
use towpath_gateway::{Engine, EngineConfig, Reason, engine};
use towpath_net::{Address, Binding};
use towpath_telemetry::accesslog;
use towpath_telemetry::metrics::{CLOSE_REASONS, LIMITS, RELAY_CLOSES};
use towpath_testkit::stage::PROXY;
use towpath_testkit::{Proxy, Stage};
use towpath_traffic::balance::Kind;
use towpath_traffic::retry;
use towpath_traffic::route::{PathRule, RouteRule, RouteTable, Template};

/// A plan in the making. Without more words it has one listener and one route, which sends everything to `origin` and
/// adds no fields of its own, so that dialogues stay short.
pub(crate) struct Gateway {
    settings: ListenerSettings,
    balance: Kind,
    pool: PoolConfig,
    endpoints: Vec<&'static str>,
    more_upstreams: Vec<(&'static str, Vec<&'static str>)>,
    routes: Vec<(RouteRule, MakeRoute)>,
    listeners: Vec<&'static str>,
    protocol: MakeProtocol,
    tls: Option<ListenerTls>,
    proxy_out: Option<ProxyOut>,
    http2: bool,
    connections_max: usize,
    is_logged: bool,
    /// Other plans, for `proxy: apply NAME`.
    plans: HashMap<&'static str, Gateway>,
}

type MakeRoute = Box<dyn Fn(&Upstreams) -> Route>;

/// What the listeners speak; the function finds a target by the name of its upstream.
type MakeProtocol = Box<dyn Fn(&dyn Fn(&str) -> Arc<Target>) -> Protocol>;

/// The upstreams of a plan by name.
pub(crate) type Upstreams = HashMap<String, Arc<Upstream>>;

impl Gateway {
    pub(crate) fn new() -> Self {
        Self {
            settings: ListenerSettings { forwarded: Forwarded::Off, ..ListenerSettings::default() },
            balance: Kind::RoundRobin,
            pool: PoolConfig::default(),
            endpoints: vec!["origin"],
            more_upstreams: Vec::new(),
            routes: vec![(RouteRule { name: "all".into(), ..RouteRule::default() }, Box::new(proxied))],
            listeners: vec![PROXY],
            protocol: Box::new(|_| Protocol::Http),
            tls: None,
            proxy_out: None,
            http2: false,
            connections_max: usize::MAX,
            is_logged: false,
            plans: HashMap::new(),
        }
    }

    /// Changes the listener.
    pub(crate) fn listener(mut self, change: impl FnOnce(&mut ListenerSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Believes clients' forwarding headers: every client of the in-memory network has a loopback address.
    pub(crate) fn trusting(self) -> Self {
        let network = Network { address: [127, 0, 0, 0].into(), prefix: 8 };
        self.listener(|settings| settings.trusted_proxies.push(network))
    }

    /// Has clients, who all have a loopback address on the in-memory network, begin with a PROXY header.
    pub(crate) fn behind_proxy(self) -> Self {
        let network = Network { address: [127, 0, 0, 0].into(), prefix: 8 };
        self.listener(|settings| settings.proxy_protocol_from.push(network))
    }

    /// Forwards connections to the first upstream without reading them.
    pub(crate) fn tcp(self) -> Self {
        self.relay(RelaySettings::default())
    }

    /// The same, with other settings.
    pub(crate) fn relay(self, relay: RelaySettings) -> Self {
        self.protocol(move |target| Protocol::Tcp(Tcp { target: target("origin"), relay: relay.clone() }))
    }

    /// Changes what the listeners speak.
    pub(crate) fn protocol(
        mut self,
        make: impl Fn(&dyn Fn(&str) -> Arc<Target>) -> Protocol + 'static,
    ) -> Self {
        self.protocol = Box::new(make);
        self
    }

    /// Has the listeners speak TLS.
    pub(crate) fn tls(mut self, tls: &ListenerTls) -> Self {
        self.tls = Some(tls.clone());
        self
    }

    /// Has endpoints get a PROXY header.
    pub(crate) fn proxy_out(mut self, version: ProxyVersion) -> Self {
        self.proxy_out = Some(ProxyOut { version, checksum: false });
        self
    }

    /// Takes HTTP/2 as well.
    pub(crate) fn h2c(self) -> Self {
        self.listener(|settings| settings.h2c = true)
    }

    /// Speaks HTTP/2 with endpoints.
    pub(crate) fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Bounds the connections of the process.
    pub(crate) fn connections_max(mut self, max: usize) -> Self {
        self.connections_max = max;
        self
    }

    /// Writes an access log, for `proxy: log`.
    pub(crate) fn logged(mut self) -> Self {
        self.is_logged = true;
        self
    }

    /// Changes the pools.
    pub(crate) fn pool(mut self, change: impl FnOnce(&mut PoolConfig)) -> Self {
        change(&mut self.pool);
        self
    }

    pub(crate) fn balance(mut self, balance: Kind) -> Self {
        self.balance = balance;
        self
    }

    /// Names the endpoints of the first upstream.
    pub(crate) fn endpoints(mut self, names: &[&'static str]) -> Self {
        self.endpoints = names.to_vec();
        self
    }

    /// Adds an upstream.
    pub(crate) fn upstream(mut self, name: &'static str, endpoints: &[&'static str]) -> Self {
        self.more_upstreams.push((name, endpoints.to_vec()));
        self
    }

    /// Changes the route that everything takes.
    pub(crate) fn route(mut self, change: impl Fn(&mut Route) + 'static) -> Self {
        self.routes[0].1 = Box::new(move |upstreams| {
            let mut route = proxied(upstreams);
            change(&mut route);
            route
        });
        self
    }

    /// Adds a route with a path.
    pub(crate) fn path(self, path: &str, make: impl Fn(&Upstreams) -> Action + 'static) -> Self {
        self.rule(RouteRule { path: path_rule(path), ..RouteRule::default() }, move |upstreams, route| {
            route.action = make(upstreams);
        })
    }

    /// Adds a route with any conditions.
    pub(crate) fn rule(
        mut self,
        mut rule: RouteRule,
        make: impl Fn(&Upstreams, &mut Route) + 'static,
    ) -> Self {
        rule.name = format!("route{}", self.routes.len());
        let make = Box::new(move |upstreams: &Upstreams| {
            let mut route = proxied(upstreams);
            make(upstreams, &mut route);
            route
        });
        self.routes.push((rule, make));
        self
    }

    /// Takes away the route that everything takes.
    pub(crate) fn without_default(mut self) -> Self {
        self.routes.clear();
        self
    }

    pub(crate) fn listeners(mut self, names: &[&'static str]) -> Self {
        self.listeners = names.to_vec();
        self
    }

    /// A plan that `proxy: apply NAME` puts in place of this one.
    pub(crate) fn then(mut self, name: &'static str, plan: Self) -> Self {
        self.plans.insert(name, plan);
        self
    }

    /// Brings the engine up, and the origins of this plan.
    pub(crate) fn start(self, stage: &Stage) -> Running {
        let (log, lines) = sync_channel(64);
        let config = EngineConfig {
            workers: 1,
            registry: Arc::new(engine::registry(1)),
            connections_max: self.connections_max,
            log: self.is_logged.then_some(log),
            ..EngineConfig::default()
        };
        let plans = Vec::from([&self]).into_iter().chain(self.plans.values());
        let mut names: Vec<&str> = plans.flat_map(Self::endpoint_names).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().for_each(|name| stage.listen(name));
        let mut running = Running {
            engine: Engine::start_local(config),
            bindings: HashMap::new(),
            upstreams: HashMap::new(),
            plans: HashMap::new(),
            version: 0,
            log: lines,
        };
        running.apply(&self);
        running.plans = self.plans;
        running
    }

    fn endpoint_names(&self) -> Vec<&'static str> {
        let more = self.more_upstreams.iter().flat_map(|(_, endpoints)| endpoints);
        self.endpoints.iter().chain(more).copied().collect()
    }
}

/// A route to the first upstream that adds nothing.
fn proxied(upstreams: &Upstreams) -> Route {
    let mut route = Route::new("all", to(upstreams, "origin"));
    route.via = false;
    route
}

/// An answer of the gateway's own.
pub(crate) fn respond(status: u16, body: &str) -> Action {
    Action::Respond(Respond { status, headers: Vec::new(), body: body.as_bytes().into() })
}

/// A redirection to a template of the captures of `path`.
pub(crate) fn redirect(status: u16, to: &str, path: &str) -> Action {
    Action::Redirect(Redirect { status, to: template(to, path) })
}

pub(crate) fn template(to: &str, path: &str) -> Template {
    Template::parse(to, &path_rule(path)).expect("a template")
}

pub(crate) fn to(upstreams: &Upstreams, name: &str) -> Action {
    Action::Upstream(Arc::clone(&upstreams[name]))
}

pub(crate) fn split(upstreams: &Upstreams, shares: &[(&str, u32)]) -> Action {
    let shares = shares.iter().map(|&(name, weight)| (Arc::clone(&upstreams[name]), weight));
    Action::Split(SplitUpstreams::new(shares.collect(), 1))
}

pub(crate) fn path_rule(path: &str) -> PathRule {
    PathRule::parse(path).expect("a path rule")
}

/// Retries of a route.
pub(crate) fn retries(attempts: u32, on: &[&str]) -> Option<retry::Rules> {
    let mut conditions = retry::Conditions::default();
    assert!(on.iter().all(|word| conditions.add(word)), "one of them is no condition: {on:?}");
    Some(retry::Rules { attempts, on: conditions })
}

/// Edits of header fields, in the order of the plan: what goes, what is set, what is added.
pub(crate) fn edits(remove: &[&str], set: &[(&str, &str)], add: &[(&str, &str)]) -> HeaderEdits {
    let bytes = |text: &str| text.as_bytes().into();
    let pairs =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| (bytes(name), bytes(value))).collect();
    let removed = remove.iter().copied().chain(set.iter().map(|(name, _)| *name));
    HeaderEdits { remove: removed.map(bytes).collect(), set: pairs(set), add: pairs(add) }
}

/// A running engine, and what outlives its plans: sockets, and upstreams that are the same in the next plan.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    bindings: HashMap<&'static str, Arc<Binding>>,
    upstreams: HashMap<(String, Vec<&'static str>), Arc<Upstream>>,
    plans: HashMap<&'static str, Gateway>,
    version: u64,
    log: Receiver<Vec<u8>>,
}

/// What a line of the access log tells here.
const LOG_FORMAT: &str = "$listener $version $host $upstream $endpoint in=$bytes_in out=$bytes_out $reason";

impl Running {
    fn apply(&mut self, gateway: &Gateway) {
        self.version += 1;
        let plan = Arc::new(self.plan(gateway));
        self.bindings.retain(|name, _| gateway.listeners.contains(name));
        self.upstreams.retain(|_, upstream| plan.upstreams.iter().any(|kept| Arc::ptr_eq(kept, upstream)));
        self.engine.apply(plan);
    }

    fn plan(&mut self, gateway: &Gateway) -> Plan {
        let mut upstreams = Upstreams::new();
        let first = ("origin", gateway.endpoints.clone());
        for (name, endpoints) in [&first].into_iter().chain(&gateway.more_upstreams) {
            upstreams.insert((*name).to_owned(), self.upstream(gateway, name, endpoints));
        }
        let registry = self.engine.registry();
        let routes = gateway.routes.iter().map(|(rule, make)| {
            let mut route = make(&upstreams);
            route.name = rule.name.as_str().into();
            Arc::new(route)
        });
        let routes: Vec<Arc<Route>> = routes.collect();
        let rules = gateway.routes.iter().map(|(rule, _)| rule.clone()).collect();
        let router = Arc::new(Router {
            table: RouteTable::build(rules).expect("rules without faults"),
            counters: routes.iter().map(|route| registry.route(PROXY, &route.name)).collect(),
            routes: routes.clone(),
        });
        let listeners = gateway.listeners.iter().map(|&name| {
            let target = |upstream: &str| {
                let counters = registry.relay(name, upstream);
                Arc::new(Target { upstream: Arc::clone(&upstreams[upstream]), counters })
            };
            let binding = self.bindings.entry(name);
            let binding = binding.or_insert_with(|| Binding::memory(name).expect("the name is free"));
            let bindings = vec![Arc::clone(binding)];
            Arc::new(Listener {
                name: name.into(),
                bindings,
                settings: gateway.settings.clone(),
                protocol: (gateway.protocol)(&target),
                router: Arc::clone(&router),
                tls: gateway.tls.clone(),
                counters: registry.listener(name),
            })
        });
        let listeners = listeners.collect();
        let format = accesslog::Format::parse(LOG_FORMAT).expect("a format without faults");
        let access_log = gateway.is_logged.then(|| Arc::new(format));
        let upstreams = upstreams.into_values().collect();
        Plan { version: self.version, listeners, upstreams, routes, access_log, ..Plan::empty() }
    }

    fn upstream(&mut self, gateway: &Gateway, name: &str, endpoints: &[&'static str]) -> Arc<Upstream> {
        let registry = Arc::clone(self.engine.registry());
        let made = self.upstreams.entry((name.to_owned(), endpoints.to_vec())).or_insert_with(|| {
            let endpoints = endpoints.iter().map(|endpoint| Arc::new(endpoint_of(endpoint, &gateway.pool)));
            let settings = UpstreamSettings {
                pool: gateway.pool.clone(),
                health: None,
                proxy_protocol: gateway.proxy_out,
                http2: gateway.http2,
                tls: None,
            };
            let counters = registry.upstream(name);
            Arc::new(Upstream::new(name, gateway.balance, endpoints.collect(), settings, counters, (1, 1)))
        });
        Arc::clone(made)
    }

    /// Everything that a request holds while it is under way; all but idle connections has to return to zero (T45).
    fn gauges(&self) -> String {
        let worker = self.engine.registry().workers();
        let plan = self.engine.plan();
        let active =
            plan.upstreams.iter().map(|upstream| upstream.counters.sum(|c| c.requests_active.value()));
        let mut text = format!(
            "connections {}, tunnels {}, charges {}\n",
            self.engine.open_count(),
            worker.sum(|worker| worker.tunnels_open.value()),
            active.sum::<u64>(),
        );
        for endpoint in self.endpoints() {
            let stats = endpoint.pool.stats();
            assert!(stats.is_consistent(), "{stats:?}");
            text += &format!(
                "pool {}: in use {}, idle {}, dialling {}, waiting {}\n",
                endpoint.name, stats.in_use, stats.idle, stats.dialling, stats.waiters
            );
        }
        text
    }

    fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        let plan = self.engine.plan();
        let mut endpoints: Vec<_> =
            plan.upstreams.iter().flat_map(|upstream| &upstream.endpoints).cloned().collect();
        endpoints.sort_by_key(|endpoint| Arc::clone(&endpoint.name));
        endpoints
    }

    /// What was forwarded so far, by upstream.
    fn relays(&self) -> String {
        let mut text = String::new();
        for upstream in &self.engine.plan().upstreams {
            let Some(totals) = self.engine.registry().relay_totals(PROXY, &upstream.name) else { continue };
            if totals.connections == 0 {
                continue;
            }
            text += &format!(
                "{}: {} connections, {} open, {} up, {} down",
                upstream.name, totals.connections, totals.open, totals.bytes_up, totals.bytes_down
            );
            let ended = RELAY_CLOSES.iter().zip(totals.closed).filter(|(_, count)| *count > 0);
            ended.for_each(|(close, count)| text += &format!(", {close} {count}"));
            text += "\n";
        }
        text
    }

    /// Endpoints tried so far, by upstream.
    fn attempts(&self) -> String {
        let upstreams = &self.engine.plan().upstreams;
        let told = upstreams.iter().filter_map(|upstream| {
            let totals = self.engine.registry().upstream_totals(&upstream.name)?;
            let (attempts, retries, refused) = (totals.requests, totals.retries, totals.retries_refused);
            Some(format!("{}: {attempts} attempts, {retries} retries, {refused} refused\n", upstream.name))
        });
        told.collect()
    }

    /// Limits that were met so far.
    fn limits(&self) -> String {
        let counters = self.engine.registry().listener(PROXY);
        let count = |index: usize| counters.sum(|worker| worker.limited[index].value());
        let met = LIMITS.iter().enumerate().map(|(index, limit)| (limit, count(index)));
        let met: String =
            met.filter(|(_, count)| *count > 0).map(|(limit, count)| format!("{limit} {count}\n")).collect();
        format!("open {}\n{met}", counters.sum(|worker| worker.open.value()))
    }

    /// Clients' connections that are over, by what ended them.
    fn closes(&self) -> String {
        let workers = self.engine.registry().workers();
        let count = |index: usize| workers.sum(|worker| worker.closed[index].value());
        let ended = CLOSE_REASONS.iter().enumerate().map(|(index, reason)| (reason, count(index)));
        ended.filter(|(_, count)| *count > 0).map(|(reason, count)| format!("{reason} {count}\n")).collect()
    }

    /// The lines of the access log since the last time; they come once a second.
    fn lines(&self) -> String {
        let lines = self.log.try_iter().map(|block| String::from_utf8(block).expect("lines are text"));
        lines.collect()
    }

    /// Refusals so far, by reason code.
    fn reasons(&self) -> String {
        let count = |reason: Reason| {
            self.engine.registry().workers().sum(|worker| worker.refusals[reason.index()].value())
        };
        let counted =
            Reason::ALL.iter().map(|&reason| (reason, count(reason))).filter(|(_, count)| *count > 0);
        counted.map(|(reason, count)| format!("{reason} {count}\n")).collect()
    }
}

impl Proxy for Running {
    fn order(&mut self, order: &str) -> String {
        let (verb, rest) = order.split_once(' ').unwrap_or((order, ""));
        match verb {
            "gauges" => return self.gauges(),
            "reasons" => return self.reasons(),
            "relays" => return self.relays(),
            "limits" => return self.limits(),
            "closes" => return self.closes(),
            "attempts" => return self.attempts(),
            "log" => return self.lines(),
            "drain" => self.engine.drain(),
            "stop" => self.engine.stop(),
            "apply" => {
                let plan = self.plans.remove(rest).expect("a plan of this name");
                self.apply(&plan);
            }
            "healthy" | "unhealthy" => {
                for endpoint in self.endpoints().iter().filter(|endpoint| &*endpoint.name == rest) {
                    endpoint.healthy.store(verb == "healthy", Ordering::Relaxed);
                }
            }
            _ => panic!("no such order: {order}"),
        }
        String::new()
    }
}

fn endpoint_of(name: &str, pool: &PoolConfig) -> Endpoint {
    let address = Address::Memory(name.into());
    Endpoint {
        name: name.into(),
        address: address.clone(),
        weight: 1,
        pool: Pool::new(Http1::new(address), pool.clone(), 1, 1),
        healthy: AtomicBool::new(true),
    }
}

/// Plays a dialogue with this gateway.
#[track_caller]
pub(crate) fn check(gateway: impl Fn() -> Gateway, dialogue: &str) {
    towpath_testkit::check(|stage| gateway().start(stage), dialogue);
}

/// Plays a dialogue with this gateway, also in pieces.
#[track_caller]
pub(crate) fn check_torn(gateway: impl Fn() -> Gateway, dialogue: &str) {
    towpath_testkit::check_torn(|stage| gateway().start(stage), dialogue);
}
