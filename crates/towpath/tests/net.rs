//! Connections of every kind as bytes, lines and frames (S08, S09, S11).

#![expect(clippy::unwrap_used, reason = "in a test a failed step is a failed test, in helpers too")]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use towpath::Ctx;
use towpath::net::{Conn, Dialer, Framing, Listener, Width, tls};

fn ctx() -> Ctx {
    Ctx::background().with_timeout(Duration::from_secs(20))
}

/// Two ends over a listener and a dialler.
async fn connected(listen: &str) -> (Conn, Conn) {
    let mut listener = Listener::bind(listen).unwrap();
    let address = match listen.strip_prefix("unix:") {
        Some(_) => listen.to_owned(),
        None => listener.address().to_string(),
    };
    let (dialer, ctx) = (Dialer::default(), ctx());
    let (client, server) = tokio::join!(dialer.dial(&ctx, &address), listener.accept(&ctx));
    (client.unwrap(), server.unwrap())
}

/// A client and a server that trust each other.
fn secrets() -> (tls::Client, tls::Server) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let der = certificate.der().to_vec();
    let identity = tls::Identity::new(vec![der.clone()], key.serialize_pem().as_bytes(), None).unwrap();
    let client = tls::Client::new(tls::ClientSettings {
        authorities: Some(tls::Authorities::new(vec![der]).unwrap()),
        identity: None,
        alpn: Vec::new(),
    });
    let server = tls::ServerSettings {
        identities: vec![tls::NamedIdentity { identity, names: vec!["localhost".into()] }],
        client_auth: tls::ClientAuth::None,
        versions: tls::Versions::default(),
        suites: tls::Suites::default(),
        alpn: Vec::new(),
        policy: [0; 32],
    };
    (client.unwrap(), tls::Server::new(server, &tls::TicketKeys::new()).unwrap())
}

async fn secured((client, server): (Conn, Conn)) -> (Conn, Conn) {
    let (ours, theirs) = secrets();
    let ctx = ctx();
    let (client, server) =
        tokio::join!(client.connect_tls(&ctx, &ours, "localhost"), server.accept_tls(&ctx, &theirs));
    (client.unwrap(), server.unwrap())
}

fn socket_path() -> String {
    let name = format!("towpath-net-{}-{:?}.sock", std::process::id(), std::thread::current().id());
    format!("unix:{}", std::env::temp_dir().join(name).display())
}

/// One conversation for all kinds: what is written in pieces arrives as lines and frames, and an end is an end.
async fn converse((mut client, mut server): (Conn, Conn)) {
    let ctx = &ctx();
    client.write_all(ctx, b"a").await.unwrap();
    client.write_all(ctx, b"b\r\nsecond\n\nrest").await.unwrap();
    let mut lines = server.lines(6);
    for expected in ["ab", "second", ""] {
        assert_eq!(lines.next(ctx).await.unwrap().unwrap(), expected);
    }
    // What the lines have read already is not lost to who reads bytes.
    let mut four = [0; 4];
    server.read_exact(ctx, &mut four).await.unwrap();
    assert_eq!(&four, b"rest");
    let framing = Framing::Prefixed { width: Width::U32, max: 1 << 20 };
    let large = vec![7; 200_000];
    let (sent, received) = tokio::join!(
        async {
            let mut frames = client.frames(framing);
            frames.send(ctx, b"").await?;
            frames.send(ctx, &large).await
        },
        async {
            let mut frames = server.frames(framing);
            (frames.next(ctx).await.unwrap().unwrap(), frames.next(ctx).await.unwrap().unwrap())
        }
    );
    sent.unwrap();
    assert_eq!((received.0.len(), received.1), (0, large.into()));
    server.write_all(ctx, b"bye").await.unwrap();
    server.shutdown(ctx).await.unwrap();
    let mut all = String::new();
    client.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "bye");
    client.write_all(ctx, b"still here\n").await.unwrap();
    drop(client);
    let mut lines = server.lines(100);
    assert_eq!(lines.next(ctx).await.unwrap().unwrap(), "still here");
    assert_eq!(lines.next(ctx).await.unwrap(), None);
}

#[tokio::test]
async fn every_transport_has_the_same_conversation_s08() {
    converse(Conn::pipe()).await;
    converse(connected("127.0.0.1:0").await).await;
    converse(connected("[::1]:0").await).await;
    converse(connected(&socket_path()).await).await;
    converse(secured(Conn::pipe()).await).await;
    converse(secured(connected("127.0.0.1:0").await).await).await;
}

#[tokio::test]
async fn one_more_byte_than_the_buffer_is_not_lost_s09() {
    let ctx = &ctx();
    let (mut client, mut server) = Conn::pipe();
    client.write_all(ctx, &[b'x'; 129]).await.unwrap();
    let mut buf = [0; 128];
    assert_eq!(server.read_some(ctx, &mut buf).await.unwrap(), 128);
    assert_eq!(server.read_some(ctx, &mut buf).await.unwrap(), 1);
    assert_eq!(server.read_some(ctx, &mut []).await.unwrap(), 0);
}

