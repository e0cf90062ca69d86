//! A WebSocket echo server, and a client that sends every kind of message and counts what comes back: one thread,
//! blocking sockets, no clock. `conformance/websocket/run` holds both against peers that are not ours.
//!
//! ```text
//!   ws_echo server MODE [CONNECTIONS]     prints `port NUMBER`; serves so many connections, one after the other
//!   ws_echo client MODE HOST:PORT         exchanges messages with an echo server; prints a line for each
//! ```
//!
//! MODE is `plain`, `deflate` (windows are kept between messages), `deflate-alone` (they are not), or `large`: as
//! `deflate`, with limits of 16 MiB instead of the default ones.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::collections::hash_map::RandomState;
use std::error::Error;
use std::hash::BuildHasher;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use towpath_proto::h1::{HeadLimits, RequestDecoder, ResponseDecoder, encode};
use towpath_proto::limits::WsLimits;
use towpath_proto::message::Method;
use towpath_proto::ws::{
    Answer, Close, CloseCode, Closing, Decoder, Deflate, DeflatePolicy, Encoder, Event, Kind, MaskKey,
    Opening, Role, key_value,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["server", mode] => serve(mode, usize::MAX),
        ["server", mode, connections_count] => serve(mode, connections_count.parse()?),
        ["client", mode, address] => exchange(mode, address),
        _ => Err("ws_echo server MODE [CONNECTIONS] | client MODE HOST:PORT".into()),
    }
}

fn policy(mode: &str) -> Outcome<Option<DeflatePolicy>> {
    let keep = DeflatePolicy {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        ..DeflatePolicy::default()
    };
    match mode {
        "plain" => Ok(None),
        "deflate" | "large" => Ok(Some(keep)),
        "deflate-alone" => Ok(Some(DeflatePolicy::default())),
        _ => Err("MODE is plain, deflate, deflate-alone or large".into()),
    }
}

fn limits(mode: &str) -> WsLimits {
    let large = WsLimits { frame_bytes_max: 16 << 20, message_bytes_max: 16 << 20, ..WsLimits::default() };
    if mode == "large" { large } else { WsLimits::default() }
}

fn serve(mode: &str, connections_count: usize) -> Outcome<()> {
    let (policy, limits) = (policy(mode)?, limits(mode));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("port {}", listener.local_addr()?.port());
    for stream in listener.incoming().take(connections_count) {
        // One bad peer is not the end of the server.
        if let Err(error) = stream.map_err(Into::into).and_then(|stream| answer(stream, policy, limits)) {
            println!("ended: {error}");
        }
    }
    Ok(())
}

/// The server's handshake, then an echo until the end.
fn answer(mut stream: TcpStream, policy: Option<DeflatePolicy>, limits: WsLimits) -> Outcome<()> {
    let (decoder, head, rest) = read_request(&mut stream)?;
    let opening = match Opening::read(decoder.head(), &head) {
        Ok(opening) => opening,
        Err(error) => return refuse(&mut stream, error),
    };
    let deflate = match policy.map(|policy| opening.choose_deflate(&policy)).transpose() {
        Ok(deflate) => deflate.flatten(),
        Err(error) => return refuse(&mut stream, error),
    };
    let mut out = Vec::new();
    encode::status_line(&mut out, 101);
    encode::field(&mut out, b"Upgrade", b"websocket");
    encode::field(&mut out, b"Connection", b"Upgrade");
    encode::field(&mut out, b"Sec-WebSocket-Accept", &opening.accept());
    if let Some(deflate) = deflate {
        let mut value = Vec::new();
        deflate.write_answer(&mut value);
        encode::field(&mut out, b"Sec-WebSocket-Extensions", &value);
    }
    encode::end_of_head(&mut out);
    stream.write_all(&out)?;
    let mut session = Session::new(Role::Server, stream, rest, limits, deflate.as_ref());
    while let Some((kind, message)) = session.next_message()? {
        session.send(kind, &message)?;
    }
    Ok(())
}

fn refuse(stream: &mut TcpStream, error: towpath_proto::ws::HandshakeError) -> Outcome<()> {
    let mut out = Vec::new();
    encode::status_line(&mut out, error.status());
    for (name, value) in error.fields() {
        encode::field(&mut out, name.as_bytes(), value.as_bytes());
    }
    encode::content_length(&mut out, 0);
    encode::end_of_head(&mut out);
    stream.write_all(&out)?;
    Err(error.into())
}

