//! T39, T31: everything that a slow peer could hold has a deadline. Each wait below runs in virtual time.

use std::time::Duration;

use towpath_testkit::{Seen, Stage, run};

use crate::gateway::{Gateway, check};

#[test]
fn the_last_part_of_an_upload_waits_for_the_origin_too() {
    check(
        Gateway::new,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> content-length: 200000
        client>
        client> (x * 50000)\
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Content-Length: 200000
        origin<
        origin< (x * 50000)\
        origin> (stop reading)
        client> (y * 150000)\
        origin> (read)
        origin< (y * 150000)\
        origin> HTTP/1.1 200 OK
        origin> content-length: 0
        origin>
        client< HTTP/1.1 200 OK
        client< date: (now)
        client< Content-Length: 0
        client<
        "#,
    );
}

#[test]
fn a_connection_without_a_request_is_closed_t31() {
    check(
        Gateway::new,
        r#"
        client> (connect)
        wait 9s
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        wait 2s
        client< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_slow_first_head_has_one_deadline_from_accept_t31() {
    check(
        Gateway::new,
        r#"
        client> (connect)
        wait 6s
        client> GET / HTTP/1.1
        wait 3s
        client> host: h
        wait 2s
        client< HTTP/1.1 408 Request Timeout
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="header_timeout"
        client< Content-Length: 36
        client< connection: close
        client<
        client< 408 Request Timeout: header_timeout\n\
        client< (end)
        proxy: reasons
        proxy< header_timeout 1
        "#,
    );
}

#[test]
fn a_slow_later_head_has_its_own_deadline_t39() {
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
        wait 40s
        client> GET /2 HTTP/1.1
        wait 9s
        client> x: y
        wait 2s
        client< HTTP/1.1 408 Request Timeout
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="header_timeout"
        client< Content-Length: 36
        client< connection: close
        client<
        client< 408 Request Timeout: header_timeout\n\
        client< (end)
        "#,
    );
}

#[test]
fn an_idle_connection_is_closed_without_an_answer() {
    check(
        || Gateway::new().listener(|l| l.idle_timeout = Duration::from_secs(60)),
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
        wait 59s
        wait 2s
        client< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 1, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_head_byte_by_byte_runs_into_the_deadline_t39() {
    let request = format!("GET /{} HTTP/1.1\r\nhost: h\r\n\r\n", "a".repeat(100));
    // 139 bytes, one each 100 ms: 13.9 s.
    let (received, elapsed) = send_slowly(Gateway::new(), "", request.as_bytes(), Duration::from_millis(100));
    assert!(received.contains("details=\"header_timeout\""), "{received}");
    assert!((Duration::from_secs(10)..Duration::from_secs(11)).contains(&elapsed), "{elapsed:?}");
}

#[test]
fn a_body_below_the_least_rate_is_cut_t39() {
    let head = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 100000\r\n\r\n";
    // 100 bytes a second come one by one, and never pause for long.
    let (received, elapsed) = send_slowly(Gateway::new(), head, &[b'x'; 3000], Duration::from_millis(10));
    assert!(received.contains("details=\"body_timeout\""), "{received}");
    assert!((Duration::from_secs(10)..Duration::from_secs(13)).contains(&elapsed), "{elapsed:?}");
}

#[test]
fn a_body_above_the_least_rate_passes_t39() {
    let body = [b'x'; 40_000];
    let head = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 40000\r\n\r\n";
    // 2000 bytes a second, 20 s in all.
    let (received, _) = send_slowly(Gateway::new(), head, &body, Duration::from_micros(500));
    assert_eq!(received, "");
}

/// Sends `head` at once and then byte by byte, with `pause` between two. What the client got, and when.
fn send_slowly(gateway: Gateway, head: &str, bytes: &[u8], pause: Duration) -> (String, Duration) {
    run(async {
        let stage = Stage::default();
        let _gateway = gateway.start(&stage);
        let started = tokio::time::Instant::now();
        if !head.is_empty() {
            stage.send("client", head.as_bytes()).await;
        }
        let mut pending = Duration::ZERO;
        for byte in bytes.chunks(1) {
            stage.send("client", byte).await;
            pending += pause;
            // Time has a grain of a millisecond.
            if pending >= Duration::from_millis(1) {
                tokio::time::sleep(std::mem::take(&mut pending)).await;
            }
            for (label, seen) in stage.seen() {
                if let ("client", Seen::Bytes(bytes)) = (&*label, seen) {
                    return (String::from_utf8_lossy(&bytes).into_owned(), started.elapsed());
                }
            }
        }
        (String::new(), started.elapsed())
    })
}

#[test]
fn a_body_that_stops_is_cut_t39() {
    check(
        || Gateway::new().listener(|l| l.body_rate_min = 0),
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
        wait 29s
        client> w\
        origin< w\
        wait 29s
        wait 2s
        origin< (end)
        client< HTTP/1.1 408 Request Timeout
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="body_timeout"
        client< Content-Length: 34
        client< connection: close
        client<
        client< 408 Request Timeout: body_timeout\n\
        client< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_body_that_stops_is_not_sent_again_on_another_connection_t39() {
    check(
        || Gateway::new().listener(|l| l.body_rate_min = 0),
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
        client> content-length: 10
        client>
        origin< PUT /2 HTTP/1.1
        origin< host: h
        origin< Content-Length: 10
        origin<
        wait 31s
        origin< (end)
        client< HTTP/1.1 408 Request Timeout
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="body_timeout"
        client< Content-Length: 34
        client< connection: close
        client<
        client< 408 Request Timeout: body_timeout\n\
        client< (end)
        "#,
    );
}

#[test]
fn a_body_that_stops_before_a_local_answer_is_cut_t39() {
    check(
        || Gateway::new().path("/own", |_| crate::gateway::respond(200, "own")),
        r#"
        client> POST /own HTTP/1.1
        client> host: h
        client> content-length: 10
        client>
        client> hello\
        wait 31s
        client< HTTP/1.1 408 Request Timeout
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_request_error; details="body_timeout"
        client< Content-Length: 34
        client< connection: close
        client<
        client< 408 Request Timeout: body_timeout\n\
        client< (end)
        "#,
    );
}

#[test]
fn a_client_that_does_not_read_is_cut_t39() {
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
        client> (stop reading)
        origin> HTTP/1.1 200 OK
        origin> content-length: 1000000
        origin>
        origin> (x * 1000000)\
        wait 29s
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 1
        proxy< pool origin: in use 1, idle 0, dialling 0, waiting 0
        wait 2s
        origin< (end)
        proxy: reasons
        proxy< client_write_timeout 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_client_that_reads_slowly_but_steadily_is_served_t39() {
    let received = run(async {
        let stage = Stage::default();
        let _gateway = Gateway::new().start(&stage);
        stage.settle().await;
        stage.send("client", b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
        stage.settle().await;
        stage.read("client", false).await;
        stage.send("origin", b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await;
        stage.send("origin", &[b'x'; 1_000_000]).await;
        let mut received = 0;
        // Each look takes what fits into the network, then the client pauses almost too long.
        for _ in 0..40 {
            if received > 1_000_000 {
                break;
            }
            tokio::time::sleep(Duration::from_secs(25)).await;
            stage.read("client", true).await;
            stage.settle().await;
            stage.read("client", false).await;
            for (label, seen) in stage.seen() {
                match (&*label, seen) {
                    ("client", Seen::Bytes(bytes)) => received += bytes.len(),
                    ("client", other) => panic!("{other:?} after {received} bytes"),
                    _ => {}
                }
            }
        }
        received
    });
    assert!(received > 1_000_000, "{received}");
}

#[test]
fn an_origin_that_does_not_read_is_cut_t39() {
    check(
        Gateway::new,
        r#"
        client> POST / HTTP/1.1
        client> host: h
        client> content-length: 1000000
        client>
        origin< (connected)
        origin< POST / HTTP/1.1
        origin< host: h
        origin< Content-Length: 1000000
        origin<

        origin> (stop reading)
        client> (x * 1000000)\
        wait 29s
        wait 2s
        client< HTTP/1.1 504 Gateway Timeout
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_response_timeout; details="upstream_timeout"
        client< Content-Length: 38
        client< connection: close
        client<
        client< 504 Gateway Timeout: upstream_timeout\n\
        client< (end)
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin: in use 0, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn back_pressure_is_the_absence_of_a_read() {
    let taken = run(async {
        let stage = Stage::default();
        let _gateway = Gateway::new().start(&stage);
        stage.settle().await;
        stage.send("client", b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
        stage.settle().await;
        stage.read("client", false).await;
        stage.send("origin", b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n").await;
        stage.send("origin", &[b'x'; 9_000_000]).await;
        stage.settle().await;
        stage.unsent("origin")
    });
    // What a stopped client leaves in memory: the pipes of the network, and one buffer.
    assert!(taken > 9_000_000 - 1024 * 1024, "{taken} bytes are still with the origin");
}
