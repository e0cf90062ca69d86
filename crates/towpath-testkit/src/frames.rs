//! Frames of HTTP/2 as words, and back.
//!
//! A line is a frame: `headers 1 end pad=2 prio pieces=5 | :method GET | name value`, `data 1 hello end`, `data 1 *300`
//! (that many bytes), `rst 1 8`, `wu 1 100`, `settings 4=100`, `ack`, `ping 1`, `pong 1`, `goaway 1 0`, `priority 1`,
//! `raw TYPE FLAGS STREAM HEX`, `bytes TEXT`, `preface`, and `get 1 /path`, `post 1`, `ok 1` for usual heads. In a value
//! `^` stands for a space, and `*300` for that many bytes.

use std::fmt::Write as _;

use towpath_proto::h2::hpack::{Decoder, Encoder};
use towpath_proto::h2::{ErrorCode, PREFACE};

/// One side's frames: its two tables of header compression.
#[derive(Debug, Default)]
pub struct Frames {
    encoder: Encoder,
    decoder: Decoder,
}

impl Frames {
    /// The bytes of a line.
    ///
    /// # Panics
    /// When there is no such frame: the test is wrong.
    pub fn bytes_of(&mut self, line: &str) -> Vec<u8> {
        let (words, mut fields) = split_fields(line);
        let numbers: Vec<u32> = words.iter().filter_map(|word| word.parse().ok()).collect();
        let [first, second] = [0, 1].map(|at| numbers.get(at).copied().unwrap_or_default());
        let option =
            |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.parse::<usize>().ok());
        let end = u8::from(words.contains(&"end"));
        match words[0] {
            "preface" => PREFACE.to_vec(),
            "bytes" => line.split_once(' ').map_or("", |(_, text)| text).as_bytes().to_vec(),
            "get" | "post" | "ok" => {
                fields.splice(0..0, usual(words[0], words.get(2).copied()));
                let end = end | u8::from(words[0] == "get");
                self.headers(first, end, 1, None, false, &fields)
            }
            "headers" => self.headers(
                first,
                end,
                option("pieces=").unwrap_or(1),
                option("pad="),
                words.contains(&"prio"),
                &fields,
            ),
            "data" => {
                let is_body = |word: &&&str| **word != "end" && !word.starts_with("pad=");
                let body = body_of(words.get(2).filter(is_body).unwrap_or(&""));
                match option("pad=") {
                    Some(pad) => frame(0, end | 8, first, &[&[pad as u8][..], &body, &vec![0; pad]].concat()),
                    None => frame(0, end, first, &body),
                }
            }
            "priority" => frame(2, 0, first, &[0, 0, 0, 0, 16]),
            "rst" => frame(3, 0, first, &second.to_be_bytes()),
            "settings" => {
                let pairs =
                    words[1..].iter().filter_map(|word| word.split_once('=')).flat_map(|(name, value)| {
                        let name: u16 = name.parse().expect("a setting");
                        let value: u32 = value.parse().expect("a value");
                        [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()
                    });
                frame(4, 0, 0, &pairs.collect::<Vec<u8>>())
            }
            "ack" => frame(4, 1, 0, &[]),
            "push" => frame(5, 4, first, &second.to_be_bytes()),
            "ping" => frame(6, 0, 0, &[0, 0, 0, 0, 0, 0, 0, first as u8]),
            "pong" => frame(6, 1, 0, &[0, 0, 0, 0, 0, 0, 0, first as u8]),
            "drained" => frame(6, 1, 0, b"draining"),
            "goaway" => frame(7, 0, 0, &[&first.to_be_bytes()[..], &second.to_be_bytes(), b"debug"].concat()),
            "wu" => frame(8, 0, first, &second.to_be_bytes()),
            "raw" => frame(first as u8, second as u8, numbers[2], &hex(words.get(4).unwrap_or(&""))),
            other => panic!("no such frame: {other}"),
        }
    }

    /// A header block in so many frames.
    fn headers(
        &mut self,
        stream: u32,
        end: u8,
        pieces_count: usize,
        pad: Option<usize>,
        has_priority: bool,
        fields: &[(String, String)],
    ) -> Vec<u8> {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        for (name, value) in fields {
            self.encoder.field(name.as_bytes(), value.as_bytes(), false, &mut block);
        }
        let size = block.len().div_ceil(pieces_count).max(1);
        let mut pieces: Vec<&[u8]> = block.chunks(size).collect();
        pieces.resize(pieces_count, &[]);
        let last = |at: usize| if at + 1 == pieces_count { 4 } else { 0 };
        let mut payload = pad.map(|pad| pad as u8).into_iter().collect::<Vec<u8>>();
        payload.extend_from_slice(if has_priority { &[0, 0, 0, 0, 16] } else { &[] });
        payload.extend_from_slice(pieces[0]);
        payload.resize(payload.len() + pad.unwrap_or(0), 0);
        let flags = end | last(0) | if pad.is_some() { 8 } else { 0 } | if has_priority { 0x20 } else { 0 };
        let mut out = frame(1, flags, stream, &payload);
        for (at, piece) in pieces.iter().enumerate().skip(1) {
            out.extend_from_slice(&frame(9, last(at), stream, piece));
        }
        out
    }

