//! Invariants of the HTTP/2 codec that hold for any frames and any use of it.

use std::collections::{BTreeMap, BTreeSet};

use towpath_proto::field::{is_name, is_value};
use towpath_proto::h2::hpack::Encoder;
use towpath_proto::h2::{
    Config, Connection, ErrorCode, Event, FieldWriter, PREFACE, Request, Role, Scheme, StreamId,
};
use towpath_proto::message::{Fields, Framing};

/// Length of a frame's head.
const HEAD_BYTES: usize = 9;
/// Few streams, so that the fuzzer reaches their limit.
const STREAMS_COUNT_MAX: usize = 4;

/// Reads `input` as a list of operations and plays them in both roles, with the peer's bytes whole and one by one. Both
/// have to tell the same, and no operation may break what always holds.
pub fn check(input: &[u8]) {
    for role in [Role::Server, Role::Client] {
        let whole = Play::new(role).run(input, usize::MAX);
        assert_eq!(whole, Play::new(role).run(input, 1), "cut into bytes, {role:?} tells something else");
    }
    raw(input);
}

/// Any bytes as all that a client ever sends.
fn raw(input: &[u8]) {
    let mut play = Play::new(Role::Server);
    play.receive(PREFACE, usize::MAX);
    play.receive(input, usize::MAX);
}

/// One connection and what its caller knows.
struct Play {
    role: Role,
    connection: Connection,
    encoder: Encoder,
    unread: Vec<u8>,
    now_ms: u64,
    story: Vec<String>,
    is_lost: bool,
    /// Streams with a place.
    live: BTreeMap<u32, StreamId>,
    /// Those of which the end or a reset was reported.
    ended: BTreeSet<u32>,
    /// Bytes of data, which come in other pieces when they are cut.
    data_bytes: BTreeMap<u32, usize>,
}

impl Play {
    fn new(role: Role) -> Self {
        let config = Config {
            streams_count_max: STREAMS_COUNT_MAX,
            accepts_connect_protocol: true,
            ..Config::default()
        };
        Self {
            role,
            connection: Connection::new(role, config),
            encoder: Encoder::default(),
            unread: Vec::new(),
            now_ms: 0,
            story: Vec::new(),
            is_lost: false,
            live: BTreeMap::new(),
            ended: BTreeSet::new(),
            data_bytes: BTreeMap::new(),
        }
    }

    fn run(mut self, input: &[u8], piece_bytes: usize) -> (Vec<String>, BTreeMap<u32, usize>) {
        if self.role == Role::Server {
            self.receive(PREFACE, piece_bytes);
        }
        self.receive(&frame(4, 0, 0, &[]), piece_bytes);
        let mut rest = input;
        while let Some((&[operation, stream, length], tail)) = rest.split_first_chunk() {
            let (payload, behind) = tail.split_at(usize::from(length).min(tail.len()));
            rest = behind;
            self.operate(operation, u32::from(stream % 16), payload, piece_bytes);
            self.check_output();
        }
        (self.story, self.data_bytes)
    }

    /// The lower half of the operations are the peer's, the upper the caller's.
    fn operate(&mut self, operation: u8, stream: u32, payload: &[u8], piece_bytes: usize) {
        match operation {
            // Frames of any type with flags out of the payload.
            0..64 => {
                let (&flags, payload) = payload.split_first().unwrap_or((&0, &[]));
                self.receive(&frame(operation % 12, flags, stream, payload), piece_bytes);
            }
            64..96 => {
                let block = self.head(payload);
                self.receive(&frame(1, 4 | operation & 1, stream, &block), piece_bytes);
            }
            96..112 => self.receive(&frame(0, operation & 1, stream, payload), piece_bytes),
            112..128 => self.receive(payload, piece_bytes),
            128.. => self.act(operation, stream, payload),
        }
    }

    /// The block of a usual head, and of a field or two that are not.
    fn head(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        let pseudo: &[(&str, &str)] = match self.role {
            Role::Server => &[(":method", "POST"), (":scheme", "https"), (":authority", "h"), (":path", "/")],
            Role::Client => &[(":status", "200")],
        };
        for (name, value) in pseudo {
            self.encoder.field(name.as_bytes(), value.as_bytes(), false, &mut block);
        }
        for field in payload.split(|&byte| byte == b'\n').filter(|field| !field.is_empty()) {
            let colon = field.iter().skip(1).position(|&byte| byte == b':').map_or(field.len(), |at| at + 1);
            let (name, value) = field.split_at(colon);
            self.encoder.field(name, value.strip_prefix(b":").unwrap_or(value), false, &mut block);
        }
        block
    }

    fn receive(&mut self, bytes: &[u8], piece_bytes: usize) {
        for piece in bytes.chunks(piece_bytes.min(bytes.len()).max(1)) {
            self.unread.extend_from_slice(piece);
            self.take_all();
        }
    }

    fn take_all(&mut self) {
        loop {
            let step = match self.connection.handle_input(self.now_ms, &self.unread) {
                Ok(step) => step,
                Err(error) => {
                    if !std::mem::replace(&mut self.is_lost, true) {
                        self.story.push(error.to_string());
                    }
                    assert!(self.connection.wants_close());
                    self.unread.clear();
                    return;
                }
            };
            assert!(!self.is_lost, "a lost connection goes on");
            let input: Vec<u8> = self.unread.drain(..step.consumed).collect();
            match step.event {
                Some(event) => self.take(event, &input),
                None => break,
            }
        }
        // What is left is the head of a frame, or the preface, or a setting: nothing has to be kept for long.
        assert!(self.unread.len() < 24, "{} bytes are waited for", self.unread.len());
    }

