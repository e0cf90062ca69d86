//! T20 and the size limits: the smallest unit is refused, with the limit's name.

use crate::gateway::{Gateway, check, check_torn};
use crate::verdict;

#[test]
fn eight_interim_responses_pass_and_the_ninth_ends_it_t20() {
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
        origin> HTTP/1.1 103 Early Hints
        origin> link: 1
        origin>
        origin> HTTP/1.1 102 Processing
        origin>
        origin> HTTP/1.1 102 Processing
        origin>
        origin> HTTP/1.1 102 Processing
        origin>
        origin> HTTP/1.1 102 Processing
        origin>
        origin> HTTP/1.1 102 Processing
        origin>
        origin> HTTP/1.1 102 Processing
        origin>
        origin> HTTP/1.1 102 Processing
        origin>
        origin> HTTP/1.1 102 Processing
        origin>
        client< HTTP/1.1 103 Early Hints
        client< link: 1
        client<
        client< HTTP/1.1 102 Processing
        client<
        client< HTTP/1.1 102 Processing
        client<
        client< HTTP/1.1 102 Processing
        client<
        client< HTTP/1.1 102 Processing
        client<
        client< HTTP/1.1 102 Processing
        client<
        client< HTTP/1.1 102 Processing
        client<
        client< HTTP/1.1 102 Processing
        client<
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_protocol_error; details="upstream_too_many_interim"
        client< Content-Length: 43
        client<
        client< 502 Bad Gateway: upstream_too_many_interim\n\
        origin< (end)
        proxy: reasons
        proxy< upstream_too_many_interim 1
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn an_http10_client_gets_no_interim_response_t20() {
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
        origin> HTTP/1.1 103 Early Hints
        origin> link: 1
        origin>
        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> 1\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client< connection: close
        client<
        client< 1\
        client< (end)
        "#,
    );
    check(
        Gateway::new,
        r#"
        # Interim responses that nobody got do not make the failure a broken answer.
        client> GET / HTTP/1.0
        client> host: h
        client>
        origin< (connected)
        origin< GET / HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 103 Early Hints
        origin> link: 1
        origin>
        origin> (reset)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_terminated; details="upstream_reset_before_response"
        client< Content-Length: 48
        client< connection: close
        client<
        client< 502 Bad Gateway: upstream_reset_before_response\n\
        client< (end)
        "#,
    );
}

#[test]
fn heads_over_a_limit_are_refused_by_its_name() {
    verdict::check(
        Gateway::new,
        r#"
        200 open, origin: GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa <- GET /(a * 8000) HTTP/1.1\r\nhost: h\r\n\r\n
        414 request_line_too_long closed                 <- GET /(a * 9000) HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /                          <- GET / HTTP/1.1\r\nhost: h\r\na: (a * 8000)\r\n\r\n
        431 header_too_large closed                      <- GET / HTTP/1.1\r\nhost: h\r\na: (a * 9000)\r\n\r\n
        200 open, origin: GET /                          <- GET / HTTP/1.1\r\nhost: h\r\na: (a * 8000)\r\nb: (a * 8000)\r\nc: (a * 8000)\r\nd: (a * 8000)\r\ne: (a * 8000)\r\nf: (a * 8000)\r\ng: (a * 8000)\r\nh: (a * 8000)\r\n\r\n
        431 header_too_large closed                      <- GET / HTTP/1.1\r\nhost: h\r\na: (a * 8000)\r\nb: (a * 8000)\r\nc: (a * 8000)\r\nd: (a * 8000)\r\ne: (a * 8000)\r\nf: (a * 8000)\r\ng: (a * 8000)\r\nh: (a * 8000)\r\ni: (a * 8000)\r\n\r\n
        "#,
    );
    let fields = |count: usize| (0..count).map(|number| format!("f{number}: v\r\n")).collect::<String>();
    for (count, expected) in [(99, "200 open, origin: GET /"), (100, "431 too_many_headers closed")] {
        let request = format!("GET / HTTP/1.1\r\nhost: h\r\n{}\r\n", fields(count));
        assert_eq!(verdict::outcome(Gateway::new(), request.as_bytes(), Some(7)).to_string(), expected);
    }
}

