//! Invariants of the WebSocket codec that hold for any bytes.

use towpath_proto::limits::{WS_INFLATE_STEP_BYTES, WsLimits};
use towpath_proto::ws::{
    Decoder, Deflate, DeflatePolicy, Encoder, Event, Follower, Kind, Role, WindowBits, WsError,
};

/// Small, so that the fuzzer reaches them.
const LIMITS: WsLimits = WsLimits {
    frame_bytes_max: 4_000,
    message_bytes_max: 10_000,
    inflate_ratio_max: 100,
    fragments_free_count: 8,
};

/// The first byte chooses the role and whether compression was agreed; the others are what the peer sends. At once and
/// byte by byte they say the same, and a message that was taken can be sent and taken again.
pub fn check_frames(input: &[u8]) {
    let Some((&choice, wire)) = input.split_first() else { return };
    let role = if choice & 1 == 0 { Role::Server } else { Role::Client };
    let deflate = (choice & 2 != 0).then(|| agreement(choice >> 2));
    let whole = read(role, deflate.as_ref(), &[wire]);
    let bytes: Vec<&[u8]> = wire.chunks(1).collect();
    assert_eq!(read(role, deflate.as_ref(), &bytes), whole, "byte by byte it is something else");
    check_followed(role, deflate.is_some(), wire, &whole);
    for word in &whole {
        if let Word::Message(kind, data) = word {
            check_again(role, *kind, data);
        }
    }
}

/// The first byte chooses the agreement and the size of pieces.
pub fn check_deflate(input: &[u8]) {
    let Some((&choice, data)) = input.split_first() else { return };
    let deflate = agreement(choice);
    check_inflate(&deflate, data);
    check_round_trip(&deflate, usize::from(choice) + 1, data);
    check_offer(data);
}

/// What a decoder said, without how it was cut.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Message(Kind, Vec<u8>),
    Control(Vec<u8>),
    Close(Option<u16>, String),
    Error(WsError),
}

fn agreement(choice: u8) -> Deflate {
    let bits = WindowBits::new(9 + (choice >> 2) % 7).expect("9 to 15");
    let policy = DeflatePolicy {
        server_no_context_takeover: choice & 1 != 0,
        client_no_context_takeover: choice & 2 != 0,
        server_window_bits_max: bits,
        client_window_bits_max: bits,
    };
    let agreed = policy.accept([&b"permessage-deflate; client_max_window_bits"[..]]);
    agreed.expect("a list").expect("a good offer")
}

fn read(role: Role, deflate: Option<&Deflate>, pieces: &[&[u8]]) -> Vec<Word> {
    let mut decoder = Decoder::new(role, LIMITS, deflate);
    let (mut words, mut message, mut buffer, mut inflated) = (Vec::new(), None, Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let before = buffer.clone();
            let step = match decoder.handle_input(&mut buffer, &mut inflated) {
                Ok(step) => step,
                Err(error) => {
                    assert!(inflated.is_empty() && !error.reason().is_empty());
                    words.push(Word::Error(error));
                    return words;
                }
            };
            assert_eq!(buffer[step.consumed..], before[step.consumed..], "the rest is as it came");
            match step.event {
                None => {
                    buffer.drain(..step.consumed);
                    break;
                }
                Some(event) => note(event, &mut words, &mut message, &buffer, &mut inflated),
            }
            buffer.drain(..step.consumed);
        }
    }
    words
}

fn note(
    event: Event,
    words: &mut Vec<Word>,
    message: &mut Option<(Kind, Vec<u8>)>,
    buffer: &[u8],
    inflated: &mut Vec<u8>,
) {
    match event {
        Event::MessageStart { kind, .. } => assert_eq!(message.replace((kind, Vec::new())), None),
        Event::Data(range) => open(message).extend_from_slice(&buffer[range]),
        Event::Inflated(count) => {
            assert!((1..=WS_INFLATE_STEP_BYTES).contains(&count) && inflated.len() == count);
            open(message).append(inflated);
        }
        Event::MessageEnd => {
            let (kind, data) = message.take().expect("a message is open");
            assert!(data.len() as u64 <= LIMITS.message_bytes_max);
            assert!(kind == Kind::Binary || std::str::from_utf8(&data).is_ok());
            words.push(Word::Message(kind, data));
        }
        Event::Ping(control) | Event::Pong(control) => words.push(Word::Control(control.as_bytes().to_vec())),
        Event::Close(close) => {
            words.push(Word::Close(close.code().map(|code| code.number()), close.reason().to_owned()));
        }
    }
}

