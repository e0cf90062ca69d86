//! TLS that is forwarded unopened, by what the ClientHello asks for (T31, T32).

use std::collections::HashMap;

use towpath_gateway::plan::{NameTable, Passthrough, Protocol, ProxyVersion, RelaySettings};
use towpath_testkit::{Seen, Stage};

use crate::gateway::{Gateway, check};
use crate::hello::{self, alpn, extension, message, record, records, server_name};

/// Two names, a protocol and, if wanted, a default.
fn passthrough(default: Option<&'static str>) -> Gateway {
    let gateway =
        Gateway::new().upstream("a", &["a"]).upstream("users", &["users"]).upstream("acme", &["acme"]);
    gateway.protocol(move |target| {
        let mut names = NameTable::new();
        names.insert("a.example.com", target("a")).expect("a name");
        names.insert("*.example.com", target("users")).expect("a name");
        Protocol::Passthrough(Passthrough {
            alpn: HashMap::from([(b"acme-tls/1".as_slice().into(), target("acme"))]),
            names,
            default: default.map(target),
            relay: RelaySettings::default(),
        })
    })
}

/// What a client that sends these pieces and then ends its direction comes to: who got how many bytes, and what the
/// client saw.
fn outcome(gateway: Gateway, pieces: &[&[u8]]) -> String {
    towpath_testkit::run(async {
        let stage = Stage::default();
        let _running = gateway.start(&stage);
        stage.settle().await;
        stage.connect("client", towpath_testkit::stage::PROXY).await;
        for piece in pieces {
            stage.send("client", piece).await;
            stage.settle().await;
        }
        stage.end("client").await;
        stage.settle().await;
        let sent = pieces.concat();
        let told = stage.seen().into_iter().filter_map(|(who, seen)| match seen {
            Seen::Bytes(bytes) if bytes == sent => Some(format!("{who} got all")),
            Seen::Bytes(bytes) => Some(format!("{who} got {}", towpath_testkit::wire::text(&bytes))),
            Seen::Reset => Some(format!("{who} was reset")),
            Seen::Connected | Seen::End | Seen::Refused => None,
        });
        told.collect::<Vec<_>>().join(", ")
    })
}

#[track_caller]
fn check_hello(default: Option<&'static str>, bytes: &[u8], expected: &str) {
    assert_eq!(outcome(passthrough(default), &[bytes]), expected);
}

fn named(name: &str) -> Vec<u8> {
    record(&message(&[server_name(name.as_bytes())]))
}

/// A fatal alert, as the dialogues write it.
fn alert(number: u8) -> String {
    format!("client got {}", towpath_testkit::wire::text(&[21, 3, 3, 0, 2, 2, number]))
}

#[test]
fn a_name_goes_before_a_wildcard_and_that_before_the_default() {
    check_hello(Some("origin"), &named("a.example.com"), "a got all");
    check_hello(Some("origin"), &named("A.EXAMPLE.com"), "a got all");
    check_hello(Some("origin"), &named("b.example.com"), "users got all");
    check_hello(Some("origin"), &named("c.b.example.com"), "users got all");
    check_hello(Some("origin"), &named("example.com"), "origin got all");
}

#[test]
fn a_protocol_goes_before_every_name() {
    let hello = |protocols: &[&str]| record(&message(&[server_name(b"a.example.com"), alpn(protocols)]));
    check_hello(None, &hello(&["acme-tls/1"]), "acme got all");
    check_hello(None, &hello(&["h2", "acme-tls/1"]), "acme got all");
    check_hello(None, &hello(&["h2", "http/1.1"]), "a got all");
}

#[test]
fn no_name_goes_to_the_default_or_is_refused_t32() {
    let none = record(&message(&[]));
    let address = record(&message(&[server_name(b"192.0.2.1")]));
    for hello in [&none, &address] {
        check_hello(Some("origin"), hello, "origin got all");
        check_hello(None, hello, &alert(112));
    }
    check_hello(None, &named("example.org"), &alert(112));
}

#[test]
fn what_is_no_tls_is_cut_off() {
    for bytes in
        [b"GET / HTTP/1.1\r\n\r\n".as_slice(), b"SSH-2.0-x\r\n", b"\x80\x2e\x01\x03\x01", b"\x16\x02\x00"]
    {
        check_hello(Some("origin"), bytes, "client was reset");
    }
}

#[test]
fn a_hello_that_cannot_be_read_in_one_way_is_answered_with_an_alert_t32() {
    check_hello(Some("origin"), &record(&message(&[server_name(b"a\0b")])), &alert(112));
    let twice = message(&[server_name(b"a.example.com"), server_name(b"b.example.com")]);
    check_hello(Some("origin"), &record(&twice), &alert(47));
    let alert_inside = [records(&message(&[]), 10)[..15].to_vec(), vec![21, 3, 1, 0, 2, 1, 0]].concat();
    check_hello(Some("origin"), &alert_inside, &alert(10));
    check_hello(Some("origin"), &[22, 3, 1, 0, 0], &alert(10));
    check_hello(Some("origin"), &record(&hello::handshake(2, &[0; 40])), &alert(10));
}