#[test]
fn an_endless_head_ends_at_the_limit() {
    let head = format!("GET / HTTP/1.1\r\nhost: h\r\n{}", "a: b\r\n".repeat(20_000));
    let found = verdict::outcome(Gateway::new(), head.as_bytes(), None);
    assert_eq!(found.to_string(), "431 too_many_headers closed");
    let head = format!("GET / HTTP/1.1\r\nhost: h\r\na: {}", "b".repeat(1_000_000));
    let found = verdict::outcome(Gateway::new(), head.as_bytes(), None);
    assert_eq!(found.to_string(), "431 header_too_large closed");
    let line = "G".repeat(1_000_000);
    let found = verdict::outcome(Gateway::new(), line.as_bytes(), None);
    assert_eq!(found.to_string(), "414 request_line_too_long closed");
}

#[test]
fn a_declared_body_over_the_limit_is_refused_before_the_origin_hears_of_it() {
    check_torn(
        || Gateway::new().listener(|l| l.body_bytes_max = Some(10)),
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> content-length: 11
        client>
        client> hello world\
        client< HTTP/1.1 413 Content Too Large
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="body_too_large"
        client< Content-Length: 38
        client< connection: close
        client<
        client< 413 Content Too Large: body_too_large\n\
        client< (end)

        client2> POST / HTTP/1.1
        client2> host: h
        client2> content-length: 10
        client2>
        client2> hello worl\
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Content-Length: 10
        origin<
        origin< hello worl\
        "#,
    );
}

#[test]
fn a_chunked_body_ends_at_the_limit() {
    check(
        || Gateway::new().listener(|l| l.body_bytes_max = Some(10)),
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> transfer-encoding: chunked
        client>
        client> 6
        client> hello\x20
        client> 4
        client> worl
        client> 1
        client> d
        client> 0
        client>
        client< HTTP/1.1 413 Content Too Large
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="body_too_large"
        client< Content-Length: 38
        client< connection: close
        client<
        client< 413 Content Too Large: body_too_large\n\
        client< (end)

        # The same, one chunk after the other: the origin's connection breaks off.
        client2> POST / HTTP/1.1
        client2> host: h
        client2> transfer-encoding: chunked
        client2>
        client2> 6
        client2> hello\x20
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Transfer-Encoding: chunked
        origin<
        origin< 6
        origin< hello\x20

        client2> 5
        client2> world
        client2> 0
        client2>
        origin< (end)
        client2< HTTP/1.1 413 Content Too Large
        client2< server: towpath
        client2< date: (now)
        client2< content-type: text/plain; charset=utf-8
        client2< proxy-status: towpath; error=http_request_error; details="body_too_large"
        client2< Content-Length: 38
        client2< connection: close
        client2<
        client2< 413 Content Too Large: body_too_large\n\
        client2< (end)
        wait 3s
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn the_routes_limit_overrides_the_listeners() {
    check(
        || Gateway::new().listener(|l| l.body_bytes_max = Some(10)).route(|r| r.body_bytes_max = Some(20)),
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> content-length: 15
        client>
        client> 123456789012345\
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Content-Length: 15
        origin<
        origin< 123456789012345\

        client2> POST / HTTP/1.1
        client2> host: h
        client2> content-length: 21
        client2>
        client2< HTTP/1.1 413 Content Too Large
        client2< server: towpath
        client2< date: (now)
        client2< content-type: text/plain; charset=utf-8
        client2< proxy-status: towpath; error=http_request_error; details="body_too_large"
        client2< Content-Length: 38
        client2< connection: close
        client2<
        client2< 413 Content Too Large: body_too_large\n\
        client2< (end)
        "#,
    );
}

#[test]
fn connections_beyond_the_limit_wait_and_idle_ones_make_room() {
    check(
        || Gateway::new().listener(|l| l.connections_max = Some(1)),
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
        # The first answer says that the connection ends, and the second client's turn comes.
        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> 1\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client< connection: close
        client<
        client< 1\
        client< (end)
        wait 1s
        origin< GET /2 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> 2\
        client2< HTTP/1.1 200 OK
        client2< date: (now)
        client2< Content-Length: 1
        client2< connection: close
        client2<
        client2< 2\
        client2< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0
        "#,
    );
}
