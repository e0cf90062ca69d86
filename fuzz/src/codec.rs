//! Invariants of the HTTP/1 decoders that hold for any bytes.

use towpath_proto::field::{is_name, is_value};
use towpath_proto::h1::{
    Event, HeadLimits, RequestDecoder, RequestError, ResponseDecoder, ResponseError, Step,
};
use towpath_proto::message::{Fields, Method, RequestHead, Span};
use towpath_proto::path;

/// What a decoder reported, freed from how the bytes were cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A head, interim or final, written out.
    Head(String),
    /// All data between two other reports.
    Data(Vec<u8>),
    /// Trailer fields, written out.
    Trailers(String),
    /// The end of a message.
    End,
    /// The connection was refused, or its end came at a wrong time.
    Refused(&'static str),
}

/// Decodes `input` as requests and as responses: at once, byte by byte, and cut at places that depend on its
/// bytes. The reports must be the same each time, and every range must lie in the bytes it was made for.
pub fn check(input: &[u8]) {
    let whole = requests(std::iter::once(input));
    assert_eq!(whole, requests(input.chunks(1)), "requests differ when they come byte by byte");
    assert_eq!(whole, requests(pieces(input)), "requests differ when they are cut");
    for method in [Method::Get, Method::Head, Method::Connect] {
        let whole = response(method, std::iter::once(input));
        assert_eq!(whole, response(method, input.chunks(1)), "a response differs when it comes byte by byte");
        assert_eq!(whole, response(method, pieces(input)), "a response differs when it is cut");
    }
    check_path(input);
}

/// Everything the request decoder says about a connection that brings these pieces and then ends.
pub fn requests<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Report> {
    run(RequestDecoder::new(HeadLimits::default()), pieces)
}

fn response<'a>(method: Method, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Report> {
    let mut decoder = ResponseDecoder::new(HeadLimits::default());
    decoder.expect(method);
    run(decoder, pieces)
}

/// Pieces of 1 to 32 bytes whose lengths follow from the bytes, so that the fuzzer steers them.
fn pieces(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = input;
    std::iter::from_fn(move || {
        let length = 1 + usize::from(*rest.last()? ^ rest[rest.len() / 2]) % 32;
        let (piece, tail) = rest.split_at(length.min(rest.len()));
        rest = tail;
        Some(piece)
    })
}

trait Decoder {
    fn step(&mut self, input: &[u8]) -> Result<Step, &'static str>;
    fn eof(&mut self) -> Result<bool, &'static str>;
    fn head(&self, block: &[u8]) -> String;
    fn trailers(&self) -> &Fields;
}

fn run<'a>(mut decoder: impl Decoder, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Report> {
    let (mut reports, mut unread) = (Vec::new(), Vec::new());
    for piece in pieces {
        unread.extend_from_slice(piece);
        loop {
            let step = match decoder.step(&unread) {
                Ok(step) => step,
                Err(reason) => {
                    assert_eq!(decoder.step(b"").err(), Some(reason), "a refusal is for good");
                    reports.push(Report::Refused(reason));
                    return reports;
                }
            };
            assert!(step.consumed <= unread.len(), "consumed {} of {}", step.consumed, unread.len());
            let is_done = step.event.is_none();
            record(&decoder, step.event, &unread[..step.consumed], &mut reports);
            unread.drain(..step.consumed);
            if is_done {
                break;
            }
        }
    }
    match decoder.eof() {
        Ok(true) => reports.push(Report::End),
        Ok(false) => {}
        Err(reason) => reports.push(Report::Refused(reason)),
    }
    reports
}

fn record(decoder: &impl Decoder, event: Option<Event>, block: &[u8], reports: &mut Vec<Report>) {
    match event {
        None => {}
        Some(Event::Head | Event::Interim) => reports.push(Report::Head(decoder.head(block))),
        Some(Event::Trailers) => reports.push(Report::Trailers(fields_text(decoder.trailers(), block))),
        Some(Event::End) => reports.push(Report::End),
        Some(Event::Data(range)) => {
            assert!(range.start < range.end && range.end <= block.len(), "data {range:?} of {}", block.len());
            let data = &block[range];
            match reports.last_mut() {
                Some(Report::Data(before)) => before.extend_from_slice(data),
                _ => reports.push(Report::Data(data.to_vec())),
            }
        }
    }
}

