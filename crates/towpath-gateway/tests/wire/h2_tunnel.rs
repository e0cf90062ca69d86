//! WebSockets between the versions (RFC 8441): whoever asks in HTTP/2 and whoever answers in it.

use towpath_proto::ws::accept_value;
use towpath_testkit::frames::Frames;
use towpath_testkit::{Seen, Stage, run};

use crate::gateway::{Gateway, check};

const ASKED: &str = "headers 1 | :method CONNECT | :protocol websocket | :scheme http | :authority h | :path /chat \
                     | sec-websocket-version 13 | origin http://h";

/// A client of HTTP/2 that knows what it has seen.
struct Client {
    frames: Frames,
    unread: Vec<u8>,
}

impl Client {
    async fn connect(stage: &Stage) -> Self {
        let mut this = Self { frames: Frames::default(), unread: Vec::new() };
        this.says(stage, &["preface", "settings", "ack"]).await;
        this
    }

    async fn says(&mut self, stage: &Stage, lines: &[&str]) {
        let bytes: Vec<u8> = lines.iter().flat_map(|line| self.frames.bytes_of(line)).collect();
        stage.send("client", &bytes).await;
        stage.settle().await;
    }

    /// What the client and the origin have seen since the last call.
    fn sees(&mut self, stage: &Stage) -> (Vec<String>, Vec<u8>) {
        let mut origin = Vec::new();
        for (label, seen) in stage.seen() {
            match (&*label, seen) {
                ("client", Seen::Bytes(bytes)) => self.unread.extend(bytes),
                ("origin", Seen::Bytes(bytes)) => origin.extend(bytes),
                ("origin", Seen::End | Seen::Reset) => origin.extend(b"(over)"),
                _ => {}
            }
        }
        (self.frames.take_lines(&mut self.unread), origin)
    }
}

/// The key in the head of a request of HTTP/1.1.
fn key_of(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ").map(str::to_owned));
    line.unwrap_or_else(|| panic!("no key in {text}"))
}

fn switched(accept: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: {accept}\r\nsec-websocket-protocol: chat\r\n\r\n"
    )
    .into_bytes()
}

#[test]
fn a_websocket_that_a_client_opens_in_http2_is_one_of_http1_for_the_origin() {
    run(async {
        let stage = Stage::default();
        let _gateway = Gateway::new().h2c().start(&stage);
        let mut client = Client::connect(&stage).await;
        client.says(&stage, &[ASKED]).await;
        let (_, asked) = client.sees(&stage);
        assert!(asked.starts_with(b"GET /chat HTTP/1.1\r\n"), "{}", asked.escape_ascii());
        assert!(asked.windows(20).any(|part| part == b"\r\nupgrade: websocket"), "{}", asked.escape_ascii());
        let accept = accept_value(key_of(&asked).as_bytes());
        stage.send("origin", &switched(std::str::from_utf8(&accept).unwrap())).await;
        stage.send("origin", b"\x81\x02hi").await;
        stage.settle().await;
        let (seen, _) = client.sees(&stage);
        assert_eq!(
            seen,
            [
                "HEADERS 1 | :status 200 | sec-websocket-protocol chat".to_owned(),
                r"DATA 1 \x81\x02hi".to_owned()
            ]
        );
        // Masked with zeros.
        client.says(&stage, &["raw 0 0 1 818300000000796573"]).await;
        assert_eq!(client.sees(&stage).1, b"\x81\x83\0\0\0\0yes");
        // Both close, the client first.
        client.says(&stage, &["raw 0 1 1 88820000000003e8"]).await;
        stage.send("origin", b"\x88\x02\x03\xe8").await;
        stage.end("origin").await;
        stage.settle().await;
        let (seen, _) = client.sees(&stage);
        assert_eq!(seen.first().map(String::as_str), Some(r"DATA 1 \x88\x02\x03\xe8"), "{seen:?}");
    });
}