fn open(message: &mut Option<(Kind, Vec<u8>)>) -> &mut Vec<u8> {
    &mut message.as_mut().expect("a message is open").1
}

/// Frames that are passed on: the same bytes pass however they are cut, and what a decoder refuses of them is refused,
/// but for what stands in data.
fn check_followed(role: Role, may_compress: bool, wire: &[u8], whole: &[Word]) {
    let at_once = follow(role, may_compress, &[wire]);
    let bytes: Vec<&[u8]> = wire.chunks(1).collect();
    assert_eq!(follow(role, may_compress, &bytes), at_once, "byte by byte other bytes pass");
    let (passed, error) = at_once;
    assert!(wire.starts_with(&passed));
    match whole.last() {
        Some(Word::Error(
            WsError::Utf8 | WsError::Inflate | WsError::InflateRatio | WsError::MessageTooLarge,
        )) => {}
        Some(Word::Error(refused)) => assert_eq!(error, Some(*refused)),
        _ => assert_eq!(error, None),
    }
}

fn follow(role: Role, may_compress: bool, pieces: &[&[u8]]) -> (Vec<u8>, Option<WsError>) {
    let mut follower = Follower::new(role, may_compress);
    let (mut held, mut passed) = (Vec::new(), Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        loop {
            match follower.handle_input(&held, &LIMITS) {
                Ok(pass) if pass.bytes == 0 => break,
                Ok(pass) => passed.extend(held.drain(..pass.bytes)),
                Err(error) => return (passed, Some(error)),
            }
        }
    }
    (passed, None)
}

fn other(role: Role) -> Role {
    if role == Role::Server { Role::Client } else { Role::Server }
}

/// What was taken from a peer, sent as that peer would.
fn check_again(role: Role, kind: Kind, data: &[u8]) {
    let mut wire = Vec::new();
    for piece in data.chunks(3_000) {
        Encoder::new(other(role), None).message(&mut wire, Kind::Binary, piece, [1, 2, 3, 4]);
    }
    let sent: Vec<Word> =
        data.chunks(3_000).map(|piece| Word::Message(Kind::Binary, piece.to_vec())).collect();
    assert_eq!(read(role, None, &[&wire]), sent, "{kind:?}");
}

/// `data` as the payload of a compressed message, twice, so that a kept window is used.
fn check_inflate(deflate: &Deflate, data: &[u8]) {
    let mut wire = Vec::new();
    for payload in [data, data] {
        let start = wire.len();
        Encoder::new(Role::Server, None).message(&mut wire, Kind::Binary, payload, [0; 4]);
        wire[start] |= 0x40;
    }
    let whole = read(Role::Client, Some(deflate), &[&wire]);
    let pieces: Vec<&[u8]> = wire.chunks(7).collect();
    assert_eq!(read(Role::Client, Some(deflate), &pieces), whole);
}

/// `data` compressed in pieces, as a message of each role, and read back.
fn check_round_trip(deflate: &Deflate, piece_bytes: usize, data: &[u8]) {
    let data = &data[..data.len().min(500)];
    for sender in [Role::Server, Role::Client] {
        let mut encoder = Encoder::new(sender, Some(deflate)).compress_from(0);
        let mut wire = Vec::new();
        for _ in 0..2 {
            let pieces = data.chunks(piece_bytes.max(data.len() / 6 + 1));
            pieces.for_each(|piece| encoder.fragment(&mut wire, Kind::Binary, piece, false, [9, 8, 7, 6]));
            encoder.message(&mut wire, Kind::Binary, b"", [5, 4, 3, 2]);
        }
        let sent = [Word::Message(Kind::Binary, data.to_vec()), Word::Message(Kind::Binary, data.to_vec())];
        assert_eq!(read(other(sender), Some(deflate), &[&wire]), sent);
    }
}

/// Whatever is offered, an answer is one that a client takes.
fn check_offer(value: &[u8]) {
    let Ok(Some(deflate)) = DeflatePolicy::default().accept([value]) else { return };
    let mut answer = Vec::new();
    deflate.write_answer(&mut answer);
    let client = DeflatePolicy { server_no_context_takeover: false, ..DeflatePolicy::default() };
    let read = client.read_answer([&answer[..]]).expect("a list").expect("an agreement");
    assert_eq!(read.outbound_window(Role::Server), deflate.outbound_window(Role::Server));
}
