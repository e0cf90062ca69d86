//! T10, T40, T44: one authority, one path, and an answer to every legal request however odd.

use crate::gateway::{Gateway, check, redirect, respond};
use crate::verdict;

#[test]
fn a_request_has_one_authority_t10() {
    verdict::check(
        Gateway::new,
        r#"
        200 open, origin: GET /                          <- GET / HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /                          <- GET / HTTP/1.1\r\nhost: h:8080\r\n\r\n
        200 open, origin: GET /                          <- GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n
        400 bad_host closed                              <- GET / HTTP/1.1\r\n\r\n
        400 bad_host closed                              <- GET / HTTP/1.1\r\nhost:\r\n\r\n
        400 bad_host closed                              <- GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n
        400 bad_host closed                              <- GET / HTTP/1.1\r\nhost: a\r\nHost: b\r\n\r\n
        400 bad_host closed                              <- GET / HTTP/1.1\r\nhost: a, b\r\n\r\n
        400 bad_host closed                              <- GET / HTTP/1.1\r\nhost: a b\r\n\r\n
        400 bad_host closed                              <- GET / HTTP/1.1\r\nhost: a/b\r\n\r\n
        400 bad_host closed                              <- GET / HTTP/1.1\r\nhost: u@a\r\n\r\n
        400 bad_host closed                              <- GET / HTTP/1.1\r\nhost: a:99999\r\n\r\n
        400 bad_host closed                              <- GET / HTTP/1.1\r\nhost: a:80:80\r\n\r\n
        400 bad_host closed                              <- GET / HTTP/1.1\r\nhost: a#b\r\n\r\n
        200 open, origin: GET /                          <- GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n
        200 open, origin: GET /                          <- GET http://a/ HTTP/1.1\r\nhost: A:80\r\n\r\n
        400 bad_host closed                              <- GET http://a/ HTTP/1.1\r\nhost: b\r\n\r\n
        400 bad_host closed                              <- GET http://a:81/ HTTP/1.1\r\nhost: a\r\n\r\n
        400 bad_request_target closed                    <- GET http://u@a/ HTTP/1.1\r\nhost: a\r\n\r\n
        400 bad_request_target closed                    <- GET http:///x HTTP/1.1\r\nhost: a\r\n\r\n
        400 bad_request_target closed                    <- GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n
        400 bad_request_target closed                    <- GET /a#b HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_target closed                    <- GET /a?b#c HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_target closed                    <- GET #a HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_target closed                    <- GET a HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /evil.example/             <- GET //evil.example/ HTTP/1.1\r\nhost: h\r\n\r\n
        "#,
    );
}

#[test]
fn an_absolute_target_reaches_the_origin_in_origin_form_t10() {
    check(
        || Gateway::new().listener(|l| l.forwarded = towpath_gateway::plan::Forwarded::XForwarded),
        r#"
        client> GET http://Example.com/a?b=c HTTP/1.1
        client> host: example.com
        client>
        origin< (connected)
        origin< GET /a?b=c HTTP/1.1
        origin< host: Example.com
        origin< x-forwarded-for: 127.0.0.1
        origin< x-forwarded-proto: http
        origin< x-forwarded-host: Example.com
        origin<
        "#,
    );
}

#[test]
fn the_path_that_routing_sees_is_the_path_the_origin_sees_t40() {
    // Everything below /secret is answered by the gateway; whatever reaches the origin is not below it.
    verdict::check(
        || Gateway::new().path("/secret/*", |_| respond(403, "no")),
        r#"
        403 open                                         <- GET /secret/x HTTP/1.1\r\nhost: h\r\n\r\n
        403 open                                         <- GET /secre%74/x HTTP/1.1\r\nhost: h\r\n\r\n
        403 open                                         <- GET //secret/x HTTP/1.1\r\nhost: h\r\n\r\n
        403 open                                         <- GET /./secret/x HTTP/1.1\r\nhost: h\r\n\r\n
        403 open                                         <- GET /a/../secret/x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_path closed                              <- GET /a/%2e%2e/secret/x HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_path closed                              <- GET /a/.%2E/secret HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /open                      <- GET /secret/../open HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_path closed                              <- GET /a%2f..%2fsecret HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_target closed                    <- GET /a\\..\\secret HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_path closed                              <- GET /a%5csecret HTTP/1.1\r\nhost: h\r\n\r\n
        403 open                                         <- GET /a;x/../secret HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_path closed                              <- GET /a/..;/secret HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_path closed                              <- GET /a%3bx HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_path closed                              <- GET /a%00 HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_path closed                              <- GET /../secret HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_target closed                    <- GET /%zz HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_target closed                    <- GET /% HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /~user/%C3%A4%20b          <- GET /%7Euser/%c3%a4%20b HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /a;v=1/b?x=%2f..%2f&y=a/../b <- GET /a;v=1/b?x=%2f..%2f&y=a/../b HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /SECRET/x                  <- GET /SECRET/x HTTP/1.1\r\nhost: h\r\n\r\n
        "#,
    );
}

