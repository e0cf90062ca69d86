//! T06: a tunnel begins with a 101 that was asked for, and with nothing else.

use std::time::Duration;

use crate::gateway::{Gateway, check, check_torn};
use crate::verdict;

#[test]
fn after_101_bytes_go_both_ways_t06() {
    check_torn(
        Gateway::new,
        r#"
        client> GET /chat HTTP/1.1
        client> host: h
        client> connection: Upgrade, keep-alive
        client> upgrade: websocket
        client> sec-websocket-key: abc
        client>
        origin< (connected)
        origin< GET /chat HTTP/1.1
        origin< host: h
        origin< sec-websocket-key: abc
        origin< connection: upgrade
        origin< upgrade: websocket
        origin<

        origin> HTTP/1.1 101 Switching Protocols
        origin> connection: upgrade
        origin> upgrade: WebSocket
        origin> sec-websocket-accept: def
        origin>
        client< HTTP/1.1 101 Switching Protocols
        client< connection: upgrade
        client< upgrade: WebSocket
        client< sec-websocket-accept: def
        client<

        client> up\
        origin< up\
        origin> down\
        client< down\
        proxy: gauges
        proxy< connections 1, tunnels 1, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0

        # Each direction ends on its own.
        client> (end)
        origin< (end)
        origin> more\
        client< more\
        origin> (end)
        client< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn bytes_before_the_switch_are_held_until_there_is_one_t06() {
    check(
        Gateway::new,
        r#"
        client> GET /chat HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client>
        client> early from the client\
        origin< (connected)
        origin< GET /chat HTTP/1.1
        origin< host: h
        origin< connection: upgrade
        origin< upgrade: websocket
        origin<

        client> , and more\

        origin> HTTP/1.1 101 Switching Protocols
        origin> connection: upgrade
        origin> upgrade: websocket
        origin>
        origin> early from the origin\
        client< HTTP/1.1 101 Switching Protocols
        client< connection: upgrade
        client< upgrade: websocket
        client<
        origin< early from the client, and more\
        client< early from the origin\
        "#,
    );
}

#[test]
fn a_switch_in_the_middle_of_a_body_is_refused_t06() {
    check(
        Gateway::new,
        r#"
        client> POST /chat HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: other/1
        client> transfer-encoding: chunked
        client>
        client> 3
        client> one
        origin< (connected)
        origin< POST /chat HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        origin< 3
        origin< one

        origin> HTTP/1.1 101 Switching Protocols
        origin> connection: upgrade
        origin> upgrade: other/1
        origin>
        origin< (end)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_upgrade_failed; details="upstream_bad_upgrade"
        client< Content-Length: 38
        client< connection: close
        client<
        client< 502 Bad Gateway: upstream_bad_upgrade\n\
        client< (end)
        "#,
    );
}

#[test]
fn poisoned_bytes_behind_a_refused_upgrade_are_a_request_of_their_own_t06() {
    check_torn(
        Gateway::new,
        r#"
        client> GET /chat HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client>
        client> GET /next HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /chat HTTP/1.1
        origin< host: h
        origin< connection: upgrade
        origin< upgrade: websocket
        origin<

        origin> HTTP/1.1 200 OK
        origin> content-length: 2
        origin>
        origin> no\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 2
        client<
        client< no\
        origin< GET /next HTTP/1.1
        origin< host: h
        origin<

        proxy: gauges
        proxy< connections 1, tunnels 0, charges 1
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_refused_upgrade_leaves_the_connection_usable_t06() {
    check(
        Gateway::new,
        r#"
        client> GET /chat HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client>
        origin< (connected)
        origin< GET /chat HTTP/1.1
        origin< host: h
        origin< connection: upgrade
        origin< upgrade: websocket
        origin<

        origin> HTTP/1.1 426 Upgrade Required
        origin> connection: upgrade
        origin> upgrade: other
        origin> content-length: 0
        origin>
        client< HTTP/1.1 426 Upgrade Required
        client< date: (now)
        client< Content-Length: 0
        client<

        client> GET /next HTTP/1.1
        client> host: h
        client>
        origin< GET /next HTTP/1.1
        origin< host: h
        origin<
        "#,
    );
}

#[test]
fn an_unlisted_token_is_not_forwarded_t06() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> connection: upgrade, http2-settings
        client> upgrade: h2c
        client> http2-settings: AAA
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<

        # An origin that switches all the same is refused.
        origin> HTTP/1.1 101 Switching Protocols
        origin> connection: upgrade
        origin> upgrade: h2c
        origin>
        origin< (end)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_upgrade_failed; details="upstream_bad_upgrade"
        client< Content-Length: 38
        client<
        client< 502 Bad Gateway: upstream_bad_upgrade\n\
        "#,
    );
}

#[test]
fn only_listed_tokens_of_a_list_are_forwarded_t06() {
    check(
        || Gateway::new().route(|r| r.upgrades = vec![b"mine".as_slice().into()]),
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket, MINE, h2c
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< connection: upgrade
        origin< upgrade: MINE
        origin<

        origin> HTTP/1.1 101 Switching Protocols
        origin> connection: upgrade
        origin> upgrade: websocket
        origin>
        origin< (end)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_upgrade_failed; details="upstream_bad_upgrade"
        client< Content-Length: 38
        client<
        client< 502 Bad Gateway: upstream_bad_upgrade\n\
        "#,
    );
}

#[test]
fn an_upgrade_with_a_body_on_get_is_refused_t06() {
    verdict::check(
        Gateway::new,
        r#"
        400 bad_request_framing closed                   <- GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 5\r\n\r\nhello
        400 bad_request_framing closed                   <- GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n
        400 bad_upgrade closed                           <- GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade:\r\n\r\n
        400 bad_upgrade closed                           <- GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: a\r\nupgrade: websocket\r\n\r\n
        200 open, origin: GET /                          <- GET / HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\n\r\n
        200 closed, origin: GET /                        <- GET / HTTP/1.0\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n
        "#,
    );
}

#[test]
fn an_origin_that_delays_the_switch_runs_into_its_deadline_t06() {
    check(
        || Gateway::new().route(|r| r.response_header_timeout = Duration::from_secs(5)),
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client>
        client> poison\
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< connection: upgrade
        origin< upgrade: websocket
        origin<
        wait 6s
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
fn a_quiet_tunnel_ends_and_a_busy_one_does_not() {
    check(
        || Gateway::new().route(|r| r.tunnel_idle_timeout = Duration::from_secs(60)),
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< connection: upgrade
        origin< upgrade: websocket
        origin<
        origin> HTTP/1.1 101 Switching Protocols
        origin> connection: upgrade
        origin> upgrade: websocket
        origin>
        client< HTTP/1.1 101 Switching Protocols
        client< connection: upgrade
        client< upgrade: websocket
        client<
        wait 50s
        client> ping\
        origin< ping\
        wait 50s
        origin> pong\
        client< pong\
        wait 59s
        wait 2s
        client< (end)
        origin< (end)
        proxy: closes
        proxy< idle 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_reset_in_a_tunnel_is_passed_on_whoever_made_it() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< connection: upgrade
        origin< upgrade: websocket
        origin<
        origin> HTTP/1.1 101 Switching Protocols
        origin> connection: upgrade
        origin> upgrade: websocket
        origin>
        client< HTTP/1.1 101 Switching Protocols
        client< connection: upgrade
        client< upgrade: websocket
        client<
        client> (reset)
        origin< (reset)

        client2> GET / HTTP/1.1
        client2> host: h
        client2> connection: upgrade
        client2> upgrade: websocket
        client2>
        origin#2< (connected)
        origin#2< GET / HTTP/1.1
        origin#2< host: h
        origin#2< connection: upgrade
        origin#2< upgrade: websocket
        origin#2<
        origin#2> HTTP/1.1 101 Switching Protocols
        origin#2> connection: upgrade
        origin#2> upgrade: websocket
        origin#2>
        client2< HTTP/1.1 101 Switching Protocols
        client2< connection: upgrade
        client2< upgrade: websocket
        client2<
        origin#2> (reset)
        client2< (reset)
        proxy: closes
        proxy< reset 1
        proxy< error 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn what_came_before_the_switch_is_first_even_before_an_end_t06() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client>
        client> early from the client\
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< connection: upgrade
        origin< upgrade: websocket
        origin<

        client> (end)
        origin> HTTP/1.1 101 Switching Protocols
        origin> connection: upgrade
        origin> upgrade: websocket
        origin>
        client< HTTP/1.1 101 Switching Protocols
        client< connection: upgrade
        client< upgrade: websocket
        client<
        origin< early from the client\
        origin< (end)
        # The other direction goes on.
        origin> late from the origin\
        client< late from the origin\
        origin> (end)
        client< (end)
        proxy: closes
        proxy< finished 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}
