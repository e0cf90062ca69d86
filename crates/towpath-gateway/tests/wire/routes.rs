//! What routes do beside proxying: answers of their own, redirections, rewrites, splits (T41, T43).

use towpath_gateway::plan::Rewrite;
use towpath_traffic::route::{HostRule, RouteRule, ValueRule};

use crate::gateway::{Gateway, check, check_torn, edits, path_rule, redirect, respond, split, template, to};
use crate::verdict::{self, outcome};

#[test]
fn no_route_and_no_method_have_their_own_answers() {
    let gateway = || {
        Gateway::new().without_default().rule(
            RouteRule {
                path: path_rule("/a"),
                methods: vec!["GET".into(), "PUT".into()],
                ..RouteRule::default()
            },
            |_, _| {},
        )
    };
    check_torn(
        gateway,
        r#"
        client> GET /none HTTP/1.1
        client> host: h
        client>
        client> DELETE /a HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 404 Not Found
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=destination_not_found; details="no_route"
        client< Content-Length: 24
        client<
        client< 404 Not Found: no_route\nHTTP/1.1 405 Method Not Allowed
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_denied; details="method_not_allowed"
        client< allow: GET, PUT
        client< Content-Length: 43
        client<
        client< 405 Method Not Allowed: method_not_allowed\n\
        # Both leave the connection open.
        client> GET /a HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /a HTTP/1.1
        origin< host: h
        origin<
        "#,
    );
}

#[test]
fn hosts_headers_and_queries_choose_a_route() {
    let rule = |change: fn(&mut RouteRule)| {
        let mut rule = RouteRule { path: path_rule("/x"), ..RouteRule::default() };
        change(&mut rule);
        rule
    };
    verdict::check(
        move || {
            Gateway::new()
                .rule(rule(|r| r.host = HostRule::parse("a.example").expect("a host")), |_, r| {
                    r.action = respond(201, "")
                })
                .rule(rule(|r| r.headers = vec![("X-Kind".into(), ValueRule::parse("k"))]), |_, r| {
                    r.action = respond(202, "");
                })
                .rule(
                    rule(|r| (r.query, r.priority) = (vec![("q".into(), ValueRule::parse("*"))], 1)),
                    |_, r| r.action = respond(203, ""),
                )
        },
        r#"
        201 open                                         <- GET /x HTTP/1.1\r\nhost: a.example\r\n\r\n
        201 open                                         <- GET /x HTTP/1.1\r\nhost: A.Example:8080\r\n\r\n
        201 open                                         <- GET http://a.example/x HTTP/1.1\r\nhost: a.example\r\n\r\n
        202 open                                         <- GET /x HTTP/1.1\r\nhost: b\r\nx-kind: k\r\n\r\n
        200 open, origin: GET /x                         <- GET /x HTTP/1.1\r\nhost: b\r\nx-kind: other\r\n\r\n
        203 open                                         <- GET /x?p=1&q= HTTP/1.1\r\nhost: b\r\n\r\n
        200 open, origin: GET /x                         <- GET /x HTTP/1.1\r\nhost: b\r\n\r\n
        "#,
    );
}

#[test]
fn a_fixed_response_is_sent() {
    check_torn(
        || {
            Gateway::new().rule(RouteRule { path: path_rule("/own"), ..RouteRule::default() }, |_, r| {
                r.action = respond(418, "teapot");
                r.response_headers = edits(&[], &[("x-own", "1")], &[]);
            })
        },
        r#"
        client> GET /own HTTP/1.1
        client> host: h
        client>
        client> HEAD /own HTTP/1.1
        client> host: h
        client>
        client> POST /own HTTP/1.1
        client> host: h
        client> content-length: 5
        client>
        client> hello\
        client> GET /own HTTP/1.0
        client>
        client< HTTP/1.1 418\x20
        client< server: towpath
        client< date: (now)
        client< x-own: 1
        client< Content-Length: 6
        client<
        client< teapotHTTP/1.1 418\x20
        client< server: towpath
        client< date: (now)
        client< x-own: 1
        client< Content-Length: 6
        client<
        client< HTTP/1.1 418\x20
        client< server: towpath
        client< date: (now)
        client< x-own: 1
        client< Content-Length: 6
        client<
        client< teapotHTTP/1.1 418\x20
        client< server: towpath
        client< date: (now)
        client< x-own: 1
        client< Content-Length: 6
        client< connection: close
        client<
        client< teapot\
        client< (end)
        "#,
    );
}