    fn take(&mut self, event: Event, input: &[u8]) {
        match &event {
            Event::Head { stream, end } => {
                self.check_head();
                self.live.insert(stream.number(), *stream);
                self.end_if(stream.number(), *end);
            }
            Event::Refused { stream, .. } => {
                self.live.insert(stream.number(), *stream);
            }
            Event::Interim { .. } => self.check_head(),
            Event::Data { stream, range, end } => {
                assert!(range.start < range.end && range.end <= input.len(), "{range:?} of {}", input.len());
                assert!(!self.ended.contains(&stream.number()), "data behind the end");
                *self.data_bytes.entry(stream.number()).or_default() += range.len();
                self.end_if(stream.number(), *end);
                if *end {
                    self.story.push(format!("{:?}", Event::End { stream: *stream }));
                }
                return;
            }
            Event::Trailers { stream } => {
                check_fields(self.connection.trailers(), self.connection.block());
                self.end_if(stream.number(), true);
            }
            Event::End { stream } => self.end_if(stream.number(), true),
            Event::Reset { stream, .. } => drop(self.ended.insert(stream.number())),
            Event::WindowOpen { .. } | Event::GoAway { .. } | Event::Settings | Event::Pong(_) => {}
        }
        self.story.push(format!("{event:?}"));
        assert!(self.role == Role::Client || self.connection.streams_count() <= STREAMS_COUNT_MAX);
    }

    fn end_if(&mut self, stream: u32, end: bool) {
        if end {
            assert!(self.ended.insert(stream), "stream {stream} ends twice");
        }
    }

    fn check_head(&self) {
        let block = self.connection.block();
        match self.role {
            Role::Server => {
                let head = self.connection.request();
                assert!(head.authority.is_some() && !matches!(head.framing, Framing::Close));
                let path = head.path.of(block);
                assert!(path.starts_with(b"/") || path == b"*" || head.method.of_block(block) == b"CONNECT");
                check_fields(&head.fields, block);
            }
            Role::Client => {
                let head = self.connection.response();
                assert!((100..=999).contains(&head.status) && head.status != 101);
                check_fields(&head.fields, block);
            }
        }
    }

    fn act(&mut self, operation: u8, stream: u32, payload: &[u8]) {
        let mut out = Vec::new();
        let is_end = operation & 1 != 0;
        let amount = payload.iter().fold(0usize, |sum, &byte| (sum * 31 + usize::from(byte)) % (1 << 22));
        let write = |writer: &mut FieldWriter<'_>| writer.field(payload, payload);
        match (operation % 16 / 2, self.live.get(&stream).copied()) {
            (0, _) if self.role == Role::Client => self.request(payload, is_end, &mut out),
            (0, _) => self.now_ms += amount as u64 % 5000,
            (1, Some(id)) if self.role == Role::Server => {
                let status = if payload.len() == 1 { 103 } else { 200 };
                let _ = self.connection.encode_response(id, status, is_end, &mut out, write);
            }
            (2, Some(id)) => {
                let fitting = self.connection.send_data_len_max(id);
                let result = self.connection.encode_data(id, payload, is_end, &mut out);
                assert!(result.is_err() || payload.len() <= fitting || payload.is_empty());
            }
            (3, Some(id)) => drop(self.connection.encode_trailers(id, &mut out, write)),
            (4, Some(id)) if is_end => self.connection.set_stream_window(id, amount as u32),
            (4, Some(id)) => self.connection.release(id, amount),
            (5, Some(id)) => {
                self.connection.reset(id, ErrorCode::of(amount as u32 % 14));
                self.ended.insert(stream);
            }
            (6, Some(id)) => {
                self.connection.finish(id);
                self.live.remove(&stream);
                self.ended.insert(stream);
            }
            (7, None) if is_end => self.connection.start_drain(),
            (7, None) => self.connection.finish_drain(),
            _ => self.connection.release_excess(),
        }
        check_frames(&out);
    }

    fn request(&mut self, payload: &[u8], end: bool, out: &mut Vec<u8>) {
        let method: &[u8] = match payload.len() {
            0 => b"HEAD",
            1 => b"CONNECT",
            _ => b"GET",
        };
        let request = Request {
            method,
            scheme: Scheme::Https,
            authority: b"origin:443",
            path: b"/",
            query: None,
            protocol: None,
        };
        if let Ok(stream) = self.connection.encode_request(&request, end, out, |_| {}) {
            self.live.insert(stream.number(), stream);
        }
    }

    fn check_output(&mut self) {
        let mut out = Vec::new();
        self.connection.poll_output(&mut out);
        check_frames(out.strip_prefix(PREFACE).unwrap_or(&out));
        assert!(!self.connection.wants_write());
    }
}

fn check_fields(fields: &Fields, block: &[u8]) {
    for field in fields {
        let (name, value) = (field.name.of(block), field.value.of(block));
        assert!(is_name(name) && !name.iter().any(u8::is_ascii_uppercase), "{}", name.escape_ascii());
        assert!(is_value(value), "{}", value.escape_ascii());
        assert!(!matches!(name, b"connection" | b"transfer-encoding" | b"upgrade" | b"keep-alive"));
    }
}

/// Whole frames that a peer takes.
fn check_frames(out: &[u8]) {
    let mut rest = out.strip_prefix(PREFACE).unwrap_or(out);
    while !rest.is_empty() {
        let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]) as usize;
        assert!(rest[3] <= 9, "frame of type {}", rest[3]);
        rest = &rest[HEAD_BYTES + length..];
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = (payload.len() as u32).to_be_bytes();
    [&[high, middle, low, kind, flags][..], &stream.to_be_bytes(), payload].concat()
}
