//! When a request is sent again, and when never.

use std::time::Duration;

use towpath_testkit::{Seen, Stage, run};

use crate::gateway::{Gateway, check, retries};

#[test]
fn a_get_that_meets_a_closing_connection_is_sent_once_more_on_a_fresh_one() {
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
        origin> content-length: 0
        origin>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        client> GET /2 HTTP/1.1
        client> host: h
        client>
        origin< GET /2 HTTP/1.1
        origin< host: h
        origin<
        # The origin had closed the idle connection just then.
        origin> (close)
        origin#2< (connected)
        origin#2< GET /2 HTTP/1.1
        origin#2< host: h
        origin#2<
        origin#2> (close)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_terminated; details="upstream_reset_before_response"
        client< Content-Length: 48
        client<
        client< 502 Bad Gateway: upstream_reset_before_response\n\
        proxy: reasons
        proxy< upstream_reset_before_response 1
        "#,
    );
}

#[test]
fn a_reset_instead_of_a_close_is_the_same() {
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
        origin> content-length: 0
        origin>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        client> PUT /2 HTTP/1.1
        client> host: h
        client> content-length: 5
        client>
        client> hello\
        origin< PUT /2 HTTP/1.1
        origin< host: h
        origin< Content-Length: 5
        origin<
        origin< hello\
        # PUT may be processed twice, and its body is still here.
        origin> (reset)
        origin#2< (connected)
        origin#2< PUT /2 HTTP/1.1
        origin#2< host: h
        origin#2< Content-Length: 5
        origin#2<
        origin#2< hello\
        origin#2> HTTP/1.1 201 Created
        origin#2> content-length: 0
        origin#2>
        client< HTTP/1.1 201 Created
        client< date: (now)
        client< Content-Length: 0
        client<
        "#,
    );
}

#[test]
fn a_post_whose_bytes_were_written_is_not_sent_again() {
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
        origin> content-length: 0
        origin>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        client> POST /2 HTTP/1.1
        client> host: h
        client> content-length: 5
        client>
        client> hello\
        origin< POST /2 HTTP/1.1
        origin< host: h
        origin< Content-Length: 5
        origin<
        origin< hello\
        origin> (close)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_terminated; details="upstream_reset_before_response"
        client< Content-Length: 48
        client<
        client< 502 Bad Gateway: upstream_reset_before_response\n\
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_get_on_a_fresh_connection_is_not_sent_again() {
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
        origin> (close)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_terminated; details="upstream_reset_before_response"
        client< Content-Length: 48
        client<
        client< 502 Bad Gateway: upstream_reset_before_response\n\
        "#,
    );
}

#[test]
fn nothing_is_sent_again_once_the_response_began() {
    check(
        || Gateway::new().route(|r| r.retry = retries(3, &["reset", "5xx"])),
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-l\
        origin> (close)
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_terminated; details="upstream_reset_before_response"
        client< Content-Length: 48
        client<
        client< 502 Bad Gateway: upstream_reset_before_response\n\
        "#,
    );
}

