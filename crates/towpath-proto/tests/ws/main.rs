//! The WebSocket codec from outside: bytes in, text out. Sections without a document are those of RFC 6455.

use std::collections::BTreeSet;

use towpath_proto::limits::{WS_INFLATE_STEP_BYTES, WsLimits};
use towpath_proto::ws::{
    Control, Decoder, Deflate, DeflatePolicy, Event, Kind, MaskKey, Role, WindowBits, WsError,
};

mod close;
mod control;
mod deflate;
mod encode;
mod follow;
mod fragments;
mod framing;
mod handshake;
mod limits;
mod negotiation;
mod utf8;

pub(crate) const KEY: MaskKey = [0x37, 0xFA, 0x21, 0x3D];

pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8A;
/// The last frame of a fragmented message, one in its middle, and its first.
pub(crate) const LAST: u8 = 0x80;
pub(crate) const MIDDLE: u8 = 0x00;
pub(crate) const TEXT_FIRST: u8 = 0x01;
pub(crate) const BINARY_FIRST: u8 = 0x02;
/// Added to the first byte of a compressed message.
pub(crate) const COMPRESSED: u8 = 0x40;

/// A frame as a server sends it, without a mask.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    framed(first, payload, None)
}

pub(crate) fn framed(first: u8, payload: &[u8], key: Option<MaskKey>) -> Vec<u8> {
    let masked = if key.is_some() { 0x80 } else { 0 };
    let mut wire = vec![first];
    match payload.len() {
        length @ 0..126 => wire.push(masked | length as u8),
        length @ 126..65_536 => {
            wire.push(masked | 126);
            wire.extend((length as u16).to_be_bytes());
        }
        length => {
            wire.push(masked | 127);
            wire.extend((length as u64).to_be_bytes());
        }
    }
    wire.extend(key.into_iter().flatten());
    let key = key.unwrap_or_default();
    wire.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]));
    wire
}

/// Reads the frames in both roles, and compares what comes out, in words: at once, byte by byte, and, if there are
/// few bytes, cut into two at each place.
#[track_caller]
pub(crate) fn check(frames: &[(u8, &[u8])], expected: &str) {
    check_with(None, frames, expected);
}

#[track_caller]
pub(crate) fn check_with(deflate: Option<&Deflate>, frames: &[(u8, &[u8])], expected: &str) {
    let wire = |key: Option<MaskKey>| -> Vec<u8> {
        frames.iter().flat_map(|(first, payload)| framed(*first, payload, key)).collect()
    };
    check_wire(Role::Client, deflate, &wire(None), expected);
    check_wire(Role::Server, deflate, &wire(Some(KEY)), expected);
}

#[track_caller]
pub(crate) fn check_wire(role: Role, deflate: Option<&Deflate>, wire: &[u8], expected: &str) {
    follow::check_beside_decoder(role, deflate.is_some(), wire, expected);
    let read = |pieces: &[&[u8]]| Reader::new(role, WsLimits::default(), deflate).read(pieces);
    assert_eq!(read(&[wire]), expected, "{role:?}, at once");
    if wire.len() <= 70_000 {
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(read(&bytes), expected, "{role:?}, byte by byte");
    }
    if wire.len() <= 600 {
        for cut in 1..wire.len() {
            let (before, behind) = wire.split_at(cut);
            assert_eq!(read(&[before, behind]), expected, "{role:?}, cut at {cut}");
        }
    }
}

/// Drives a decoder as a connection would, and writes down what it says.
pub(crate) struct Reader {
    pub(crate) decoder: Decoder,
    buffer: Vec<u8>,
    inflated: Vec<u8>,
    pending: Option<Vec<u8>>,
    words: Vec<String>,
    /// The most that the inflater's vector ever held.
    pub(crate) inflated_capacity_max: usize,
}

impl Reader {
    pub(crate) fn new(role: Role, limits: WsLimits, deflate: Option<&Deflate>) -> Self {
        Self {
            decoder: Decoder::new(role, limits, deflate),
            buffer: Vec::new(),
            inflated: Vec::new(),
            pending: None,
            words: Vec::new(),
            inflated_capacity_max: 0,
        }
    }

    /// Everything that the pieces say; what an error leaves unfinished is left out.
    pub(crate) fn read(&mut self, pieces: &[&[u8]]) -> String {
        for piece in pieces {
            self.buffer.extend_from_slice(piece);
            while let Some(is_good) = self.step() {
                if !is_good {
                    return std::mem::take(&mut self.words).join(" ");
                }
            }
        }
        self.end_data();
        std::mem::take(&mut self.words).join(" ")
    }

