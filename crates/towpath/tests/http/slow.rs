//! Everything that a slow peer could hold has a deadline.

use towpath_testkit::check;

use crate::server::Kit;

#[test]
fn a_connection_without_a_request_and_a_slow_head_have_ten_seconds_t31() {
    check(
        Kit::new,
        r#"
        client> (connect)
        client2> GET / HTTP/1.1
        wait 9s
        wait 2s
        client< (end)
        client2< HTTP/1.1 408 Request Timeout
        client2< Content-Type: text/plain; charset=utf-8
        client2< Date: (now)
        client2< Content-Length: 23
        client2< Connection: close
        client2<
        client2< the head took too long\n\
        client2< (end)
        proxy: refusals
        proxy< first_request_timeout 2
        "#,
    );
}

#[test]
fn an_idle_connection_has_a_minute_and_its_next_head_ten_seconds_t39() {
    check(
        Kit::new,
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
        client2< HTTP/1.1 200 OK
        client2< Content-Type: text/plain; charset=utf-8
        client2< Date: (now)
        client2< Content-Length: 5
        client2<
        client2< hello\
        wait 59s
        client2> GET / HTTP/1.1
        wait 2s
        client< (end)
        wait 9s
        client2< HTTP/1.1 408 Request Timeout
        client2< Content-Type: text/plain; charset=utf-8
        client2< Date: (now)
        client2< Content-Length: 23
        client2< Connection: close
        client2<
        client2< the head took too long\n\
        client2< (end)
        proxy: refusals
        proxy< header_timeout 1
        proxy< idle_timeout 1
        "#,
    );
}

#[test]
fn a_body_that_stands_still_or_trickles_is_a_408_t39() {
    check(
        Kit::new,
        r#"
        client> POST /text HTTP/1.1
        client> Host: h
        client> Content-Length: 9
        client>
        wait 29s
        wait 2s
        client< HTTP/1.1 408 Request Timeout
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 37
        client< Connection: close
        client<
        client< the peer took too long over the body\n\
        client< (end)
        client2> POST /text HTTP/1.1
        client2> Host: h
        client2> Content-Length: 900
        client2>
        client2> a\
        wait 20s
        client2> b\
        client2< HTTP/1.1 408 Request Timeout
        client2< Content-Type: text/plain; charset=utf-8
        client2< Date: (now)
        client2< Content-Length: 37
        client2< Connection: close
        client2<
        client2< the peer took too long over the body\n\
        client2< (end)
        proxy: refusals
        proxy< body_timeout 1
        proxy< body_rate 1
        "#,
    );
}

#[test]
fn a_client_that_does_not_read_is_cut_t15() {
    check(
        Kit::new,
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
        client> (stop reading)
        client> GET /flood HTTP/1.1
        client> Host: h
        client>
        wait 29s
        wait 2s
        client> (read)
        client< (reset)
        proxy: refusals
        proxy< write_timeout 1
        "#,
    );
}
