//! The keep-alive path allocates nothing: a decoder reuses its memory from message to message.

use std::hint::black_box;

use towpath_base::counting::{CountingAllocator, allocations_of};
use towpath_proto::h1::{Event, HeadLimits, RequestDecoder, ResponseDecoder, encode};
use towpath_proto::h2;
use towpath_proto::limits::WsLimits;
use towpath_proto::message::Method;
use towpath_proto::path;
use towpath_proto::ws::{self, Encoder, Kind, Role};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const REQUESTS: &[u8] = b"GET /a/b.html?c=d HTTP/1.1\r\nHost: example.com\r\nUser-Agent: x\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n\
    POST /up HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello\
    POST /up HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nDigest: x\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n\
    5\r\nhello\r\n0\r\nServer-Timing: a\r\n\r\n";

fn decode_requests(decoder: &mut RequestDecoder) -> usize {
    let (mut unread, mut ends_count) = (REQUESTS, 0);
    loop {
        let step = decoder.handle_input(black_box(unread)).expect("the requests are good");
        unread = &unread[step.consumed..];
        match step.event {
            Some(event) => ends_count += usize::from(event == Event::End),
            None => return ends_count,
        }
    }
}

fn decode_response(decoder: &mut ResponseDecoder) {
    decoder.expect(Method::Get);
    let mut unread = RESPONSE;
    while !decoder.is_complete() {
        let step = decoder.handle_input(black_box(unread)).expect("the response is good");
        unread = &unread[step.consumed..];
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations_of(|| drop(black_box(Vec::<u8>::with_capacity(10)))), 1);
}

