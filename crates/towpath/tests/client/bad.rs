//! What an origin may not do to its client (S13, T20, T46).

use towpath::http::ClientSettings;
use towpath_proto::coding::{Coding, Effort, Encoder};

use crate::origin::{CLOSE, client, ctx, origin, run, told};

#[track_caller]
fn check(answer: &str, expected: &str) {
    run(async {
        origin("a", &[&[answer, CLOSE]]);
        let found = told(client(|settings| settings).get(&ctx(), "http://a/").await).await;
        assert!(found.starts_with(expected), "{:.60}: {found}", answer);
    });
}

#[test]
fn endless_heads_and_interim_responses_end_t20() {
    let fields = "X: y\r\n".repeat(101);
    check(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), "limit: ");
    check(&format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(9 * 1024)), "limit: ");
    let large = format!("X: {}\r\n", "y".repeat(8_000)).repeat(10_000);
    check(&format!("HTTP/1.1 200 OK\r\n{large}"), "limit: ");
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100_000);
    check(&interim, "limit: more than 8 interim responses came");
}

#[test]
fn what_is_no_response_is_said() {
    check("SSH-2.0-OpenSSH\r\n", "protocol: ");
    check("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "protocol: ");
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "protocol: ");
    check("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "protocol: ");
    check("", "disconnected: ");
}

#[test]
fn a_body_that_is_shorter_than_it_was_said_is_no_body() {
    check("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "disconnected: ");
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf", "disconnected: ");
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "disconnected: ");
}

fn coded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(coding, Effort::Fast);
    encoder.push(bytes, &mut out);
    encoder.finish(&mut out);
    out
}

/// An origin whose body is not text.
async fn serve_bytes(body: Vec<u8>, coding: &str) -> String {
    let mut listener = towpath_net::memory::listen("a").unwrap();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n", body.len());
    tokio::task::spawn_local(async move {
        let end = listener.accept().await;
        let bytes = [head.as_bytes(), &body].concat();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match std::future::poll_fn(|cx| end.poll_write(cx, rest)).await {
                Ok(count) => rest = &rest[count..],
                Err(_) => return,
            }
        }
        std::future::pending::<()>().await;
    });
    let client = client(|settings| ClientSettings { decoded_bytes_max: 8 << 20, ..settings });
    told(client.get(&ctx(), "http://a/").await).await
}

#[test]
fn codings_are_undone_s13() {
    let text = "the same again and again, ".repeat(1_000);
    for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
        let found = run(serve_bytes(coded(coding, text.as_bytes()), coding.token()));
        assert!(found == format!("200 {text}"), "{coding:?}: {:.80}", found);
    }
    assert_eq!(run(serve_bytes(b"as it is".to_vec(), "unknown")), "200 as it is");
}

#[test]
fn a_bomb_does_not_go_off_t46() {
    for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
        // 100 MB of nothing.
        let bomb = coded(coding, &vec![0; 100_000_000]);
        let found = run(serve_bytes(bomb, coding.token()));
        assert!(found.starts_with("limit: "), "{coding:?}: {:.80}", found);
    }
    let half = coded(Coding::Gzip, b"some text that is cut");
    let found = run(serve_bytes(half[..half.len() - 9].to_vec(), "gzip"));
    assert!(found.starts_with("malformed: "), "{found}");
    assert!(run(serve_bytes(b"no gzip at all".to_vec(), "gzip")).starts_with("malformed: "));
}

#[test]
fn nobody_there_is_said_at_once_p07() {
    run(async {
        let found = told(client(|settings| settings).get(&ctx(), "http://a/").await).await;
        assert_eq!(found, "connect: no connection to http://a");
        for url in ["a/b", "ftp://a/", "http://", "http://a b/"] {
            let found = told(client(|settings| settings).get(&ctx(), url).await).await;
            assert_eq!(found, format!(": {url:?} is no URL"));
        }
        let client = client(|settings| settings);
        let call = client.request(towpath::http::Method::GET, "http://a/").header("X", "a\r\nEvil: 1");
        assert_eq!(told(call.send(&ctx()).await).await, ": a header field may not be sent");
    });
}
