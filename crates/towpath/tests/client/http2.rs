//! HTTP/2 by the frame, under a paused clock (RFC 9113).

use std::time::Duration;

use tokio::task::{JoinSet, spawn_local};
use tokio::time::Instant;
use towpath::http::{Body, ClientSettings, Headers, HttpVersion, Method};
use towpath::pool::PoolConfig;
use towpath_proto::coding::{Coding, Effort, Encoder};
use towpath_proto::h2::{Config, ErrorCode};

use crate::origin::{ctx, run, told};
use crate::peer::{Heard, Peer, client, frame, go_away, listen};

#[test]
fn a_request_and_its_response_rfc9113_8_3() {
    run(async {
        let mut listener = listen("a");
        let client = client(|settings| ClientSettings { user_agent: "t/1".to_owned(), ..settings });
        let ctx = ctx();
        let call = client
            .request(Method::POST, "http://A:80/p?q=1#f")
            .header("X-Name", "y")
            .header("Connection", "close")
            .body("body");
        let serve = async {
            let mut peer = Peer::accept(&mut listener).await;
            let (stream, text) = peer.request().await;
            assert!(matches!(peer.next().await, Heard::Data(_, data, true) if data == b"body"));
            peer.head(stream, 103, &[("link", "</x>")], false);
            peer.head(stream, 201, &[("x-one", "1")], false);
            peer.data(stream, b"some text", true);
            peer.flush().await;
            (peer, text)
        };
        let (response, (_peer, text)) = tokio::join!(call.send(&ctx), serve);
        let response = response.unwrap();
        assert_eq!(format!("{:?}", response.version()), "HTTP/2.0");
        assert_eq!((response.status().as_u16(), response.header("X-One")), (201, Some("1")));
        assert_eq!(response.text().await.unwrap(), "some text");
        assert_eq!(
            text,
            "POST /p\nx-name: y\nuser-agent: t/1\naccept: */*\naccept-encoding: gzip, br, zstd\ncontent-length: 4"
        );
    });
}

#[test]
fn a_hundred_requests_at_a_time_share_one_connection_p16() {
    run(async {
        let mut listener = listen("a");
        let served = spawn_local(async move {
            let mut peer = Peer::accept(&mut listener).await;
            let mut streams = Vec::new();
            while streams.len() < 100 {
                streams.push(peer.request().await.0);
            }
            // All are under way before the first is answered.
            for stream in streams {
                peer.answer(stream, "ok").await;
            }
            let count = peer.serve();
            assert!(listener.accept_queued().is_none(), "there was a second connection");
            count.await
        });
        let client = client(|settings| settings);
        let mut tasks = JoinSet::new();
        for _ in 0..100 {
            let client = client.clone();
            tasks.spawn_local(async move { told(client.get(&ctx(), "http://a/").await).await });
        }
        while let Some(answer) = tasks.join_next().await {
            assert_eq!(answer.unwrap(), "200 ok");
        }
        assert_eq!(told(client.get(&ctx(), "http://a/again").await).await, "200 /again");
        client.close_idle();
        assert_eq!(served.await.unwrap(), 1);
    });
}

#[test]
fn a_full_connection_has_another_beside_it_and_then_requests_wait_p02_p16() {
    run(async {
        let mut listener = listen("a");
        let config = Config { streams_count_max: 2, ..Config::default() };
        let pool = PoolConfig { max_connections: Some(2), ..PoolConfig::default() };
        let client = client(|settings| ClientSettings { pool, ..settings });
        let mut tasks = JoinSet::new();
        for _ in 0..5 {
            let client = client.clone();
            tasks.spawn_local(async move { told(client.get(&ctx(), "http://a/").await).await });
        }
        let mut one = Peer::accept_with(&mut listener, config).await;
        // Its settings come behind the first request, and say that it takes another.
        let streams = [one.request().await.0, one.request().await.0];
        let mut two = Peer::accept_with(&mut listener, config).await;
        let (first, _) = two.request().await;
        two.request().await;
        assert!(listener.accept_queued().is_none(), "there was a third connection");
        // One ends, and the fifth goes out.
        two.answer(first, "ok").await;
        let (fifth, _) = two.request().await;
        two.answer(fifth, "fifth").await;
        spawn_local(two.serve());
        for stream in streams {
            one.answer(stream, "ok").await;
        }
        let mut answers = Vec::new();
        while answers.len() < 4 {
            answers.push(tasks.join_next().await.unwrap().unwrap());
        }
        answers.sort();
        assert_eq!(answers, ["200 fifth", "200 ok", "200 ok", "200 ok"]);
    });
}