#[test]
fn a_streamed_body_is_not_sent_again() {
    check(
        || Gateway::new().route(|r| r.retry = retries(3, &["reset"])),
        r#"
        client> PUT / HTTP/1.1
        client> host: h
        client> content-length: 10
        client>
        client> hello\
        origin< (connected)
        origin< PUT / HTTP/1.1
        origin< host: h
        origin< Content-Length: 10
        origin<
        origin< hello\

        client> more\
        origin< more\
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
fn a_body_of_which_only_the_first_part_has_come_is_sent_again_whole() {
    check(
        || Gateway::new().route(|r| r.retry = retries(2, &["reset"])),
        r#"
        client> PUT / HTTP/1.1
        client> host: h
        client> content-length: 10
        client>
        client> hello\
        origin< (connected)
        origin< PUT / HTTP/1.1
        origin< host: h
        origin< Content-Length: 10
        origin<
        origin< hello\
        origin> (reset)
        origin#2< (connected)
        origin#2< PUT / HTTP/1.1
        origin#2< host: h
        origin#2< Content-Length: 10
        origin#2<
        origin#2< hello\
        client> world\
        origin#2< world\
        origin#2> HTTP/1.1 200 OK
        origin#2> content-length: 0
        origin#2>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        "#,
    );
}

#[test]
fn a_refused_connection_is_tried_at_the_next_endpoint() {
    check(
        || Gateway::new().endpoints(&["a", "b"]),
        r#"
        a> (refuse)
        client> POST /1 HTTP/1.1
        client> host: h
        client> content-length: 2
        client>
        client> hi\
        b< (connected)
        b< POST /1 HTTP/1.1
        b< host: h
        b< Content-Length: 2
        b<
        b< hi\
        client2> POST /2 HTTP/1.1
        client2> host: h
        client2> content-length: 2
        client2>
        client2> hi\
        b#2< (connected)
        b#2< POST /2 HTTP/1.1
        b#2< host: h
        b#2< Content-Length: 2
        b#2<
        b#2< hi\
        proxy: gauges
        proxy< connections 2, tunnels 0, charges 2
        proxy< pool a: in use 0, idle 0, dialling 0, waiting 0
        proxy< pool b: in use 2, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn when_every_endpoint_is_dead_the_last_reason_is_told() {
    check(
        || Gateway::new().endpoints(&["a", "b"]),
        r#"
        a> (refuse)
        b> (refuse)
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_refused; details="connect_refused"
        client< Content-Length: 33
        client<
        client< 502 Bad Gateway: connect_refused\n\
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool a: in use 0, idle 0, dialling 0, waiting 0
        proxy< pool b: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_503_is_tried_at_the_next_endpoint_if_the_route_says_so() {
    check(
        || Gateway::new().endpoints(&["a", "b"]).route(|r| r.retry = retries(2, &["503"])),
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        b< (connected)
        b< GET /1 HTTP/1.1
        b< host: h
        b<
        # Whoever was asked first has nothing to give.
        b> HTTP/1.1 503 Service Unavailable
        b> content-length: 4
        b>
        b> busy\
        b< (end)
        a< (connected)
        a< GET /1 HTTP/1.1
        a< host: h
        a<
        a> HTTP/1.1 200 OK
        a> content-length: 2
        a>
        a> ok\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 2
        client<
        client< ok\
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool a: in use 0, idle 1, dialling 0, waiting 0
        proxy< pool b: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn the_last_503_is_the_answer() {
    check(
        || Gateway::new().endpoints(&["a", "b"]).route(|r| r.retry = retries(2, &["503"])),
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        b< (connected)
        b< GET /1 HTTP/1.1
        b< host: h
        b<
        b> HTTP/1.1 503 Service Unavailable
        b> content-length: 4
        b>
        b> busy\
        b< (end)
        a< (connected)
        a< GET /1 HTTP/1.1
        a< host: h
        a<
        a> HTTP/1.1 503 Service Unavailable
        a> content-length: 4
        a>
        a> also\
        client< HTTP/1.1 503 Service Unavailable
        client< date: (now)
        client< Content-Length: 4
        client<
        client< also\
        "#,
    );
}

#[test]
fn a_post_is_not_tried_again_on_503() {
    check(
        || Gateway::new().endpoints(&["a", "b"]).route(|r| r.retry = retries(2, &["503"])),
        r#"
        client> POST /1 HTTP/1.1
        client> host: h
        client> content-length: 2
        client>
        client> hi\
        b< (connected)
        b< POST /1 HTTP/1.1
        b< host: h
        b< Content-Length: 2
        b<
        b< hi\
        b> HTTP/1.1 503 Service Unavailable
        b> content-length: 4
        b>
        b> busy\
        client< HTTP/1.1 503 Service Unavailable
        client< date: (now)
        client< Content-Length: 4
        client<
        client< busy\
        "#,
    );
}

#[test]
fn a_status_that_the_budget_does_not_let_try_again_is_passed_on() {
    const REQUESTS: usize = 100;
    let (attempts, answers) = run(async {
        let stage = Stage::default();
        let gateway = Gateway::new().endpoints(&["a", "b"]).route(|r| r.retry = retries(2, &["503"]));
        let _gateway = gateway.start(&stage);
        stage.settle().await;
        let (mut attempts, mut answers) = (0, Vec::new());
        for _ in 0..REQUESTS {
            stage.send("client", b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
            // Twice at most, and once more for the answer.
            for _ in 0..3 {
                stage.settle().await;
                for (label, seen) in stage.seen() {
                    match (&*label, seen) {
                        ("client", Seen::Bytes(bytes)) => answers.push(bytes[9..12].to_vec()),
                        (_, Seen::Bytes(_)) => {
                            attempts += 1;
                            let busy = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
                            stage.send(&label, busy).await;
                        }
                        _ => {}
                    }
                }
            }
        }
        (attempts, answers)
    });
    assert_eq!(answers.len(), REQUESTS);
    assert!(answers.iter().all(|status| status == b"503"));
    assert!((REQUESTS + 1..REQUESTS * 2).contains(&attempts), "{attempts} attempts");
}

#[test]
fn a_timeout_is_tried_again_if_the_route_says_so() {
    check(
        || {
            Gateway::new().endpoints(&["a", "b"]).route(|r| {
                r.retry = retries(2, &["timeout"]);
                r.response_header_timeout = Duration::from_secs(3);
            })
        },
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        b< (connected)
        b< GET /1 HTTP/1.1
        b< host: h
        b<
        wait 4s
        b< (end)
        a< (connected)
        a< GET /1 HTTP/1.1
        a< host: h
        a<
        a> HTTP/1.1 200 OK
        a> content-length: 2
        a>
        a> ok\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 2
        client<
        client< ok\
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool a: in use 0, idle 1, dialling 0, waiting 0
        proxy< pool b: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn an_unhealthy_endpoint_gets_nothing() {
    check(
        || Gateway::new().endpoints(&["a", "b"]),
        r#"
        proxy: unhealthy b
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        a< (connected)
        a< GET /1 HTTP/1.1
        a< host: h
        a<
        client2> GET /2 HTTP/1.1
        client2> host: h
        client2>
        a#2< (connected)
        a#2< GET /2 HTTP/1.1
        a#2< host: h
        a#2<
        proxy: unhealthy a
        client3> GET /3 HTTP/1.1
        client3> host: h
        client3>
        client3< HTTP/1.1 503 Service Unavailable
        client3< server: towpath
        client3< date: (now)
        client3< content-type: text/plain; charset=utf-8
        client3< proxy-status: towpath; error=destination_unavailable; details="no_healthy_endpoint"
        client3< Content-Length: 45
        client3<
        client3< 503 Service Unavailable: no_healthy_endpoint\n\
        "#,
    );
}
