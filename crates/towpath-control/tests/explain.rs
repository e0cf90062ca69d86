//! What `towpath explain` says, in full.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

use std::path::Path;
use std::sync::atomic::Ordering;

use towpath_base::random::Random;
use towpath_config::parse;
use towpath_control::compile::{CompileEnv, SystemResolver, compile_parsed};
use towpath_control::explain::{BadQuestion, Explanation, Place, Query, explain};
use towpath_gateway::engine::registry;
use towpath_gateway::plan::Plan;
use towpath_traffic::route::RequestView;

const FILE: &str = r#"
[listener.web]
bind = "127.0.0.1:8080"

[route.users]
match = { host = "api.example.com", path = "/users/*", methods = ["GET", "POST"], headers = { x-canary = "1" } }
upstream = "users"
rewrite = { strip_prefix = "/users" }

[route.shop]
match = { path = "/shop/*" }
upstreams = { users = 90, sick = 10 }

[route.write]
match = { path = "/write", methods = ["PUT"] }
respond = { status = 204 }

[route.loose]
match = { path = "/loose/*" }
redirect = { to = "/new/{*}" }
encoded_path = "allow"

[route.site]
match = { path = "/users/*" }
respond = { body = "site" }

[upstream.users]
endpoints = ["127.0.0.1:9001", { address = "127.0.0.1:9002", weight = 0 }]
balance = "p2c-ewma"

[upstream.sick]
endpoints = ["127.0.0.1:9003"]
balance = "round-robin"
"#;

fn plan() -> (Plan, Vec<Place>) {
    compiled(FILE)
}

fn ask(query: &Query) -> Result<Explanation, BadQuestion> {
    let (plan, places) = plan();
    explain(&plan, &places, query)
}

fn compiled(file: &str) -> (Plan, Vec<Place>) {
    let parsed = parse(file, Path::new("towpath.toml"), &|_| None);
    let registry = registry(1);
    let env = CompileEnv {
        workers: 1,
        resolver: &SystemResolver,
        registry: &registry,
        seed: 1,
        connections_total: None,
        ticket_keys: towpath_net::tls::TicketKeys::new(),
    };
    let compiled = compile_parsed(&parsed, None, &env).unwrap();
    let places = compiled.places();
    let plan = compiled.unbound();
    if let Some(sick) = plan.upstreams_by_name().get("sick") {
        sick.endpoints[0].healthy.store(false, Ordering::Relaxed);
    }
    (plan, places)
}

/// Compares with `explanations/NAME.txt`, which `UPDATE=1` writes anew.
#[track_caller]
fn check(name: &str, method: &str, url: &str, headers: &[(&str, &str)]) {
    let mut query = Query::new(method, url);
    query.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    compare(name, &ask(&query).unwrap().to_text());
}

#[track_caller]
fn compare(name: &str, found: &str) {
    let file = Path::new("tests/explanations").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&file).unwrap_or_default(), "{name}");
}

#[test]
fn the_chosen_route_and_why_each_other_lost_p06() {
    check("chosen", "GET", "http://api.example.com:8080/users/./7?x=1", &[("X-Canary", "1")]);
}

#[test]
fn a_missing_header_is_named_p06() {
    check("missing_header", "GET", "http://api.example.com/users/7", &[]);
}

#[test]
fn the_host_header_counts_before_the_url() {
    check(
        "host_header",
        "GET",
        "http://127.0.0.1:8080/users/7",
        &[("host", "api.example.com"), ("x-canary", "2")],
    );
}

#[test]
fn shares_and_unhealthy_endpoints_are_shown_p06() {
    check("shares", "GET", "/shop/cart", &[]);
}

#[test]
fn a_wrong_method_is_answered_with_the_allowed_ones() {
    check("wrong_method", "GET", "/write", &[]);
}

#[test]
fn no_route_is_a_reason_code() {
    check("no_route", "GET", "http://x/nothing", &[]);
    check("bad_host", "GET", "http://a b/nothing", &[]);
    check("connect", "CONNECT", "/", &[]);
}

#[test]
fn an_encoded_slash_is_refused_unless_the_route_takes_it_t40() {
    check("encoded_refused", "GET", "/shop/a%2Fb", &[]);
    check("encoded_allowed", "GET", "/loose/a%2Fb", &[]);
    check("above_root", "GET", "/../etc/passwd", &[]);
}

