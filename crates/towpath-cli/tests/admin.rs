//! The admin listener of a running gateway.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use common::{Client, Origin, Scratch, Towpath, eventually, fixed, get, outcome, post, proxied, request};

fn start(scratch: &Scratch) -> Towpath {
    Towpath::run(&scratch.write("a.toml", &fixed("hello")), &["web", "admin"])
}

#[test]
fn health_and_readiness_are_told() {
    let scratch = Scratch::new();
    let running = start(&scratch);
    let admin = running.address("admin");
    assert_eq!(get(admin, "/healthz").json()["status"], "alive");
    let ready = eventually("readiness", || Some(get(admin, "/readyz")).filter(|reply| reply.status == 200));
    assert_eq!(ready.json()["ready"], true);
    assert_eq!(ready.json()["plan"], 1);
    assert_eq!(ready.json()["workers"], serde_json::json!([1, 1]));
    running.stop();
}

#[test]
fn metrics_count_what_was_served() {
    let scratch = Scratch::new();
    let running = start(&scratch);
    let mut client = Client::connect(running.address("web"));
    for _ in 0..3 {
        assert_eq!(client.get("/").status, 200);
    }
    let wanted = "towpath_requests_total{listener=\"web\",route=\"all\",status=\"2xx\"} 3\n";
    // A request is counted after its last byte has been written, so the client may be here first.
    let metrics = eventually(wanted, || {
        Some(get(running.address("admin"), "/metrics")).filter(|metrics| metrics.body.contains(wanted))
    });
    assert!(metrics.field("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for line in metrics.body.lines() {
        let is_sample = line.rsplit_once(' ').is_some_and(|(_, value)| value.parse::<f64>().is_ok());
        assert!(line.starts_with("# HELP ") || line.starts_with("# TYPE ") || is_sample, "{line}");
    }
    running.stop();
}

#[test]
fn config_is_told_as_written_and_keeps_secrets() {
    let scratch = Scratch::new();
    scratch.write("token", "hunter2");
    let text =
        fixed("${TOWPATH_TEST_BODY:-hello}").replace("[workers]", "token = \"${file:token}\"\n\n[workers]");
    let running = Towpath::run(&scratch.write("a.toml", &text), &["web", "admin"]);
    let admin = running.address("admin");
    let config = request(admin, "GET", "/config", &[("Authorization", "Bearer hunter2")], "");
    assert_eq!(config.json()["route"]["all"]["respond"]["body"], "${TOWPATH_TEST_BODY:-hello}");
    for path in ["/config", "/plan"] {
        let reply = request(admin, "GET", path, &[("Authorization", "Bearer hunter2")], "");
        assert_eq!(reply.status, 200);
        assert!(!reply.body.contains("hunter2"), "{}", reply.body);
    }
    running.stop();
}

#[test]
fn the_plan_has_a_version_and_every_object() {
    let scratch = Scratch::new();
    let running = start(&scratch);
    let plan = get(running.address("admin"), "/plan").json();
    assert_eq!(plan["version"], 1);
    let text = plan.to_string();
    assert!(text.contains("\"web\"") && text.contains("\"all\""), "{text}");
    running.stop();
}

#[test]
fn upstreams_tell_health_why_and_the_pool() {
    let scratch = Scratch::new();
    let status = Arc::new(AtomicU16::new(503));
    let shared = Arc::clone(&status);
    let origin = Origin::start(move |_| (shared.load(Ordering::Relaxed), "x".into()));
    let health =
        "health = { path = \"/well\", interval = \"20ms\", timeout = \"5s\", healthy = 1, unhealthy = 2 }";
    let running = Towpath::run(&scratch.write("a.toml", &proxied(origin.address, health)), &["web", "admin"]);
    let admin = running.address("admin");
    let endpoint = |healthy: bool| {
        eventually("the endpoint's health", || {
            let upstreams = get(admin, "/upstreams").json();
            let endpoint = upstreams["upstreams"][0]["endpoints"][0].clone();
            (endpoint["healthy"] == healthy).then_some(endpoint)
        })
    };
    let ill = endpoint(false);
    assert_eq!(ill["name"], origin.address.to_string());
    assert_eq!(ill["health"]["last_failure"], "status 503");
    assert!(ill["pool"]["open"].is_number(), "{ill}");
    let refused = get(running.address("web"), "/");
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("no_healthy_endpoint"), "{}", refused.head);
    running.wait_for_stderr("unhealthy: status 503");

    status.store(200, Ordering::Relaxed);
    endpoint(true);
    assert_eq!(get(running.address("web"), "/").status, 200);
    running.stop();
}