#[test]
fn go_away_loses_no_request_that_was_not_looked_at_pa11() {
    run(async {
        let mut listener = listen("a");
        let client = client(|settings| settings);
        let mut tasks = JoinSet::new();
        for number in 0..40 {
            let client = client.clone();
            tasks.spawn_local(async move {
                let url = format!("http://a/{number}");
                // Nobody has looked at it, so that the method does not matter.
                told(client.request(Method::POST, &url).body("x").send(&ctx()).await).await
            });
        }
        let mut peer = Peer::accept(&mut listener).await;
        let mut streams = Vec::new();
        while streams.len() < 40 {
            streams.push(peer.request().await.0);
        }
        let last = streams[9];
        peer.raw(&go_away(last.number(), 0)).await;
        let other = spawn_local(async move { Peer::accept(&mut listener).await.serve().await });
        for stream in &streams[..10] {
            peer.answer(*stream, "old").await;
        }
        // The connection ends behind its last request.
        loop {
            if matches!(peer.next().await, Heard::Gone) {
                break;
            }
        }
        let mut answers = Vec::new();
        while let Some(answer) = tasks.join_next().await {
            answers.push(answer.unwrap());
        }
        assert_eq!(answers.iter().filter(|answer| *answer == "200 old").count(), 10);
        assert_eq!(answers.iter().filter(|answer| answer.starts_with("200 /")).count(), 30, "{answers:?}");
        client.close_idle();
        assert_eq!(other.await.unwrap(), 30);
    });
}

#[test]
fn a_refused_stream_is_tried_again_and_not_for_ever_p14() {
    run(async {
        let mut listener = listen("a");
        let client = client(|settings| settings);
        let serve = async {
            // Never twice in a row over the same connection, so over two of them in turns.
            let mut peers = Vec::new();
            for turn in 0..7 {
                if turn < 2 {
                    peers.push(Peer::accept(&mut listener).await);
                }
                let peer = &mut peers[turn % 2];
                let (stream, _) = peer.request().await;
                peer.codec.reset(stream, ErrorCode::RefusedStream);
                peer.flush().await;
            }
            peers
        };
        let ctx = ctx();
        let call = client.request(Method::POST, "http://a/").body("x").send(&ctx);
        let (response, _peers) = tokio::join!(call, serve);
        let text = "disconnected: the server did not look at the request: REFUSED_STREAM";
        assert_eq!(told(response).await, text);
    });
}

#[test]
fn p14_a_connection_that_dies_is_tried_again_once_if_that_is_safe() {
    run(async {
        let mut listener = listen("a");
        let served = spawn_local(async move {
            let mut peer = Peer::accept(&mut listener).await;
            let (stream, _) = peer.request().await;
            peer.answer(stream, "one").await;
            peer.request().await;
            drop(peer);
            let mut peer = Peer::accept(&mut listener).await;
            let (stream, _) = peer.request().await;
            peer.answer(stream, "two").await;
            peer.request().await;
            drop(peer);
            listener
        });
        let client = client(|settings| settings);
        let get = async || told(client.get(&ctx(), "http://a/").await).await;
        assert_eq!((get().await, get().await), ("200 one".to_owned(), "200 two".to_owned()));
        let post = client.request(Method::POST, "http://a/").body("x").send(&ctx()).await;
        assert!(told(post).await.starts_with("disconnected: "));
        assert!(served.await.unwrap().accept_queued().is_none());
    });
}