#[test]
fn an_origin_that_answers_another_key_has_not_switched_t54() {
    run(async {
        let stage = Stage::default();
        let _gateway = Gateway::new().h2c().start(&stage);
        let mut client = Client::connect(&stage).await;
        client.says(&stage, &[ASKED]).await;
        client.sees(&stage);
        stage.send("origin", &switched("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")).await;
        stage.settle().await;
        let (seen, _) = client.sees(&stage);
        assert!(seen[0].starts_with("HEADERS 1 | :status 502"), "{seen:?}");
        assert!(seen[0].contains("upstream_bad_upgrade"), "{seen:?}");
    });
}

#[test]
fn what_the_route_does_not_list_or_the_origin_does_not_want_is_an_answer_t06() {
    check(
        || Gateway::new().h2c(),
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> headers 1 | :method CONNECT | :protocol connect-udp | :scheme http | :authority h | :path /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        client-h2< HEADERS 1 | :status 400 | server towpath | date (now) | content-type text/plain; charset=utf-8 | proxy-status towpath; error=http_request_denied; details=\"upgrade_refused\" | content-length 33
        client-h2< DATA 1 END 400 Bad Request: upgrade_refused\n
        client-h2< RST_STREAM 1 NoError
        "#,
    );
}

#[test]
fn a_websocket_of_http1_goes_to_an_origin_that_takes_extended_connect() {
    check(
        || Gateway::new().h2c().http2().endpoints(&["origin-h2"]),
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 END | :method GET | :scheme http | :path / | :authority h
        origin-h2> settings 8=1
        origin-h2> headers 1 end | :status 204
        origin-h2< SETTINGS ACK
        client< HTTP/1.1 204 No Content
        client< date: (now)
        client<
        client> GET /chat HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client> sec-websocket-version: 13
        client> sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==
        client>
        origin-h2< HEADERS 3 | :method CONNECT | :scheme http | :path /chat | :authority h | :protocol websocket | sec-websocket-version 13
        origin-h2> headers 3 | :status 200
        origin-h2> data 3 12
        client< HTTP/1.1 101 Switching Protocols
        client< connection: upgrade
        client< upgrade: websocket
        client< sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
        client<
        client< 12\
        client> \x82\x81\0\0\0\0x\
        origin-h2< DATA 3 \x82\x81\x00\x00\x00\x00x
        origin-h2> data 3 3
        client< 3\
        client-h2> preface
        client-h2> settings
        client-h2> headers 1 | :method CONNECT | :protocol websocket | :scheme http | :authority h | :path /chat
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin-h2< HEADERS 5 | :method CONNECT | :scheme http | :path /chat | :authority h | :protocol websocket
        origin-h2> headers 5 | :status 200
        client-h2< HEADERS 1 | :status 200
        client-h2> rst 1 8
        origin-h2< RST_STREAM 5 InternalError
        "#,
    );
}

#[test]
fn an_origin_of_http2_that_does_not_take_extended_connect_is_not_asked() {
    check(
        || Gateway::new().http2().endpoints(&["origin-h2"]),
        r#"
        client> GET / HTTP/1.1
        client> host: h
        client>
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2< HEADERS 1 END | :method GET | :scheme http | :path / | :authority h
        origin-h2> settings
        origin-h2> headers 1 end | :status 204
        origin-h2< SETTINGS ACK
        client< HTTP/1.1 204 No Content
        client< date: (now)
        client<
        client> GET /chat HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client> sec-websocket-version: 13
        client> sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==
        client>
        client< HTTP/1.1 502 Bad Gateway
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=http_upgrade_failed; details="upstream_bad_upgrade"
        client< Content-Length: 38
        client<
        client< 502 Bad Gateway: upstream_bad_upgrade\n\
        "#,
    );
}