/// Two listeners share a port on different addresses, a third has its own.
const LISTENERS: &str = r#"
[listener.inner]
bind = "127.0.0.1:8080"

[listener.outer]
bind = "127.0.0.2:8080"

[listener.other]
bind = [":8081", "127.0.0.1:8082"]

[route.all]
respond = { body = "x" }
"#;

#[test]
fn the_listener_is_the_one_of_the_urls_port_and_a_guess_says_so() {
    let (plan, places) = compiled(LISTENERS);
    let choose = |url: &str| {
        let listener = explain(&plan, &places, &Query::new("GET", url)).unwrap().listener.unwrap();
        (listener.name, listener.because, listener.is_guess)
    };
    let known = |name: &str, because: &str| (name.to_owned(), because.to_owned(), false);
    let guess = |name: &str, because: &str| (name.to_owned(), because.to_owned(), true);
    assert_eq!(choose("http://example.com:8082/"), known("other", "it has port 8082"));
    assert_eq!(choose("http://127.0.0.2:8080/"), known("outer", "it has port 8080"));
    assert_eq!(choose("http://[::1]:8081/"), known("other", "it has port 8081"));
    let ambiguous = "it is the first by name of those with port 8080: inner, outer";
    assert_eq!(choose("http://example.com:8080/"), guess("inner", ambiguous));
    assert_eq!(choose("http://10.0.0.1:8080/"), guess("inner", ambiguous));
    let elsewhere = "it is the first by name; none is known to have port 80";
    assert_eq!(choose("http://example.com/"), guess("inner", elsewhere));
    assert_eq!(choose("/"), guess("inner", "it is the first by name; the question has no port"));

    let mut query = Query::new("GET", "http://example.com:8080/");
    let text = explain(&plan, &places, &query).unwrap().to_text();
    assert!(text.contains("name another one with --listener NAME"), "{text}");
    query.listener = Some("outer".to_owned());
    let named = explain(&plan, &places, &query).unwrap().listener.unwrap();
    assert_eq!((named.name.as_str(), named.is_guess), ("outer", false));
    assert_eq!(named.addresses, ["127.0.0.2:8080"]);
}

#[test]
fn a_prefix_is_taken_off_at_a_segment_border_as_by_the_workers() {
    let file = r#"
[listener.web]
bind = "127.0.0.1:8080"
[route.all]
match = { path = "/*" }
upstream = "app"
rewrite = { strip_prefix = "/shop" }
[upstream.app]
endpoints = ["127.0.0.1:9001"]
"#;
    let (plan, places) = compiled(file);
    for (path, expected) in
        [("/shop/cart", "/cart"), ("/shop", "/"), ("/shopping", "/shopping"), ("/a", "/a")]
    {
        let route = explain(&plan, &places, &Query::new("GET", path)).unwrap().route.unwrap();
        assert_eq!(route.path_upstream.as_deref(), Some(expected), "{path}");
    }
}

#[test]
fn what_is_explained_is_what_the_table_finds_p06() {
    let (plan, places) = plan();
    let table = &plan.listeners[0].router.table;
    let mut random = Random::new(7);
    let mut matches = 0;
    for _ in 0..2_000 {
        let mut pick = |list: &[&str]| list[random.below(list.len() as u64) as usize].to_owned();
        let path =
            pick(&["/users", "/shop", "/write", "/loose", "/x"]) + &pick(&["", "/", "/a", "/a/b", "x"]);
        let host = pick(&["", "api.example.com", "API.example.com:80", "x"]);
        let method = pick(&["GET", "PUT", "POST"]);
        let canary = pick(&["1", "2"]);
        let mut query = Query::new(&method, &path);
        query.headers = [("host".to_owned(), host.clone()), ("x-canary".to_owned(), canary.clone())].into();
        let explanation = explain(&plan, &places, &query).unwrap();
        let view = RequestView {
            host: host.as_bytes(),
            path: path.as_bytes(),
            query: None,
            method: method.as_bytes(),
            header: &|name| (name == b"x-canary").then_some(canary.as_bytes()),
        };
        let found = table.find(&view).map(|index| table.name(index).to_owned());
        let chosen =
            explanation.candidates.iter().find(|candidate| candidate.chosen).map(|one| one.route.clone());
        assert_eq!(explanation.route.map(|route| route.name), found, "{query:?}");
        assert_eq!(chosen, found, "{query:?}");
        matches += usize::from(found.is_some());
    }
    assert!((200..1_800).contains(&matches), "{matches} requests had a route");
}