#[test]
fn encoded_separators_pass_where_the_route_takes_them_t40() {
    verdict::check(
        || Gateway::new().route(|r| r.encoded_path = true).path("/secret/*", |_| respond(403, "no")),
        r#"
        200 open, origin: GET /a%2Fb%5Cc%3Bd%00e         <- GET /a%2fb%5Cc%3bd%00e HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_path closed                              <- GET /a/%2e%2e/secret HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /secret%2Fx                <- GET /secret%2fx HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_path closed                              <- GET /secret/a%2fb HTTP/1.1\r\nhost: h\r\n\r\n
        "#,
    );
}

#[test]
fn every_legal_request_has_an_answer_t44() {
    verdict::check(
        Gateway::new,
        r#"
        405 connect_not_offered closed                   <- CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\n\r\n
        405 connect_not_offered closed                   <- CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\n\r\nearly
        400 bad_request_framing closed                   <- CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\ncontent-length: 5\r\n\r\nearly
        400 bad_request_target closed                    <- CONNECT / HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_target closed                    <- CONNECT h HTTP/1.1\r\nhost: h\r\n\r\n
        200 closed, origin: GET /                        <- GET / HTTP/1.0\r\n\r\n
        200 closed, origin: GET /                        <- GET / HTTP/1.0\r\nhost: h\r\n\r\n
        200 open, origin: GET /                          <- GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n
        200 open, origin: OPTIONS *                      <- OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_target closed                    <- GET * HTTP/1.1\r\nhost: h\r\n\r\n
        400 bad_request_target closed                    <- OPTIONS http://h HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /                          <- GET http://h HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /?q                        <- GET http://h?q HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /?                         <- GET /? HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /??                        <- GET /?? HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: GET /?a=%zz&\^{}|"             <- GET /?a=%zz&\\^{}|" HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: TRACE /                        <- TRACE / HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: M-SEARCH /                     <- M-SEARCH / HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: !#$%&'*+-.^_`|~ /              <- !#$%&'*+-.^_`|~ / HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: HEAD /                         <- HEAD / HTTP/1.1\r\nhost: h\r\n\r\n
        200 open, origin: DELETE /                       <- DELETE / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi
        200 open, origin: GET /                          <- GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi
        "#,
    );
}

#[test]
fn every_local_action_takes_odd_requests_t44() {
    for make in [|| respond(200, "own"), || redirect(302, "/elsewhere", "/*"), || respond(204, "")] {
        for request in [
            "GET / HTTP/1.0\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n",
            "HEAD / HTTP/1.1\r\nhost: h\r\n\r\n",
            "GET http://h HTTP/1.1\r\nhost: h\r\n\r\n",
            "POST /? HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi",
            "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "TRACE / HTTP/1.1\r\nhost: h\r\n\r\n",
        ] {
            let gateway = Gateway::new().route(move |route| route.action = make());
            let found = verdict::outcome(gateway, request.as_bytes(), Some(3));
            assert_eq!(found.answers().len(), 1, "{request}: {found}");
            assert!(["200", "204", "302"].contains(&&*found.answers()[0]), "{request}: {found}");
            assert_eq!(found.is_closed, request.contains("HTTP/1.0"), "{request}");
        }
    }
}