#[test]
fn a_large_body_before_a_fixed_response_is_not_read() {
    check(
        || Gateway::new().path("/own", |_| respond(200, "own")),
        r#"
        client> POST /own HTTP/1.1
        client> host: h
        client> content-length: 10000000
        client>
        client> (x * 100000)\
        client< HTTP/1.1 200 OK
        client< server: towpath
        client< date: (now)
        client< Content-Length: 3
        client< connection: close
        client<
        client< own\
        client< (end)
        client2> POST /own HTTP/1.1
        client2> host: h
        client2> transfer-encoding: chunked
        client2>
        client2> 20000
        client2> (x * 131072)
        client2< HTTP/1.1 200 OK
        client2< server: towpath
        client2< date: (now)
        client2< Content-Length: 3
        client2< connection: close
        client2<
        client2< own\
        client2< (end)
        wait 3s
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_redirection_is_made_of_captures() {
    check(
        || {
            Gateway::new()
                .path("/users/{id}/posts", |_| {
                    redirect(308, "https://new.example/u/{id}", "/users/{id}/posts")
                })
                .path("/old/{rest...}", |_| redirect(302, "/{rest}", "/old/{rest...}"))
        },
        r#"
        client> GET /users/7%20a/posts HTTP/1.1
        client> host: h
        client>
        client> GET /old/a/b?q=lost HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 308 Permanent Redirect
        client< server: towpath
        client< date: (now)
        client< location: https://new.example/u/7%20a
        client< Content-Length: 0
        client<
        client< HTTP/1.1 302 Found
        client< server: towpath
        client< date: (now)
        client< location: /a/b
        client< Content-Length: 0
        client<
        # A capture cannot name another host.
        client> GET /old//evil.example HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 302 Found
        client< server: towpath
        client< date: (now)
        client< location: /evil.example
        client< Content-Length: 0
        client<
        "#,
    );
}

#[test]
fn no_template_output_holds_a_byte_outside_the_value_set_t43() {
    for byte in 0..=255u8 {
        for path in [format!("/old/a%{byte:02x}b"), format!("/old/a%{byte:02X}/b")] {
            let gateway = Gateway::new()
                .path("/old/{rest...}", |_| redirect(302, "http://x.example/{rest}", "/old/{rest...}"));
            let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n");
            let found = outcome(gateway, request.as_bytes(), None);
            let text = String::from_utf8(found.received).expect("nothing but ASCII");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            let is_refused = head.starts_with("HTTP/1.1 400 ");
            // One head, no more, and a body only where there is a reason to tell.
            assert_eq!(body.is_empty(), !is_refused, "{path}: {text}");
            let location = head.lines().find_map(|line| line.strip_prefix("location: "));
            assert_eq!(location.is_none(), is_refused, "{path}: {text}");
            let location = location.unwrap_or("http://x.example/a");
            assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{path}: {location}");
            assert!(location.starts_with("http://x.example/a"), "{path}: {location}");
        }
    }
}

#[test]
fn paths_are_rewritten_and_canonical_again_t40() {
    let gateway = || {
        let strip = |path: &'static str, rewrite: Rewrite| {
            let rule = RouteRule { path: path_rule(path), ..RouteRule::default() };
            (rule, rewrite)
        };
        let rules = [
            strip("/api/*", Rewrite::StripPrefix(b"/api".as_slice().into())),
            strip("/v1/*", Rewrite::ReplacePrefix(b"/v1".as_slice().into(), b"/v2".as_slice().into())),
            strip("/u/{id}", Rewrite::Path(template("/users/{id}/", "/u/{id}"))),
            strip("/deep/{rest...}", Rewrite::Path(template("/{rest}", "/deep/{rest...}"))),
        ];
        rules.into_iter().fold(Gateway::new(), |gateway, (rule, rewrite)| {
            gateway.rule(rule, move |_, route| {
                route.rewrite = Some(rewrite.clone());
                route.encoded_path = true;
            })
        })
    };
    verdict::check(
        gateway,
        r#"
        200 open, origin: GET /                          <- GET /api HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /                          <- GET /api/ HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /a?b=/api                  <- GET /api/a?b=/api HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /a                         <- GET /api//a HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /apiary                    <- GET /apiary HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /v2                        <- GET /v1 HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /v2/b                      <- GET /v1/a/../b HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /users/7/                  <- GET /u/7 HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /users/a%2Fb/              <- GET /u/a%2fb HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_path closed                              <- GET /u/%2e%2e HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_path closed                              <- GET /deep/a/%2e%2e/%2e%2e/b HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /a%2F..%2F..%2Fb           <- GET /deep/a%2f..%2f..%2fb HTTP/1.1\r\nhost: h\r\n\r\n
        "#,
    );
}

#[test]
fn requests_are_split_by_weight() {
    let gateway = || {
        Gateway::new()
            .upstream("b", &["b"])
            .upstream("never", &["never"])
            .path("/split", |upstreams| split(upstreams, &[("origin", 3), ("b", 1), ("never", 0)]))
            .path("/b", |upstreams| to(upstreams, "b"))
            .path("/closed", |upstreams| split(upstreams, &[("b", 0)]))
    };
    let mut request = "GET /split HTTP/1.1\r\nhost: h\r\n\r\n".repeat(8);
    request += "GET /b HTTP/1.1\r\nhost: h\r\n\r\n";
    let found = outcome(gateway(), request.as_bytes(), None);
    assert_eq!(found.answers().len(), 9);
    // The label of each request's connection tells the upstream.
    let at = |name: &str| found.seen_by.iter().filter(|label| label.starts_with(name)).count();
    assert_eq!((at("origin"), at("b"), at("never")), (6, 3, 0));
    let found = outcome(gateway(), b"GET /closed HTTP/1.1\r\nhost: h\r\n\r\n", None);
    assert_eq!(found.to_string(), "503 no_healthy_endpoint open");
}
