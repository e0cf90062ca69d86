//! T09, T42: what belongs to one connection stays there, and nobody speaks for Towpath.

use towpath_gateway::plan::{Forwarded, HostHeader};

use crate::gateway::{Gateway, check, check_torn, edits};
use crate::verdict::outcome;

/// The fields by which proxies tell who the client is.
const IDENTITY: [&str; 6] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
];

#[test]
fn hop_by_hop_fields_stay_on_their_hop() {
    check_torn(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> Host: h
        client> Connection: X-Mine, keep-alive
        client> X-Mine: 1
        client> Keep-Alive: timeout=5
        client> Proxy-Connection: keep-alive
        client> Proxy-Authorization: Basic eA==
        client> TE: trailers, gzip
        client> Trailer: x
        client> Accept: */*
        client> Cookie: a=b
        client> X-Case: Kept As It Is
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< Accept: */*
        origin< Cookie: a=b
        origin< X-Case: Kept As It Is
        origin<

        origin> HTTP/1.1 200 OK
        origin> Connection: X-Theirs
        origin> X-Theirs: 1
        origin> Keep-Alive: timeout=5
        origin> Proxy-Authenticate: Basic
        origin> Content-Length: 1
        origin> Set-Cookie: a=b
        origin> Set-Cookie: c=d
        origin> Server: theirs
        origin>
        origin> 1\
        client< HTTP/1.1 200 OK
        client< Set-Cookie: a=b
        client< Set-Cookie: c=d
        client< Server: theirs
        client< date: (now)
        client< Content-Length: 1
        client<
        client< 1\
        "#,
    );
}

#[test]
fn no_field_that_towpath_sets_can_be_nominated_away_t09() {
    for name in IDENTITY.into_iter().chain(["host", "via", "content-length", "x-added"]) {
        let gateway = Gateway::new().trusting().listener(|l| l.forwarded = Forwarded::Both).route(|r| {
            r.via = true;
            r.request_headers = edits(&[], &[], &[("x-added", "1")]);
        });
        let values = ["forwarded: for=9.9.9.9", "x-forwarded-port: 1", "x-real-ip: 9.9.9.9"].join("\r\n");
        let request = format!(
            "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n{values}\r\nconnection: close, {name}\r\n\r\nhi"
        );
        let found = outcome(gateway, request.as_bytes(), None);
        assert_eq!(found.to_string(), "200 closed, origin: POST /", "{name}");
        assert_eq!(found.requests[0].values(name).len(), 1, "{name}: {:?}", found.requests[0].fields);
    }
}

#[test]
fn an_untrusted_client_does_not_speak_for_itself_t42() {
    for name in IDENTITY {
        for spelling in [name.to_owned(), name.to_uppercase(), name.replace('-', "_")] {
            let request = format!("GET / HTTP/1.1\r\nhost: h\r\n{spelling}: 9.9.9.9\r\n\r\n");
            let found = outcome(Gateway::new(), request.as_bytes(), None);
            assert_eq!(found.to_string(), "200 open, origin: GET /", "{spelling}");
            let fields = &found.requests[0].fields;
            let is_there = fields.iter().any(|(_, value)| value == b"9.9.9.9");
            assert!(!is_there, "{spelling}: {fields:?}");
        }
    }
}

#[test]
fn a_trusted_proxy_is_believed_but_not_its_aliases_t42() {
    for name in IDENTITY {
        for (spelling, passes) in [(name.to_owned(), true), (name.replace('-', "_"), !name.contains('-'))] {
            let request = format!("GET / HTTP/1.1\r\nhost: h\r\n{spelling}: 9.9.9.9\r\n\r\n");
            let found = outcome(Gateway::new().trusting(), request.as_bytes(), None);
            let fields = &found.requests[0].fields;
            assert_eq!(fields.iter().any(|(_, value)| value == b"9.9.9.9"), passes, "{spelling}: {fields:?}");
        }
    }
}

#[test]
fn names_with_underscores_pass_where_the_listener_takes_them_t42() {
    check(
        || Gateway::new().listener(|l| l.underscore_headers = true),
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> my_field: 1
        # Not even then does one pass that could be read as a field of ours.
        client> x_forwarded_for: 9.9.9.9
        client> X_Real-IP: 9.9.9.9
        client> transfer_encoding: chunked
        client> Content_Length: 5
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< my_field: 1
        origin<
        "#,
    );
}