impl Decoder for RequestDecoder {
    fn step(&mut self, input: &[u8]) -> Result<Step, &'static str> {
        self.handle_input(input).map_err(RequestError::reason)
    }

    fn eof(&mut self) -> Result<bool, &'static str> {
        self.handle_eof().map(|()| false).map_err(RequestError::reason)
    }

    fn head(&self, block: &[u8]) -> String {
        let head = self.head();
        check_request_head(head, block);
        let spans = [Some(head.path), head.query, head.authority, head.upgrade]
            .map(|span| span.map(|span| text_of(span, block)));
        format!(
            "{:?} {:?} {spans:?} {:?} {} {} {} {} {}",
            text_of_bytes(head.method.of_block(block)),
            head.version,
            head.framing,
            head.keep_alive,
            head.expect_continue,
            head.connection_nominates,
            head.path_is_canonical,
            fields_text(&head.fields, block)
        )
    }

    fn trailers(&self) -> &Fields {
        self.trailers()
    }
}

impl Decoder for ResponseDecoder {
    fn step(&mut self, input: &[u8]) -> Result<Step, &'static str> {
        self.handle_input(input).map_err(ResponseError::reason)
    }

    fn eof(&mut self) -> Result<bool, &'static str> {
        self.handle_eof().map(|step| step.event.is_some()).map_err(ResponseError::reason)
    }

    fn head(&self, block: &[u8]) -> String {
        let head = self.head();
        let reason = text_of(head.reason, block);
        assert!((100..=999).contains(&head.status), "status {}", head.status);
        let fields = fields_text(&head.fields, block);
        format!("{} {reason} {:?} {:?} {} {fields}", head.status, head.version, head.framing, head.keep_alive)
    }

    fn trailers(&self) -> &Fields {
        self.trailers()
    }
}

fn check_request_head(head: &RequestHead, block: &[u8]) {
    assert!(
        !matches!(head.framing, towpath_proto::message::Framing::Close),
        "a request never ends by closing"
    );
    assert!(
        head.authority.is_some() || head.version == towpath_proto::message::Version::Http10,
        "no authority"
    );
    let path = head.path.of(block);
    if path.starts_with(b"/") {
        assert_eq!(head.path_is_canonical, path::is_canonical(path), "{}", path.escape_ascii());
        check_path(path);
    }
}

/// Canonical is final, and known when seen.
fn check_path(path: &[u8]) {
    for allow_encoded in [false, true] {
        let (mut once, mut twice) = (Vec::new(), Vec::new());
        let is_accepted = path::canonicalize(path, allow_encoded, &mut once).is_ok();
        if is_accepted {
            assert_eq!(
                path::canonicalize(&once, allow_encoded, &mut twice),
                Ok(()),
                "{}",
                path.escape_ascii()
            );
            assert_eq!(once, twice, "{} has two canonical forms", path.escape_ascii());
        }
        if !allow_encoded {
            assert_eq!(path::is_canonical(path), is_accepted && once == path, "{}", path.escape_ascii());
        }
    }
}

fn fields_text(fields: &Fields, block: &[u8]) -> String {
    let mut text = String::new();
    for field in fields {
        let (name, value) = (field.name.of(block), field.value.of(block));
        assert!(is_name(name) && is_value(value), "{}: {}", name.escape_ascii(), value.escape_ascii());
        text += &format!("{}: {}; ", text_of(field.name, block), text_of(field.value, block));
    }
    text
}

fn text_of(span: Span, block: &[u8]) -> String {
    assert!(span.start <= span.end && span.end as usize <= block.len(), "{span:?} of {}", block.len());
    text_of_bytes(span.of(block))
}

fn text_of_bytes(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
