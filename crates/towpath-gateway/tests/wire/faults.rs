//! Everything an origin can do wrong, each with its reason.

use std::time::Duration;

use towpath_testkit::wire;

use crate::gateway::{Gateway, check, check_torn};

#[test]
fn a_dead_origin_is_connect_refused() {
    check(
        Gateway::new,
        r#"
        origin> (refuse)
        client> GET / HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_refused; details="connect_refused"
        client< Content-Length: 33
        client<
        client< 502 Bad Gateway: connect_refused\n\

        # The client's connection goes on.
        origin> (listen)
        wait 10s
        client> GET /again HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /again HTTP/1.1
        origin< host: h
        origin<
        "#,
    );
}

#[test]
fn a_black_hole_is_connect_timeout() {
    check(
        || Gateway::new().route(|r| r.retry = None),
        r#"
        origin> (refuse)
        origin> (black hole)
        client> GET / HTTP/1.1
        client> host: h
        client>
        wait 4s
        wait 2s
        client< HTTP/1.1 504 Gateway Timeout
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_timeout; details="connect_timeout"
        client< Content-Length: 37
        client<
        client< 504 Gateway Timeout: connect_timeout\n\
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_slow_head_is_upstream_timeout() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        wait 59s
        origin> HTTP/1.1 200 OK
        wait 2s
        origin< (end)
        client< HTTP/1.1 504 Gateway Timeout
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_response_timeout; details="upstream_timeout"
        client< Content-Length: 38
        client<
        client< 504 Gateway Timeout: upstream_timeout\n\
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_head_byte_by_byte_has_the_same_deadline() {
    check(
        || Gateway::new().route(|r| r.response_header_timeout = Duration::from_secs(3)),
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> H\
        wait 1s
        origin> T\
        wait 1s
        origin> T\
        wait 900ms
        origin> P\
        wait 300ms
        origin< (end)
        client< HTTP/1.1 504 Gateway Timeout
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_response_timeout; details="upstream_timeout"
        client< Content-Length: 38
        client<
        client< 504 Gateway Timeout: upstream_timeout\n\
        "#,
    );
}

#[test]
fn a_slow_upload_does_not_count_as_a_slow_head() {
    check(
        || {
            Gateway::new()
                .route(|r| r.response_header_timeout = Duration::from_secs(3))
                .listener(|l| l.body_rate_min = 0)
        },
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> content-length: 4
        client>
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Content-Length: 4
        origin<
        wait 5s
        client> ab\
        origin< ab\
        wait 5s
        client> cd\
        origin< cd\
        wait 2s
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        "#,
    );
}

#[test]
fn a_reset_before_the_head_is_a_bad_gateway() {
    check_torn(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> (reset)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_terminated; details="upstream_reset_before_response"
        client< Content-Length: 48
        client<
        client< 502 Bad Gateway: upstream_reset_before_response\n\
        "#,
    );
}

#[test]
fn a_close_before_the_head_is_a_bad_gateway() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> (close)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_terminated; details="upstream_reset_before_response"
        client< Content-Length: 48
        client<
        client< 502 Bad Gateway: upstream_reset_before_response\n\
        "#,
    );
}

