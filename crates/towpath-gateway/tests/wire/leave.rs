//! T45: whoever leaves, at whatever moment, leaves nothing behind.

use std::time::Duration;

use towpath_testkit::{Proxy, Stage, run};

use crate::gateway::{Gateway, check};

/// What a request with every phase is made of: who sends what, in order.
const STEPS: [(&str, &str); 14] = [
    ("client", "POST /a HTTP/1.1\r\n"),
    ("client", "host: h\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n"),
    ("client", "\r\n"),
    ("origin", "HTTP/1.1 100 Contin"),
    ("origin", "ue\r\n\r\n"),
    ("client", "5\r\nhel"),
    ("client", "lo\r\n0\r\nx-sum: 1\r\n"),
    ("client", "\r\n"),
    ("origin", "HTTP/1.1 200 OK\r\ntransfer-enc"),
    ("origin", "oding: chunked\r\n\r\n"),
    ("origin", "3\r\nhe"),
    ("origin", "y\r\n0\r\n\r\n"),
    ("client", "GET /b HTTP/1.1\r\nhost: h\r\n\r\n"),
    ("origin", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
];

/// The step with which the origin has a connection to leave.
const ORIGIN_JOINS: usize = 3;

#[test]
fn whoever_leaves_after_any_step_leaves_nothing_behind_t45() {
    type Leave = fn(&Stage, &str);
    let ways: [(&str, Leave); 2] = [("resets", Stage::reset), ("closes", Stage::close)];
    for count in 1..=STEPS.len() {
        for who in ["client", "origin"] {
            if who == "origin" && count < ORIGIN_JOINS {
                continue;
            }
            for (way, leave) in ways {
                let gauges = run(async {
                    let stage = Stage::default();
                    let mut gateway = Gateway::new().start(&stage);
                    stage.settle().await;
                    for (label, text) in &STEPS[..count] {
                        stage.send(label, text.as_bytes()).await;
                        stage.settle().await;
                    }
                    leave(&stage, who);
                    stage.settle().await;
                    // The other side stays; what is kept for it has a deadline.
                    tokio::time::sleep(Duration::from_secs(600)).await;
                    gateway.order("gauges")
                });
                let is_clean = gauges.starts_with("connections 0, tunnels 0, charges 0\n")
                    && gauges.contains("in use 0, idle 0, dialling 0, waiting 0");
                assert!(is_clean, "{who} {way} after step {count}: {gauges}");
            }
        }
    }
}

#[test]
fn a_client_that_leaves_in_its_head_holds_nothing_t45() {
    check(
        Gateway::new,
        r#"
        client> GET / HTTP/1.1
        client> (reset)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        client2> GET / HTTP/1.1
        client2> (close)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        client3> (connect)
        client3> (reset)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_client_that_leaves_during_the_dial_holds_nothing_t45() {
    check(
        Gateway::new,
        r#"
        origin> (refuse)
        origin> (black hole)
        client> GET / HTTP/1.1
        client> host: h
        client>
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 1
        proxy< pool origin: in use 0, idle 0, dialling 1, waiting 1
        client> (reset)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 1, waiting 0
        wait 6s
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_client_that_leaves_while_it_waits_for_a_connection_holds_nothing_t45() {
    check(
        || Gateway::new().pool(|p| p.max_connections = Some(1)),
        r#"
        client> GET /1 HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /1 HTTP/1.1
        origin< host: h
        origin<
        client2> POST /2 HTTP/1.1
        client2> host: h
        client2> content-length: 2
        client2>
        client2> hi\
        proxy: gauges
        proxy< connections 2, tunnels 0, charges 2
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 1
        client2> (reset)
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 1
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 0
        client3> GET /3 HTTP/1.1
        client3> host: h
        client3>
        proxy: gauges
        proxy< connections 2, tunnels 0, charges 2
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 1
        client3> (end)
        client3< (end)
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 1
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 0
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
        "#,
    );
}

#[test]
fn a_client_that_leaves_in_its_body_holds_nothing_t45() {
    check(
        Gateway::new,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> content-length: 10
        client>
        client> hello\
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Content-Length: 10
        origin<
        origin< hello\
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 1
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 0
        client> (reset)
        origin< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_client_that_leaves_before_the_response_holds_nothing_t45() {
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
        client> (reset)
        origin< (end)
        proxy: reasons
        proxy< client_gone 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_client_that_leaves_is_not_spoken_for_on_another_connection_t45() {
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
        client> (reset)
        origin< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_client_that_leaves_in_the_response_holds_nothing_t45() {
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
        origin> HTTP/1.1 200 OK
        origin> content-length: 10
        origin>
        origin> hello\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 10
        client<
        client< hello\
        client> (reset)
        origin< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        client2> GET / HTTP/1.1
        client2> host: h
        client2>
        origin#2< (connected)
        origin#2< GET / HTTP/1.1
        origin#2< host: h
        origin#2<
        client2> (stop reading)
        origin#2> HTTP/1.1 200 OK
        origin#2> content-length: 1000000
        origin#2>
        origin#2> (x * 1000000)\
        client2> (reset)
        origin#2< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_client_that_leaves_while_a_small_body_is_read_holds_nothing_t45() {
    check(
        || Gateway::new().path("/own", |_| crate::gateway::respond(200, "own")),
        r#"
        client> POST /own HTTP/1.1
        client> host: h
        client> content-length: 10
        client>
        client> hello\
        client> (reset)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_client_that_leaves_between_requests_keeps_the_upstream_connection_t45() {
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
        origin> HTTP/1.1 200 OK
        origin> content-length: 1
        origin>
        origin> 1\
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 1
        client<
        client< 1\
        client> (reset)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_client_that_leaves_a_warm_and_an_idle_connection_is_noticed_t45() {
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
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        wait 20s
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0
        client> (close)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_client_that_ends_its_direction_has_left_unless_it_asked_for_more_t45() {
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
        client> (end)
        origin< (end)
        client< (end)
        client2> GET /1 HTTP/1.1
        client2> host: h
        client2>
        client2> GET /2 HTTP/1.1
        client2> host: h
        client2>
        origin#2< (connected)
        origin#2< GET /1 HTTP/1.1
        origin#2< host: h
        origin#2<
        client2> (end)
        origin#2> HTTP/1.1 200 OK
        origin#2> content-length: 1
        origin#2>
        origin#2> 1\
        client2< HTTP/1.1 200 OK
        client2< date: (now)
        client2< Content-Length: 1
        client2<
        client2< 1\
        client2< (end)
        origin#2< GET /2 HTTP/1.1
        origin#2< host: h
        origin#2<
        origin#2< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_deadline_in_each_phase_releases_what_the_request_held_t45() {
    check(
        || {
            Gateway::new()
                .route(|r| r.timeout = Some(Duration::from_secs(3)))
                .pool(|p| p.max_connections = Some(1))
        },
        r#"
        client> GET /head HTTP/1.1
        client> host: h
        client>
        origin< (connected)
        origin< GET /head HTTP/1.1
        origin< host: h
        origin<
        client2> GET /queue HTTP/1.1
        client2> host: h
        client2>
        wait 4s
        client2< HTTP/1.1 504 Gateway Timeout
        client2< server: towpath
        client2< date: (now)
        client2< content-type: text/plain; charset=utf-8
        client2< proxy-status: towpath; error=http_response_timeout; details="request_timeout"
        client2< Content-Length: 37
        client2<
        client2< 504 Gateway Timeout: request_timeout\n\
        origin< (end)
        client< HTTP/1.1 504 Gateway Timeout
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_response_timeout; details="request_timeout"
        client< Content-Length: 37
        client<
        client< 504 Gateway Timeout: request_timeout\n\
        proxy: gauges
        proxy< connections 2, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

/// Where requests outlive their clients.
fn detached() -> Gateway {
    Gateway::new().h2c().route(|route| route.outlives_client = true)
}

#[test]
fn a_detached_request_is_answered_to_nobody_and_its_connection_goes_back() {
    check(
        detached,
        r#"
        client> POST /before HTTP/1.1
        client> host: h
        client> content-length: 2
        client>
        client> hi\
        origin< (connected)
        origin< POST /before HTTP/1.1
        origin< host: h
        origin< Content-Length: 2
        origin<
        origin< hi\
        client> (close)
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 1
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 0
        origin> HTTP/1.1 200 OK
        origin> content-length: 100000
        origin>
        origin> (x * 100000)\
        proxy: reasons
        proxy< client_gone 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0
        client2> GET /within HTTP/1.1
        client2> host: h
        client2>
        origin< GET /within HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> transfer-encoding: chunked
        origin>
        origin> 5
        origin> hello
        client2< HTTP/1.1 200 OK
        client2< date: (now)
        client2< Transfer-Encoding: chunked
        client2<
        client2< 5
        client2< hello
        client2> (reset)
        origin> 1
        origin> !
        origin> 0
        origin>
        proxy: reasons
        proxy< client_gone 2
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_detached_request_of_http2_goes_on_behind_its_stream_and_its_connection() {
    check(
        detached,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> get 1 /stream
        client-h2> rst 1 8
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin< (connected)
        origin< GET /stream HTTP/1.1
        origin< host: h
        origin<
        origin> HTTP/1.1 200 OK
        origin> content-length: 2
        origin>
        origin> ok\
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0
        client-h2> get 3 /connection
        origin< GET /connection HTTP/1.1
        origin< host: h
        origin<
        client-h2> (close)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 1
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 0
        origin> HTTP/1.1 200 OK
        origin> content-length: 2
        origin>
        origin> ok\
        proxy: reasons
        proxy< client_gone 2
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_detached_request_keeps_its_place_in_line() {
    check(
        || detached().pool(|p| p.max_connections = Some(1)),
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
        client2> (close)
        proxy: gauges
        proxy< connections 2, tunnels 0, charges 2
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 1
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        origin< GET /2 HTTP/1.1
        origin< host: h
        origin<
        proxy: gauges
        proxy< connections 2, tunnels 0, charges 1
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 0
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_detached_request_is_not_kept_for_ever_nor_one_that_is_not_complete() {
    check(
        detached,
        r#"
        client> POST /half HTTP/1.1
        client> host: h
        client> content-length: 10
        client>
        client> hello\
        origin< (connected)
        origin< POST /half HTTP/1.1
        origin< host: h
        origin< Content-Length: 10
        origin<
        origin< hello\
        client> (close)
        origin< (end)
        client2> GET /long HTTP/1.1
        client2> host: h
        client2>
        origin#2< (connected)
        origin#2< GET /long HTTP/1.1
        origin#2< host: h
        origin#2<
        client2> (close)
        wait 1s
        origin#2> HTTP/1.1 200 OK
        origin#2> transfer-encoding: chunked
        origin#2>
        origin#2> 1
        origin#2> .
        wait 58s
        origin#2> 1
        origin#2> .
        wait 2s
        origin#2< (end)
        proxy: reasons
        proxy< client_gone 2
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}
