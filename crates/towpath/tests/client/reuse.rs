//! Connections are used again, and a stale one costs nobody a request (S38, P9, P14).

use towpath::http::{Body, Method};

use crate::origin::{CLOSE, client, ctx, origin, run, told};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GONE: &str = "";

#[test]
fn a_connection_serves_many_requests_s38() {
    run(async {
        let heard = origin("a", &[&[OK; 50]]);
        let client = client(|settings| settings);
        for _ in 0..50 {
            assert_eq!(told(client.get(&ctx(), "http://a/").await).await, "200 ok");
        }
        assert_eq!(heard.borrow().len(), 50);
    });
}

#[test]
fn p14_a_connection_that_died_idle_is_tried_again_once_if_that_is_safe() {
    run(async {
        // The second request of each connection gets no answer but the end.
        let heard = origin("a", &[&[OK, GONE, CLOSE], &[OK]]);
        let client = client(|settings| settings);
        let get = async || told(client.get(&ctx(), "http://a/").await).await;
        assert_eq!((get().await, get().await), ("200 ok".to_owned(), "200 ok".to_owned()));
        assert_eq!(heard.borrow().len(), 3);
        // Nobody knows whether the origin has done it.
        let heard = origin("b", &[&[OK, GONE, CLOSE], &[OK]]);
        let post =
            async || told(client.request(Method::POST, "http://b/").body("x").send(&ctx()).await).await;
        assert_eq!(post().await, "200 ok");
        assert!(post().await.starts_with("disconnected: "));
        assert_eq!(heard.borrow().len(), 2);
    });
}

#[test]
fn p14_one_that_dies_fresh_or_inside_a_response_is_not_tried_again() {
    run(async {
        let heard = origin("a", &[&[GONE, CLOSE], &[OK, "HTTP/1.1 200", CLOSE], &[OK]]);
        let client = client(|settings| settings);
        let get = async || told(client.get(&ctx(), "http://a/").await).await;
        assert!(get().await.starts_with("disconnected: "));
        assert_eq!(get().await, "200 ok");
        assert!(get().await.starts_with("disconnected: "));
        assert_eq!(get().await, "200 ok");
        assert_eq!(heard.borrow().len(), 4);
    });
}

#[test]
fn p09_a_response_that_nobody_has_read_closes_its_connection() {
    run(async {
        let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n{}", "x".repeat(300_000));
        let heard = origin("a", &[&[&large, OK], &[OK]]);
        let client = client(|settings| settings);
        drop(client.get(&ctx(), "http://a/").await.unwrap());
        assert_eq!(told(client.get(&ctx(), "http://a/").await).await, "200 ok");
        assert_eq!(heard.borrow().len(), 2);
        // Bytes behind a response are nobody's answer (T07).
        let heard =
            origin("b", &[&[&format!("{OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")], &[OK]]);
        for _ in 0..2 {
            assert_eq!(told(client.get(&ctx(), "http://b/").await).await, "200 ok");
        }
        assert_eq!(heard.borrow().len(), 2);
    });
}

#[test]
fn a_response_before_the_end_of_its_request_ends_the_connection() {
    run(async {
        let (sender, body) = Body::channel(1);
        let mut listener = towpath_net::memory::listen("a").unwrap();
        let client = client(|settings| settings);
        let ctx = &ctx();
        let call = client.request(Method::POST, "http://a/").body(body).send(ctx);
        let serve = async {
            let end = listener.accept().await;
            let refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno";
            std::future::poll_fn(|cx| end.poll_write(cx, refusal)).await.unwrap();
            end
        };
        let (response, end) = tokio::join!(call, serve);
        assert_eq!(told(response).await, "413 no");
        drop(sender);
        // What is left on the connection is the head, then the end.
        let mut heard = Vec::new();
        loop {
            let mut room = [0; 1024];
            match std::future::poll_fn(|cx| end.poll_read(cx, &mut room)).await.unwrap() {
                0 => break,
                count => heard.extend_from_slice(&room[..count]),
            }
        }
        assert!(String::from_utf8(heard).unwrap().starts_with("POST / HTTP/1.1\r\n"));
    });
}
