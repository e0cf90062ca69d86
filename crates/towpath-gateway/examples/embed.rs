//! The engine without a configuration file: a plan built in Rust.
//!
//! `cargo run -p towpath-gateway --example embed -- 127.0.0.1:8080 127.0.0.1:9000` forwards everything that arrives at
//! the first address to the second.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use towpath::pool::{Pool, PoolConfig};
use towpath_gateway::plan::{
    Action, Endpoint, Listener, ListenerSettings, Plan, Protocol, Route, Router, Upstream, UpstreamSettings,
};
use towpath_gateway::upstream::Http1;
use towpath_gateway::{Engine, EngineConfig};
use towpath_net::{Address, Binding};
use towpath_traffic::balance::Kind;
use towpath_traffic::route::{RouteRule, RouteTable};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut address = || -> Result<SocketAddr, Box<dyn Error>> {
        Ok(arguments.next().ok_or("two addresses are needed: where to listen, where to connect")?.parse()?)
    };
    let (from, to) = (address()?, address()?);
    let engine = Engine::start(EngineConfig { workers: 1, ..EngineConfig::default() })?;
    engine.apply(Arc::new(plan(&engine, from, to)?));
    loop {
        std::thread::park();
    }
}

fn plan(engine: &Engine, from: SocketAddr, to: SocketAddr) -> Result<Plan, Box<dyn Error>> {
    let (registry, workers) = (engine.registry(), engine.workers());
    let settings = UpstreamSettings {
        pool: PoolConfig { max_connections: None, ..PoolConfig::default() },
        health: None,
        proxy_protocol: None,
        http2: false,
        tls: None,
    };
    let endpoint = Endpoint {
        name: to.to_string().into(),
        address: Address::Tcp(to),
        weight: 1,
        pool: Pool::new(Http1::new(Address::Tcp(to)), settings.pool.clone(), workers, 1),
        healthy: AtomicBool::new(true),
    };
    let upstream = Arc::new(Upstream::new(
        "origin",
        Kind::RoundRobin,
        vec![Arc::new(endpoint)],
        settings,
        registry.upstream("origin"),
        (workers, 1),
    ));
    let route = Arc::new(Route::new("all", Action::Upstream(Arc::clone(&upstream))));
    let table = RouteTable::build(vec![RouteRule { name: "all".into(), ..RouteRule::default() }])
        .map_err(|faults| format!("{faults:?}"))?;
    let router =
        Router { table, routes: vec![Arc::clone(&route)], counters: vec![registry.route("web", "all")] };
    let listener = Listener {
        name: "web".into(),
        bindings: vec![Binding::bind(from, workers)?],
        settings: ListenerSettings::default(),
        protocol: Protocol::Http,
        router: Arc::new(router),
        tls: None,
        counters: registry.listener("web"),
    };
    let (listeners, upstreams, routes) = (vec![Arc::new(listener)], vec![upstream], vec![route]);
    Ok(Plan { version: 1, listeners, upstreams, routes, ..Plan::empty() })
}
