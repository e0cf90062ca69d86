//! The pool seen from the wire: limits, lines and their order.

use std::time::Duration;

use towpath_traffic::balance::Kind;

use crate::gateway::{Gateway, check};

#[test]
fn waiters_for_a_full_pool_are_served_in_order() {
    check(
        || Gateway::new().pool(|p| p.max_connections = Some(1)),
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        client2> GET /2 HTTP/1.1
        client2> host: h
        client2>
        client3> GET /3 HTTP/1.1
        client3> host: h
        client3>
        proxy: gauges
        proxy< connections 3, tunnels 0, charges 3
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 2
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        origin< (end)
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        origin#2< (connected)
        origin#2< GET /2 HTTP/1.1
        origin#2< host: h
        origin#2<
        proxy: gauges
        proxy< connections 3, tunnels 0, charges 2
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 1
        "#,
    );
}

#[test]
fn waiting_too_long_is_pool_timeout() {
    check(
        || {
            Gateway::new().pool(|p| {
                p.max_connections = Some(1);
                p.acquire_timeout = Duration::from_secs(5);
            })
        },
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        client2> GET /2 HTTP/1.1
        client2> host: h
        client2>
        wait 6s
        client2< HTTP/1.1 503 Service Unavailable
        client2< server: towpath
        client2< date: (now)
        client2< content-type: text/plain; charset=utf-8
        client2< proxy-status: towpath; error=connection_limit_reached; details="pool_timeout"
        client2< Content-Length: 38
        client2<
        client2< 503 Service Unavailable: pool_timeout\n\
        proxy: gauges
        proxy< connections 2, tunnels 0, charges 1
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_full_line_is_pool_queue_full() {
    check(
        || {
            Gateway::new().pool(|p| {
                p.max_connections = Some(1);
                p.max_waiters = Some(1);
            })
        },
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        client2> GET /2 HTTP/1.1
        client2> host: h
        client2>
        client3> GET /3 HTTP/1.1
        client3> host: h
        client3>
        client3< HTTP/1.1 503 Service Unavailable
        client3< server: towpath
        client3< date: (now)
        client3< content-type: text/plain; charset=utf-8
        client3< proxy-status: towpath; error=connection_limit_reached; details="pool_queue_full"
        client3< Content-Length: 41
        client3<
        client3< 503 Service Unavailable: pool_queue_full\n\
        "#,
    );
}

#[test]
fn a_connection_that_breaks_makes_room_for_the_next_in_line() {
    check(
        || Gateway::new().pool(|p| p.max_connections = Some(1)),
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        client2> GET /2 HTTP/1.1
        client2> host: h
        client2>
        origin> (reset)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_terminated; details="upstream_reset_before_response"
        client< Content-Length: 48
        client<
        client< 502 Bad Gateway: upstream_reset_before_response\n\
        origin#2< (connected)
        origin#2< GET /2 HTTP/1.1
        origin#2< host: h
        origin#2<
        proxy: gauges
        proxy< connections 2, tunnels 0, charges 1
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn least_requests_prefers_the_idle_endpoint_and_forgets_who_left() {
    check(
        || Gateway::new().endpoints(&["a", "b"]).balance(Kind::LeastRequests),
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        b< (connected)
        b< GET /1 HTTP/1.1
        b< host: h
        b<
        client2> GET /2 HTTP/1.1
        client2> host: h
        client2>
        a< (connected)
        a< GET /2 HTTP/1.1
        a< host: h
        a<
        # One leaves: its endpoint is the idle one now.
        client> (reset)
        b< (end)
        client3> GET /3 HTTP/1.1
        client3> host: h
        client3>
        b#2< (connected)
        b#2< GET /3 HTTP/1.1
        b#2< host: h
        b#2<
        proxy: gauges
        proxy< connections 2, tunnels 0, charges 2
        proxy< pool a: in use 1, idle 0, dialling 0, waiting 0
        proxy< pool b: in use 1, idle 0, dialling 0, waiting 0
        "#,
    );
}