#[test]
fn requests_after_the_first_allocate_nothing() {
    let mut decoder = RequestDecoder::new(HeadLimits::default());
    assert_eq!(decode_requests(&mut decoder), 3);
    let count = allocations_of(|| {
        for _ in 0..100 {
            black_box(decode_requests(&mut decoder));
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn responses_after_the_first_allocate_nothing() {
    let mut decoder = ResponseDecoder::new(HeadLimits::default());
    decode_response(&mut decoder);
    assert_eq!(allocations_of(|| (0..100).for_each(|_| decode_response(&mut decoder))), 0);
}

#[test]
fn an_idle_connection_keeps_little() {
    assert!(size_of::<RequestDecoder>() <= 304, "{}", size_of::<RequestDecoder>());
    assert!(size_of::<ResponseDecoder>() <= 240, "{}", size_of::<ResponseDecoder>());
}

#[test]
fn an_idle_connection_gives_back_what_an_unusual_head_took() {
    let unusual = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(99));
    let mut decoder = RequestDecoder::new(HeadLimits::default());
    let decode_unusual = |decoder: &mut RequestDecoder| {
        let head = decoder.handle_input(unusual.as_bytes()).expect("a head");
        assert_eq!(head.event, Some(Event::Head));
        assert_eq!(decoder.handle_input(b"").map(|step| step.event), Ok(Some(Event::End)));
    };
    decode_unusual(&mut decoder);
    assert_eq!(allocations_of(|| decode_unusual(&mut decoder)), 0);
    decoder.release_excess();
    assert_ne!(allocations_of(|| decode_unusual(&mut decoder)), 0);
    decoder.release_excess();
    let usual = b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n";
    assert_eq!(allocations_of(|| drop(decoder.handle_input(usual))), 0);
}

/// Two requests of HTTP/2 with bodies, on these streams.
fn frames_of(streams: [u32; 2]) -> Vec<u8> {
    let block = b"\x83\x87\x84\x41\x01h\x40\x06x-name\x05value\x5f\x0atext/plain";
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        [&[0, 0, payload.len() as u8, kind, flags][..], &stream.to_be_bytes(), payload].concat()
    };
    let request = |stream| [frame(1, 4, stream, block), frame(0, 1, stream, b"hello")].concat();
    streams.map(request).concat()
}

/// Answers everything in `unread`.
fn serve(connection: &mut h2::Connection, mut unread: &[u8], out: &mut Vec<u8>) -> usize {
    let mut ends_count = 0;
    loop {
        let step = connection.handle_input(0, black_box(unread)).expect("the frames are good");
        unread = &unread[step.consumed..];
        match step.event {
            Some(h2::Event::Data { stream, range, end: true }) => {
                connection.release(stream, range.len());
                let write = |fields: &mut h2::FieldWriter<'_>| fields.field(b"Content-Type", b"text/plain");
                connection.encode_response(stream, 200, false, out, write).expect("an open stream");
                connection.encode_data(stream, b"hello", true, out).expect("an open window");
                connection.finish(stream);
                ends_count += 1;
            }
            Some(_) => {}
            None => break,
        }
    }
    connection.poll_output(out);
    ends_count
}

#[test]
fn streams_after_the_first_allocate_nothing() {
    let mut connection = h2::Connection::new(h2::Role::Server, h2::Config::default());
    let mut out = Vec::with_capacity(4096);
    let begin = [&h2::PREFACE[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    assert_eq!(serve(&mut connection, &begin, &mut out), 0);
    let rounds: Vec<_> = (0..400u32).map(|at| frames_of([4 * at + 1, 4 * at + 3])).collect();
    let (first, rest) = rounds.split_at(200);
    // The table fills up, and its memory is moved about until it has its size.
    first.iter().for_each(|round| assert_eq!(serve(&mut connection, round, &mut out), 2));
    let count = allocations_of(|| {
        for round in rest {
            out.clear();
            black_box(serve(&mut connection, round, &mut out));
        }
    });
    assert_eq!(count, 0);
    assert!(size_of::<h2::Connection>() <= 1024, "{}", size_of::<h2::Connection>());
}

#[test]
fn writing_into_a_kept_buffer_allocates_nothing() {
    let mut out = Vec::with_capacity(4096);
    let mut canonical = Vec::with_capacity(4096);
    let count = allocations_of(|| {
        encode::request_line(&mut out, b"GET", b"/a", Some(b"b"));
        encode::status_line(&mut out, 200);
        encode::field(&mut out, b"Host", b"example.com");
        encode::content_length(&mut out, u64::MAX);
        out.extend_from_slice(encode::chunk_head(4096).as_bytes());
        encode::last_chunk(&mut out, [(&b"Digest"[..], &b"x"[..])]);
        path::canonicalize(b"/a/./%41//b", false, &mut canonical).expect("a path");
    });
    assert_eq!(count, 0);
    assert_eq!(canonical, b"/a/A/b");
}

/// Text, a ping, a fragmented message and a pong, read to their end.
fn decode_frames(decoder: &mut ws::Decoder, wire: &[u8]) -> usize {
    let (mut input, mut events_count) = ([0; 1_000], 0);
    let mut unread = &mut input[..wire.len()];
    unread.copy_from_slice(wire);
    loop {
        let step = decoder.handle_input(unread, &mut Vec::new()).expect("the frames are good");
        unread = unread.split_at_mut(step.consumed).1;
        match step.event {
            Some(_) => events_count += 1,
            None => return events_count,
        }
    }
}

#[test]
fn websocket_frames_allocate_nothing() {
    let mut wire = Vec::with_capacity(1_000);
    let mut decoder = ws::Decoder::new(Role::Server, WsLimits::default(), None);
    let mut encoder = Encoder::new(Role::Client, None);
    let count = allocations_of(|| {
        encoder.message(&mut wire, Kind::Text, b"caf\xC3\xA9", [1, 2, 3, 4]);
        encoder.ping(&mut wire, b"p", [5, 6, 7, 8]).expect("short");
        encoder.fragment(&mut wire, Kind::Binary, &[0xFF; 200], false, [9, 8, 7, 6]);
        encoder.message(&mut wire, Kind::Binary, b"end", [5, 4, 3, 2]);
        assert_eq!(decode_frames(&mut decoder, &wire), 8);
    });
    assert_eq!(count, 0);
}

#[test]
fn an_idle_websocket_keeps_little() {
    assert!(size_of::<ws::Decoder>() <= 256, "{}", size_of::<ws::Decoder>());
    assert!(size_of::<Encoder>() <= 40, "{}", size_of::<Encoder>());
}
