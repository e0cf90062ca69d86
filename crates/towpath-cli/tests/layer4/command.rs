//! `towpath check` and `towpath explain` about listeners that read no requests.

use crate::Gateway;
use crate::common::{Scratch, outcome};

const FILE: &str = r#"
[listener.edge]
bind = "127.0.0.1:9443"
protocol = "tls-passthrough"
sni = { "a.example.com" = "app" }
alpn = { "acme-tls/1" = "acme" }

[listener.pg]
bind = "127.0.0.1:5432"
protocol = "tcp"
upstream = "app"

[listener.dns]
bind = "127.0.0.1:5432"
protocol = "udp"
upstream = "app"

[upstream.app]
endpoints = ["127.0.0.1:9001"]
[upstream.acme]
endpoints = ["127.0.0.1:9002"]
"#;

#[test]
fn a_connection_is_explained_without_a_method() {
    let scratch = Scratch::new();
    let file = scratch.write("a.toml", FILE);
    let file = file.to_str().unwrap();
    assert_eq!(outcome(&["check", file]), (0, String::new(), String::new()));
    for (words, expected) in [
        (&["tls://a.example.com:9443"][..], "relay     to the upstream \"app\""),
        (&["tls://a.example.com:9443", "--alpn", "h2,acme-tls/1"], "relay     to the upstream \"acme\""),
        (&["tls://b.example.com:9443"], "refused   unknown_server_name"),
        (&["tcp://127.0.0.1:5432"], "listener  pg "),
        (&["udp://127.0.0.1:5432"], "listener  dns "),
        (&["GET", "https://a.example.com:9443/"], "relay     to the upstream \"app\""),
    ] {
        let (code, stdout, stderr) = outcome(&[&["explain", file][..], words].concat());
        assert_eq!((code, stderr.as_str()), (0, ""), "{words:?}");
        assert!(stdout.contains(expected), "{words:?}: {stdout}");
    }
    let (code, _, stderr) = outcome(&["explain", file, "http://127.0.0.1:5432/"]);
    assert_eq!(code, 2, "a method is missing: {stderr}");
}

#[test]
fn a_running_process_explains_its_connections() {
    let gateway = Gateway::start(&FILE.replace(":9443", ":0").replace(":5432", ":0"), &["edge", "pg", "dns"]);
    let admin = gateway.running.address("admin").to_string();
    let url = format!("tls://a.example.com:{}", gateway.running.address("edge").port());
    let (code, stdout, stderr) = outcome(&["explain", "--admin", &admin, &url]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("127.0.0.1:9001: weight 1, may be chosen"), "{stdout}");
    gateway.running.stop();
}