    /// Takes the whole frames out of `bytes`, one line for each.
    ///
    /// # Panics
    /// When a header block cannot be decoded.
    pub fn take_lines(&mut self, bytes: &mut Vec<u8>) -> Vec<String> {
        let mut lines = Vec::new();
        let mut rest = &bytes[..];
        if let Some(behind) = rest.strip_prefix(PREFACE) {
            lines.push("preface".to_owned());
            rest = behind;
        }
        while let Some((head, behind)) = rest.split_first_chunk::<9>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some((payload, behind)) = behind.split_at_checked(length) else { break };
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            lines.push(self.frame_text(head[3], head[4], stream, payload));
            rest = behind;
        }
        *bytes = rest.to_vec();
        lines
    }

    fn frame_text(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> String {
        let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().expect("four bytes"));
        let end = if flags & 1 != 0 { " END" } else { "" };
        match kind {
            0 => format!("DATA {stream}{end} {}", short(payload)),
            1 if flags & 4 == 0 => format!("HEADERS {stream}{end} OPEN {}", payload.len()),
            1 => format!("HEADERS {stream}{end}{}", self.block_text(payload)),
            3 => format!("RST_STREAM {stream} {:?}", ErrorCode::of(number(0))),
            4 if flags & 1 != 0 => "SETTINGS ACK".to_owned(),
            4 => {
                let pairs = payload.chunks(6).map(|pair| {
                    let value = u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]]);
                    format!(" {}={value}", u16::from_be_bytes([pair[0], pair[1]]))
                });
                format!("SETTINGS{}", pairs.collect::<String>())
            }
            6 => format!("PING{} {}", if flags & 1 != 0 { " ACK" } else { "" }, payload[7]),
            7 => format!("GOAWAY {} {:?}", number(0), ErrorCode::of(number(4))),
            8 => format!("WINDOW_UPDATE {stream} {}", number(0)),
            9 => format!("CONTINUATION {stream} {flags} {}", payload.len()),
            _ => format!("frame {kind}"),
        }
    }

    fn block_text(&mut self, payload: &[u8]) -> String {
        let (mut text, mut block) = (String::new(), Vec::new());
        let mut decoder = self.decoder.block(payload);
        while let Some(line) = decoder.poll_field(&mut block).expect("our own block") {
            let (name, value) = (line.name.of(&block), line.value.of(&block));
            let never = if line.never_index { "!" } else { "" };
            write!(text, " | {never}{} {}", name.escape_ascii(), value.escape_ascii()).expect("likewise");
        }
        text
    }
}

/// The head that `get`, `post` and `ok` stand for.
fn usual(word: &str, path: Option<&str>) -> Vec<(String, String)> {
    let path = path.filter(|path| path.starts_with('/')).unwrap_or("/");
    let pairs: &[(&str, &str)] = match word {
        "ok" => &[(":status", "200")],
        "get" => &[(":method", "GET"), (":scheme", "https"), (":authority", "h"), (":path", path)],
        _ => &[(":method", "POST"), (":scheme", "https"), (":authority", "h"), (":path", path)],
    };
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = (payload.len() as u32).to_be_bytes();
    [&[high, middle, low, kind, flags][..], &stream.to_be_bytes(), payload].concat()
}

/// The words before the first ` | `, and the fields behind it.
pub fn split_fields(line: &str) -> (Vec<&str>, Vec<(String, String)>) {
    let mut parts = line.split(" | ");
    let words = parts.next().unwrap_or_default().split_whitespace().collect();
    let fields = parts.map(|field| {
        let (name, value) = field.split_once(' ').unwrap_or((field, ""));
        (unescape(name), unescape(value))
    });
    (words, fields.collect())
}

/// `^` stands for a space, and `*300` for that many bytes.
fn unescape(text: &str) -> String {
    match text.strip_prefix('*').and_then(|count| count.parse().ok()) {
        Some(count) => "x".repeat(count),
        None => text.replace('^', " "),
    }
}

/// A body by its word.
pub fn body_of(word: &str) -> Vec<u8> {
    unescape(word).into_bytes()
}

fn hex(digits: &str) -> Vec<u8> {
    let pairs =
        digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("hexadecimal digits"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}

/// Long bodies by their length.
pub fn short(bytes: &[u8]) -> String {
    if bytes.len() > 40 { format!("*{}", bytes.len()) } else { bytes.escape_ascii().to_string() }
}
