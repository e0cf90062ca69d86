//! WebSockets between our two ends, and against frames that are none.

use std::time::Duration;

use towpath_net::{Stream, memory};
use towpath_proto::ws::{CloseCode, DeflatePolicy, Origins};
use towpath_testkit::Proxy as _;
use towpath_testkit::stage::PROXY;

use super::dial::connect_over;
use super::{Error, Message, Options, Socket, WsLimits};
use crate::Ctx;
use crate::http::server::tests::{Log, Running, check, start};
use crate::http::{Request, Router, Server, StatusCode};

/// Echoes, and does what some words say.
async fn echo(ctx: &Ctx, socket: &mut Socket) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    while let Some(message) = socket.recv(ctx).await? {
        match &message {
            Message::Text(text) if text == "leave" => return Ok(()),
            Message::Text(text) if text == "fail" => return Err("as it was told".into()),
            Message::Text(text) if text == "panic" => panic!("as it was told"),
            Message::Text(text) if text == "close" => {
                socket.close(ctx, CloseCode::new(4000).unwrap(), "bye").await?;
                assert!(socket.send(ctx, "behind it").await.unwrap_err().is_closed());
                return Ok(());
            }
            _ => socket.send(ctx, message).await?,
        }
    }
    Ok(())
}

fn server_with(options: Options) -> impl Fn(&Log) -> Server {
    move |log| {
        let (options, log) = (options.clone(), log.clone());
        let open = async move |_: &Ctx, request: Request| {
            let log = log.clone();
            options.accept(request, async move |ctx: &Ctx, socket: &mut Socket| {
                let ended = echo(ctx, socket).await;
                log.say(match &ended {
                    Ok(()) => format!("ended, {:?} {:?}", socket.close_code(), socket.close_reason()),
                    Err(error) => format!("failed: {error}"),
                });
                ended
            })
        };
        Server::new(Router::new().get("/", open).get("/page", async |_: &Ctx, _: Request| "a page\n"))
            .h2c(true)
    }
}

fn server(log: &Log) -> Server {
    server_with(Options::default())(log)
}

/// A client of a server with these options.
async fn client(ours: &Options, theirs: Options) -> (Socket, Running) {
    let running = start(server_with(theirs));
    tokio::task::yield_now().await;
    let stream = Stream::memory(memory::connect(PROXY).await.unwrap());
    (connect_over(ours, "ws://proxy/", stream).await.unwrap(), running)
}

fn run(test: impl AsyncFnOnce(&Ctx)) {
    towpath_testkit::run(async { test(&Ctx::background()).await });
}

#[test]
fn messages_of_every_size_come_back_as_they_were_sent_s69c() {
    for deflate in [None, Some(DeflatePolicy::default())] {
        run(async |ctx| {
            let options = Options { deflate, ..Options::default() };
            let (mut socket, mut running) = client(&options, options.clone()).await;
            for length in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
                // Below what may be inflated from so few bytes (T46).
                let numbers = (0..length).map(|number| format!("{} täxt ", number * number));
                let text = numbers.collect::<String>().chars().take(length).collect::<String>();
                socket.send(ctx, text.as_str()).await.unwrap();
                assert!(socket.recv(ctx).await.unwrap() == Some(Message::Text(text)), "{length}");
                let bytes = (0..length).map(|number| ((number * number) >> 3) as u8).collect::<Vec<u8>>();
                socket.send(ctx, bytes.clone()).await.unwrap();
                assert!(socket.recv(ctx).await.unwrap() == Some(Message::from(bytes)), "{length}");
            }
            socket.close(ctx, CloseCode::new(4001).unwrap(), "enough").await.unwrap();
            assert_eq!(socket.close_code(), CloseCode::new(4001), "echoed");
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!(running.order("log"), r#"ended, Some(CloseCode(4001)) "enough""#);
        });
    }
}

#[test]
fn a_socket_ends_as_its_handler_does() {
    for (word, code) in [("leave", 1000), ("close", 4000), ("fail", 1011), ("panic", 1011)] {
        run(async |ctx| {
            let (mut socket, _running) = client(&Options::default(), Options::default()).await;
            socket.send(ctx, word).await.unwrap();
            assert_eq!(socket.recv(ctx).await.unwrap(), None);
            assert_eq!(socket.close_code(), CloseCode::new(code), "{word}");
            assert_eq!(socket.recv(ctx).await.unwrap(), None, "still");
            assert!(socket.send(ctx, "behind it").await.unwrap_err().is_closed());
        });
    }
}

