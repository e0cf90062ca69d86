//! The codec against the `h2` crate, in both roles, over a pipe in memory.
//!
//! The peer is honest: what it sends has to arrive whole, and what it is sent it has to take. Messages of random sizes
//! are interleaved, with bodies larger than the windows and with trailers, so that both sides wait for each other.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::task::JoinHandle;
use towpath_base::random::Random;
use towpath_proto::h2::{Config, Connection, Event, FieldWriter, Request, Role, Scheme, StreamId};
use towpath_proto::message::Fields;

const RUNS_COUNT: u64 = 8;
const EXCHANGES_COUNT: usize = 40;
/// Streams that are open at the same time.
const CONCURRENT_COUNT: usize = 7;
/// What the pipe holds, so that writes have to wait too.
const PIPE_BYTES: usize = 20_000;
const BODY_BYTES: [usize; 7] = [0, 0, 1, 300, 16_384, 70_000, 250_000];

/// A message as both sides should see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Message {
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    trailers: Vec<(String, String)>,
}

impl Message {
    fn random(random: &mut Random) -> Self {
        let fields_count = random.below(6);
        let trailers_count = [0, 0, 3][random.below(3) as usize];
        let length = BODY_BYTES[random.below(BODY_BYTES.len() as u64) as usize];
        Self {
            fields: fields(random, "x-field", fields_count),
            body: (0..length).map(|at| (at % 251) as u8).collect(),
            trailers: fields(random, "x-trailer", trailers_count),
        }
    }

    fn is_empty_behind_head(&self) -> bool {
        self.body.is_empty() && self.trailers.is_empty()
    }
}

/// Values of all lengths and of all bytes that a value may hold, some of them again and again.
fn fields(random: &mut Random, name: &str, count: u64) -> Vec<(String, String)> {
    let field = |at: u64| {
        let length = [0, 3, 30, 500][random.below(4) as usize];
        let first = if random.below(3) == 0 { b'a' } else { b'!' + random.below(90) as u8 };
        let value = (0..length).map(|at| char::from(b'!' + ((usize::from(first) + at) % 94) as u8));
        (format!("{name}-{at}"), value.collect())
    };
    (0..count).map(field).collect()
}

/// Our side: the codec, a pipe, and what is going on.
struct Ours {
    connection: Connection,
    io: DuplexStream,
    unread: Vec<u8>,
    out: Vec<u8>,
    random: Random,
    exchanges: BTreeMap<u32, Exchange>,
}

struct Exchange {
    stream: StreamId,
    received: Message,
    /// What we send, and how much of its body has gone.
    sending: Message,
    sent_bytes: usize,
    is_sending: bool,
    is_complete: bool,
}

impl Ours {
    fn new(role: Role, io: DuplexStream, seed: u64) -> Self {
        Self {
            connection: Connection::new(role, Config::default()),
            io,
            unread: Vec::new(),
            out: Vec::new(),
            random: Random::new(seed),
            exchanges: BTreeMap::new(),
        }
    }

