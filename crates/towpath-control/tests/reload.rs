//! What a reload keeps: an object whose definition is equal is the same object (P01, P09).

#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use towpath_config::parse;
use towpath_control::compile::{Bound, Changes, CompileEnv, Compiled, Resolve, compile_parsed};
use towpath_gateway::engine::registry;
use towpath_gateway::plan::{Action, Endpoint, Plan, Route, Upstream};
use towpath_telemetry::metrics::Registry;

const BASE: &str = r#"
[listener.web]
bind = "127.0.0.1:0"

[listener.other]
bind = "127.0.0.1:0"

[route.users]
match = { path = "/users/*" }
upstream = "users"

[route.hello]
match = { path = "/hello" }
respond = { body = "hello" }

[upstream.users]
endpoints = ["127.0.0.1:9001", "127.0.0.1:9002"]
balance = "round-robin"
health = { interval = "1h" }
"#;

/// A process that reloads: what outlives a plan, and the plan that serves.
struct Process {
    registry: Registry,
    names: Names,
    plan: Option<Plan>,
}

/// Answers that a test can change; `None` is a resolver that is down.
#[derive(Default)]
struct Names(Mutex<Option<Vec<SocketAddr>>>);

impl Resolve for Names {
    fn resolve(&self, _host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        self.0.lock().unwrap().clone().ok_or_else(|| io::Error::other("nobody answers"))
    }
}

impl Process {
    fn start(text: &str) -> Self {
        let mut process = Self { registry: registry(2), names: Names::default(), plan: None };
        process.reload(text);
        process
    }

    fn compile(&self, text: &str) -> Compiled {
        let parsed = parse(text, Path::new("towpath.toml"), &|_| None);
        let env = CompileEnv {
            workers: 2,
            resolver: &self.names,
            registry: &self.registry,
            seed: 1,
            connections_total: None,
            ticket_keys: towpath_net::tls::TicketKeys::new(),
        };
        compile_parsed(&parsed, self.plan.as_ref(), &env)
            .unwrap_or_else(|faults| panic!("{}", towpath_config::render(&faults, &parsed.sources)))
    }

    /// Reloads and gives back the plan before.
    fn reload(&mut self, text: &str) -> (Option<Plan>, Changes) {
        let compiled = self.compile(text);
        let bindings = compiled.wanted.iter().map(|wanted| wanted.bind(2).unwrap()).collect();
        let changes = compiled.changes.clone();
        (self.plan.replace(compiled.finish(bindings)), changes)
    }

    fn plan(&self) -> &Plan {
        self.plan.as_ref().unwrap()
    }
}

fn route<'p>(plan: &'p Plan, name: &str) -> &'p Arc<Route> {
    plan.routes.iter().find(|route| &*route.name == name).unwrap()
}

fn upstream<'p>(plan: &'p Plan, name: &str) -> &'p Arc<Upstream> {
    plan.upstreams_by_name()[name]
}

fn endpoint<'p>(plan: &'p Plan, address: &str) -> &'p Arc<Endpoint> {
    plan.upstreams.iter().flat_map(|upstream| &upstream.endpoints).find(|one| &*one.name == address).unwrap()
}

/// Reloads `BASE` with `old` replaced by `new`, and compares what the changes say.
#[track_caller]
fn check(old: &str, new: &str, expected: &str) -> (Plan, Process) {
    assert!(BASE.contains(old), "{old:?} is in the base file");
    let mut process = Process::start(BASE);
    let (before, changes) = process.reload(&BASE.replacen(old, new, 1));
    assert_eq!(changes.to_string(), expected);
    (before.unwrap(), process)
}

#[test]
fn an_equal_file_changes_nothing_p01() {
    // Lines that move and comments are no change.
    let (before, process) = check("[route.hello]", "# said otherwise\n\n[route.hello]", "7 objects kept");
    let after = process.plan();
    let are_same =
        |old: &[Arc<Route>], new: &[Arc<Route>]| old.iter().zip(new).all(|(old, new)| Arc::ptr_eq(old, new));
    assert!(are_same(&before.routes, &after.routes));
    assert!(before.listeners.iter().zip(&after.listeners).all(|(old, new)| Arc::ptr_eq(old, new)));
    assert!(before.upstreams.iter().zip(&after.upstreams).all(|(old, new)| Arc::ptr_eq(old, new)));
    assert_eq!((before.version, after.version), (1, 2));
}

