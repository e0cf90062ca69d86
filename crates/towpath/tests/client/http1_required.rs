//! Origins that speak HTTP/2 and want HTTP/1.1 all the same (RFC 9113 §7), over TLS and under a paused clock.

use std::future::poll_fn;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::sleep;
use towpath::http::{Client, ClientSettings, Method};
use towpath_net::memory::Listener;
use towpath_net::tls::{self, ALPN_HTTP1, ALPN_HTTP2, Alpn, Signing};
use towpath_net::{Stream, tls::ServerSettings};
use towpath_proto::h2::{Config, ErrorCode};

use crate::origin::{ctx, run, told};
use crate::peer::{Heard, Peer, go_away, listen};

/// An origin called `a` that chooses HTTP/2 of what it is offered.
struct Origin {
    tls: tls::Server,
    listener: Listener,
}

impl Origin {
    /// It, and a client that believes it.
    fn new() -> (Self, Client) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(["a".to_owned()]).unwrap().self_signed(&key).unwrap();
        let chain = vec![certificate.der().to_vec()];
        let authorities = tls::Authorities::new(chain.clone()).unwrap();
        let identity = tls::Identity::new(chain, key.serialize_pem().as_bytes(), None).unwrap();
        let settings = ServerSettings {
            identities: vec![tls::NamedIdentity { identity, names: vec!["a".to_owned()] }],
            client_auth: tls::ClientAuth::None,
            versions: tls::Versions::default(),
            suites: tls::Suites::default(),
            alpn: vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()],
            policy: [0; 32],
        };
        let tls = tls::Server::new(settings, &tls::TicketKeys::new()).unwrap();
        let client = Client::new(ClientSettings {
            connect_to: vec![("a:443".to_owned(), "memory:a".to_owned())],
            environment_proxy: false,
            authorities: Some(authorities),
            ..ClientSettings::default()
        });
        (Self { tls, listener: listen("a") }, client)
    }

    /// The next connection, and whether it is one of HTTP/2.
    async fn accept(&mut self) -> (Stream, bool) {
        let stream = Stream::memory(self.listener.accept().await);
        let stream = tls::accept(stream, &self.tls, Alpn::Agreed, b"", Signing::Here).await.unwrap();
        let protocol = stream.agreed().and_then(|agreed| agreed.protocol.clone());
        (stream, protocol.as_deref() == Some(ALPN_HTTP2))
    }

    async fn accept_http2(&mut self) -> Peer {
        let (stream, is_http2) = self.accept().await;
        assert!(is_http2, "HTTP/2 is offered");
        Peer::over(stream, Config::default())
    }

    /// Answers each request of the next connection with its first line.
    async fn serve_http1(&mut self) {
        let (mut stream, is_http2) = self.accept().await;
        assert!(!is_http2, "nothing but HTTP/1.1 is offered");
        spawn_local(async move {
            let mut input = Vec::new();
            loop {
                let mut room = [0; 4096];
                match poll_fn(|cx| stream.split().0.poll_read(cx, &mut room)).await {
                    Ok(count @ 1..) => input.extend_from_slice(&room[..count]),
                    _ => return,
                }
                let text = String::from_utf8_lossy(&input).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                if head.to_ascii_lowercase().contains("\r\ncontent-length: 1") && body.is_empty() {
                    continue;
                }
                input.clear();
                let line = head.lines().next().unwrap();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{line}", line.len());
                let mut rest = answer.as_bytes();
                while !rest.is_empty() {
                    let count = poll_fn(|cx| stream.split().1.poll_write(cx, rest)).await.unwrap();
                    rest = &rest[count..];
                }
            }
        });
    }
}

#[test]
fn a_request_that_is_reset_so_goes_out_by_http1_and_others_for_ten_minutes_rfc9113_7() {
    run(async {
        let (mut origin, client) = Origin::new();
        let served = spawn_local(async move {
            let mut peer = origin.accept_http2().await;
            let (kept, _) = peer.request().await;
            let (refused, text) = peer.request().await;
            assert!(text.starts_with("POST /refused"), "{text}");
            peer.codec.reset(refused, ErrorCode::Http11Required);
            peer.codec.finish(refused);
            peer.flush().await;
            origin.serve_http1().await;
            // What was under way goes on, and nothing else comes this way.
            peer.answer(kept, "kept").await;
            peer.until(|heard| matches!(heard, Heard::GoAway)).await;
            assert!(matches!(peer.next().await, Heard::Gone));
            // The connection of before has been idle for too long by then.
            origin.serve_http1().await;
            origin.accept_http2().await.serve().await
        });
        let get = async |path: &str| told(client.get(&ctx(), &format!("https://a/{path}")).await).await;
        let kept = async {
            let kept = get("kept").await;
            assert_eq!(kept, "200 kept");
        };
        let refused = async {
            let call = client.request(Method::POST, "https://a/refused").body("x");
            assert_eq!(told(call.send(&ctx()).await).await, "200 POST /refused HTTP/1.1");
            assert_eq!(get("next").await, "200 GET /next HTTP/1.1");
        };
        tokio::join!(kept, refused);
        sleep(Duration::from_secs(500)).await;
        assert_eq!(get("later").await, "200 GET /later HTTP/1.1");
        sleep(Duration::from_secs(101)).await;
        assert_eq!(get("again").await, "200 /again");
        client.close_idle();
        assert_eq!(served.await.unwrap(), 1);
    });
}

#[test]
fn a_connection_that_is_left_so_loses_no_request_that_may_be_sent_again_rfc9113_7() {
    run(async {
        let (mut origin, client) = Origin::new();
        let served = spawn_local(async move {
            let mut peer = origin.accept_http2().await;
            let (first, _) = peer.request().await;
            peer.answer(first, "first").await;
            peer.request().await;
            let (last, _) = peer.request().await;
            peer.request().await;
            peer.raw(&go_away(last.number(), 13)).await;
            drop(peer);
            for _ in 0..2 {
                origin.serve_http1().await;
            }
            origin
        });
        let ask = async |method: Method, path: &str| {
            let call = client.request(method, &format!("https://a/{path}")).body("x");
            told(call.send(&ctx()).await).await
        };
        // On a connection that is there they go out in this order.
        assert_eq!(ask(Method::PUT, "first").await, "200 first");
        let (seen, done, unseen) =
            tokio::join!(ask(Method::PUT, "seen"), ask(Method::POST, "done"), ask(Method::POST, "unseen"));
        assert_eq!(seen, "200 PUT /seen HTTP/1.1");
        assert_eq!(unseen, "200 POST /unseen HTTP/1.1");
        // Nobody knows whether it was.
        assert!(done.starts_with("disconnected: "), "{done}");
        let mut origin = served.await.unwrap();
        assert!(origin.listener.accept_queued().is_none(), "there was another connection");
    });
}