#[test]
fn who_gives_up_resets_the_stream_and_keeps_the_connection_r32() {
    run(async {
        let mut listener = listen("a");
        let client = client(|settings| settings);
        let (gone, guard) = ctx().with_cancel();
        let serve = async {
            let mut peer = Peer::accept(&mut listener).await;
            let (first, _) = peer.request().await;
            guard.cancel("enough");
            let heard = peer.until(|heard| matches!(heard, Heard::Reset(..))).await;
            assert!(matches!(heard, Heard::Reset(stream, ErrorCode::Cancel) if stream == first), "{heard:?}");
            peer.codec.finish(first);
            // A response that nobody reads to its end.
            let (second, _) = peer.request().await;
            peer.head(second, 200, &[], false);
            peer.data(second, b"half", false);
            peer.flush().await;
            let heard = peer.until(|heard| matches!(heard, Heard::Reset(..))).await;
            assert!(matches!(heard, Heard::Reset(_, ErrorCode::Cancel)), "{heard:?}");
            peer.codec.finish(second);
            let (third, _) = peer.request().await;
            peer.answer(third, "third").await;
            peer
        };
        let ask = async {
            assert!(told(client.get(&gone, "http://a/").await).await.starts_with("canceled: "));
            drop(client.get(&ctx(), "http://a/").await.unwrap());
            told(client.get(&ctx(), "http://a/").await).await
        };
        let (_peer, found) = tokio::join!(serve, ask);
        assert_eq!(found, "200 third");
    });
}

#[test]
fn a_deadline_ends_every_wait_and_what_was_silent_is_not_asked_again_r24_pa6() {
    run(async {
        let mut listener = listen("a");
        let client = client(|settings| settings);
        let served = spawn_local(async move {
            let mut peer = Peer::accept(&mut listener).await;
            let (stream, _) = peer.request().await;
            peer.answer(stream, "one").await;
            // From here on it does not even read.
            let mut other = Peer::accept(&mut listener).await;
            let (stream, _) = other.request().await;
            other.head(stream, 200, &[("content-length", "9")], false);
            other.data(stream, b"half", false);
            other.flush().await;
            (peer, other.until(|heard| matches!(heard, Heard::Reset(..))).await)
        });
        assert_eq!(told(client.get(&ctx(), "http://a/").await).await, "200 one");
        for part in ["head", "body"] {
            let ctx = ctx().with_timeout(Duration::from_secs(3));
            let start = Instant::now();
            let found = told(client.get(&ctx, "http://a/").await).await;
            assert!(found.starts_with("timeout+canceled: given up: deadline exceeded"), "{part}: {found}");
            assert_eq!(start.elapsed(), Duration::from_secs(3), "{part}");
        }
        assert!(matches!(served.await.unwrap().1, Heard::Reset(_, ErrorCode::Cancel)));
    });
}

#[test]
fn bodies_and_trailers_go_both_ways_at_the_same_time() {
    run(async {
        let mut listener = listen("a");
        let client = client(|settings| settings);
        let (sender, body) = Body::channel(1);
        let mut trailers = Headers::default();
        trailers.set("X-Up", "sent").unwrap();
        let ctx = ctx();
        let call = client.request(Method::POST, "http://a/").body(body.with_trailers(trailers)).send(&ctx);
        let served = spawn_local(async move {
            let mut peer = Peer::accept(&mut listener).await;
            let (stream, _) = peer.request().await;
            // Before anything of the body has come.
            peer.head(stream, 200, &[], false);
            peer.flush().await;
            loop {
                match peer.next().await {
                    Heard::Data(stream, data, false) => peer.data(stream, &data, false),
                    Heard::Trailers(text) => {
                        assert_eq!(text, "x-up: sent");
                        let write = |fields: &mut towpath_proto::h2::FieldWriter<'_>| {
                            fields.field(b"x-down", b"got");
                        };
                        peer.codec.encode_trailers(stream, &mut peer.out, write).unwrap();
                        peer.flush().await;
                        return peer;
                    }
                    Heard::Gone => panic!("the connection has ended"),
                    _ => {}
                }
            }
        });
        let mut body = call.await.unwrap().into_body();
        for piece in ["one", "two"] {
            sender.send(piece).await.unwrap();
            assert_eq!(&body.next().await.unwrap().unwrap()[..], piece.as_bytes());
        }
        drop(sender);
        let mut parts = Vec::new();
        loop {
            let frame =
                std::future::poll_fn(|cx| http_body::Body::poll_frame(std::pin::Pin::new(&mut body), cx));
            let Some(frame) = frame.await else { break };
            parts.push(frame.unwrap().into_trailers().unwrap()["x-down"].clone());
        }
        assert_eq!(parts, ["got"]);
        drop(served.await.unwrap());
    });
}