#[test]
fn unknown_paths_and_wrong_methods_are_told_what_would_be_right() {
    let scratch = Scratch::new();
    let running = start(&scratch);
    let admin = running.address("admin");
    assert_eq!(get(admin, "/nothing").status, 404);
    let refused = get(admin, "/reload");
    assert_eq!((refused.status, refused.field("allow")), (405, Some("POST")));
    let refused = post(admin, "/metrics", "");
    assert_eq!((refused.status, refused.field("allow")), (405, Some("GET, HEAD")));
    assert_eq!(get(admin, "/debug/pprof/heap").status, 501);
    assert!(get(admin, "/").body.contains("POST /reload"));
    let mut client = Client::connect(admin);
    client.send("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(client.try_read().is_err(), "a HEAD has a length and no body");
    running.stop();
}

#[test]
fn what_a_browser_would_send_is_refused_and_changes_nothing_t55() {
    let scratch = Scratch::new();
    let running = start(&scratch);
    let admin = running.address("admin");
    scratch.write("a.toml", &fixed("changed"));
    let own = format!("http://{admin}");
    for fields in [
        &[("Host", "evil.example")][..],
        &[("Host", "evil.example"), ("Origin", "http://evil.example")],
        &[("Origin", "http://evil.example")],
        &[("Origin", "null")],
        &[("Origin", "http://127.0.0.1:1")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Origin", own.as_str()), ("Sec-Fetch-Site", "same-site")],
    ] {
        for (method, path) in
            [("POST", "/reload"), ("GET", "/config"), ("GET", "/metrics"), ("OPTIONS", "/reload")]
        {
            let reply = request(admin, method, path, fields, "");
            assert_eq!(reply.status, 403, "{method} {path} {fields:?}");
            assert_eq!(reply.field("access-control-allow-origin"), None);
        }
    }
    assert_eq!(get(running.address("web"), "/").body, "hello");
    let reply = request(admin, "POST", "/reload", &[("Origin", &own), ("Sec-Fetch-Site", "same-origin")], "");
    assert_eq!(reply.status, 200, "{}", reply.body);
    running.stop();
}

#[test]
fn a_token_is_asked_for_on_every_path_t55() {
    let scratch = Scratch::new();
    let text = fixed("x").replace("[workers]", "token = \"correct horse\"\n\n[workers]");
    let running = Towpath::run(&scratch.write("a.toml", &text), &["web", "admin"]);
    let admin = running.address("admin");
    for path in ["/", "/healthz", "/metrics", "/config", "/nothing"] {
        let refused = get(admin, path);
        assert_eq!(refused.status, 401, "{path}");
        assert!(refused.field("www-authenticate").unwrap().starts_with("Bearer"));
        let wrong = request(admin, "GET", path, &[("Authorization", "Bearer correct horsf")], "");
        assert_eq!(wrong.status, 401, "{path}");
    }
    let right = request(admin, "GET", "/healthz", &[("Authorization", "Bearer correct horse")], "");
    assert_eq!(right.status, 200);
    running.stop();
}

#[test]
fn a_public_admin_address_without_a_token_is_a_fault_t55() {
    let scratch = Scratch::new();
    for address in ["0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0"] {
        let text = fixed("x").replace("listen = \"127.0.0.1:0\"", &format!("listen = \"{address}\""));
        let (code, _, stderr) = outcome(&["check", scratch.write("a.toml", &text).to_str().unwrap()]);
        assert_eq!(code, 2, "{address}");
        assert!(stderr.contains("token"), "{stderr}");
    }
}

#[test]
fn a_unix_socket_is_for_this_account_only_t55() {
    let scratch = Scratch::new();
    let text = fixed("x").replace("listen = \"127.0.0.1:0\"", "listen = \"unix:admin.sock\"");
    let running = Towpath::run(&scratch.write("a.toml", &text), &["web"]);
    running.wait_for_stdout("listening admin unix:");
    let socket = scratch.path("admin.sock");
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut client = Client::connect_unix(&socket).unwrap();
    assert_eq!(client.get("/healthz").status, 200);
    client.send("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(client.read().status, 403);
    running.stop();
}

#[test]
fn a_large_body_and_garbage_end_the_connection_and_nothing_else() {
    let scratch = Scratch::new();
    let running = start(&scratch);
    let admin = running.address("admin");
    let mut client = Client::connect(admin);
    client.send("POST /explain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n");
    client.send(&"x".repeat(1_100_000));
    assert_eq!(client.read().status, 413);
    let mut client = Client::connect(admin);
    client.send("nonsense\r\n\r\n");
    assert_eq!(client.read().status, 400);
    assert!(client.is_ended());
    assert_eq!(get(admin, "/healthz").status, 200);
    running.stop();
}

#[test]
fn more_callers_than_the_cap_are_served_one_after_the_other() {
    let scratch = Scratch::new();
    let running = start(&scratch);
    let admin = running.address("admin");
    let mut idle: Vec<Client> = (0..64).map(|_| Client::connect(admin)).collect();
    for client in &mut idle {
        assert_eq!(client.get("/healthz").status, 200);
    }
    let mut late = Client::connect(admin);
    late.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    drop(idle);
    assert_eq!(late.read().status, 200);
    running.stop();
}

/// Each route answers with its own name, so the live answer says which route was taken.
#[test]
fn explain_by_the_file_explain_by_the_process_and_the_data_path_agree_p06() {
    let scratch = Scratch::new();
    let mut text = fixed("all");
    for (name, matcher) in [
        ("exact", "path = \"/a/b\""),
        ("prefix", "path = \"/a/*\""),
        ("host", "host = \"api.example.com\", path = \"/*\""),
        ("wild", "host = \"*.example.com\", path = \"/*\""),
        ("post", "path = \"/a/*\", methods = [\"POST\"]"),
        ("header", "path = \"/h\", headers = { x-canary = \"1\" }"),
    ] {
        text.push_str(&format!(
            "[route.{name}]\nmatch = {{ {matcher} }}\nrespond = {{ status = 200, body = \"{name}\" }}\n"
        ));
    }
    let file = scratch.write("a.toml", &text);
    let running = Towpath::run(&file, &["web", "admin"]);
    let (web, admin) = (running.address("web"), running.address("admin").to_string());
    for (method, host, path, header) in [
        ("GET", "x", "/", None),
        ("GET", "x", "/a/b", None),
        ("POST", "x", "/a/b", None),
        ("POST", "x", "/a/c", None),
        ("GET", "x", "/a/c?q=1", None),
        ("GET", "api.example.com", "/a/b", None),
        ("GET", "www.example.com", "/a/c", None),
        ("GET", "www.example.com:80", "/", None),
        ("GET", "x", "/h", None),
        ("GET", "x", "/h", Some("x-canary: 1")),
        ("GET", "x", "/a/./b", None),
        ("GET", "x", "/A/b", None),
    ] {
        let url = format!("http://{host}{path}");
        let fields: Vec<_> = std::iter::once(("Host", host))
            .chain(header.and_then(|header: &str| header.split_once(": ")))
            .collect();
        let live = request(web, method, path, &fields, "").body;
        let headers = header.map(|header| vec!["-H", header]).unwrap_or_default();
        let by_file =
            [&["explain", "--json"][..], &headers, &[file.to_str().unwrap(), method, &url]].concat();
        let by_process = [&["explain", "--json", "--admin", &admin][..], &headers, &[method, &url]].concat();
        for arguments in [by_file, by_process] {
            let (code, stdout, stderr) = outcome(&arguments);
            assert_eq!(code, 0, "{arguments:?}: {stderr}");
            let explained: serde_json::Value = serde_json::from_str(&stdout).unwrap();
            assert_eq!(explained["route"]["name"], live.as_str(), "{arguments:?}: {stdout}");
        }
    }
    let (code, stdout, _) = outcome(&["explain", file.to_str().unwrap(), "GET", "http://x/a/b"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("exact") && stdout.contains("prefix"), "{stdout}");
    running.stop();
}

/// Two listeners with different routes: the URL's port decides, in the file as in the process.
#[test]
fn explain_takes_the_listener_of_the_urls_port() {
    let scratch = Scratch::new();
    let second = "[listener.zz]\nbind = \"127.0.0.1:0\"\n[route.second]\nlisteners = [\"zz\"]\n\
        match = { path = \"/only\" }\nrespond = { body = \"second\" }\n";
    let file = scratch.write("a.toml", &(fixed("x") + second));
    let running = Towpath::run(&file, &["web", "zz", "admin"]);
    let admin = running.address("admin").to_string();
    let route = |url: &str, more: &[&str]| {
        let arguments = [&["explain", "--json", "--admin", &admin][..], more, &["GET", url]].concat();
        let (code, stdout, stderr) = outcome(&arguments);
        assert_eq!(code, 0, "{stderr}");
        let explained: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        (explained["route"]["name"].clone(), explained["listener"]["is_guess"].clone())
    };
    let (web, zz) = (running.address("web").port(), running.address("zz").port());
    assert_eq!(route(&format!("http://x:{web}/only"), &[]), ("all".into(), false.into()));
    assert_eq!(route(&format!("http://x:{zz}/only"), &[]), ("second".into(), false.into()));
    assert_eq!(route("http://x:1/only", &[]), ("all".into(), true.into()));
    assert_eq!(route("http://x:1/only", &["--listener", "zz"]), ("second".into(), false.into()));
    running.stop();

    let fixed_ports =
        (fixed("x") + second).replacen("bind = \"127.0.0.1:0\"", "bind = \"127.0.0.1:8001\"", 1);
    let file =
        scratch.write("b.toml", &fixed_ports.replace("bind = \"127.0.0.1:0\"", "bind = \"127.0.0.1:8002\""));
    let (_, stdout, _) = outcome(&["explain", file.to_str().unwrap(), "GET", "http://x:8002/only"]);
    assert!(stdout.contains("listener  zz (127.0.0.1:8002), as it has port 8002"), "{stdout}");
}

#[test]
fn a_secret_in_a_header_is_in_no_answer_of_the_admin_address() {
    let scratch = Scratch::new();
    scratch.write("secret", "hunter2");
    let secret = "\"${file:secret}\"";
    let more = format!(
        "[route.keyed]\nmatch = {{ path = \"/k\", headers = {{ x-key = {secret} }}, query = {{ k = {secret} }} }}\n\
         upstream = \"app\"\nrequest_headers = {{ set = {{ authorization = {secret} }}, add = {{ x-a = {secret} }} }}\n\
         response_headers = {{ set = {{ x-b = {secret} }} }}\n\
         [route.fixed]\nmatch = {{ path = \"/f\" }}\nrespond = {{ headers = {{ x-c = {secret} }}, body = {secret} }}\n\
         [upstream.app]\nendpoints = [\"127.0.0.1:9\"]\n"
    );
    let running = Towpath::run(&scratch.write("a.toml", &(fixed("x") + &more)), &["web", "admin"]);
    let admin = running.address("admin");
    for path in ["/config", "/plan", "/upstreams", "/metrics"] {
        let reply = get(admin, path);
        assert_eq!(reply.status, 200);
        assert!(!reply.body.contains("hunter2"), "{path}: {}", reply.body);
    }
    let explained = post(admin, "/explain", "{\"url\": \"/k?k=1\", \"headers\": {\"x-key\": \"1\"}}");
    assert_eq!(explained.status, 200, "{}", explained.body);
    assert!(!explained.body.contains("hunter2"), "{}", explained.body);
    let plan = get(admin, "/plan").body;
    assert!(plan.contains("authorization") && plan.contains("x-c"), "{plan}");
    running.stop();
}

#[test]
fn a_question_without_sense_is_told_so() {
    let scratch = Scratch::new();
    let running = start(&scratch);
    let admin = running.address("admin");
    for body in
        ["", "not json", "[]", "{\"method\": \"GET\"}", "{\"method\": \"G ET\", \"url\": \"http://x/\"}"]
    {
        let reply = post(admin, "/explain", body);
        assert!(matches!(reply.status, 400 | 422), "{body}: {} {}", reply.status, reply.body);
        assert!(reply.json()["error"].is_string());
    }
    let file = scratch.path("a.toml");
    assert_eq!(outcome(&["explain", file.to_str().unwrap(), "GET", "not a url"]).0, 2);
    assert_eq!(outcome(&["explain", "--admin", "127.0.0.1:1", "GET", "http://x/"]).0, 1);
    running.stop();
}
