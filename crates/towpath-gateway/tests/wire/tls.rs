//! TLS that ends here: deadlines under a virtual clock (T31), and who may ask for what (T32, T35).

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use tokio::time::sleep;
use towpath_gateway::plan::{ListenerTls, PolicyFiles, TlsPolicy};
use towpath_net::tls::{
    Client, ClientAuth, ClientSettings, Identity, NamedIdentity, Server, ServerSettings, Suites, TicketKeys,
    Versions,
};
use towpath_net::{Stream, memory, tls};
use towpath_testkit::stage::PROXY;
use towpath_testkit::{Proxy, Seen, Stage};

use crate::gateway::Gateway;

/// A policy for `names`, told from others by `admission`.
fn policy(name: &str, names: &[&str], admission: u8, demands_certificate: bool) -> Arc<TlsPolicy> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(names.clone()).and_then(|params| params.self_signed(&key));
    let chain = vec![certificate.expect("a certificate").der().to_vec()];
    let identity = Identity::new(chain, key.serialize_pem().as_bytes(), None).expect("its own key");
    let settings = ServerSettings {
        identities: vec![NamedIdentity { identity, names: names.clone() }],
        client_auth: ClientAuth::None,
        versions: Versions::default(),
        suites: Suites::default(),
        alpn: Vec::new(),
        policy: [admission; 32],
    };
    let server = Server::new(settings, &TicketKeys::new()).expect("a server");
    let files = PolicyFiles { names, admission: [admission; 32], definition: [admission; 32] };
    let mut policy = TlsPolicy::new(name, server, files);
    policy.demands_certificate = demands_certificate;
    Arc::new(policy)
}

fn one_policy() -> ListenerTls {
    ListenerTls { policies: vec![policy("site", &["localhost"], 1, false)] }
}

fn trusting() -> Client {
    let settings = ClientSettings { authorities: None, identity: None, alpn: Vec::new() };
    Client::new(settings).expect("a client")
}

/// The first flight of a client, post-quantum share included.
async fn hello() -> Vec<u8> {
    let (ours, theirs) = memory::pipe();
    let client = trusting();
    let mut bytes = vec![0; 8192];
    let count = tokio::select! {
        _ = tls::connect(Stream::memory(theirs), &client, "localhost") => panic!("nobody has answered"),
        count = poll_fn(|cx| ours.poll_read(cx, &mut bytes)) => count.expect("a hello"),
    };
    bytes.truncate(count);
    bytes
}

fn is_over(stage: &Stage) -> bool {
    stage.seen().iter().any(|(_, seen)| matches!(seen, Seen::End | Seen::Reset))
}

#[test]
fn a_stall_at_every_byte_of_the_hello_ends_at_the_accept_deadline_t31() {
    let tls = one_policy();
    let hello = towpath_testkit::run(hello());
    for count in 0..=hello.len() {
        let (before, after, reasons) = towpath_testkit::run(stall(&tls, &hello[..count]));
        assert!(!before && after, "{count} of {} bytes: {before} {after}", hello.len());
        let expected = if count < hello.len() { "client_hello_timeout 1" } else { "tls_handshake_timeout 1" };
        assert_eq!(reasons.trim_end(), expected, "{count} of {} bytes", hello.len());
    }
}

/// Sends `sent` and nothing more: whether the connection was over short of 10 s and behind them, and why.
async fn stall(tls: &ListenerTls, sent: &[u8]) -> (bool, bool, String) {
    let stage = Stage::default();
    let mut running = Gateway::new().tls(tls).start(&stage);
    stage.settle().await;
    stage.connect("client", PROXY).await;
    if !sent.is_empty() {
        stage.send("client", sent).await;
    }
    sleep(Duration::from_millis(9_800)).await;
    stage.settle().await;
    let before = is_over(&stage);
    sleep(Duration::from_millis(500)).await;
    stage.settle().await;
    let after = before || is_over(&stage);
    (before, after, running.order("reasons"))
}

