//! How bytes are cut on their way must not matter: every split point of several messages tells the same
//! story.

use towpath_proto::h1::HeadLimits;
use towpath_proto::message::Method;

use crate::differential::{SEEDS, mutate};
use crate::seed::Seed;
use crate::transcript::{requests, requests_in_pieces, response, response_in_pieces};

/// Good and bad, and every kind of framing.
const REQUESTS: &[&str] = &[
    "GET /a?b=c HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nConnection: keep-alive, x\r\n\r\n",
    "\r\nGET / HTTP/1.0\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n01\r\n!\r\n0\r\nA: b\r\nC: d\r\n\r\nGET /n HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nHost: x\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\n",
    "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\n\n",
    "GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "\r\rGET / HTTP/1.1\r\n",
    "GET / HTTP/3.0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel",
];

const RESPONSES: &[&str] = &[
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    "HTTP/1.0 404\r\nContent-Length: 3\r\n\r\nno!and more",
    "HTTP/1.1 200 OK\r\nX: y\n\r\n",
    "HTTP/1.1 204 None\r\n\r\n",
];

#[test]
fn every_split_in_two_tells_the_same_requests() {
    for input in REQUESTS.iter().map(|input| input.as_bytes()) {
        let whole = requests(input);
        for at in 0..=input.len() {
            let (left, right) = input.split_at(at);
            let split = requests_in_pieces([left, right].into_iter(), HeadLimits::default());
            assert_eq!(split, whole, "{} cut at {at}", input.escape_ascii());
        }
    }
}

#[test]
fn bytes_one_by_one_tell_the_same() {
    for input in REQUESTS.iter().map(|input| input.as_bytes()) {
        let split = requests_in_pieces(input.chunks(1), HeadLimits::default());
        assert_eq!(split, requests(input), "{}", input.escape_ascii());
    }
    for input in RESPONSES.iter().map(|input| input.as_bytes()) {
        let split = response_in_pieces(Method::Get, input.chunks(1));
        assert_eq!(split, response(Method::Get, input), "{}", input.escape_ascii());
    }
}

#[test]
fn every_split_in_two_tells_the_same_response() {
    for input in RESPONSES.iter().map(|input| input.as_bytes()) {
        for method in [Method::Get, Method::Head, Method::Connect] {
            let whole = response(method, input);
            for at in 0..=input.len() {
                let (left, right) = input.split_at(at);
                let split = response_in_pieces(method, [left, right].into_iter());
                assert_eq!(split, whole, "{} cut at {at}", input.escape_ascii());
            }
        }
    }
}

#[test]
fn limits_fall_at_the_same_byte_however_bytes_come_t14() {
    let limits = HeadLimits { head_bytes_max: 120, fields_count_max: 3, line_bytes_max: 40 };
    for seed in 0..400 {
        let mut seed = Seed::new(seed);
        let mut input = format!("GET /{} HTTP/1.1\r\nHost: h\r\n", "a".repeat(seed.below(40)));
        for _ in 0..seed.below(5) {
            input +=
                &format!("X: {}{}", "b".repeat(seed.below(50)), seed.choose(&["\r\n", "\r\n", "\r\n", "\n"]));
        }
        input += "\r\n";
        let whole = requests_in_pieces(std::iter::once(input.as_bytes()), limits);
        for at in 0..=input.len() {
            let (left, right) = input.as_bytes().split_at(at);
            assert_eq!(requests_in_pieces([left, right].into_iter(), limits), whole, "{input:?} cut at {at}");
        }
    }
}

#[test]
fn random_splits_of_random_messages_tell_the_same() {
    for number in 0..2_000 {
        let mut seed = Seed::new(number);
        let input: Vec<u8> = (0..3).flat_map(|_| seed.choose(REQUESTS).bytes()).collect();
        let mut pieces = Vec::new();
        let mut rest = &input[..];
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(1 + seed.below(rest.len()));
            pieces.push(piece);
            rest = tail;
        }
        let split = requests_in_pieces(pieces.into_iter(), HeadLimits::default());
        assert_eq!(split, requests(&input), "seed {number}");
    }
}

/// A head whose first byte came alone is read by the line scan and the slow parser, a whole one by the fast parser.
#[test]
fn the_fast_and_the_slow_parser_tell_the_same_of_mutated_heads_t04() {
    const ROUNDS_COUNT: u64 = 20_000;
    for number in 0..ROUNDS_COUNT {
        let mut seed = Seed::new(number);
        let mut input = seed.choose(SEEDS).as_bytes().to_vec();
        (0..seed.below(3)).for_each(|_| mutate(&mut input, &mut seed));
        let pieces = input.split_at(1.min(input.len()));
        let slow = requests_in_pieces([pieces.0, pieces.1].into_iter(), HeadLimits::default());
        assert_eq!(slow, requests(&input), "seed {number}: {}", input.escape_ascii());

        let mut input = seed.choose(RESPONSES).as_bytes().to_vec();
        (0..seed.below(3)).for_each(|_| mutate(&mut input, &mut seed));
        let pieces = input.split_at(1.min(input.len()));
        let slow = response_in_pieces(Method::Get, [pieces.0, pieces.1].into_iter());
        assert_eq!(slow, response(Method::Get, &input), "seed {number}: {}", input.escape_ascii());
    }
}