#[test]
fn a_new_connection_is_asked_once_its_origin_has_said_what_it_takes_rfc8441_3() {
    check(
        || Gateway::new().h2c().http2().endpoints(&["origin-h2"]),
        r#"
        client-h2> preface
        client-h2> settings
        client-h2> headers 1 | :method CONNECT | :protocol websocket | :scheme http | :authority h | :path /a
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        client> GET /chat HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client> sec-websocket-version: 13
        client> sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==
        client>
        client2> GET /plain HTTP/1.1
        client2> host: h
        client2>
        origin-h2< HEADERS 1 END | :method GET | :scheme http | :path /plain | :authority h
        origin-h2> settings 8=1
        origin-h2< SETTINGS ACK
        origin-h2< HEADERS 3 | :method CONNECT | :scheme http | :path /a | :authority h | :protocol websocket
        origin-h2< HEADERS 5 | :method CONNECT | :scheme http | :path /chat | :authority h | :protocol websocket | sec-websocket-version 13
        wait 1s
        origin-h2> headers 1 end | :status 204
        origin-h2> headers 3 | :status 200
        origin-h2> headers 5 | :status 200
        client2< HTTP/1.1 204 No Content
        client2< date: (now)
        client2<
        client< HTTP/1.1 101 Switching Protocols
        client< connection: upgrade
        client< upgrade: websocket
        client< sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
        client<
        client-h2< HEADERS 1 | :status 200
        "#,
    );
}

#[test]
fn an_origin_that_does_not_say_what_it_takes_is_given_the_time_of_a_connect() {
    check(
        || Gateway::new().http2().endpoints(&["origin-h2"]).route(|route| route.retry = None),
        r#"
        client> GET /chat HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client> sec-websocket-version: 13
        client> sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==
        client>
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        wait 4s
        wait 2s
        client< HTTP/1.1 504 Gateway Timeout
        client< server: towpath
        client< date: (now)
        client< content-type: text/plain; charset=utf-8
        client< proxy-status: towpath; error=connection_timeout; details="connect_timeout"
        client< Content-Length: 37
        client<
        client< 504 Gateway Timeout: connect_timeout\n\
        proxy: gauges
        proxy< connections 1, tunnels 0, charges 0
        proxy< pool origin-h2: in use 1, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn an_origin_that_goes_before_it_says_what_it_takes_is_as_one_that_resets() {
    check(
        || Gateway::new().http2().endpoints(&["origin-h2"]).route(|route| route.retry = None),
        r#"
        client> GET /chat HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client> sec-websocket-version: 13
        client> sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==
        client>
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2> (close)
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
fn a_client_that_leaves_while_settings_are_awaited_is_not_waited_for() {
    check(
        || Gateway::new().http2().endpoints(&["origin-h2"]),
        r#"
        client> GET /chat HTTP/1.1
        client> host: h
        client> connection: upgrade
        client> upgrade: websocket
        client> sec-websocket-version: 13
        client> sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==
        client>
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        client> (reset)
        proxy: reasons
        proxy< client_gone 1
        proxy: gauges
        proxy< connections 0, tunnels 0, charges 0
        proxy< pool origin-h2: in use 1, idle 0, dialling 0, waiting 0
        "#,
    );
}

#[test]
fn a_direction_that_waits_for_room_does_not_keep_the_other_from_moving() {
    check(
        || Gateway::new().h2c().http2().endpoints(&["origin-h2"]),
        r#"
        client-h2> preface
        client-h2> settings 4=2
        client-h2> headers 1 | :method CONNECT | :protocol websocket | :scheme http | :authority h | :path /
        client-h2< SETTINGS 4=65535 6=65536 3=100 9=1 8=1
        client-h2< WINDOW_UPDATE 0 983041
        client-h2< SETTINGS ACK
        origin-h2< (connected)
        origin-h2< preface
        origin-h2< SETTINGS 4=65535 6=65536 2=0
        origin-h2< WINDOW_UPDATE 0 983041
        origin-h2> settings 8=1 4=2
        origin-h2< SETTINGS ACK
        origin-h2< HEADERS 1 | :method CONNECT | :scheme http | :path / | :authority h | :protocol websocket
        wait 1s
        origin-h2> headers 1 | :status 200
        origin-h2> data 1 123456
        client-h2< HEADERS 1 | :status 200
        client-h2< DATA 1 12
        client-h2> data 1 hello
        origin-h2< DATA 1 he
        origin-h2> data 1 78
        client-h2> wu 1 100
        client-h2< DATA 1 3456
        client-h2< DATA 1 78
        origin-h2> wu 1 100
        origin-h2< DATA 1 llo
        client-h2> data 1 bye
        origin-h2< DATA 1 bye
        "#,
    );
}
