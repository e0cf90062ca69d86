//! What goes out and what comes back (S13).

use std::time::Duration;

use towpath::http::{Body, ClientSettings, Method};

use crate::origin::{CLOSE, client, ctx, origin, run, told};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// One answer, and what the caller is told of it.
#[track_caller]
fn check(answer: &'static [&'static str], expected: &str) {
    run(async {
        origin("a", &[answer]);
        assert_eq!(
            told(client(|settings| settings).get(&ctx(), "http://a/").await).await,
            expected,
            "{answer:?}"
        );
    });
}

#[test]
fn every_framing_has_its_end_rfc9112_6_3() {
    check(&[OK], "200 ok");
    check(
        &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\nT: 1\r\n\r\n"],
        "200 abcd",
    );
    check(&["HTTP/1.1 200 OK\r\n\r\nuntil the end", CLOSE], "200 until the end");
    check(&["HTTP/1.0 404 Not Found\r\n\r\nold", CLOSE], "404 old");
    check(&["HTTP/1.1 204 No Content\r\n\r\n"], "204 ");
    check(&["HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"], "304 ");
    check(
        &["HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"],
        "200 x",
    );
    check(&["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], "200 ");
}

#[test]
fn a_request_is_written_as_it_was_meant() {
    run(async {
        let heard = origin("a", &[&[OK, OK, OK, OK]]);
        let client = client(|settings| ClientSettings { user_agent: "t/1".to_owned(), ..settings });
        let ctx = &ctx();
        client.get(ctx, "http://A:80/p?q=1#f").await.unwrap();
        let post = client.request(Method::POST, "http://a/").header("X", "y").header("accept", "text/plain");
        post.json(&[1, 2]).send(ctx).await.unwrap();
        client.request(Method::POST, "http://a/").header("Connection", "close").send(ctx).await.unwrap();
        let (sender, body) = Body::channel(1);
        let upload =
            client.request(Method::PUT, "http://a/u").header("Content-Length", "7").body(body).send(ctx);
        let send = async {
            sender.send("ab").await.unwrap();
            sender.send("cde").await.unwrap();
            drop(sender);
        };
        tokio::join!(async { upload.await.unwrap() }, send);
        let coding = "Accept-Encoding: gzip, br, zstd\r\n";
        assert_eq!(
            heard.take(),
            [
                format!("GET /p?q=1 HTTP/1.1\r\nHost: a\r\nUser-Agent: t/1\r\nAccept: */*\r\n{coding}\r\n"),
                format!(
                    "POST / HTTP/1.1\r\nHost: a\r\nX: y\r\naccept: text/plain\r\nContent-Type: application/json\r\n\
                     User-Agent: t/1\r\n{coding}Content-Length: 5\r\n\r\n[1,2]"
                ),
                format!(
                    "POST / HTTP/1.1\r\nHost: a\r\nUser-Agent: t/1\r\nAccept: */*\r\n{coding}Content-Length: 0\r\n\r\n"
                ),
                format!(
                    "PUT /u HTTP/1.1\r\nHost: a\r\nUser-Agent: t/1\r\nAccept: */*\r\n{coding}Transfer-Encoding: chunked\r\n\r\n\
                     2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
                ),
            ]
        );
    });
}

#[test]
fn a_response_may_come_before_the_request_has_gone() {
    run(async {
        // The origin reads no further than the head before it has answered.
        let (sender, body) = Body::channel(1);
        let mut listener = towpath_net::memory::listen("a").unwrap();
        let client = client(|settings| settings);
        let ctx = &ctx();
        let call = client.request(Method::POST, "http://a/").body(body).send(ctx);
        let serve = async {
            let end = listener.accept().await;
            let mut room = [0; 1024];
            std::future::poll_fn(|cx| end.poll_read(cx, &mut room)).await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            std::future::poll_fn(|cx| end.poll_write(cx, head)).await.unwrap();
            end
        };
        let (response, end) = tokio::join!(call, serve);
        // Each piece that goes up comes down again.
        let echo = async {
            let mut heard = Vec::new();
            for _ in 0..2 {
                let mut room = [0; 1024];
                let count = std::future::poll_fn(|cx| end.poll_read(cx, &mut room)).await.unwrap();
                heard.extend_from_slice(&room[..count]);
                std::future::poll_fn(|cx| end.poll_write(cx, &room[..count])).await.unwrap();
            }
            heard
        };
        let mut body = response.unwrap().into_body();
        let talk = async {
            sender.send("one").await.unwrap();
            let first = body.next().await.unwrap().unwrap();
            sender.send("two").await.unwrap();
            let second = body.next().await.unwrap().unwrap();
            (first, second)
        };
        let (heard, (first, second)) = tokio::join!(echo, talk);
        assert_eq!(
            (heard.as_slice(), &first[..], &second[..]),
            (&b"3\r\none\r\n3\r\ntwo\r\n"[..], &b"one"[..], &b"two"[..])
        );
    });
}

#[test]
fn a_body_waits_to_be_asked_for_and_no_longer_than_a_second_rfc9110_10_1_1() {
    run(async {
        let start = tokio::time::Instant::now();
        // The scripted origin reads the head, answers, and reads the body as what follows.
        let heard =
            origin("a", &[&["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]]);
        let client = client(|settings| settings);
        let ctx = &ctx();
        let call = client.request(Method::PUT, "http://a/").body("data").expect_continue();
        assert_eq!(told(call.send(ctx).await).await, "200 ok");
        assert!(
            heard.borrow()[0].ends_with("Content-Length: 4\r\nExpect: 100-continue\r\n\r\n"),
            "{heard:?}"
        );
        assert!(start.elapsed() < Duration::from_millis(100));
        // One that refuses has not got the body, and the connection is of no more use.
        let heard = origin("b", &[&["HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"], &[OK]]);
        let call = client.request(Method::PUT, "http://b/").body("data").expect_continue();
        assert_eq!(told(call.send(ctx).await).await, "413 no");
        assert_eq!(told(client.get(ctx, "http://b/").await).await, "200 ok");
        assert!(heard.borrow()[1].starts_with("GET / "));
    });
}

#[test]
fn a_deadline_ends_every_wait_r24() {
    run(async {
        let client = client(|settings| settings);
        origin("a", &[&[""], &["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]]);
        for part in ["head", "body"] {
            let ctx = ctx().with_timeout(Duration::from_secs(3));
            let start = tokio::time::Instant::now();
            let found = told(client.get(&ctx, "http://a/").await).await;
            assert!(found.starts_with("timeout+canceled: given up: deadline exceeded"), "{part}: {found}");
            assert_eq!(start.elapsed(), Duration::from_secs(3), "{part}");
        }
        let (done, guard) = ctx().with_cancel();
        guard.cancel("enough");
        assert!(told(client.get(&done, "http://a/").await).await.starts_with("canceled: "));
    });
}

#[test]
fn a_silent_origin_ends_without_a_deadline_too() {
    run(async {
        origin("a", &[&["HTTP/1.1 200 OK\r\n"]]);
        let client = client(|settings| settings);
        let start = tokio::time::Instant::now();
        let found = told(client.get(&towpath::Ctx::background(), "http://a/").await).await;
        assert_eq!(found, "timeout: the peer took too long over the response");
        assert_eq!(start.elapsed(), Duration::from_secs(30));
    });
}

#[test]
fn the_context_is_told_to_those_who_are_trusted() {
    run(async {
        let heard = origin("a", &[&[OK, OK]]);
        let ctx = ctx().with_timeout(Duration::from_secs(10));
        let shy = client(|settings| settings);
        let call =
            shy.request(Method::GET, "http://a/").header("grpc-timeout", "1S").header("traceparent", "x");
        call.send(&ctx).await.unwrap();
        assert!(!heard.borrow()[0].contains("grpc-timeout") && !heard.borrow()[0].contains("traceparent"));
        let heard = origin("b", &[&[OK]]);
        let open = client(|settings| ClientSettings { propagate_deadline: true, ..settings });
        open.get(&ctx, "http://b/").await.unwrap();
        assert!(heard.borrow()[0].contains("grpc-timeout: 9500000u\r\n"), "{heard:?}");
    });
}
