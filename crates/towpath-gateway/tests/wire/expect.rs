//! T05: `Expect: 100-continue` goes to the origin, and an answer before the body costs both connections.

use crate::gateway::{Gateway, check, check_torn, respond};
use crate::verdict;

#[test]
fn the_origins_100_lets_the_body_come_t05() {
    check_torn(
        Gateway::new,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> expect: 100-continue
        client> content-length: 5
        client>
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< expect: 100-continue
        origin< Content-Length: 5
        origin<

        origin> HTTP/1.1 100 Continue
        origin>
        client< HTTP/1.1 100 Continue
        client<

        client> hello\
        origin< hello\

        origin> HTTP/1.1 200 OK
        origin> content-length: 2
        origin>
        origin> ok\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 2
        client<
        client< ok\

        # Both messages were complete: both connections go on.
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
fn an_early_417_closes_both_connections_t05() {
    check(
        Gateway::new,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> expect: 100-continue
        client> content-length: 5
        client>
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< expect: 100-continue
        origin< Content-Length: 5
        origin<

        origin> HTTP/1.1 417 Expectation Failed
        origin> content-length: 2
        origin>
        origin> no\
        origin< (end)
        client< HTTP/1.1 417 Expectation Failed
        client< date: (now)
        client< Content-Length: 2
        client< connection: close
        client<
        client< no\
        client< (end)

        # It could be the body or a request: nobody reads it as either.
        client> GET /x HTTP/1.1
        client> host: h
        client>
        wait 3s
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn an_early_200_closes_both_connections_t05() {
    check(
        Gateway::new,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> expect: 100-continue
        client> content-length: 5
        client>
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< expect: 100-continue
        origin< Content-Length: 5
        origin<

        origin> HTTP/1.1 200 OK
        origin> content-length: 2
        origin>
        origin> ok\
        origin< (end)
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 2
        client< connection: close
        client<
        client< ok\
        client< (end)
        wait 3s

        client2> GET /next HTTP/1.1
        client2> host: h
        client2>
        origin#2< (connected)
        origin#2< GET /next HTTP/1.1
        origin#2< host: h
        origin#2<
        "#,
    );
}

#[test]
fn a_silent_origin_does_not_hold_a_client_that_waits_for_100_t05() {
    check(
        Gateway::new,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> expect: 100-continue
        client> content-length: 5
        client>
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< expect: 100-continue
        origin< Content-Length: 5
        origin<

        # Neither the least rate nor the idle limit of a body counts before there is any.
        wait 59s
        wait 2s
        origin< (end)
        client< HTTP/1.1 504 Gateway Timeout
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_response_timeout; details="upstream_timeout"
        client< Content-Length: 38
        client< connection: close
        client<
        client< 504 Gateway Timeout: upstream_timeout\n\
        client< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_client_that_does_not_wait_for_100_is_served_t05() {
    check(
        Gateway::new,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> expect: 100-Continue
        client> content-length: 5
        client>
        client> hello\
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< expect: 100-Continue
        origin< Content-Length: 5
        origin<
        origin< hello\

        origin> HTTP/1.1 100 Continue
        origin>
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        client< HTTP/1.1 100 Continue
        client<
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        "#,
    );
}

#[test]
fn the_gateways_own_answer_to_an_expectation_closes_t05() {
    check(
        || Gateway::new().path("/own", |_| respond(200, "own")),
        r#"
        client> POST /own HTTP/1.1
        client> host: h
        client> expect: 100-continue
        client> content-length: 5
        client>
        client< HTTP/1.1 200 OK
        client< server: towpath
        client< date: (now)
        client< Content-Length: 3
        client< connection: close
        client<
        client< own\
        client< (end)

        client> hello\
        client> GET /x HTTP/1.1
        client> host: h
        client>
        "#,
    );
}

#[test]
fn other_expectations_are_refused_and_needless_ones_dropped_t05() {
    verdict::check(
        Gateway::new,
        r#"
        417 bad_expectation closed                       <- POST / HTTP/1.1\r\nhost: h\r\nexpect: 200-ok\r\ncontent-length: 2\r\n\r\nhi
        417 bad_expectation closed                       <- POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue, x\r\ncontent-length: 2\r\n\r\nhi
        417 bad_expectation closed                       <- POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nhi
        200 open, origin: GET /                          <- GET / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\n\r\n
        "#,
    );
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> expect: 100-continue
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin< expect: 100-continue
        origin<
        "#,
    );
}