#[test]
fn a_hello_may_come_byte_by_byte_and_in_any_records_t32() {
    let message = message(&[hello::post_quantum_key_share(), server_name(b"a.example.com")]);
    let whole = record(&message);
    let pieces: Vec<&[u8]> = whole.chunks(1).collect();
    assert_eq!(outcome(passthrough(None), &pieces), "a got all");
    for record_bytes in [1, 2, 3, 5, 100, 1000] {
        let fragmented = records(&message, record_bytes);
        check_hello(None, &fragmented, "a got all");
    }
}

#[test]
fn a_hello_of_64_kib_is_taken_and_no_larger_one_t32() {
    const PADDING: u16 = 21;
    let padded = |bytes: usize| {
        let padding = extension(PADDING, &vec![0; bytes]);
        records(&message(&[server_name(b"a.example.com"), padding]), 16_384)
    };
    let largest = padded(65_392);
    assert!((65_500..=65_536).contains(&largest.len()), "{}", largest.len());
    check_hello(None, &largest, "a got all");
    let hello = hello::handshake(1, &vec![0; 70_000]);
    check_hello(None, &record(&hello[..16_384]), &alert(47));
}

#[test]
fn what_comes_with_the_hello_is_sent_on_behind_it() {
    let bytes = [named("a.example.com"), b"more".to_vec()].concat();
    check_hello(None, &bytes, "a got all");
    assert_eq!(outcome(passthrough(None), &[&named("a.example.com"), b"more"]), "a got all");
}

#[test]
fn an_endpoint_is_told_the_name_and_the_protocol_if_it_is_one() {
    let header = |protocols: &[&str]| {
        let hello = record(&message(&[server_name(b"a.example.com"), alpn(protocols)]));
        let seen = outcome(passthrough(None).proxy_out(ProxyVersion::V2), &[&hello]);
        let hello = towpath_testkit::wire::text(&hello);
        seen.strip_suffix(&hello).expect("the hello follows the header").to_owned()
    };
    let addresses = r"\x7f\0\0\x01\x7f\0\0\x01\0\0\0\0";
    let name = r"\x02\0\ra.example.com";
    let signature = r"a got \r\n\r\n\0\r\nQUIT\n!\x11";
    assert_eq!(header(&["h2"]), format!(r"{signature}\0!{addresses}{name}\x01\0\x02h2"));
    assert_eq!(header(&["h2", "http/1.1"]), format!(r"{signature}\0\x1c{addresses}{name}"));
}

#[test]
fn a_cut_hello_is_counted_and_a_connection_without_a_byte_is_not_t32() {
    check(
        || passthrough(Some("origin")).logged(),
        r#"
        client> \x16\x03\x01\
        client> (end)
        client< (reset)
        client2> (connect)
        client2> (end)
        client2< (end)
        client3> (connect)
        client3> (reset)
        wait 2s
        proxy: reasons
        proxy< client_hello_truncated 1
        proxy: log
        proxy< proxy tls-passthrough - - - in=0 out=0 client_hello_truncated
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool a: in use 0, idle 0, dialling 0, waiting 0
        proxy< pool acme: in use 0, idle 0, dialling 0, waiting 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        proxy< pool users: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn the_hello_has_until_the_accept_deadline_t31() {
    check(
        || passthrough(Some("origin")),
        r#"
        client> (connect)
        wait 5s
        client> \x16\x03\x01\
        wait 4s
        client> \x02\
        wait 2s
        client< (reset)
        proxy: reasons
        proxy< client_hello_timeout 1
        "#,
    );
}

#[test]
fn the_answer_and_the_log_know_the_name() {
    check(
        || passthrough(None).logged(),
        r#"
        client> \x16\x03\x01\x00\x47\x01\x00\x00\x43\x03\x03(w * 32)\x00\x00\x02\x13\x01\x01\x00\x00\x18\x00\x00\x00\x14\x00\x12\x00\x00\x0fb.a.example.com\
        users< (connected)
        users< \x16\x03\x01\0G\x01\0\0C\x03\x03wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww\0\0\x02\x13\x01\x01\0\0\x18\0\0\0\x14\0\x12\0\0\x0fb.a.example.com\
        users> ServerHello
        client< ServerHello
        users> (end)
        client< (end)
        client> (end)
        users< (end)
        wait 2s
        proxy: log
        proxy< proxy tls-passthrough b.a.example.com users users in=76 out=13 -
        proxy: relays
        proxy< users: 1 connections, 0 open, 76 up, 13 down, finished 1
        client2> GET / HTTP/1.1
        client2< (reset)
        wait 2s
        proxy: log
        proxy< proxy tls-passthrough - - - in=0 out=0 not_tls
        proxy: reasons
        proxy< not_tls 1
        "#,
    );
}
