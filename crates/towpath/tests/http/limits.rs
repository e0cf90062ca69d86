//! How much and how fast: what is over a limit is refused, counted by its reason, and no more than that.

use std::time::Duration;

use towpath::http::{Limits, Rate, Server};
use towpath_testkit::check;

use crate::server::Kit;

fn limits(limits: Limits) -> impl FnOnce(Server) -> Server {
    move |server| server.limits(limits)
}

#[test]
fn requests_of_one_client_that_come_too_fast_are_429_until_they_may_come_again_s15() {
    let rate = Rate { count: 1, per: Duration::from_secs(10), burst: 2 };
    check(
        |stage| {
            let limits = limits(Limits { request_rate_per_address: Some(rate), ..Limits::default() });
            Kit::with(stage, limits)
        },
        r#"
        client> GET / HTTP/1.1
        client> Host: h
        client>
        client> GET / HTTP/1.1
        client> Host: h
        client>
        client> POST /text HTTP/1.1
        client> Host: h
        client> Content-Length: 3
        client>
        client> abcGET / HTTP/1.1
        client> Host: h
        client>
        client< HTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 5
        client<
        client< helloHTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 5
        client<
        client< helloHTTP/1.1 429 Too Many Requests
        client< Content-Type: text/plain; charset=utf-8
        client< Retry-After: 10
        client< Date: (now)
        client< Content-Length: 18
        client<
        client< Too Many Requests\nHTTP/1.1 429 Too Many Requests
        client< Content-Type: text/plain; charset=utf-8
        client< Retry-After: 10
        client< Date: (now)
        client< Content-Length: 18
        client<
        client< Too Many Requests\n\
        client2> GET / HTTP/1.1
        client2> Host: h
        client2>
        client2< HTTP/1.1 429 Too Many Requests
        client2< Content-Type: text/plain; charset=utf-8
        client2< Retry-After: 10
        client2< Date: (now)
        client2< Content-Length: 18
        client2<
        client2< Too Many Requests\n\
        wait 10s
        client> GET / HTTP/1.1
        client> Host: h
        client>
        client< HTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 5
        client<
        client< hello\
        proxy: refusals
        proxy< request_rate 3
        "#,
    );
}

#[test]
fn connections_that_come_too_fast_wait_s15() {
    let rate = Rate { count: 1, per: Duration::from_secs(10), burst: 1 };
    check(
        |stage| {
            let limits = limits(Limits { connection_rate: Some(rate), ..Limits::default() });
            Kit::with(stage, limits)
        },
        r#"
        client> GET / HTTP/1.1
        client> Host: h
        client>
        client< HTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 5
        client<
        client< hello\
        client2> GET / HTTP/1.1
        client2> Host: h
        client2>
        wait 9s
        wait 2s
        client2< HTTP/1.1 200 OK
        client2< Content-Type: text/plain; charset=utf-8
        client2< Date: (now)
        client2< Content-Length: 5
        client2<
        client2< hello\
        proxy: refusals
        proxy< connection_rate 2
        "#,
    );
}

#[test]
fn connections_beyond_the_limit_wait_and_those_of_one_address_are_closed_s10() {
    check(
        |stage| Kit::with(stage, limits(Limits { connections: 1, ..Limits::default() })),
        r#"
        client> GET / HTTP/1.1
        client> Host: h
        client>
        client< HTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 5
        client<
        client< hello\
        client2> GET / HTTP/1.1
        client2> Host: h
        client2>
        wait 1s
        client> (end)
        client< (end)
        client2< HTTP/1.1 200 OK
        client2< Content-Type: text/plain; charset=utf-8
        client2< Date: (now)
        client2< Content-Length: 5
        client2<
        client2< hello\
        wait 1s
        proxy: refusals
        proxy< connections 2
        "#,
    );
    check(
        |stage| Kit::with(stage, limits(Limits { connections_per_address: 1, ..Limits::default() })),
        r#"
        client> GET / HTTP/1.1
        client> Host: h
        client>
        client< HTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 5
        client<
        client< hello\
        client2> GET / HTTP/1.1
        client2> Host: h
        client2>
        client2< (end)
        proxy: refusals
        proxy< address_connections 1
        "#,
    );
}

#[test]
fn what_is_too_large_or_none_is_counted_by_its_reason_s15() {
    check(
        |stage| Kit::with(stage, limits(Limits { body_bytes: 4, header_bytes: 256, ..Limits::default() })),
        r#"
        client> POST /text HTTP/1.1
        client> Host: h
        client> Content-Length: 5
        client>
        client> abcde\
        client< HTTP/1.1 413 Content Too Large
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 32
        client<
        client< the body is longer than 4 bytes\n\
        client2> POST /text HTTP/1.1
        client2> Host: h
        client2> Transfer-Encoding: chunked
        client2>
        client2> 5
        client2> abcde
        client2> 0
        client2>
        client2< HTTP/1.1 413 Content Too Large
        client2< Content-Type: text/plain; charset=utf-8
        client2< Date: (now)
        client2< Content-Length: 32
        client2< Connection: close
        client2<
        client2< the body is longer than 4 bytes\n\
        client2< (end)
        client3> GET / HTTP/1.1
        client3> Host: h
        client3> Long: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
        client3> More: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
        client3>
        client3< HTTP/1.1 431 Request Header Fields Too Large
        client3< Content-Type: text/plain; charset=utf-8
        client3< Date: (now)
        client3< Content-Length: 44
        client3< Connection: close
        client3<
        client3< the fields together exceed the header limit\n\
        client3< (end)
        client4> GET / HTTP/1.1
        client4> Host: h
        client4> Host: h
        client4>
        client4< HTTP/1.1 400 Bad Request
        client4< Content-Type: text/plain; charset=utf-8
        client4< Date: (now)
        client4< Content-Length: 28
        client4< Connection: close
        client4<
        client4< Host is sent more than once\n\
        client4< (end)
        proxy: refusals
        proxy< header_too_large 1
        proxy< bad_request 1
        proxy< body_too_large 3
        "#,
    );
}
