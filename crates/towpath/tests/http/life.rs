//! How requests and servers end.

use towpath_testkit::{Stage, check};

use crate::server::{Kit, impatient};

#[test]
fn handlers_that_panic_or_fail_are_500_and_keep_their_secrets() {
    check(
        Kit::new,
        r#"
        client> GET /panic HTTP/1.1
        client> Host: h
        client>
        client> GET /fail HTTP/1.1
        client> Host: h
        client>
        client> GET /local HTTP/1.1
        client> Host: h
        client>
        client< HTTP/1.1 500 Internal Server Error
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 22
        client<
        client< Internal Server Error\nHTTP/1.1 500 Internal Server Error
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 22
        client<
        client< Internal Server Error\nHTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 5
        client<
        client< local\
        proxy: refusals
        proxy< panic 1
        "#,
    );
}

#[test]
fn the_end_of_the_client_is_the_end_of_the_context_s23() {
    check(
        Kit::new,
        r#"
        client> GET /patient HTTP/1.1
        client> Host: h
        client>
        client> (end)
        client< HTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 11
        client<
        client< client_gone\
        client< (end)
        client2> GET /sleep HTTP/1.1
        client2> Host: h
        client2>
        client2> (end)
        wait 4s
        wait 2s
        client2< (end)
        proxy: refusals
        proxy< client_gone 1
        proxy< abandoned 1
        "#,
    );
}

#[test]
fn a_deadline_is_a_504_also_for_a_handler_that_does_not_look_s18() {
    check(
        |stage| Kit::with(stage, impatient),
        r#"
        client> GET /wait/3 HTTP/1.1
        client> Host: h
        client>
        wait 3s
        client< HTTP/1.1 504 Gateway Timeout
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 16
        client<
        client< Gateway Timeout\n\
        client> GET /sleep HTTP/1.1
        client> Host: h
        client>
        wait 3s
        client< HTTP/1.1 504 Gateway Timeout
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 16
        client<
        client< Gateway Timeout\n\
        client> GET /wait/1 HTTP/1.1
        client> Host: h
        client>
        wait 1s
        client< HTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 6
        client<
        client< waited\
        proxy: refusals
        proxy< handler_timeout 2
        "#,
    );
}

#[test]
fn a_request_that_crosses_the_stop_is_answered() {
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
        proxy: stop
        client> GET / HTTP/1.1
        client> Host: h
        client>
        client< HTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 5
        client< Connection: close
        client<
        client< hello\
        client< (end)
        "#,
    );
}

#[test]
fn a_server_that_stops_answers_what_it_has_and_closes_what_is_idle() {
    check(
        Kit::new,
        r#"
        client2> GET / HTTP/1.1
        client2> Host: h
        client2>
        client2< HTTP/1.1 200 OK
        client2< Content-Type: text/plain; charset=utf-8
        client2< Date: (now)
        client2< Content-Length: 5
        client2<
        client2< hello\
        client> GET /wait/5 HTTP/1.1
        client> Host: h
        client>
        proxy: stop
        client3> (connect)
        client3< (refused)

        # What is idle has a moment for a last request.
        wait 1s
        client2< (end)
        wait 5s
        client< HTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 6
        client< Connection: close
        client<
        client< waited\
        client< (end)
        proxy: refusals
        "#,
    );
}

#[test]
fn what_takes_longer_than_the_grace_is_cut() {
    check(
        Kit::new,
        r#"
        client> GET /sleep HTTP/1.1
        client> Host: h
        client>
        proxy: stop
        wait 29s
        wait 2s
        client< HTTP/1.1 503 Service Unavailable
        client< Content-Type: text/plain; charset=utf-8
        client< Retry-After: 1
        client< Date: (now)
        client< Content-Length: 20
        client< Connection: close
        client<
        client< Service Unavailable\n\
        client< (end)
        proxy: refusals
        proxy< grace 1
        "#,
    );
}

#[test]
fn a_proxys_word_about_the_time_counts_where_it_is_trusted_a13() {
    for (is_trusted, length, left) in [(true, 9, "1.5s left"), (false, 8, "30s left")] {
        check(
            |stage: &Stage| Kit::with(stage, |server| server.trust_headers_from(move |_| is_trusted)),
            &format!(
                r#"
                client> GET /left HTTP/1.1
                client> Host: h
                client> X-Envoy-Expected-Rq-Timeout-Ms: 1500
                client>
                client< HTTP/1.1 200 OK
                client< Content-Type: text/plain; charset=utf-8
                client< Date: (now)
                client< Content-Length: {length}
                client<
                client< {left}\
                "#
            ),
        );
    }
}