    /// Writes and reads what can be; false at the end of the peer's bytes.
    async fn turn(&mut self) -> bool {
        self.connection.poll_output(&mut self.out);
        let Self { io, out, unread, .. } = self;
        poll_fn(|context| {
            let is_written = poll_write(io, context, out);
            match poll_read(io, context, unread) {
                Poll::Ready(is_going_on) => Poll::Ready(is_going_on),
                Poll::Pending if is_written => Poll::Ready(true),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn take_all(&mut self) {
        loop {
            let step = self.connection.handle_input(0, &self.unread).expect("the peer is honest");
            let input: Vec<u8> = self.unread.drain(..step.consumed).collect();
            match step.event {
                Some(event) => self.take(event, &input),
                None => return,
            }
        }
    }

    fn take(&mut self, event: Event, input: &[u8]) {
        match event {
            Event::Head { stream, end } => {
                let head_fields = match self.exchanges.contains_key(&stream.number()) {
                    true => &self.connection.response().fields,
                    false => &self.connection.request().fields,
                };
                let fields = text_of(head_fields, self.connection.block());
                let exchange = self.exchange(stream);
                exchange.received.fields = fields;
                exchange.is_complete = end;
            }
            Event::Data { stream, range, end } => {
                let length = range.len();
                let exchange = self.exchange(stream);
                exchange.received.body.extend_from_slice(&input[range]);
                exchange.is_complete = end;
                if self.random.below(20) == 0 {
                    self.connection.set_stream_window(stream, 100_000);
                }
                self.connection.release(stream, length);
            }
            Event::Trailers { stream } => {
                let trailers = text_of(self.connection.trailers(), self.connection.block());
                let exchange = self.exchange(stream);
                exchange.received.trailers = trailers;
                exchange.is_complete = true;
            }
            Event::End { stream } => self.exchange(stream).is_complete = true,
            Event::Settings | Event::WindowOpen { .. } | Event::Pong(_) => {}
            Event::GoAway { code, .. } => assert_eq!(code.number(), 0),
            other => panic!("{other:?}"),
        }
    }

    fn exchange(&mut self, stream: StreamId) -> &mut Exchange {
        self.exchanges.entry(stream.number()).or_insert_with(|| Exchange::new(stream))
    }

    /// Sends as much of all bodies as fits, in pieces of random sizes.
    fn pump(&mut self) {
        let Self { connection, out, random, exchanges, .. } = self;
        for exchange in exchanges.values_mut().filter(|exchange| exchange.is_sending) {
            let Message { body, trailers, .. } = &exchange.sending;
            let mut rest = &body[exchange.sent_bytes..];
            while !rest.is_empty() && out.len() < 2 * PIPE_BYTES {
                let fitting = connection.send_data_len_max(exchange.stream).min(rest.len());
                let length = fitting.min(1 + random.below(20_000) as usize);
                if length == 0 {
                    break;
                }
                let (piece, behind) = rest.split_at(length);
                let end = behind.is_empty() && trailers.is_empty();
                connection.encode_data(exchange.stream, piece, end, out).expect("it fits");
                rest = behind;
            }
            exchange.sent_bytes = body.len() - rest.len();
            if rest.is_empty() {
                exchange.is_sending = false;
                if !trailers.is_empty() {
                    let write = |writer: &mut FieldWriter<'_>| write_all(trailers, writer);
                    connection.encode_trailers(exchange.stream, out, write).expect("an open stream");
                }
            }
        }
    }

    /// Answers every complete request with what it said.
    fn answer(&mut self) {
        let Self { connection, out, exchanges, .. } = self;
        for exchange in exchanges.values_mut().filter(|exchange| exchange.is_complete) {
            exchange.is_complete = false;
            exchange.sending = exchange.received.clone();
            let end = exchange.sending.is_empty_behind_head();
            let write = |writer: &mut FieldWriter<'_>| write_all(&exchange.sending.fields, writer);
            connection.encode_response(exchange.stream, 200, end, out, write).expect("an open stream");
            exchange.is_sending = !end;
        }
    }

    fn request(&mut self, message: &Message) {
        let request = Request {
            method: b"POST",
            scheme: Scheme::Http,
            authority: b"origin:80",
            path: b"/a",
            query: Some(b"b=c"),
            protocol: None,
        };
        let end = message.is_empty_behind_head();
        let write = |writer: &mut FieldWriter<'_>| write_all(&message.fields, writer);
        let stream =
            self.connection.encode_request(&request, end, &mut self.out, write).expect("a free stream");
        let exchange = self.exchange(stream);
        exchange.sending = message.clone();
        exchange.is_sending = !end;
    }
}

impl Exchange {
    fn new(stream: StreamId) -> Self {
        Self {
            stream,
            received: Message::default(),
            sending: Message::default(),
            sent_bytes: 0,
            is_sending: false,
            is_complete: false,
        }
    }
}

fn poll_write(io: &mut DuplexStream, context: &mut Context<'_>, out: &mut Vec<u8>) -> bool {
    let mut is_written = false;
    while !out.is_empty() {
        match Pin::new(&mut *io).poll_write(context, out) {
            Poll::Ready(written) => drop(out.drain(..written.expect("an open pipe"))),
            Poll::Pending => return is_written,
        }
        is_written = true;
    }
    is_written
}

/// Whether the peer has not ended.
fn poll_read(io: &mut DuplexStream, context: &mut Context<'_>, unread: &mut Vec<u8>) -> Poll<bool> {
    let mut room = [0; 3000];
    let mut buffer = ReadBuf::new(&mut room);
    match Pin::new(io).poll_read(context, &mut buffer) {
        Poll::Ready(result) => {
            result.expect("an open pipe");
            unread.extend_from_slice(buffer.filled());
            Poll::Ready(!buffer.filled().is_empty())
        }
        Poll::Pending => Poll::Pending,
    }
}

fn write_all(fields: &[(String, String)], writer: &mut FieldWriter<'_>) {
    fields.iter().for_each(|(name, value)| writer.field(name.as_bytes(), value.as_bytes()));
}

/// The fields that the test has made up, in order of their names.
fn text_of(fields: &Fields, block: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("ASCII");
    let pairs = fields.iter().map(|field| (text(field.name.of(block)), text(field.value.of(block))));
    let mut pairs: Vec<_> = pairs.filter(|(name, _)| name.starts_with("x-")).collect();
    pairs.sort();
    pairs
}

fn map_of(fields: &[(String, String)]) -> HeaderMap {
    let pair = |(name, value): &(String, String)| {
        let name: HeaderName = name.parse().expect("a name");
        (name, HeaderValue::from_str(value).expect("a value"))
    };
    fields.iter().map(pair).collect()
}

fn pairs_of(map: &HeaderMap) -> Vec<(String, String)> {
    let pairs =
        map.iter().map(|(name, value)| (name.as_str().to_owned(), value.to_str().expect("ASCII").to_owned()));
    let mut pairs: Vec<_> = pairs.filter(|(name, _)| name.starts_with("x-")).collect();
    pairs.sort();
    pairs
}

/// Everything that comes behind a head.
async fn receive(fields: HeaderMap, mut body: h2::RecvStream) -> Message {
    let mut message = Message { fields: pairs_of(&fields), ..Message::default() };
    while let Some(data) = body.data().await {
        let data = data.expect("data");
        message.body.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len()).expect("what came");
    }
    if let Some(trailers) = body.trailers().await.expect("the end") {
        message.trailers = pairs_of(&trailers);
    }
    message
}

fn send(message: &Message, stream: &mut h2::SendStream<Bytes>) {
    let body = Bytes::from(message.body.clone());
    if !body.is_empty() {
        stream.send_data(body, message.trailers.is_empty()).expect("an open stream");
    }
    if !message.trailers.is_empty() {
        stream.send_trailers(map_of(&message.trailers)).expect("an open stream");
    }
}

fn run(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(future);
}

/// Their client asks and our server echoes.
async fn serve(seed: u64) {
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let client = tokio::spawn(ask(theirs, seed));
    let mut server = Ours::new(Role::Server, ours, seed);
    while server.turn().await {
        server.take_all();
        server.answer();
        server.pump();
        let Ours { connection, exchanges, .. } = &mut server;
        exchanges.retain(|_, exchange| {
            let is_done = !exchange.is_sending && exchange.sending != Message::default();
            if is_done {
                connection.finish(exchange.stream);
            }
            !is_done
        });
    }
    client.await.expect("the client has what it asked for");
}

async fn ask(io: DuplexStream, seed: u64) {
    let (sender, connection) = h2::client::handshake(io).await.expect("a handshake");
    let driver = tokio::spawn(async move { connection.await.expect("a connection without fault") });
    let mut random = Random::new(seed ^ 0xabcd);
    let mut open: Vec<JoinHandle<()>> = Vec::new();
    for _ in 0..EXCHANGES_COUNT {
        if open.len() == CONCURRENT_COUNT {
            open.remove(random.below(CONCURRENT_COUNT as u64) as usize).await.expect("an echo");
        }
        let mut sender = sender.clone().ready().await.expect("a free stream");
        let message = Message { fields: fields(&mut random, "x-a", 2), ..Message::random(&mut random) };
        let mut request = http::Request::post("http://origin/a?b=c").body(()).expect("a request");
        *request.headers_mut() = map_of(&message.fields);
        let end = message.is_empty_behind_head();
        let (response, mut stream) = sender.send_request(request, end).expect("a request");
        send(&message, &mut stream);
        open.push(tokio::spawn(async move {
            let (head, body) = response.await.expect("a response").into_parts();
            assert_eq!(head.status, 200);
            assert_eq!(receive(head.headers, body).await, message);
        }));
    }
    for task in open {
        task.await.expect("an echo");
    }
    drop(sender);
    driver.await.expect("an end without fault");
}

/// Our client asks and their server echoes.
async fn consume(seed: u64) {
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let server = tokio::spawn(echo(theirs));
    let mut client = Ours::new(Role::Client, ours, seed);
    let mut random = Random::new(seed ^ 0xabcd);
    let (mut asked_count, mut answered_count) = (0, 0);
    while answered_count < EXCHANGES_COUNT {
        while asked_count < EXCHANGES_COUNT
            && client.exchanges.len() < CONCURRENT_COUNT
            && client.connection.can_open()
        {
            client.request(&Message::random(&mut random));
            asked_count += 1;
        }
        client.pump();
        assert!(client.turn().await, "the server has gone");
        client.take_all();
        let Ours { connection, exchanges, .. } = &mut client;
        exchanges.retain(|_, exchange| {
            if exchange.is_complete {
                assert_eq!(exchange.received, exchange.sending);
                connection.finish(exchange.stream);
                answered_count += 1;
            }
            !exchange.is_complete
        });
    }
    client.connection.start_drain();
    while !client.out.is_empty() || client.connection.wants_write() {
        client.turn().await;
    }
    assert!(client.connection.wants_close());
    drop(client);
    server.await.expect("the server has no fault to find");
}

async fn echo(io: DuplexStream) {
    let mut connection = h2::server::handshake(io).await.expect("a handshake");
    while let Some(request) = connection.accept().await {
        let (request, mut respond) = request.expect("a request without fault");
        tokio::spawn(async move {
            assert_eq!(request.uri(), "http://origin:80/a?b=c");
            let (head, body) = request.into_parts();
            let message = receive(head.headers, body).await;
            let mut response = http::Response::new(());
            *response.headers_mut() = map_of(&message.fields);
            let end = message.is_empty_behind_head();
            let mut stream = respond.send_response(response, end).expect("an open stream");
            send(&message, &mut stream);
        });
    }
}

#[test]
fn their_client_and_our_server_understand_each_other() {
    (0..RUNS_COUNT).for_each(|seed| run(serve(seed)));
}

#[test]
fn our_client_and_their_server_understand_each_other() {
    (0..RUNS_COUNT).for_each(|seed| run(consume(seed)));
}