/// A decoder with the request's head, the bytes it is made of, and what stands behind it.
fn read_request(stream: &mut TcpStream) -> Outcome<(RequestDecoder, Vec<u8>, Vec<u8>)> {
    let mut head = Vec::new();
    let mut decoder = RequestDecoder::new(HeadLimits::default());
    loop {
        read_more(stream, &mut head)?;
        let step = decoder.handle_input(&head)?;
        if step.event.is_some() {
            let rest = head.split_off(step.consumed);
            return Ok((decoder, head, rest));
        }
    }
}

/// The client's handshake, then every kind of message; each has to come back as it was sent.
fn exchange(mode: &str, address: &str) -> Outcome<()> {
    let mut session = dial(policy(mode)?, limits(mode), address)?;
    for (name, kind, message) in messages() {
        session.send(kind, &message)?;
        check_echo(&mut session, name, kind, &message)?;
    }
    session.send_fragments(&[b"one, ", b"", b"two, ", b"three"])?;
    check_echo(&mut session, "fragments", Kind::Text, b"one, two, three")?;
    session.ping(b"are you there?")?;
    session.send(Kind::Text, b"behind a ping")?;
    check_echo(&mut session, "ping", Kind::Text, b"behind a ping")?;
    if session.pongs != [b"are you there?"] {
        return Err(format!("pongs: {:?}", session.pongs).into());
    }
    session.close(CloseCode::new(4_000), "done")?;
    while session.next_message()?.is_some() {}
    println!("close {}", session.peer_code());
    Ok(())
}

