//! Every head that the codec takes is one head of HTTP/1.1, and says the same there (T17).
//!
//! Requests are made of usual and of hostile parts, with bytes changed at random. What is accepted is written as
//! HTTP/1.1, as the gateway would write it, and read by the HTTP/1 decoder.

use towpath_base::random::Random;
use towpath_proto::h1::{self, RequestDecoder, encode};
use towpath_proto::h2::hpack::Encoder;
use towpath_proto::h2::{Config, Connection, Event, HeadLimits, PREFACE, Role};
use towpath_proto::message::{Framing, Known, Method};

use crate::frames::frame;

const ROUNDS_COUNT: u64 = 60_000;

const METHODS: &[&str] = &["GET", "POST", "OPTIONS", "CONNECT", "G T", "get", "GET / HTTP/1.1\r\nX:", ""];
const SCHEMES: &[&str] = &["https", "http", "https://evil/", "HTTP"];
const AUTHORITIES: &[&str] = &["h", "h:443", "[::1]:80", "h\r\nX: y", "h@i", "h/a", "h, i", ""];
const PATHS: &[&str] =
    &["/", "/a?b=c", "*", "/a%2fb", "/ HTTP/1.1\r\nHost: x\r\n\r\n", "http://i/", "/a b", "/#", "//", ""];
const NAMES: &[&str] = &[
    "accept",
    "cookie",
    "cookie",
    "content-length",
    "content-length",
    "transfer-encoding",
    "host",
    "te",
    "connection",
    "expect",
    "upgrade",
    "x-y",
    "X-Y",
    "x y",
    "x:y",
    ":path",
    "x\r\ny",
    "",
];
const VALUES: &[&str] =
    &["a", "5", "0", "5, 5", "chunked", "trailers", "h", "100-continue", "a\r\nX: y", "a\0", " a", "a ", ""];

/// The head of a request, with more to come or not.
pub(crate) struct Sent {
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) end: bool,
}

fn request(random: &mut Random) -> Sent {
    let mut fields = vec![
        (b":method".to_vec(), part(random, METHODS, 2)),
        (b":scheme".to_vec(), part(random, SCHEMES, 2)),
        (b":authority".to_vec(), part(random, AUTHORITIES, 2)),
        (b":path".to_vec(), part(random, PATHS, 2)),
    ];
    for _ in 0..random.below(4) {
        fields.push((part(random, NAMES, NAMES.len()), part(random, VALUES, VALUES.len())));
    }
    if random.below(8) == 0 {
        let (left, right) = (random.below(fields.len() as u64), random.below(fields.len() as u64));
        fields.swap(left as usize, right as usize);
    }
    if random.below(8) == 0 {
        fields.remove(random.below(fields.len() as u64) as usize);
    }
    Sent { fields, end: random.below(2) == 0 }
}

/// Mostly one of the first parts, now and then any, and sometimes with a changed byte.
fn part(random: &mut Random, parts: &[&str], usual_count: usize) -> Vec<u8> {
    let bound = if random.below(8) == 0 { parts.len() } else { usual_count };
    let mut part = parts[random.below(bound as u64) as usize].as_bytes().to_vec();
    if !part.is_empty() && random.below(16) == 0 {
        let at = random.below(part.len() as u64) as usize;
        part[at] = random.below(256) as u8;
    }
    part
}

/// The head as HTTP/1.1, if the codec takes it.
fn downgraded(sent: &Sent) -> Option<(Vec<u8>, Framing)> {
    let mut connection = Connection::new(Role::Server, Config::default());
    let (mut encoder, mut block) = (Encoder::default(), Vec::new());
    sent.fields.iter().for_each(|(name, value)| encoder.field(name, value, false, &mut block));
    let head = frame(1, 4 | u8::from(sent.end), 1, &block);
    let input = [&PREFACE[..], &frame(4, 0, 0, &[]), &head].concat();
    let step = connection.handle_input(0, &input).expect("settings");
    match connection.handle_input(0, &input[step.consumed..]).expect("a block that can be decoded").event {
        Some(Event::Head { .. }) => Some(written(&connection)),
        Some(Event::Reset { .. } | Event::Refused { .. }) => None,
        other => panic!("{other:?}"),
    }
}

fn written(connection: &Connection) -> (Vec<u8>, Framing) {
    let (head, block, mut out) = (connection.request(), connection.block(), Vec::new());
    let authority = head.authority.expect("every request has one").of(block);
    let target = if head.method == Method::Connect { authority } else { head.path.of(block) };
    let query = head.query.map(|query| query.of(block));
    encode::request_line(&mut out, head.method.of_block(block), target, query);
    encode::field(&mut out, b"host", authority);
    for field in &head.fields {
        if !matches!(field.known, Known::Host | Known::ContentLength) {
            encode::field(&mut out, field.name.of(block), field.value.of(block));
        }
    }
    match head.framing {
        Framing::Length(length) => encode::content_length(&mut out, length),
        Framing::Chunked => encode::field(&mut out, b"transfer-encoding", b"chunked"),
        Framing::None => {}
        Framing::Close => panic!("a request never ends by closing"),
    }
    out.extend_from_slice(b"\r\n");
    (out, head.framing)
}

/// Whether the codec takes this head; it is one of HTTP/1.1 then, and says the same there.
pub(crate) fn check_downgraded(sent: &Sent, what: &dyn std::fmt::Display) -> bool {
    let Some((bytes, framing)) = downgraded(sent) else { return false };
    let text = bytes.escape_ascii();
    let mut decoder = RequestDecoder::new(HeadLimits::default());
    let step = decoder.handle_input(&bytes).unwrap_or_else(|error| panic!("{what}: {error}: {text}"));
    assert_eq!((step.consumed, step.event), (bytes.len(), Some(h1::Event::Head)), "{what}: {text}");
    let head = decoder.head();
    assert_eq!((head.framing, head.keep_alive), (framing, true), "{what}: {text}");
    assert!(!head.connection_nominates && head.upgrade.is_none(), "{what}: {text}");
    true
}

#[test]
fn what_is_accepted_is_one_request_of_http1_and_the_same_t17() {
    let (mut accepted_count, mut refused_count) = (0, 0);
    for seed in 0..ROUNDS_COUNT {
        let is_accepted = check_downgraded(&request(&mut Random::new(seed)), &format_args!("seed {seed}"));
        *(if is_accepted { &mut accepted_count } else { &mut refused_count }) += 1;
    }
    // The generator reaches both verdicts often.
    assert!(accepted_count > 5_000 && refused_count > 5_000, "{accepted_count} and {refused_count}");
}