#[test]
fn a_trickle_does_not_move_the_deadline_t31() {
    let tls = one_policy();
    towpath_testkit::run(async {
        let hello = hello().await;
        let stage = Stage::default();
        let _running = Gateway::new().tls(&tls).start(&stage);
        stage.settle().await;
        stage.connect("client", PROXY).await;
        for byte in hello.chunks(1).take(11) {
            stage.send("client", byte).await;
            sleep(Duration::from_millis(950)).await;
        }
        stage.settle().await;
        assert!(is_over(&stage));
    });
}

#[test]
fn a_handshake_without_a_request_ends_at_the_same_deadline_t31() {
    let tls = one_policy();
    towpath_testkit::run(async {
        let stage = Stage::default();
        let _running = Gateway::new().tls(&tls).start(&stage);
        stage.settle().await;
        sleep(Duration::from_millis(100)).await;
        let wire = memory::connect(PROXY).await.expect("it listens");
        let mut stream = tls::connect(Stream::memory(wire), &trusting(), "localhost").await.expect("TLS");
        let began = tokio::time::Instant::now();
        let ended = poll_fn(|cx| stream.split().0.poll_read(cx, &mut [0; 16])).await;
        assert!(matches!(ended, Ok(0)), "{ended:?}");
        assert_eq!(began.elapsed().as_secs(), 10);
    });
}

#[test]
fn a_client_that_leaves_is_noticed_behind_tls_t45() {
    let tls = one_policy();
    towpath_testkit::run(async {
        let stage = Stage::default();
        let mut gateway = Gateway::new().tls(&tls).start(&stage);
        stage.settle().await;
        for (says_so, gone) in [(true, "client_gone 1"), (false, "client_gone 2")] {
            let wire = memory::connect(PROXY).await.expect("it listens");
            let client = trusting();
            let mut stream = tls::connect(Stream::memory(wire), &client, "localhost").await.expect("TLS");
            let request = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n";
            let sent = poll_fn(|cx| stream.split().1.poll_write(cx, request)).await;
            assert_eq!(sent.expect("room"), request.len());
            stage.settle().await;
            assert!(gateway.order("gauges").contains("in use 1"), "the request is under way");
            if says_so {
                poll_fn(|cx| stream.split().1.poll_shutdown(cx)).await.expect("close_notify");
            } else {
                drop(stream);
            }
            stage.settle().await;
            assert_eq!(gateway.order("reasons").trim_end(), gone);
            let gauges = gateway.order("gauges");
            assert!(gauges.starts_with("connections 0, tunnels 0, charges 0\n"), "{gauges}");
            assert!(gauges.contains("in use 0, idle 0, dialling 0, waiting 0"), "{gauges}");
        }
    });
}

#[test]
fn the_name_chooses_the_policy_and_no_name_the_strictest_t32() {
    let tls = ListenerTls {
        policies: vec![
            policy("first", &["a.example.com", "*.example.com"], 1, false),
            policy("inner", &["inner.example.com"], 2, true),
        ],
    };
    let chosen = |name: Option<&str>| tls.choose(name).map(|policy| policy.name.to_string());
    for (name, expected) in [
        (Some("a.example.com"), "first"),
        (Some("b.example.com"), "first"),
        (Some("inner.example.com"), "inner"),
        (Some("x.inner.example.com"), "first"),
        (Some("unknown.test"), "first"),
        (None, "inner"),
    ] {
        assert_eq!(chosen(name).as_deref(), Some(expected), "{name:?}");
    }
}

#[test]
fn a_host_is_served_under_its_own_policy_alone_t35() {
    let (open, inner) =
        (policy("open", &["*.example.com"], 1, false), policy("inner", &["inner.example.com"], 2, true));
    let tls = ListenerTls { policies: vec![open, inner] };
    let (open, inner, gone) = ([1; 32], [2; 32], [3; 32]);
    for (host, admitted) in [
        ("a.example.com", [true, false, false]),
        ("inner.example.com", [false, true, false]),
        // Of no policy: over any connection that is of this listener still.
        ("127.0.0.1", [true, true, false]),
        ("unknown.test", [true, true, false]),
    ] {
        assert_eq!([open, inner, gone].map(|by| tls.admits(host, &by)), admitted, "{host}");
    }
}