#[test]
fn an_equal_file_is_known_to_change_nothing_before_anything_is_bound_p01() {
    let process = Process::start(BASE);
    let compiled = process.compile(BASE);
    assert!(compiled.changes.is_empty());
    assert!(compiled.wanted.iter().all(|wanted| wanted.kept.is_some()));
}

#[test]
fn a_changed_route_leaves_its_neighbours_and_every_socket_p09() {
    let (before, process) = check(
        "body = \"hello\"",
        "body = \"goodbye\"",
        "listeners ~other ~web; routes ~hello; 4 objects kept",
    );
    let after = process.plan();
    assert!(Arc::ptr_eq(route(&before, "users"), route(after, "users")));
    assert!(Arc::ptr_eq(upstream(&before, "users"), upstream(after, "users")));
    for (old, new) in before.listeners.iter().zip(&after.listeners) {
        assert!(Arc::ptr_eq(&old.bindings[0], &new.bindings[0]), "{}", old.name);
    }
}

#[test]
fn a_changed_listener_leaves_the_other_one_p09() {
    let (before, process) = check(
        "[listener.web]\n",
        "[listener.web]\nmax_header_count = 50\n",
        "listeners ~web; 6 objects kept",
    );
    let after = process.plan();
    assert!(Arc::ptr_eq(before.listener("other").unwrap(), after.listener("other").unwrap()));
    let (old, new) = (before.listener("web").unwrap(), after.listener("web").unwrap());
    assert!(Arc::ptr_eq(&old.router, &new.router) && Arc::ptr_eq(&old.bindings[0], &new.bindings[0]));
}

#[test]
fn a_new_endpoint_leaves_the_old_ones_with_their_pools_p09() {
    let (before, process) = check(
        "\"127.0.0.1:9002\"]",
        "\"127.0.0.1:9003\"]",
        "listeners ~other ~web; routes ~users; upstreams ~users; \
         endpoints +users/127.0.0.1:9003 -users/127.0.0.1:9002; 2 objects kept",
    );
    let after = process.plan();
    assert!(Arc::ptr_eq(endpoint(&before, "127.0.0.1:9001"), endpoint(after, "127.0.0.1:9001")));
    // The route names its upstream, so it is another object, and it must name the new one.
    let Action::Upstream(named) = &route(after, "users").action else { panic!("an upstream") };
    assert!(Arc::ptr_eq(named, upstream(after, "users")));
}

#[test]
fn endpoints_outlive_other_settings_of_their_upstream_p19() {
    let (before, process) = check(
        "balance = \"round-robin\"",
        "balance = \"random\"\npool = { max_connections = 7 }",
        "listeners ~other ~web; routes ~users; upstreams ~users; 3 objects kept",
    );
    let after = process.plan();
    for address in ["127.0.0.1:9001", "127.0.0.1:9002"] {
        assert!(Arc::ptr_eq(endpoint(&before, address), endpoint(after, address)), "{address}");
    }
    assert_eq!(upstream(after, "users").settings.pool.max_connections, Some(7));
}

#[test]
fn a_changed_weight_keeps_pool_and_health_p19() {
    let mut process = Process::start(BASE);
    endpoint(process.plan(), "127.0.0.1:9001").healthy.store(false, Ordering::Relaxed);
    let weighted = BASE.replace("\"127.0.0.1:9001\"", "{ address = \"127.0.0.1:9001\", weight = 3 }");
    let (before, _) = process.reload(&weighted);
    let (before, after) = (before.unwrap(), process.plan());
    let (old, new) = (endpoint(&before, "127.0.0.1:9001"), endpoint(after, "127.0.0.1:9001"));
    assert!(!Arc::ptr_eq(old, new) && Arc::ptr_eq(&old.pool, &new.pool));
    assert_eq!((new.weight, new.healthy.load(Ordering::Relaxed)), (3, false));
}

#[test]
fn an_endpoint_nobody_checks_any_more_is_healthy_again() {
    let mut process = Process::start(BASE);
    endpoint(process.plan(), "127.0.0.1:9001").healthy.store(false, Ordering::Relaxed);
    process.reload(&BASE.replace("health = { interval = \"1h\" }", ""));
    assert!(endpoint(process.plan(), "127.0.0.1:9001").healthy.load(Ordering::Relaxed));
}