#[test]
fn a_reset_in_the_head_is_a_bad_gateway() {
    check_torn(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-le\
        origin> (reset)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_terminated; details="upstream_reset_before_response"
        client< Content-Length: 48
        client<
        client< 502 Bad Gateway: upstream_reset_before_response\n\
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_reset_in_the_body_breaks_the_clients_connection_off() {
    check(
        Gateway::new,
        r#"
        # The length was promised, so the client can tell.
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 10
        origin>
        origin> hello\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 10
        client<
        client< hello\
        origin> (reset)
        client< (end)

        # There is no last chunk, so the client can tell.
        client2> GET / HTTP/1.1
        client2> host: h
        client2>
        origin#2< (connected)
        origin#2< GET / HTTP/1.1
        origin#2< host: h
        origin#2<
        origin#2> HTTP/1.1 200 OK
        origin#2> transfer-encoding: chunked
        origin#2>
        origin#2> 5
        origin#2> hello
        client2< HTTP/1.1 200 OK
        client2< date: (now)
        client2< Transfer-Encoding: chunked
        client2<
        client2< 5
        client2< hello
        origin#2> (reset)
        client2< (end)
        proxy: reasons
        proxy< upstream_reset_mid_body 2
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_body_shorter_than_promised_breaks_the_clients_connection_off() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 10
        origin>
        origin> hello\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 10
        client<
        client< hello\
        origin> (close)
        client< (end)
        proxy: reasons
        proxy< upstream_reset_mid_body 1
        "#,
    );
    check(
        Gateway::new,
        r#"
        # What had come of the chunk was passed on.
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> transfer-encoding: chunked
        origin>
        origin> 5
        origin> hel\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Transfer-Encoding: chunked
        client<
        client< 3
        client< hel
        origin> (close)
        client< (end)
        proxy: reasons
        proxy< upstream_reset_mid_body 1
        "#,
    );
}

#[test]
fn a_cut_response_that_ends_by_closing_ends_with_a_reset() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.0
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> transfer-encoding: chunked
        origin>
        origin> 5
        origin> hel\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< connection: close
        client<
        client< hel\
        origin> (close)
        client< (reset)
        proxy: reasons
        proxy< upstream_reset_mid_body 1
        "#,
    );
}

#[test]
fn a_body_longer_than_promised_is_cut_and_the_connection_retired() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 5
        origin>
        origin> hello world\
        origin< (end)
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 5
        client<
        client< hello\
        client> GET /next HTTP/1.1
        client> host: h
        client>
        origin#2< (connected)
        origin#2< GET /next HTTP/1.1
        origin#2< host: h
        origin#2<
        "#,
    );
}

#[test]
fn a_body_that_stops_breaks_off_at_its_deadline() {
    check(
        || Gateway::new().route(|r| r.upstream_idle_timeout = Duration::from_secs(5)),
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 10
        origin>
        origin> hel\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 10
        client<
        client< hel\
        wait 4s
        origin> lo\
        client< lo\
        wait 4s
        wait 2s
        origin< (end)
        client< (end)
        proxy: reasons
        proxy< upstream_body_timeout 1
        "#,
    );
}

