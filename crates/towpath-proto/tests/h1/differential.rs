//! The codec against the plain parser beside it: both must say the same of any bytes (T04).

use towpath_proto::h1::{Event, HeadLimits, RequestDecoder, RequestError};

use crate::seed::Seed;
use crate::{corpus, reference};

pub(crate) const SEEDS: &[&str] = &[
    "GET /a/b?c=d HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\nGET /2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "POST http://h:80/x?y HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "PUT /%41 HTTP/1.1\r\nHost: [::1]:8080\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0a\r\n0123456789\r\n0\r\nDigest: x\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, upgrade\r\nUpgrade: websocket\r\n\r\n",
    "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
];

const SNIPPETS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "\0",
    "%",
    "%2",
    "//",
    "/",
    "?",
    "#",
    "\\",
    "@",
    "[",
    "]",
    ".",
    "\"",
    "\u{e9}",
    "0",
    "5",
    "f",
    "+",
    "x",
    "HTTP/1.0",
    "HTTP/2.0",
    "http://",
    "Host: h\r\n",
    "Host: i\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Connection: upgrade\r\n",
    "Upgrade: x\r\n",
    "Expect: 100-continue\r\n",
    "GET / HTTP/1.1\r\n",
    "\r\n\r\n",
    "0\r\n\r\n",
    "Cookie: a\r\n",
];

const ROUNDS_COUNT: u64 = 40_000;

#[test]
fn the_plain_parser_agrees_on_the_corpus() {
    for case in corpus::cases() {
        assert_eq!(outline(&case.bytes), reference::outline(&case.bytes), "{}", case.name);
    }
}

#[test]
fn the_plain_parser_agrees_on_mutated_requests_t04() {
    let corpus = corpus::cases();
    for number in 0..ROUNDS_COUNT {
        let mut seed = Seed::new(number);
        let mut input = match seed.below(3) {
            0 => seed.choose(&corpus).bytes.clone(),
            _ => seed.choose(SEEDS).as_bytes().to_vec(),
        };
        for _ in 0..=seed.below(3) {
            mutate(&mut input, &mut seed);
        }
        assert_eq!(outline(&input), reference::outline(&input), "seed {number}: {}", input.escape_ascii());
    }
}

#[test]
fn mutations_reach_both_verdicts() {
    let is_refused = |number: u64| {
        let mut seed = Seed::new(number);
        let mut input = seed.choose(SEEDS).as_bytes().to_vec();
        mutate(&mut input, &mut seed);
        outline(&input).ends_with("refused\n")
    };
    let refused_count = (0..1000).filter(|&number| is_refused(number)).count();
    assert!((200..800).contains(&refused_count), "{refused_count} of 1000 mutations were refused");
}

/// Changes, takes out, repeats or puts in something.
pub(crate) fn mutate(input: &mut Vec<u8>, seed: &mut Seed) {
    if input.is_empty() {
        return;
    }
    let at = seed.below(input.len());
    match seed.below(6) {
        0 => input[at] = seed.next() as u8,
        1 => {
            input.remove(at);
        }
        2 => {
            let end = (at + 1 + seed.below(20)).min(input.len());
            let copy = input[at..end].to_vec();
            let target = seed.below(input.len());
            input.splice(target..target, copy);
        }
        3 => {
            // A whole line more, where a line begins.
            let starts: Vec<usize> = input
                .windows(2)
                .enumerate()
                .filter(|(_, two)| two == b"\r\n")
                .map(|(at, _)| at + 2)
                .collect();
            if !starts.is_empty() {
                let start = *seed.choose(&starts);
                input.splice(start..start, seed.choose(SNIPPETS).bytes());
            }
        }
        _ => {
            input.splice(at..at, seed.choose(SNIPPETS).bytes());
        }
    }
}

/// What the codec says, in the words of the reference.
fn outline(input: &[u8]) -> String {
    let mut decoder = RequestDecoder::new(HeadLimits::default());
    let (mut out, mut data, mut unread) = (String::new(), Vec::new(), input);
    let verdict = loop {
        let step = match decoder.handle_input(unread) {
            Ok(step) => step,
            Err(_) => break "refused\n",
        };
        match &step.event {
            None => match decoder.handle_eof() {
                Ok(()) => break "closed\n",
                Err(RequestError::Truncated) => break "truncated\n",
                Err(error) => panic!("the end of input is no {error}"),
            },
            Some(Event::Data(range)) => data.extend_from_slice(&unread[range.clone()]),
            Some(event) => {
                flush(&mut out, &mut data);
                out += &event_text(event, &decoder, &unread[..step.consumed]);
            }
        }
        unread = &unread[step.consumed..];
    };
    flush(&mut out, &mut data);
    out + verdict
}

fn flush(out: &mut String, data: &mut Vec<u8>) {
    if !data.is_empty() {
        *out += &format!("data {}\n", data.escape_ascii());
        data.clear();
    }
}

fn event_text(event: &Event, decoder: &RequestDecoder, block: &[u8]) -> String {
    let (mut text, fields) = match event {
        Event::Head => (head_text(block), &decoder.head().fields),
        Event::Trailers => ("trailers\n".to_owned(), decoder.trailers()),
        Event::End => return "end\n".to_owned(),
        Event::Data(_) | Event::Interim => panic!("{event:?} is not to be had here"),
    };
    for field in fields {
        let (name, value) = (field.name.of(block).escape_ascii(), field.value.of(block).escape_ascii());
        text += &format!("  {name}: {value}\n");
    }
    text
}

fn head_text(block: &[u8]) -> String {
    let block = block.strip_prefix(b"\r\n").unwrap_or(block);
    let line_bytes = block.windows(2).position(|two| two == b"\r\n").expect("a head has lines");
    format!("head {}\n", block[..line_bytes].escape_ascii())
}