#[test]
fn another_bound_shared_by_the_endpoints_needs_new_pools() {
    let mut process = Process::start(&BASE.replace("balance", "pool = { max_total = 8 }\nbalance"));
    let same = BASE.replace("balance", "pool = { max_total = 8, min_idle = 0 }\nbalance");
    let (first, _) = process.reload(&same);
    let first = first.unwrap();
    let pool = |plan: &Plan| endpoint(plan, "127.0.0.1:9001").pool.clone();
    assert!(Arc::ptr_eq(&pool(&first), &pool(process.plan())));
    let (second, _) = process.reload(&BASE.replace("balance", "pool = { max_total = 9 }\nbalance"));
    assert!(!Arc::ptr_eq(&pool(&second.unwrap()), &pool(process.plan())));
}

#[test]
fn counters_stay_with_their_name_when_the_definition_changes() {
    let mut process = Process::start(BASE);
    upstream(process.plan(), "users").counters.get(0).requests.add(5);
    process.reload(&BASE.replace("round-robin", "random"));
    let after = upstream(process.plan(), "users");
    assert_eq!(after.counters.get(0).requests.value(), 5);
    assert_eq!(after.balance.name(), "random");
}

#[test]
fn listeners_come_and_go_and_a_binding_stays_with_its_address() {
    let mut process = Process::start(BASE);
    let web = process.plan().listener("web").unwrap().bindings[0].clone();
    // The same address under another name keeps its sockets; what nobody names any more goes.
    let renamed = BASE
        .replace(
            "[listener.web]\nbind = \"127.0.0.1:0\"",
            &format!("[listener.front]\nbind = \"{}\"", web.address()),
        )
        .replace("[listener.other]\nbind = \"127.0.0.1:0\"", "");
    let (_, changes) = process.reload(&renamed);
    assert_eq!(changes.listeners.added, ["front"]);
    assert_eq!(changes.listeners.removed, ["other", "web"]);
    assert!(Arc::ptr_eq(&process.plan().listener("front").unwrap().bindings[0], &web));
}

#[test]
fn a_removed_route_is_told_and_its_upstream_leaves_the_plan() {
    let (_, process) = check(
        "upstream = \"users\"",
        "respond = { body = \"gone\" }",
        "listeners ~other ~web; routes ~users; upstreams -users; \
         endpoints -users/127.0.0.1:9001 -users/127.0.0.1:9002; 1 objects kept",
    );
    assert!(process.plan().upstreams.is_empty());
}

#[test]
fn a_name_keeps_its_address_while_the_resolver_is_down_or_rotates_p08() {
    let named = BASE.replace("\"127.0.0.1:9001\"", "\"app.internal:9001\"");
    let list: Vec<SocketAddr> = ["192.0.2.1:9001", "192.0.2.2:9001"].map(|text| text.parse().unwrap()).into();
    let mut process =
        Process { registry: registry(2), names: Names(Mutex::new(Some(list.clone()))), plan: None };
    process.reload(&named);
    *process.names.0.lock().unwrap() = Some(list.iter().rev().copied().collect());
    assert!(process.reload(&named).1.is_empty(), "a rotated answer is no change");
    *process.names.0.lock().unwrap() = None;
    let compiled = process.compile(&named);
    assert!(compiled.changes.is_empty());
    assert!(compiled.warnings[0].message.contains("cannot be resolved"), "{:?}", compiled.warnings);
}

const LAYER4: &str = r#"
[listener.dns]
bind = "127.0.0.1:0"
protocol = "udp"
upstream = "resolver"

[listener.passthrough]
bind = "127.0.0.1:0"
protocol = "tls-passthrough"
sni = { "a.example.com" = "app", "*.example.com" = "other" }
alpn = { "h2" = "app" }
upstream = "other"

[listener.pg]
bind = ["127.0.0.1:0", "unix:SOCKET"]
protocol = "tcp"
upstream = "app"
socket_mode = "0600"

[upstream.app]
endpoints = ["127.0.0.1:9001", "unix:/run/app.sock"]
[upstream.other]
endpoints = ["127.0.0.1:9003"]
[upstream.resolver]
endpoints = ["127.0.0.1:53"]
"#;