#[test]
fn the_subprotocol_that_both_speak_is_agreed_on() {
    run(async |_| {
        let options = |names: &[&str]| Options {
            protocols: names.iter().map(|&name| name.to_owned()).collect(),
            ..Options::default()
        };
        let (socket, _running) = client(&options(&["a", "b", "c"]), options(&["c", "b"])).await;
        assert_eq!(socket.protocol(), Some("b"));
    });
}

#[test]
fn a_drain_says_1001_and_waits_for_the_answer_s69() {
    run(async |ctx| {
        let (mut socket, mut running) = client(&Options::default(), Options::default()).await;
        socket.send(ctx, "hello").await.unwrap();
        assert!(socket.recv(ctx).await.unwrap().is_some());
        running.order("drain");
        assert_eq!(socket.recv(ctx).await.unwrap(), None);
        assert_eq!(socket.close_code(), Some(CloseCode::GOING_AWAY));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(running.order("log"), r#"ended, Some(CloseCode(1001)) """#);
    });
}

#[test]
fn a_silent_peer_is_asked_and_then_cut() {
    run(async |_| {
        let (socket, mut running) = client(&Options::default(), Options::default()).await;
        // Nobody reads, so nobody answers.
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(running.order("log"), "");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(running.order("log"), "failed: the peer took too long over a sign of life");
        drop(socket);
    });
    run(async |ctx| {
        let (mut socket, _running) = client(&Options::default(), Options::default()).await;
        let heard = ctx.with_timeout(Duration::from_secs(300));
        assert!(socket.recv(&heard).await.unwrap_err().is_timeout(), "of ours, as pongs were sent and came");
        assert!(socket.send(ctx, "still there").await.is_ok());
    });
}

#[test]
fn a_message_above_the_limit_is_1009_t54() {
    run(async |ctx| {
        let limits = WsLimits { message_bytes_max: 10, ..WsLimits::default() };
        let (mut socket, mut running) =
            client(&Options::default(), Options { limits, ..Options::default() }).await;
        socket.send(ctx, "eleven byte").await.unwrap();
        assert_eq!(socket.recv(ctx).await.unwrap(), None);
        assert_eq!(socket.close_code(), Some(CloseCode::TOO_LARGE));
        assert_eq!(
            running.order("log"),
            "failed: the peer's frames are refused: a message exceeds the message limit"
        );
    });
}

#[test]
fn a_context_that_is_done_leaves_the_socket_as_it_is() {
    run(async |ctx| {
        let (mut socket, _running) = client(&Options::default(), Options::default()).await;
        let short = ctx.with_timeout(Duration::from_millis(5));
        assert!(socket.recv(&short).await.unwrap_err().is_canceled());
        socket.send(ctx, "hello").await.unwrap();
        assert_eq!(socket.recv(ctx).await.unwrap(), Some("hello".into()));
    });
}

#[test]
fn only_listed_pages_may_open_a_socket_t54() {
    let open = |origin: Option<&str>, options: Options| {
        let origin = origin.map(|origin| format!("        client> origin: {origin}\n")).unwrap_or_default();
        let dialogue = format!(
            "client> GET / HTTP/1.1\nclient> host: h\nclient> upgrade: websocket\nclient> connection: upgrade\n\
             client> sec-websocket-version: 13\nclient> sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\n{}client>\n",
            origin.trim_start()
        );
        let found = towpath_testkit::dialogue::transcript(|_| start(server_with(options.clone())), &dialogue);
        found
            .lines()
            .find_map(|line| line.strip_prefix("client< HTTP/1.1 ")?.get(..3).map(str::to_owned))
            .unwrap()
    };
    let listed =
        || Options { origins: Origins::parse(["https://a.example"], false).ok(), ..Options::default() };
    for (origin, options, status) in [
        (None, Options::default(), "101"),
        (Some("http://h"), Options::default(), "101"),
        (Some("https://h"), Options::default(), "101"),
        (Some("http://h.example"), Options::default(), "403"),
        (Some("null"), Options::default(), "403"),
        (Some("null"), Options::default().any_origin(), "101"),
        (Some("https://a.example"), listed(), "101"),
        (Some("https://b.example"), listed(), "403"),
        (None, listed(), "403"),
    ] {
        assert_eq!(open(origin, options), status, "{origin:?}");
    }
}

#[test]
fn a_handshake_that_fails_leaves_the_connection_s69b() {
    check(
        server,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> upgrade: websocket
        client> connection: upgrade
        client> sec-websocket-version: 12
        client> sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==
        client>
        client> GET /page HTTP/1.1
        client> host: h
        client>
        client> GET / HTTP/1.1
        client> host: h
        client> upgrade: websocket
        client> connection: upgrade
        client> sec-websocket-version: 13
        client>
        client> GET / HTTP/1.1
        client> host: h
        client>
        client< HTTP/1.1 426 Upgrade Required
        client< Content-Type: text/plain; charset=utf-8
        client< Upgrade: websocket
        client< Connection: Upgrade
        client< Sec-WebSocket-Version: 13
        client< Date: (now)
        client< Content-Length: 47
        client<
        client< Sec-WebSocket-Version is not sent once with 13\nHTTP/1.1 200 OK
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 7
        client<
        client< a page\nHTTP/1.1 400 Bad Request
        client< Content-Type: text/plain; charset=utf-8
        client< Date: (now)
        client< Content-Length: 59
        client<
        client< Sec-WebSocket-Key is not sent once with 16 bytes in base64\nHTTP/1.1 426 Upgrade Required
        client< Content-Type: text/plain; charset=utf-8
        client< Upgrade: websocket
        client< Connection: Upgrade
        client< Sec-WebSocket-Version: 13
        client< Date: (now)
        client< Content-Length: 59
        client<
        client< `Upgrade: websocket` with `Connection: Upgrade` is missing\n\
        "#,
    );
}

#[test]
fn frames_that_break_a_rule_are_answered_with_their_code_t54() {
    check(
        server,
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client> upgrade: websocket
        client> connection: upgrade
        client> sec-websocket-version: 13
        client> sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==
        client>
        client> \x81\x85\x00\x00\x00\x00hello\
        client> \x89\x81\x00\x00\x00\x00p\
        client> \x81\x03not masked\
        client< HTTP/1.1 101 Switching Protocols
        client< Upgrade: websocket
        client< Connection: Upgrade
        client< Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
        client< Date: (now)
        client<
        client< \x81\x05hello\x8a\x01p\x88\r\x03\xeaws_bad_mask\
        client< (end)
        proxy: log
        proxy< failed: the peer's frames are refused: a client's frame is not masked
        "#,
    );
}

#[test]
fn a_stream_of_http2_carries_one_too_s69b() {
    check(
        server,
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> ack
        client-h2> headers 1 | :method CONNECT | :protocol websocket | :scheme http | :authority h | :path / | sec-websocket-version 13
        client-h2> raw 0 0 1 818500000000
        client-h2> data 1 hello
        client-h2> get 3 /page
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 200 | date (now)
        client-h2< HEADERS 3 | :status 200 | content-type text/plain; charset=utf-8 | date (now) | content-length 7
        client-h2< DATA 3 END a page\n
        client-h2< DATA 1 \x81\x05hello
        proxy: log
        proxy: drain
        client-h2< GOAWAY 2147483647 NoError
        client-h2< PING 103
        client-h2< DATA 1 \x88\x02\x03\xe9
        client-h2> raw 0 0 1 88820000000003e9
        client-h2< DATA 1 END
        proxy: log
        proxy< ended, Some(CloseCode(1001)) ""
        "#,
    );
}

#[test]
fn what_is_no_address_is_not_dialled() {
    run(async |ctx| {
        for url in ["http://h/", "ws://", "ws://h/#part", "ws://u@h/", "ws://h/a b", "ws://h:99999/"] {
            let error: Error = super::connect(ctx, url).await.unwrap_err();
            assert!(!error.is_retryable() && error.to_string().contains("is no address"), "{url}: {error}");
        }
    });
}

#[test]
fn a_server_that_answers_something_else_is_no_websocket() {
    run(async |_| {
        let _running = start(server);
        tokio::task::yield_now().await;
        let stream = Stream::memory(memory::connect(PROXY).await.unwrap());
        let error = connect_over(&Options::default(), "ws://proxy/page", stream).await.unwrap_err();
        assert_eq!(error.refused_with(), Some(StatusCode::OK));
        assert_eq!(error.to_string(), "the server answers 200 OK instead of opening a WebSocket");
    });
}