#[test]
fn an_answer_may_come_before_the_request_is_complete_rfc9113_8_1() {
    run(async {
        let mut listener = listen("a");
        let client = client(|settings| settings);
        let (sender, body) = Body::channel(1);
        let served = spawn_local(async move {
            let mut peer = Peer::accept(&mut listener).await;
            let (stream, _) = peer.request().await;
            peer.head(stream, 413, &[], false);
            peer.data(stream, b"no", true);
            peer.codec.reset(stream, ErrorCode::NoError);
            peer.codec.finish(stream);
            peer.serve().await
        });
        let response = client.request(Method::POST, "http://a/").body(body).send(&ctx()).await;
        assert_eq!(told(response).await, "413 no");
        drop(sender);
        assert_eq!(told(client.get(&ctx(), "http://a/next").await).await, "200 /next");
        client.close_idle();
        assert_eq!(served.await.unwrap(), 1);
    });
}

#[test]
fn a_body_waits_to_be_asked_for_rfc9110_10_1_1() {
    run(async {
        let mut listener = listen("a");
        let client = client(|settings| settings);
        let served = spawn_local(async move {
            let mut peer = Peer::accept(&mut listener).await;
            let (stream, text) = peer.request().await;
            assert!(text.contains("expect: 100-continue"), "{text}");
            peer.head(stream, 100, &[], false);
            let heard = peer.until(|heard| matches!(heard, Heard::Data(..))).await;
            peer.answer(stream, "ok").await;
            (peer, heard)
        });
        let start = Instant::now();
        let call = client.request(Method::PUT, "http://a/").body("data").expect_continue();
        assert_eq!(told(call.send(&ctx()).await).await, "200 ok");
        assert!(start.elapsed() < Duration::from_millis(100));
        assert!(matches!(served.await.unwrap().1, Heard::Data(_, data, true) if data == b"data"));
    });
}

#[test]
fn responses_without_a_body_have_none() {
    run(async {
        let mut listener = listen("a");
        let client = client(|settings| settings);
        let served = spawn_local(async move {
            let mut peer = Peer::accept(&mut listener).await;
            for (status, end) in [(200, true), (204, true), (304, true), (200, false)] {
                let (stream, _) = peer.request().await;
                let fields: &[_] = if status == 204 { &[] } else { &[("content-length", "99")] };
                peer.head(stream, status, fields, end);
                if !end {
                    peer.data(stream, b"", true);
                }
                peer.codec.finish(stream);
                peer.flush().await;
            }
            peer
        });
        for (method, status) in
            [(Method::HEAD, 200), (Method::GET, 204), (Method::GET, 304), (Method::HEAD, 200)]
        {
            let response = client.request(method, "http://a/").send(&ctx()).await;
            assert_eq!(told(response).await, format!("{status} "));
        }
        drop(served.await.unwrap());
    });
}

#[test]
fn a_coded_body_is_undone_and_a_bomb_does_not_go_off_t46() {
    let coded = |bytes: &[u8]| {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(Coding::Gzip, Effort::Fast);
        encoder.push(bytes, &mut out);
        encoder.finish(&mut out);
        out
    };
    run(async {
        let mut listener = listen("a");
        let client = client(|settings| settings);
        let bodies = [coded(b"short"), coded(&vec![0; 4_000_000])];
        let served = spawn_local(async move {
            let mut peer = Peer::accept(&mut listener).await;
            for body in bodies {
                let (stream, _) = peer.request().await;
                peer.head(stream, 200, &[("content-encoding", "gzip")], false);
                let last = body.len().saturating_sub(1) / 16_000;
                for (number, piece) in body.chunks(16_000).enumerate() {
                    peer.data(stream, piece, number == last);
                }
                peer.flush().await;
            }
            peer
        });
        assert_eq!(told(client.get(&ctx(), "http://a/").await).await, "200 short");
        let found = told(client.get(&ctx(), "http://a/").await).await;
        assert!(found.starts_with("limit: the body expands"), "{found}");
        drop(served.await.unwrap());
    });
}

