//! T07: a connection serves again only when nobody could take its bytes for something else.

use crate::gateway::{Gateway, check, check_torn};

#[test]
fn one_upstream_connection_serves_many_requests() {
    check_torn(
        Gateway::new,
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> 1\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client<
        client< 1\
        client> GET /2 HTTP/1.1
        client> host: h
        client>
        origin< GET /2 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> 2\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client<
        client< 2\
        client2> GET /3 HTTP/1.1
        client2> host: h
        client2>
        origin< GET /3 HTTP/1.1
        origin< host: h
        origin<
        "#,
    );
}

#[test]
fn one_byte_behind_the_response_retires_the_connection_t07() {
    check(
        Gateway::new,
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> 1x\
        origin< (end)
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client<
        client< 1\
        client> GET /2 HTTP/1.1
        client> host: h
        client>
        origin#2< (connected)
        origin#2< GET /2 HTTP/1.1
        origin#2< host: h
        origin#2<
        "#,
    );
}

#[test]
fn a_second_response_is_nobodys_answer_t07() {
    check(
        Gateway::new,
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> 1HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> P\
        origin< (end)
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client<
        client< 1\
        client2> GET /2 HTTP/1.1
        client2> host: h
        client2>
        origin#2< (connected)
        origin#2< GET /2 HTTP/1.1
        origin#2< host: h
        origin#2<
        "#,
    );
}

#[test]
fn a_byte_on_an_idle_connection_closes_it_t07() {
    check(
        Gateway::new,
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> 1\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client<
        client< 1\
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0
        origin> HTTP/1.1 408 Request Timeout
        origin>
        origin< (end)
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        client> GET /2 HTTP/1.1
        client> host: h
        client>
        origin#2< (connected)
        origin#2< GET /2 HTTP/1.1
        origin#2< host: h
        origin#2<
        "#,
    );
}

#[test]
fn a_response_before_the_request_is_sent_answers_nothing_t07() {
    check(
        Gateway::new,
        r#"
        client> POST /1 HTTP/1.1
        client> host: h
        client> content-length: 10
        client>
        client> hello\
        origin< (connected)
        origin< POST /1 HTTP/1.1
        origin< host: h
        origin< Content-Length: 10
        origin<
        origin< hello\
        # Half a request is no request: the answer is passed on, both connections end.
        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> 1\
        origin< (end)
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client< connection: close
        client<
        client< 1\
        client< (end)
        wait 3s
        client2> GET /2 HTTP/1.1
        client2> host: h
        client2>
        origin#2< (connected)
        origin#2< GET /2 HTTP/1.1
        origin#2< host: h
        origin#2<
        "#,
    );
}

#[test]
fn the_origin_decides_whether_its_connection_is_kept() {
    check(
        Gateway::new,
        r#"
        client> GET /close HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /close HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> connection: close
        origin> content-length: 1
        origin>
        origin> 1\
        origin< (end)
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client<
        client< 1\
        client> GET /old HTTP/1.1
        client> host: h
        client>
        origin#2< (connected)
        origin#2< GET /old HTTP/1.1
        origin#2< host: h
        origin#2<
        origin#2> HTTP/1.0 200 OK
        origin#2> content-length: 1
        origin#2>
        origin#2> 2\
        origin#2< (end)
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client<
        client< 2\
        client> GET /kept HTTP/1.1
        client> host: h
        client>
        origin#3< (connected)
        origin#3< GET /kept HTTP/1.1
        origin#3< host: h
        origin#3<
        origin#3> HTTP/1.0 200 OK
        origin#3> connection: keep-alive
        origin#3> content-length: 1
        origin#3>
        origin#3> 3\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client<
        client< 3\
        client> GET /last HTTP/1.1
        client> host: h
        client>
        origin#3< GET /last HTTP/1.1
        origin#3< host: h
        origin#3<
        "#,
    );
}

#[test]
fn an_idle_connection_is_not_kept_longer_than_the_origin_said() {
    check(
        Gateway::new,
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> keep-alive: timeout=5
        origin> content-length: 1
        origin>
        origin> 1\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client<
        client< 1\
        wait 6s
        origin< (end)
        client> GET /2 HTTP/1.1
        client> host: h
        client>
        origin#2< (connected)
        origin#2< GET /2 HTTP/1.1
        origin#2< host: h
        origin#2<
        "#,
    );
}

#[test]
fn a_closed_idle_connection_is_noticed_at_once() {
    check(
        Gateway::new,
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> 1\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client<
        client< 1\
        origin> (close)
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        client> POST /2 HTTP/1.1
        client> host: h
        client> content-length: 2
        client>
        client> hi\
        origin#2< (connected)
        origin#2< POST /2 HTTP/1.1
        origin#2< host: h
        origin#2< Content-Length: 2
        origin#2<
        origin#2< hi\
        "#,
    );
}

/// More of the body than one read holds is there before the head has left: it still goes behind it.
#[test]
fn a_body_does_not_overtake_its_head_on_a_reused_connection() {
    let body = "x".repeat(60_000);
    check(
        Gateway::new,
        &format!(
            r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 204 No Content
        origin>
        client< HTTP/1.1 204 No Content
        client< date: (now)
        client<
        client> PUT /2 HTTP/1.1
        client> host: h
        client> content-length: 60000
        client>
        client> {body}\
        origin< PUT /2 HTTP/1.1
        origin< host: h
        origin< Content-Length: 60000
        origin<
        origin< (x * 60000)\
        "#
        ),
    );
}