fn messages() -> Vec<(&'static str, Kind, Vec<u8>)> {
    let lines: String = (0..30_000).map(|number| format!("line {number} of a text\n")).collect();
    let mebibyte: Vec<u8> = (0..1u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    vec![
        ("text", Kind::Text, "caf\u{e9} \u{1f6f6}".into()),
        ("empty", Kind::Text, Vec::new()),
        ("binary", Kind::Binary, (0..=255).collect()),
        ("126 bytes", Kind::Binary, vec![7; 126]),
        ("64 KiB", Kind::Binary, vec![8; 65_536]),
        ("long text", Kind::Text, lines.clone().into()),
        ("long text again", Kind::Text, lines.into()),
        ("1 MiB", Kind::Binary, mebibyte),
    ]
}

fn check_echo(session: &mut Session, name: &str, kind: Kind, message: &[u8]) -> Outcome<()> {
    match session.next_message()? {
        Some((found, echo)) if found == kind && echo == message => println!("echo {name}"),
        Some((_, echo)) => return Err(format!("{name}: another echo, {} bytes", echo.len()).into()),
        None => return Err(format!("{name}: closed with {}", session.peer_code()).into()),
    }
    Ok(())
}

fn dial(policy: Option<DeflatePolicy>, limits: WsLimits, address: &str) -> Outcome<Session> {
    let mut stream = TcpStream::connect(address)?;
    let (a, b) = (chance().to_be_bytes(), chance().to_be_bytes());
    let nonce: [u8; 16] = std::array::from_fn(|at| if at < 8 { a[at] } else { b[at - 8] });
    let key = key_value(&nonce);
    let mut out = Vec::new();
    encode::request_line(&mut out, b"GET", b"/", None);
    encode::field(&mut out, b"Host", address.as_bytes());
    encode::field(&mut out, b"Upgrade", b"websocket");
    encode::field(&mut out, b"Connection", b"Upgrade");
    encode::field(&mut out, b"Sec-WebSocket-Key", &key);
    encode::field(&mut out, b"Sec-WebSocket-Version", b"13");
    if let Some(policy) = policy {
        let mut offer = Vec::new();
        policy.write_offer(&mut offer);
        encode::field(&mut out, b"Sec-WebSocket-Extensions", &offer);
    }
    encode::end_of_head(&mut out);
    stream.write_all(&out)?;
    let (deflate, rest) = read_answer(&mut stream, &key, policy.as_ref())?;
    println!("open, {}", if deflate.is_some() { "compressed" } else { "plain" });
    Ok(Session::new(Role::Client, stream, rest, limits, deflate.as_ref()))
}

fn read_answer(
    stream: &mut TcpStream,
    key: &[u8],
    policy: Option<&DeflatePolicy>,
) -> Outcome<(Option<Deflate>, Vec<u8>)> {
    let mut head = Vec::new();
    let mut decoder = ResponseDecoder::new(HeadLimits::default());
    decoder.expect(Method::Get);
    loop {
        read_more(stream, &mut head)?;
        let step = decoder.handle_input(&head)?;
        if step.event.is_some() {
            let answer = Answer::read(decoder.head(), &head, key, &[], policy)?;
            return Ok((answer.deflate, head.split_off(step.consumed)));
        }
    }
}

/// One end of an open connection.
struct Session {
    stream: TcpStream,
    /// What was read and not yet taken.
    input: Vec<u8>,
    inflated: Vec<u8>,
    decoder: Decoder,
    encoder: Encoder,
    closing: Closing,
    close: Option<Close>,
    pongs: Vec<Vec<u8>>,
}

impl Session {
    fn new(
        role: Role,
        stream: TcpStream,
        input: Vec<u8>,
        limits: WsLimits,
        deflate: Option<&Deflate>,
    ) -> Self {
        Self {
            stream,
            input,
            inflated: Vec::new(),
            decoder: Decoder::new(role, limits, deflate),
            encoder: Encoder::new(role, deflate),
            closing: Closing::default(),
            close: None,
            pongs: Vec::new(),
        }
    }

    /// The next whole message; `None` once both ends have closed.
    fn next_message(&mut self) -> Outcome<Option<(Kind, Vec<u8>)>> {
        let mut message = (Kind::Binary, Vec::new());
        while !self.closing.is_done() {
            let step = match self.decoder.handle_input(&mut self.input, &mut self.inflated) {
                Ok(step) => step,
                Err(error) => {
                    self.close(Some(error.close_code()), error.reason())?;
                    self.linger();
                    return Err(error.into());
                }
            };
            match step.event {
                Some(Event::MessageStart { kind, .. }) => message = (kind, Vec::new()),
                Some(Event::Data(range)) => message.1.extend_from_slice(&self.input[range]),
                Some(Event::Inflated(_)) => message.1.append(&mut self.inflated),
                Some(Event::MessageEnd) => {
                    self.input.drain(..step.consumed);
                    return Ok(Some(message));
                }
                Some(event) => self.handle_control(event)?,
                None => {
                    self.input.drain(..step.consumed);
                    read_more(&mut self.stream, &mut self.input)?;
                    continue;
                }
            }
            self.input.drain(..step.consumed);
        }
        Ok(None)
    }

    fn handle_control(&mut self, event: Event) -> Outcome<()> {
        match event {
            Event::Ping(control) if self.closing.may_send() => {
                let mut out = Vec::new();
                self.encoder.pong(&mut out, control.as_bytes(), mask_key())?;
                self.stream.write_all(&out)?;
            }
            Event::Pong(control) => self.pongs.push(control.as_bytes().to_vec()),
            Event::Close(close) => {
                self.closing.handle_received(close.code());
                self.close = Some(close);
                if let Some(code) = self.closing.wants_close() {
                    self.close(code, close.reason())?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn send(&mut self, kind: Kind, message: &[u8]) -> Outcome<()> {
        let mut out = Vec::new();
        self.encoder.message(&mut out, kind, message, mask_key());
        Ok(self.stream.write_all(&out)?)
    }

    fn send_fragments(&mut self, pieces: &[&[u8]]) -> Outcome<()> {
        let mut out = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            self.encoder.fragment(&mut out, Kind::Text, piece, at + 1 == pieces.len(), mask_key());
        }
        Ok(self.stream.write_all(&out)?)
    }

    fn ping(&mut self, payload: &[u8]) -> Outcome<()> {
        let mut out = Vec::new();
        self.encoder.ping(&mut out, payload, mask_key())?;
        Ok(self.stream.write_all(&out)?)
    }

    fn close(&mut self, code: Option<CloseCode>, reason: &str) -> Outcome<()> {
        let mut out = Vec::new();
        self.encoder.close(&mut out, code, reason, mask_key());
        self.closing.handle_sent();
        Ok(self.stream.write_all(&out)?)
    }

    fn peer_code(&self) -> String {
        let code = self.close.and_then(|close| close.code());
        code.map_or("-".to_owned(), |code| code.number().to_string())
    }

    /// A close with bytes unread would be a reset, which takes our close frame with it.
    fn linger(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let mut rest = [0; 4_096];
        while self.stream.read(&mut rest).is_ok_and(|count| count > 0) {}
    }
}

fn read_more(stream: &mut TcpStream, input: &mut Vec<u8>) -> Outcome<()> {
    let mut bytes = [0; 16 * 1_024];
    let count = stream.read(&mut bytes)?;
    input.extend_from_slice(&bytes[..count]);
    if count == 0 { Err("the connection ended".into()) } else { Ok(()) }
}

/// The standard library's only source of chance; good enough for a test program, not for a browser.
fn chance() -> u64 {
    RandomState::new().hash_one(0)
}

fn mask_key() -> MaskKey {
    (chance() as u32).to_be_bytes()
}