    /// `None` when more input is needed, `Some(false)` after an error.
    fn step(&mut self) -> Option<bool> {
        let before = self.buffer.clone();
        match self.decoder.handle_input(&mut self.buffer, &mut self.inflated) {
            Ok(step) => {
                assert_eq!(self.buffer[step.consumed..], before[step.consumed..], "the rest is as it came");
                let is_event = step.event.is_some();
                if let Some(event) = step.event {
                    self.note(event);
                }
                self.buffer.drain(..step.consumed);
                is_event.then_some(true)
            }
            Err(error) => {
                assert!(self.inflated.is_empty(), "what is refused is not given");
                assert_eq!(self.decoder.handle_input(&mut [], &mut self.inflated), Err(error), "for good");
                self.pending = None;
                self.words.push(word_of(error));
                Some(false)
            }
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Data(range) => {
                assert!(!range.is_empty());
                let data = self.buffer[range].to_vec();
                self.pending.get_or_insert_default().extend(data);
            }
            Event::Inflated(count) => {
                assert!((1..=WS_INFLATE_STEP_BYTES).contains(&count) && self.inflated.len() == count);
                self.inflated_capacity_max = self.inflated_capacity_max.max(self.inflated.capacity());
                let data = std::mem::take(&mut self.inflated);
                self.pending.get_or_insert_default().extend(data);
            }
            event => {
                self.end_data();
                self.words.push(text_of(&event));
            }
        }
    }

    fn end_data(&mut self) {
        if let Some(data) = self.pending.take() {
            self.words.push(shown(&data));
        }
    }
}

pub(crate) fn word_of(error: WsError) -> String {
    let number = error.close_code().number();
    format!("{number} {}: {error:?}", error.reason())
}

fn text_of(event: &Event) -> String {
    let quoted = |control: &Control| control.as_bytes().escape_ascii().to_string();
    match event {
        Event::MessageStart { kind, is_compressed } => {
            let kind = if *kind == Kind::Text { "text" } else { "binary" };
            let mark = if *is_compressed { "~" } else { "" };
            format!("{kind}{mark}")
        }
        Event::MessageEnd => "end".to_owned(),
        Event::Ping(control) => format!("ping({})", quoted(control)),
        Event::Pong(control) => format!("pong({})", quoted(control)),
        Event::Close(close) => {
            let code = close.code().map_or("-".to_owned(), |code| code.number().to_string());
            format!("close({code} {:?})", close.reason())
        }
        Event::Data(_) | Event::Inflated(_) => unreachable!("joined with what follows"),
    }
}

/// Short data in full, long data by its length and a sum that tells places apart.
pub(crate) fn shown(data: &[u8]) -> String {
    if data.len() <= 40 {
        return format!("<{}>", data.escape_ascii());
    }
    let sum = data.iter().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    format!("<{} bytes, {sum:08x}>", data.len())
}

pub(crate) fn agreement(
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_bits: u8,
    client_bits: u8,
) -> Deflate {
    let bits = |bits| WindowBits::new(bits).expect("a window there is");
    let policy = DeflatePolicy {
        server_no_context_takeover,
        client_no_context_takeover,
        server_window_bits_max: bits(server_bits),
        client_window_bits_max: bits(client_bits),
    };
    let agreed = policy.accept([&b"permessage-deflate; client_max_window_bits"[..]]);
    agreed.expect("a list").expect("a good offer")
}

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn every_error_has_a_code_a_side_a_reason_and_a_sentence() {
    use WsError::*;
    let all = [
        ReservedBit,
        ReservedOpcode,
        MaskMissing,
        MaskForbidden,
        LengthNotMinimal,
        LengthTooLarge,
        ControlFragmented,
        ControlTooLong,
        ContinuationUnexpected,
        ContinuationMissing,
        CloseLength,
        CloseCode,
        CloseReason,
        Utf8,
        Inflate,
        FrameTooLarge,
        MessageTooLarge,
        InflateRatio,
        FragmentsTooMany,
        ControlFlood,
    ];
    let sentences: BTreeSet<String> = all.iter().map(WsError::to_string).collect();
    assert_eq!(sentences.len(), all.len());
    for error in all {
        let is_limit = matches!(error.close_code().number(), 1008 | 1009);
        assert_eq!(error.fault() == towpath_proto::ws::Fault::Limit, is_limit, "{error:?}");
        assert!(error.reason().starts_with("ws_"), "{error:?}");
    }
}