#[test]
fn a_question_that_cannot_be_read_says_why() {
    let ask = |json: &str| Query::from_json(json).and_then(|query| ask(&query)).unwrap_err().to_string();
    assert_eq!(
        ask(r#"{"url": "ftp://x/"}"#),
        "\"ftp://x/\" is neither a URL such as \"http://example.com/path\" or \"tcp://127.0.0.1:5432\" nor a path such as \"/path\""
    );
    assert_eq!(ask(r#"{"url": "/", "method": "G T"}"#), "\"G T\" is not a method");
    assert_eq!(ask(r#"{"url": "/", "listener": "wbe"}"#), "no listener is named \"wbe\"; there are: web");
    assert!(ask("{}").starts_with("the question is not readable: missing field `url`"));
}

#[test]
fn the_answer_in_json_has_the_same_content() {
    let explanation = ask(&Query::new("GET", "http://api.example.com/users/7")).unwrap();
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["route"]["name"], "site");
    assert_eq!(json["listener"]["name"], "web");
    assert_eq!(json["candidates"].as_array().unwrap().len(), 5);
    assert_eq!(json["refusal"], serde_json::Value::Null);
}

const LAYER4: &str = r#"
[listener.dns]
bind = "127.0.0.1:5353"
protocol = "udp"
upstream = "resolver"

[listener.passthrough]
bind = "127.0.0.1:9443"
protocol = "tls-passthrough"
sni = { "a.example.com" = "app", "*.example.com" = "sick" }
alpn = { "acme-tls/1" = "acme" }

[listener.pg]
bind = ["127.0.0.1:5353", "unix:/run/pg.sock"]
protocol = "tcp"
upstream = "app"

[listener.web]
bind = "127.0.0.1:8080"

[listener.with_default]
bind = "127.0.0.1:9444"
protocol = "tls-passthrough"
upstream = "app"

[route.all]
upstream = "app"

[upstream.app]
endpoints = ["127.0.0.1:9001", "unix:/run/app.sock"]
[upstream.acme]
endpoints = ["127.0.0.1:9002"]
[upstream.sick]
endpoints = ["127.0.0.1:9003"]
[upstream.resolver]
endpoints = ["127.0.0.1:53"]
"#;

#[test]
fn a_connection_that_is_not_read_is_explained_by_its_listener_t32() {
    let (plan, places) = compiled(LAYER4);
    let questions: [(&str, &[&str]); 10] = [
        ("tcp://127.0.0.1:5353", &[]),
        ("udp://127.0.0.1:5353", &[]),
        ("tcp://127.0.0.1", &[]),
        ("tls://A.example.com.:9443", &[]),
        ("https://b.example.com:9443/path", &["h2", "http/1.1"]),
        ("tls://a.example.com:9443", &["h2", "acme-tls/1"]),
        ("tls://example.org:9443", &[]),
        ("tls://127.0.0.1:9443", &[]),
        ("tls://127.0.0.1:9444", &[]),
        ("tls://example.org:9444", &[]),
    ];
    let mut text = String::new();
    for (url, alpn) in questions {
        let mut query = Query::new("GET", url);
        query.alpn = alpn.iter().map(|name| (*name).to_owned()).collect();
        text += &format!("## {url}\n{}\n", explain(&plan, &places, &query).unwrap().to_text());
    }
    compare("layer4", &text);
}

#[test]
fn a_url_without_requests_is_no_question_for_an_http_listener() {
    let (plan, places) = compiled(LAYER4);
    let ask = |url: &str| explain(&plan, &places, &Query::new("GET", url));
    let fault = ask("tcp://127.0.0.1:8080").unwrap_err().to_string();
    assert_eq!(fault, "the listener \"web\" reads requests; ask with http://");
    // A path alone is for a listener that reads it, though others stand before it.
    assert_eq!(ask("/").unwrap().listener.unwrap().name, "web");
}