#[test]
fn an_idle_connection_ends_and_an_old_one_takes_no_more_requests_p10_p11() {
    run(async {
        let mut listener = listen("a");
        let pool = PoolConfig {
            idle_timeout: Duration::from_secs(50),
            max_lifetime: Duration::from_secs(100),
            ..PoolConfig::default()
        };
        let client = client(|settings| ClientSettings { pool, ..settings });
        let idle = spawn_local(async move {
            let mut peer = Peer::accept(&mut listener).await;
            let (stream, _) = peer.request().await;
            peer.answer(stream, "one").await;
            let start = Instant::now();
            peer.until(|heard| matches!(heard, Heard::GoAway)).await;
            assert_eq!(start.elapsed(), Duration::from_secs(50));
            assert!(matches!(peer.next().await, Heard::Gone));
            let mut counts = Vec::new();
            for _ in 0..2 {
                counts.push(Peer::accept(&mut listener).await.serve().await);
            }
            counts
        });
        assert_eq!(told(client.get(&ctx(), "http://a/").await).await, "200 one");
        tokio::time::sleep(Duration::from_secs(60)).await;
        // One request each 10 s keeps it from being idle.
        for _ in 0..15 {
            assert_eq!(told(client.get(&ctx(), "http://a/two").await).await, "200 /two");
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        client.close_idle();
        let counts = idle.await.unwrap();
        // Its lifetime is 90 to 110 s.
        assert!((9..=11).contains(&counts[0]) && counts[0] + counts[1] == 15, "{counts:?}");
    });
}

/// A head block with this status and these literal fields, none of them in a table.
fn block(status: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    // RFC 7541 appendix A: 8 is 200.
    let mut block = vec![status];
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// What is told of an origin that says this once it has a request; `None` is its end.
async fn told_of(answer: Option<Vec<u8>>) -> String {
    let mut listener = listen("a");
    let serve = spawn_local(async move {
        let mut peer = Peer::accept(&mut listener).await;
        peer.request().await;
        match answer {
            Some(bytes) => peer.raw(&bytes).await,
            None => return,
        }
        while !matches!(peer.next().await, Heard::Gone) {}
    });
    let client = client(|settings| settings);
    let found = told(client.get(&ctx(), "http://a/").await).await;
    serve.abort();
    let _ = serve.await;
    found
}

#[track_caller]
fn check(answer: impl Into<Option<Vec<u8>>>, expected: &str) {
    let found = run(told_of(answer.into()));
    assert!(found.starts_with(expected), "{found}, not {expected}");
}

#[test]
fn what_an_origin_does_wrong_has_its_name() {
    const OK: u8 = 0x88;
    check(None, "disconnected: the connection ended inside the message");
    check(frame(3, 0, 1, &2_u32.to_be_bytes()), "disconnected: the server reset the stream: INTERNAL_ERROR");
    // HTTP/2 alone may be spoken here.
    check(frame(3, 0, 1, &13_u32.to_be_bytes()), "disconnected: the server requires HTTP/1.1");
    check(go_away(0, 13), "disconnected: the server requires HTTP/1.1");
    check(go_away(1, 11), "timeout: ");
    check(
        [go_away(1, 11), frame(3, 0, 1, &8_u32.to_be_bytes())].concat(),
        "disconnected: the server reset the stream: CANCEL",
    );
    // A push, and data before a head.
    check(frame(5, 4, 1, &[0, 0, 0, 2]), "protocol: ");
    check(frame(0, 1, 1, b"x"), "protocol: ");
    check(frame(1, 5, 1, &block(OK, &[("Upper", "x")])), "protocol: ");
    check(frame(1, 5, 1, &block(OK, &[("connection", "close")])), "protocol: ");
    check(frame(1, 5, 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), "protocol: ");
    let short = [frame(1, 4, 1, &block(OK, &[("content-length", "9")])), frame(0, 1, 1, b"half")].concat();
    check(short, "protocol: ");
    let longer = frame(0, 0, 1, &[0; 16_384]).repeat(8);
    check([frame(1, 4, 1, &block(OK, &[])), longer].concat(), "protocol: ");
    check(frame(4, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]), "protocol: ");
    check(frame(1, 4, 3, &block(OK, &[])), "protocol: ");
}

#[test]
fn what_an_origin_sends_has_limits_t13_t14_t16_t20() {
    const OK: u8 = 0x88;
    let many = vec![("x", "y"); 101];
    check(frame(1, 5, 1, &block(OK, &many)), "limit: ");
    // Continuations without an end.
    let endless =
        [frame(1, 0, 1, &block(OK, &[])), frame(9, 0, 1, &block(OK, &many)[1..]).repeat(20)].concat();
    check(endless, "limit: ");
    let interim = frame(1, 4, 1, &[0x08, 3, b'1', b'0', b'3']);
    check(interim.repeat(9), "limit: ");
    check(frame(6, 0, 0, &[0; 8]).repeat(10_000), "limit: ");
    check(frame(4, 0, 0, &[]).repeat(10_000), "limit: ");
}

#[test]
fn a_silent_origin_ends_without_a_deadline_too() {
    run(async {
        // It accepts, and says nothing at all: not even its settings.
        let mut listener = listen("a");
        let client = client(|settings| settings);
        let start = Instant::now();
        let accept = spawn_local(async move { (listener.accept().await, listener) });
        let found = told(client.get(&towpath::Ctx::background(), "http://a/").await).await;
        assert_eq!(found, "timeout: the peer took too long over a head");
        assert_eq!(start.elapsed(), Duration::from_secs(10));
        drop(accept.await.unwrap());
        // It says its settings, and nothing else.
        let mut listener = listen("b");
        let start = Instant::now();
        let serve = spawn_local(async move {
            let mut peer = Peer::accept(&mut listener).await;
            while !matches!(peer.next().await, Heard::Gone) {}
        });
        let found = told(client.get(&towpath::Ctx::background(), "http://b/").await).await;
        assert_eq!(found, "timeout: the peer took too long over the response");
        assert_eq!(start.elapsed(), Duration::from_secs(30));
        serve.await.unwrap();
    });
}

#[test]
fn redirects_and_cookies_are_the_same_over_http2() {
    run(async {
        let mut listener = listen("a");
        let client = client(|settings| ClientSettings { cookies: true, ..settings });
        let served = spawn_local(async move {
            let mut peer = Peer::accept(&mut listener).await;
            let (stream, _) = peer.request().await;
            peer.head(stream, 302, &[("location", "/next"), ("set-cookie", "id=7; Path=/")], true);
            peer.codec.finish(stream);
            let (stream, text) = peer.request().await;
            peer.answer(stream, "ok").await;
            (peer, text)
        });
        let call = client.request(Method::POST, "http://a/").body("x");
        assert_eq!(told(call.send(&ctx()).await).await, "200 ok");
        let text = served.await.unwrap().1;
        assert!(text.starts_with("GET /next\n") && text.contains("\ncookie: id=7"), "{text}");
    });
}

#[test]
fn clear_text_is_http1_unless_it_is_known() {
    run(async {
        const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        for (host, version) in [("a", HttpVersion::Negotiated), ("b", HttpVersion::Http1Only)] {
            let heard = crate::origin::origin(host, &[&[OK]]);
            let client = crate::origin::client(|settings| ClientSettings { version, ..settings });
            let response = client.get(&ctx(), &format!("http://{host}/")).await.unwrap();
            assert_eq!(format!("{:?}", response.version()), "HTTP/1.1");
            assert_eq!(heard.borrow().len(), 1);
        }
    });
}
