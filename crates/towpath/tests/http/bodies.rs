//! Bodies of requests and responses.

use towpath_testkit::{check, check_torn};

use crate::server::Kit;

#[test]
fn bodies_come_whole_in_both_framings() {
    check_torn(
        Kit::new,
        r#"
        client> POST /text HTTP/1.1
        client> Host: h
        client> Content-Length: 5
        client>
        client> hello\
        client> POST /text HTTP/1.1
        client> Host: h
        client> Transfer-Encoding: chunked
        client>
        client> 3
        client> hel
        client> 2
        client> lo
        client> 0
        client> Digest: abc
        client>
        client> GET /empty HTTP/1.1
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
        client< helloHTTP/1.1 204 No Content
        client< Date: (now)
        client<
        "#,
    );
}

#[test]
fn a_body_goes_back_while_it_comes() {
    check(
        Kit::new,
        r#"
        client> POST /echo HTTP/1.1
        client> Host: h
        client> Transfer-Encoding: chunked
        client>
        client> 3
        client> one
        client> 3
        client> two
        client> 0
        client>
        client> GET / HTTP/1.1
        client> Host: h
        client>
        client< HTTP/1.1 200 OK
        client< Content-Type: application/octet-stream
        client< Date: (now)
        client< Transfer-Encoding: chunked
        client<
        client< 3
        client< one
        client< 3
        client< two
        client< 0
        client<
        client< HTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 5
        client<
        client< hello\
        "#,
    );
}

#[test]
fn pieces_and_trailers_come_as_they_are_made() {
    check(
        Kit::new,
        r#"
        client> GET /pieces HTTP/1.1
        client> Host: h
        client>
        client< HTTP/1.1 200 OK
        client< Content-Type: application/octet-stream
        client< Date: (now)
        client< Transfer-Encoding: chunked
        client<
        wait 1s
        client< 3
        client< one\
        wait 1s
        client<
        client< 3
        client< two
        client< 0
        client<
        client> GET /trailers HTTP/1.1
        client> Host: h
        client>
        client< HTTP/1.1 200 OK
        client< Content-Type: application/octet-stream
        client< Date: (now)
        client< Transfer-Encoding: chunked
        client<
        client< 7
        client< content
        client< 0
        client< Digest: abc
        client<
        # A client of HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
        client> GET /pieces HTTP/1.0
        client>
        client< HTTP/1.1 200 OK
        client< Content-Type: application/octet-stream
        client< Date: (now)
        client< Connection: close
        client<
        wait 2s
        client< onetwo\
        client< (end)
        "#,
    );
}

#[test]
fn a_body_over_the_limit_is_a_413_s15() {
    check(
        Kit::new,
        r#"
        client> POST /text HTTP/1.1
        client> Host: h
        client> Content-Length: 1001
        client>
        client> (x * 1001)\
        client< HTTP/1.1 413 Content Too Large
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 35
        client<
        client< the body is longer than 1000 bytes\n\
        client2> POST /text HTTP/1.1
        client2> Host: h
        client2> Transfer-Encoding: chunked
        client2>
        client2> 3e9
        client2> (x * 1001)
        client2> 0
        client2>
        client2< HTTP/1.1 413 Content Too Large
        client2< Content-Type: text/plain; charset=utf-8
        client2< Date: (now)
        client2< Content-Length: 35
        client2< Connection: close
        client2<
        client2< the body is longer than 1000 bytes\n\
        client2< (end)
        "#,
    );
}

#[test]
fn a_client_that_waits_is_told_to_go_on_only_when_someone_reads_rfc9110_10_1_1() {
    check(
        Kit::new,
        r#"
        client> POST /text HTTP/1.1
        client> Host: h
        client> Expect: 100-continue
        client> Content-Length: 2
        client>
        client> ok\
        client> POST /ignore HTTP/1.1
        client> Host: h
        client> Expect: 100-continue
        client> Content-Length: 2
        client>
        client< HTTP/1.1 100 Continue
        client<
        client< HTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 2
        client<
        client< okHTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 7
        client< Connection: close
        client<
        client< ignored\
        client< (end)
        "#,
    );
}

#[test]
fn a_body_that_nobody_wanted_is_thrown_away_if_that_is_soon_done() {
    check(
        Kit::new,
        r#"
        client> POST /ignore HTTP/1.1
        client> Host: h
        client> Content-Length: 5
        client>
        client> hello\
        client> GET / HTTP/1.1
        client> Host: h
        client>
        client< HTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 7
        client<
        client< ignoredHTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 5
        client<
        client< hello\
        client2> POST /ignore HTTP/1.1
        client2> Host: h
        client2> Content-Length: 5
        client2>
        client2< HTTP/1.1 200 OK
        client2< Content-Type: text/plain; charset=utf-8
        client2< Date: (now)
        client2< Content-Length: 7
        client2<
        client2< ignored\
        wait 1s
        client2< (end)
        "#,
    );
}

#[test]
fn bodies_shorter_than_declared_are_no_whole_message() {
    check(
        Kit::new,
        r#"
        client> GET /short HTTP/1.1
        client> Host: h
        client>
        client< HTTP/1.1 200 OK
        client< Date: (now)
        client< Content-Length: 9
        client<
        client< (reset)
        client2> POST /text HTTP/1.1
        client2> Host: h
        client2> Content-Length: 5
        client2>
        client2> hel\
        client2> (end)
        client2< HTTP/1.1 400 Bad Request
        client2< Content-Type: text/plain; charset=utf-8
        client2< Date: (now)
        client2< Content-Length: 40
        client2< Connection: close
        client2<
        client2< the connection ended inside the message\n\
        client2< (end)
        "#,
    );
}