#[tokio::test]
async fn a_line_that_is_too_long_is_an_error_however_it_comes_s09() {
    let ctx = &ctx();
    for (text, expected) in [("1234\n", "4"), ("1234\r\n", "4"), ("12345\n", "long"), ("1234\r5\n", "long")] {
        let (mut client, mut server) = Conn::pipe();
        client.write_all(ctx, text.as_bytes()).await.unwrap();
        drop(client);
        let found = match server.lines(4).next(ctx).await {
            Ok(line) => line.unwrap().len().to_string(),
            Err(error) if error.is_too_long() => "long".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{text:?}");
    }
}

/// A gigabyte without the end of a line: it is refused while little more than a line was read, so nothing of it is held.
#[tokio::test]
async fn endless_lines_are_bounded_s09() {
    let (mut client, mut server) = Conn::pipe();
    let flood = tokio::spawn(async move {
        let mut written = 0_u64;
        while written < 1 << 30 && client.write_all(&ctx(), &[b'x'; 64 * 1024]).await.is_ok() {
            written += 64 * 1024;
        }
        written
    });
    let error = server.lines(1 << 20).next(&ctx()).await.unwrap_err();
    assert!(error.is_too_long(), "{error}");
    drop(server);
    let written = flood.await.unwrap();
    assert!(written <= (1 << 20) + 256 * 1024, "the reader took {written} bytes");
}

#[tokio::test]
async fn frames_have_their_bounds_s09() {
    let ctx = &ctx();
    let small = Framing::Prefixed { width: Width::U32, max: 10 };
    // The largest number there is, and nothing behind it: no memory is taken for what is only said.
    let (mut client, mut server) = Conn::pipe();
    client.write_all(ctx, &[0xff; 4]).await.unwrap();
    assert!(server.frames(small).next(ctx).await.unwrap_err().is_too_long());
    assert!(client.frames(small).send(ctx, &[0; 11]).await.unwrap_err().is_too_long());
    let byte = Framing::Prefixed { width: Width::U8, max: 1000 };
    assert!(client.frames(byte).send(ctx, &[0; 256]).await.unwrap_err().is_too_long());
    // An end inside a frame is not the end of the frames.
    let (mut client, mut server) = Conn::pipe();
    client.write_all(ctx, &[0, 0, 0, 5, b'h']).await.unwrap();
    drop(client);
    assert!(server.frames(small).next(ctx).await.unwrap_err().is_ended());
    let (mut client, mut server) = Conn::pipe();
    client.write_all(ctx, b"abcde").await.unwrap();
    drop(client);
    let mut frames = server.frames(Framing::Fixed(2));
    assert_eq!(frames.next(ctx).await.unwrap().unwrap(), "ab");
    assert_eq!(frames.next(ctx).await.unwrap().unwrap(), "cd");
    assert!(frames.next(ctx).await.unwrap_err().is_ended());
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_read_is_typed_s08() {
    let (client, mut server) = connected("127.0.0.1:0").await;
    let read = tokio::spawn(async move { server.read_exact(&ctx(), &mut [0; 9]).await });
    client.reset();
    let error = read.await.unwrap().unwrap_err();
    assert!(error.is_reset() && error.is_retryable() && !error.is_ended(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_silent_costs_the_deadline_and_a_cancel_ends_it_at_once_r24() {
    let (mut client, _server) = Conn::pipe();
    let ctx = Ctx::background().with_timeout(Duration::from_secs(7));
    let start = tokio::time::Instant::now();
    assert!(client.read_some(&ctx, &mut [0]).await.unwrap_err().is_timeout());
    assert_eq!(start.elapsed(), Duration::from_secs(7));
    // A pipe that nobody reads fills up.
    let (ctx, guard) = Ctx::background().with_cancel();
    let write = tokio::spawn(async move { client.write_all(&ctx, &vec![0; 1 << 20]).await });
    tokio::task::yield_now().await;
    guard.cancel("enough");
    let error = write.await.unwrap().unwrap_err();
    assert!(error.is_canceled() && !error.is_timeout());
}

#[tokio::test(start_paused = true)]
async fn other_libraries_get_the_deadline_as_an_error_of_their_own_r24() {
    let (mut client, mut server) = Conn::pipe();
    let ctx = Ctx::background().with_timeout(Duration::from_secs(1));
    let mut io = client.deadline(&ctx);
    io.write_all(b"question").await.unwrap();
    let error = io.read_u8().await.unwrap_err();
    let error = towpath::net::Error::from(error);
    assert!(error.is_timeout() && error.is_canceled());
    // One that is done lets nothing begin.
    assert!(io.write_all(b"x").await.is_err());
    let mut buf = [0; 16];
    assert_eq!(server.read_some(&Ctx::background(), &mut buf).await.unwrap(), 8);
}

#[tokio::test]
async fn who_has_the_address_already_is_told_s05() {
    let first = Listener::bind("127.0.0.1:0").unwrap();
    let error = Listener::bind(&first.address().to_string()).unwrap_err();
    assert!(error.is_in_use());
    assert!(Listener::bind("nonsense").is_err());
}