/// What the client gets for these bytes of the origin, as status and reason.
fn answer_to(response: &[u8], seed: Option<u64>) -> String {
    towpath_testkit::run(async {
        let stage = seed.map_or_else(towpath_testkit::Stage::default, towpath_testkit::Stage::torn);
        let _gateway = Gateway::new().start(&stage);
        stage.settle().await;
        stage.send("client", b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
        stage.settle().await;
        stage.send("origin", response).await;
        stage.settle().await;
        let mut outcome = crate::verdict::Outcome::default();
        for (label, seen) in stage.seen() {
            match (&*label, seen) {
                ("client", towpath_testkit::Seen::Bytes(bytes)) => outcome.received.extend(bytes),
                ("client", towpath_testkit::Seen::End) => outcome.is_closed = true,
                _ => {}
            }
        }
        outcome.to_string()
    })
}

#[test]
fn bytes_that_are_no_response_are_a_bad_gateway() {
    for text in [
        r"garbage\r\n\r\n",
        r"\x16\x03\x01\x02\r\n\r\n",
        r"HTTP/2.0 200 OK\r\n\r\n",
        r"HTTP/1.1 20 OK\r\n\r\n",
        r"HTTP/1.1 2000 OK\r\n\r\n",
        r"HTTP/1.1 099 OK\r\n\r\n",
        r"HTTP/1.1  200 OK\r\n\r\n",
        r"http/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        r"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
        r"HTTP/1.1 200 OK\r\ncontent-length: 0\nx: y\r\n\r\n",
        r"HTTP/1.1 200 O\0K\r\ncontent-length: 0\r\n\r\n",
        r"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        r"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx",
        r"HTTP/1.1 200 OK\r\ncontent-length: 1, 1\r\n\r\nx",
        r"HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\nx",
        r"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nx",
        r"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        r"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        r"HTTP/1.1 200 OK\r\ncontent-length: 0\r\na : b\r\n\r\n",
        r"HTTP/1.1 200 OK\r\ncontent-length: 0\r\na: b\r\n c\r\n\r\n",
        r"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n: b\r\n\r\n",
        r"HTTP/1.1 100 Continue\r\ncontent-length: 5\r\n\r\n",
        r"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    ] {
        for seed in [None, Some(1), Some(2)] {
            let found = answer_to(&wire::bytes(text), seed);
            let reason =
                if text.contains("101") { "upstream_bad_upgrade" } else { "upstream_protocol_error" };
            assert_eq!(found, format!("502 {reason} open"), "{text}, seed {seed:?}");
        }
    }
}

#[test]
fn every_byte_at_every_place_of_a_response_field_is_passed_on_or_refused_t08() {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:".contains(&byte);
    let is_value = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    for byte in 0..=255u8 {
        for (before, after, is_valid) in [
            ("na", "me: value", is_name(byte)),
            ("name: va", "lue", is_value(byte)),
            ("name: value", "", is_value(byte)),
        ] {
            let field = [before.as_bytes(), &[byte], after.as_bytes()].concat();
            let response =
                [b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", &field[..], b"\r\nx: y\r\n\r\n"].concat();
            let expected = if is_valid { "200 open" } else { "502 upstream_protocol_error open" };
            assert_eq!(answer_to(&response, None), expected, "{}", field.escape_ascii());
        }
    }
}

#[test]
fn a_response_head_over_its_limit_is_refused_by_name() {
    let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(9000));
    assert_eq!(answer_to(long.as_bytes(), None), "502 upstream_header_too_large open");
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
    assert_eq!(answer_to(many.as_bytes(), None), "502 upstream_header_too_large open");
    let endless = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(50_000));
    assert_eq!(answer_to(endless.as_bytes(), None), "502 upstream_header_too_large open");
}

#[test]
fn a_switch_that_nobody_asked_for_is_refused_t06() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 101 Switching Protocols
        origin> connection: upgrade
        origin> upgrade: websocket
        origin>
        origin> evil\
        origin< (end)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_upgrade_failed; details="upstream_bad_upgrade"
        client< Content-Length: 38
        client<
        client< 502 Bad Gateway: upstream_bad_upgrade\n\
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_bad_chunk_that_comes_with_the_head_is_a_bad_gateway() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> transfer-encoding: chunked
        origin>
        origin> 5
        origin> hello
        origin> zz
        origin< (end)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_protocol_error; details="upstream_protocol_error"
        client< Content-Length: 41
        client<
        client< 502 Bad Gateway: upstream_protocol_error\n\
        proxy: reasons
        proxy< upstream_protocol_error 1
        "#,
    );
}

#[test]
fn a_bad_chunk_after_a_good_one_breaks_the_clients_connection_off() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> transfer-encoding: chunked
        origin>
        origin> 5
        origin> hello
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Transfer-Encoding: chunked
        client<
        client< 5
        client< hello

        origin> zz
        origin< (end)
        client< (end)
        proxy: reasons
        proxy< upstream_protocol_error 1
        "#,
    );
}

#[test]
fn an_answer_before_a_reset_of_the_upload_reaches_the_client() {
    check(
        Gateway::new,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> content-length: 100
        client>
        client> hello\
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Content-Length: 100
        origin<
        origin< hello\
        origin> HTTP/1.1 413 Content Too Large
        origin> connection: close
        origin> content-length: 2
        origin>
        origin> no\
        origin< (end)
        client< HTTP/1.1 413 Content Too Large
        client< date: (now)
        client< Content-Length: 2
        client< connection: close
        client<
        client< no\
        client< (end)
        origin> (close)
        client> more\
        wait 3s
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}