#[test]
fn the_client_is_named_to_the_origin() {
    check_torn(
        || Gateway::new().listener(|l| l.forwarded = Forwarded::Both).route(|r| r.via = true),
        r#"
        client> GET / HTTP/1.1
        client> host: Example.com:81
        client> x-forwarded-for: 9.9.9.9
        client> forwarded: for=9.9.9.9
        client> via: 1.0 before
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: Example.com:81
        origin< via: 1.0 before
        origin< x-forwarded-for: 127.0.0.1
        origin< x-forwarded-proto: http
        origin< x-forwarded-host: Example.com:81
        origin< forwarded: for=127.0.0.1;host="Example.com:81";proto=http
        origin< via: 1.1 towpath
        origin<

        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin> via: 1.1 behind
        origin> date: theirs
        origin>
        origin> 1\
        client< HTTP/1.1 200 OK
        client< via: 1.1 behind
        client< date: theirs
        client< via: 1.1 towpath
        client< Content-Length: 1
        client<
        client< 1\
        "#,
    );
}

#[test]
fn a_trusted_proxys_words_come_first() {
    check(
        || Gateway::new().trusting().listener(|l| l.forwarded = Forwarded::Both),
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> x-forwarded-for: 1.1.1.1
        client> X-Forwarded-For: 2.2.2.2, 3.3.3.3
        client> x-forwarded-proto: https
        client> x-forwarded-host: public.example
        client> x-forwarded-port: 443
        client> forwarded: for=1.1.1.1;proto=https
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< x-forwarded-proto: https
        origin< x-forwarded-host: public.example
        origin< x-forwarded-port: 443
        origin< x-forwarded-for: 1.1.1.1, 2.2.2.2, 3.3.3.3, 127.0.0.1
        origin< forwarded: for=1.1.1.1;proto=https, for=127.0.0.1;host="h";proto=http
        origin<
        "#,
    );
}

#[test]
fn the_host_is_preserved_or_replaced() {
    let dialogue_of = |host: HostHeader| {
        move || {
            let host = host.clone();
            Gateway::new().route(move |r| r.host = host.clone())
        }
    };
    check(
        dialogue_of(HostHeader::Preserve),
        r#"
        client> GET / HTTP/1.1
        client> host: Public.Example:8080
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: Public.Example:8080
        origin<
        "#,
    );
    check(
        dialogue_of(HostHeader::Upstream),
        r#"
        client> GET / HTTP/1.1
        client> host: replaced.example
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: origin
        origin<
        "#,
    );
    check(
        dialogue_of(HostHeader::Literal(b"inner.example".as_slice().into())),
        r#"
        client> GET http://outer.example/ HTTP/1.1
        client> host: outer.example
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: inner.example
        origin<
        "#,
    );
    check(
        dialogue_of(HostHeader::Preserve),
        r#"
        # HTTP/1.0 may leave it out; the origin gets one all the same (RFC 9112 §3.2).
        client> GET / HTTP/1.0
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: origin
        origin<
        "#,
    );
}

#[test]
fn fields_are_removed_set_and_added() {
    check(
        || {
            Gateway::new().route(|r| {
                r.request_headers = edits(&["Gone"], &[("kept", "new")], &[("more", "2")]);
                r.response_headers =
                    edits(&["server"], &[("cache-control", "no-store")], &[("set-cookie", "c=d")]);
            })
        },
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> gone: 1
        client> KEPT: old
        client> Kept: older
        client> more: 1
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< more: 1
        origin< kept: new
        origin< more: 2
        origin<

        origin> HTTP/1.1 200 OK
        origin> Server: theirs
        origin> Cache-Control: public
        origin> set-cookie: a=b
        origin> content-length: 1
        origin>
        origin> 1\
        client< HTTP/1.1 200 OK
        client< set-cookie: a=b
        client< date: (now)
        client< cache-control: no-store
        client< set-cookie: c=d
        client< Content-Length: 1
        client<
        client< 1\
        "#,
    );
}
