//! Runs a decoder over bytes as a connection would and writes down what it said.

use std::fmt::Write;
use std::ops::Range;

use towpath_proto::h1::{Event, HeadLimits, RequestDecoder, ResponseDecoder, Step};
use towpath_proto::message::{Fields, Method, Version};

/// Everything a client's bytes amount to, given at once and followed by the end of the connection.
pub(crate) fn requests(input: &[u8]) -> String {
    requests_in_pieces(std::iter::once(input), HeadLimits::default())
}

/// The same for bytes that come in pieces.
pub(crate) fn requests_in_pieces<'a>(pieces: impl Iterator<Item = &'a [u8]>, limits: HeadLimits) -> String {
    run(RequestDecoder::new(limits), pieces)
}

/// Everything an origin's bytes amount to as the answer to one request of this method.
pub(crate) fn response(method: Method, input: &[u8]) -> String {
    response_in_pieces(method, std::iter::once(input))
}

/// The same for bytes that come in pieces.
pub(crate) fn response_in_pieces<'a>(method: Method, pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut decoder = ResponseDecoder::new(HeadLimits::default());
    decoder.expect(method);
    run(decoder, pieces)
}

/// The last line of a transcript: the end of a good connection, or the error.
pub(crate) fn verdict(transcript: &str) -> &str {
    transcript.lines().last().unwrap_or_default()
}

/// Asserts that `found` is `expected`, where the indentation of the source code does not count.
#[track_caller]
pub(crate) fn assert_transcript(found: &str, expected: &str, case: &[u8]) {
    let trimmed = |text: &str| text.trim().lines().map(str::trim).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(found), trimmed(expected), "for {}", case.escape_ascii());
}

trait Decoder {
    fn step(&mut self, input: &[u8]) -> Result<Step, String>;
    fn eof(&mut self) -> Result<Option<Event>, String>;
    fn head_text(&self, block: &[u8]) -> String;
    fn trailers(&self) -> &Fields;
}

fn run<'a>(mut decoder: impl Decoder, pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut out = Transcript::default();
    let mut unread = Vec::new();
    for piece in pieces {
        unread.extend_from_slice(piece);
        if let Err(error) = take_all(&mut decoder, &mut unread, &mut out) {
            // A refused connection stays refused, whatever comes.
            assert_eq!(decoder.step(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").err().as_ref(), Some(&error));
            return out.finish(&error);
        }
    }
    match decoder.eof() {
        Ok(Some(_)) => out.line("End"),
        Ok(None) => {}
        Err(error) => return out.finish(&error),
    }
    out.finish("closed")
}

fn take_all(decoder: &mut impl Decoder, unread: &mut Vec<u8>, out: &mut Transcript) -> Result<(), String> {
    loop {
        let step = decoder.step(unread)?;
        assert!(step.consumed <= unread.len(), "consumed more than there was");
        match &step.event {
            Some(Event::Data(range)) => out.data(unread, range, step.consumed),
            Some(Event::Head) => out.line(&format!("Head {}", decoder.head_text(&unread[..step.consumed]))),
            Some(Event::Interim) => {
                out.line(&format!("Interim {}", decoder.head_text(&unread[..step.consumed])))
            }
            Some(Event::Trailers) => {
                out.line(&format!("Trailers{}", fields_text(decoder.trailers(), unread)))
            }
            Some(Event::End) => out.line("End"),
            None => {}
        }
        unread.drain(..step.consumed);
        if step.event.is_none() {
            return Ok(());
        }
    }
}

#[derive(Default)]
struct Transcript {
    text: String,
    data: Vec<u8>,
}

impl Transcript {
    /// Data are joined, for how they are cut depends on how they came.
    fn data(&mut self, unread: &[u8], range: &Range<usize>, consumed: usize) {
        assert!(range.start < range.end && range.end <= consumed, "data {range:?} with {consumed} consumed");
        self.data.extend_from_slice(&unread[range.clone()]);
    }

    fn line(&mut self, line: &str) {
        if !self.data.is_empty() {
            writeln!(self.text, "Data {}", self.data.escape_ascii()).expect("a String takes every write");
            self.data.clear();
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn finish(mut self, verdict: &str) -> String {
        self.line(verdict);
        self.text
    }
}

impl Decoder for RequestDecoder {
    fn step(&mut self, input: &[u8]) -> Result<Step, String> {
        self.handle_input(input).map_err(|error| format!("{} {}", error.status(), error.reason()))
    }

    fn eof(&mut self) -> Result<Option<Event>, String> {
        self.handle_eof().map(|()| None).map_err(|error| format!("{} {}", error.status(), error.reason()))
    }

    fn head_text(&self, block: &[u8]) -> String {
        let head = self.head();
        let mut text =
            format!("{} {}", head.method.of_block(block).escape_ascii(), text_of(head.path.of(block)));
        if let Some(query) = head.query {
            write!(text, "?{}", text_of(query.of(block))).expect("a String takes every write");
        }
        let authority = head.authority.map_or("-".to_owned(), |authority| text_of(authority.of(block)));
        write!(text, " {} @{authority} {:?}", version_text(head.version), head.framing).expect("likewise");
        for (is_set, word) in [
            (head.keep_alive, "keep-alive"),
            (head.expect_continue, "continue"),
            (head.connection_nominates, "nominates"),
            (!head.path_is_canonical, "not-canonical"),
        ] {
            if is_set {
                write!(text, " {word}").expect("likewise");
            }
        }
        if let Some(upgrade) = head.upgrade {
            write!(text, " upgrade={}", text_of(upgrade.of(block))).expect("likewise");
        }
        text + &fields_text(&head.fields, block)
    }

    fn trailers(&self) -> &Fields {
        self.trailers()
    }
}

impl Decoder for ResponseDecoder {
    fn step(&mut self, input: &[u8]) -> Result<Step, String> {
        self.handle_input(input).map_err(|error| format!("{} {}", error.status(), error.reason()))
    }

    fn eof(&mut self) -> Result<Option<Event>, String> {
        let step = self.handle_eof().map_err(|error| format!("{} {}", error.status(), error.reason()))?;
        Ok(step.event)
    }

    fn head_text(&self, block: &[u8]) -> String {
        let head = self.head();
        let reason = text_of(head.reason.of(block));
        let mut text =
            format!("{} {:?} {} {:?}", head.status, reason, version_text(head.version), head.framing);
        if head.keep_alive {
            text.push_str(" keep-alive");
        }
        if head.connection_nominates {
            text.push_str(" nominates");
        }
        text + &fields_text(&head.fields, block)
    }

    fn trailers(&self) -> &Fields {
        self.trailers()
    }
}

fn version_text(version: Version) -> &'static str {
    match version {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
        Version::Http2 => "2",
    }
}

fn fields_text(fields: &Fields, block: &[u8]) -> String {
    fields
        .iter()
        .map(|field| format!("\n  {}: {}", text_of(field.name.of(block)), text_of(field.value.of(block))))
        .collect()
}

fn text_of(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