/// A file for a socket that goes with the test.
struct SocketFile(PathBuf);

impl SocketFile {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("towpath-reload-{name}-{}.sock", std::process::id())))
    }

    fn mode(&self) -> u32 {
        self.0.metadata().unwrap().permissions().mode() & 0o777
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Reloads the layer 4 file with `old` replaced by `new`.
#[track_caller]
fn check_layer4(name: &str, old: &str, new: &str, expected: &str) -> (Plan, Process, SocketFile) {
    assert!(LAYER4.contains(old), "{old:?} is in the base file");
    let socket = SocketFile::new(name);
    let base = LAYER4.replace("SOCKET", socket.0.to_str().unwrap());
    let mut process = Process::start(&base);
    let (before, changes) = process.reload(&base.replacen(old, new, 1));
    assert_eq!(changes.to_string(), expected);
    (before.unwrap(), process, socket)
}

#[track_caller]
fn assert_same_sockets(before: &Plan, after: &Plan) {
    for (old, new) in before.listeners.iter().zip(&after.listeners) {
        let (old, new) = (Bound::of(old), Bound::of(new));
        assert!(old.len() == new.len() && old.iter().zip(&new).all(|(old, new)| old.is_same(new)));
    }
}

#[test]
fn an_equal_layer4_file_keeps_every_object_p01() {
    let (before, process, _socket) =
        check_layer4("equal", "[listener.dns]", "# new\n[listener.dns]", "10 objects kept");
    assert!(before.listeners.iter().zip(&process.plan().listeners).all(|(old, new)| Arc::ptr_eq(old, new)));
}

#[test]
fn a_changed_layer4_listener_keeps_its_sockets_and_its_neighbours_p09() {
    let changes = [
        ("session", "upstream = \"resolver\"", "upstream = \"resolver\"\nidle_timeout = \"5s\"", "~dns"),
        ("relay", "protocol = \"tcp\"", "protocol = \"tcp\"\nidle_timeout = \"5s\"", "~pg"),
        ("limit", "protocol = \"tcp\"", "protocol = \"tcp\"\nmax_connections = 5", "~pg"),
        ("name", "\"a.example.com\" = \"app\"", "\"a.example.com\" = \"other\"", "~passthrough"),
        ("alpn", "{ \"h2\" = \"app\" }", "{ \"h3\" = \"app\" }", "~passthrough"),
        ("default", "upstream = \"other\"", "", "~passthrough"),
    ];
    for (name, old, new, changed) in changes {
        let expected = format!("listeners {changed}; 9 objects kept");
        let (before, process, _socket) = check_layer4(name, old, new, &expected);
        assert_same_sockets(&before, process.plan());
    }
}

#[test]
fn a_new_endpoint_changes_the_listeners_that_lead_to_it() {
    let (before, process, _socket) = check_layer4(
        "endpoint",
        "endpoints = [\"127.0.0.1:53\"]",
        "endpoints = [\"127.0.0.1:53\", \"127.0.0.2:53\"]",
        "listeners ~dns; upstreams ~resolver; endpoints +resolver/127.0.0.2:53; 8 objects kept",
    );
    assert_same_sockets(&before, process.plan());
}

#[test]
fn a_socket_that_stays_gets_the_mode_that_is_written() {
    let socket = SocketFile::new("mode");
    let base = LAYER4.replace("SOCKET", socket.0.to_str().unwrap());
    let mut process = Process::start(&base);
    assert_eq!(socket.mode(), 0o600);
    process.reload(&base.replace("0600", "0660"));
    assert_eq!(socket.mode(), 0o660);
}

#[test]
fn layer4_listeners_come_and_go() {
    let socket = SocketFile::new("go");
    let base = LAYER4.replace("SOCKET", socket.0.to_str().unwrap());
    let mut process = Process::start(BASE);
    let (_, changes) = process.reload(&base);
    assert_eq!(changes.listeners.added, ["dns", "passthrough", "pg"]);
    assert_eq!(changes.upstreams.added, ["app", "other", "resolver"]);
    let (layer4, changes) = process.reload(BASE);
    assert_eq!(changes.listeners.removed, ["dns", "passthrough", "pg"]);
    assert!(socket.0.exists(), "the old plan is still held");
    drop(layer4);
    assert!(!socket.0.exists());
}
