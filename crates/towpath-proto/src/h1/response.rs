//! The client's side: responses in.

use super::body::{BodyDecoder, BodyFault};
use super::fields::{self, Collected};
use super::framing;
use super::lines::{LineFault, LineScan, Section};
use super::request::is_version;
use super::whole;
use super::{Event, FieldFault, FramingFault, ResponseError, Step};
use crate::limits::{FIELDS_KEPT_COUNT, HeadLimits};
use crate::message::{Fields, Framing, Method, ResponseHead, Span, Version};

/// Where the status code ends in `HTTP/1.1 200 OK`.
const STATUS_END: usize = 12;

/// Decodes the responses of one connection. [`ResponseDecoder::expect`] says what request the next one
/// answers.
///
/// ```text
///   Idle --expect--> ExpectHead --Head--> RecvBody --Data*, Trailers?, End--> Idle
///                     ^      |               |
///                     +-Interim              +-- fault --> Failed (until `expect`, on a new connection)
/// ```
///
/// After a 101, or a 2xx to CONNECT, the message ends with its head and the bytes that follow belong to the
/// tunnel.
#[derive(Clone, Debug)]
pub struct ResponseDecoder {
    limits: HeadLimits,
    state: State,
    scan: LineScan,
    /// The method of the request that is being answered.
    method: Method,
    /// A byte of the response to that request has come.
    has_begun: bool,
    head: ResponseHead,
    body: BodyDecoder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    ExpectHead,
    RecvBody,
    Failed(ResponseError),
}

impl ResponseDecoder {
    /// A decoder for a new connection, on which no response is due yet.
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            state: State::Idle,
            scan: LineScan::default(),
            method: Method::Get,
            has_begun: false,
            head: ResponseHead::default(),
            body: BodyDecoder::default(),
        }
    }

    /// Gets ready for the response to a request of this method: HEAD and CONNECT change how a response ends.
    /// Forgets whatever was going on before.
    pub fn expect(&mut self, method: Method) {
        self.state = State::ExpectHead;
        self.scan.reset();
        self.method = method;
        self.has_begun = false;
    }

    /// Takes what is in `input`: the bytes not consumed yet, from the first of them. Reports at most one
    /// event.
    ///
    /// # Errors
    ///
    /// The response is refused; the connection must be closed.
    pub fn handle_input(&mut self, input: &[u8]) -> Result<Step, ResponseError> {
        self.has_begun |= !input.is_empty();
        let result = match self.state {
            State::Idle if input.is_empty() => Ok(Step::needs_more(0)),
            // Whoever sends this hopes that it will be taken for the answer to somebody's next request (T07).
            State::Idle => Err(ResponseError::Unsolicited),
            State::ExpectHead => self.handle_head(input),
            State::RecvBody => self.handle_body(input),
            State::Failed(error) => Err(error),
        };
        if let Err(error) = result {
            self.state = State::Failed(error);
        }
        result
    }

    /// Takes a head that another codec has judged: `put` puts it in the place of the last one. The body of a final one, if
    /// it says that there is one, follows through [`ResponseDecoder::handle_input`] in chunks, as that of
    /// [`super::RequestDecoder::adopt`] does. Returns what it is.
    pub fn adopt(&mut self, put: impl FnOnce(&mut ResponseHead)) -> Event {
        put(&mut self.head);
        self.has_begun = true;
        if self.head.status < 200 {
            return Event::Interim;
        }
        self.body.begin_adopted(self.head.framing);
        self.state = State::RecvBody;
        Event::Head
    }

    /// The origin will send no more. Gives [`Event::End`] if that is how this response ends (RFC 9112 §6.3
    /// rule 8), and no event if no response was due.
    ///
    /// # Errors
    ///
    /// [`ResponseError::Truncated`] inside a response, or if one was due and none came.
    pub fn handle_eof(&mut self) -> Result<Step, ResponseError> {
        match self.state {
            State::Idle => Ok(Step::needs_more(0)),
            State::Failed(error) => Err(error),
            State::RecvBody if self.body.handle_eof() => {
                self.state = State::Idle;
                Ok(Step::found(0, Event::End))
            }
            State::ExpectHead | State::RecvBody => {
                self.state = State::Failed(ResponseError::Truncated);
                Err(ResponseError::Truncated)
            }
        }
    }

    /// Gives back what an unusual message made the decoder hold, for a connection that goes idle. The fields
    /// of the last head are gone after it. Heads of up to [`FIELDS_KEPT_COUNT`] fields find their memory
    /// still there.
    pub fn release_excess(&mut self) {
        self.head.fields.release(FIELDS_KEPT_COUNT);
        self.body.release_trailers();
    }

    /// The head last reported, interim or final. Its spans belong to the input of that call.
    pub fn head(&self) -> &ResponseHead {
        &self.head
    }

    /// The trailers last reported. Their spans belong to the input of that call.
    pub fn trailers(&self) -> &Fields {
        self.body.trailers()
    }

    /// Whether no response is due: the last one has ended, or none was expected yet.
    pub fn is_complete(&self) -> bool {
        self.state == State::Idle
    }

    /// Whether a byte of the response has come since [`ResponseDecoder::expect`]. If not, and the connection
    /// ends, a connection gone stale is the likely cause and the request may be replayed.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Bytes of the body still to come, when `Content-Length` announced it.
    pub fn body_remaining(&self) -> Option<u64> {
        match self.state {
            State::RecvBody => self.body.remaining(),
            State::Idle | State::ExpectHead | State::Failed(_) => None,
        }
    }

    fn handle_body(&mut self, input: &[u8]) -> Result<Step, ResponseError> {
        let step = self.body.handle_input(input, &self.limits)?;
        if step.event == Some(Event::End) {
            self.state = State::Idle;
        }
        Ok(step)
    }

    fn handle_head(&mut self, input: &[u8]) -> Result<Step, ResponseError> {
        match input.first() {
            Some(b'H') => {}
            // No response starts otherwise; an empty line before one is allowed to requests only (RFC 9112 §2.2).
            Some(_) => return Err(ResponseError::StatusLine),
            None => return Ok(Step::needs_more(0)),
        }
        let head_bytes = match self.parse_whole_fast(input) {
            Some(head_bytes) => head_bytes,
            None => match self.parse_slow(input)? {
                Some(head_bytes) => head_bytes,
                None => return Ok(Step::needs_more(0)),
            },
        };
        self.scan.reset();
        // RFC 9110 §15.2: any number of 1xx may precede the final response. 101 is final: HTTP/1.1 ends with
        // it.
        if self.head.status < 200 && self.head.status != 101 {
            return Ok(Step::found(head_bytes, Event::Interim));
        }
        self.body.begin(self.head.framing);
        self.state = State::RecvBody;
        Ok(Step::found(head_bytes, Event::Head))
    }

    /// Takes the head if all of it is there and nothing about it is unusual; see the request decoder's.
    fn parse_whole_fast(&mut self, input: &[u8]) -> Option<usize> {
        if self.scan.has_begun() {
            return None;
        }
        let line = whole::status_line_fast(input, &self.limits)?;
        self.head.status = line.status;
        self.head.version = line.version;
        self.head.reason = line.reason;
        let mut collected = Collected::default();
        let fields = &mut self.head.fields;
        let end = whole::collect_fast(input, line.end, &self.limits, fields, &mut collected)?;
        self.judge(&collected, input).ok()?;
        Some(end)
    }

    /// Takes any head, or says what is wrong with it. `None` when it is not all there.
    #[cold]
    #[inline(never)]
    fn parse_slow(&mut self, input: &[u8]) -> Result<Option<usize>, ResponseError> {
        let Some(head_bytes) = self.scan.find_end(input, Section::Head, &self.limits)? else {
            return Ok(None);
        };
        self.parse_head(&input[..head_bytes])?;
        Ok(Some(head_bytes))
    }

    /// Parses the complete head that fills `block`.
    fn parse_head(&mut self, block: &[u8]) -> Result<(), ResponseError> {
        let mut headers = fields::header_array();
        let mut response = httparse::Response::new(&mut []);
        let room = &mut headers[..self.limits.fields_count()];
        let config = httparse::ParserConfig::default();
        match config.parse_response_with_uninit_headers(&mut response, block, room) {
            Ok(httparse::Status::Complete(length)) if length == block.len() => {
                self.take_head(&response, block)
            }
            Err(error) => Err(head_fault(error, block)),
            // The section ends in its only empty line, so httparse has no reason to stop early or to want
            // more.
            Ok(_) => Err(ResponseError::StatusLine),
        }
    }

    /// Judges what `httparse` found in `block`.
    fn take_head(
        &mut self,
        response: &httparse::Response<'_, '_>,
        block: &[u8],
    ) -> Result<(), ResponseError> {
        let (Some(status), Some(minor)) = (response.code, response.version) else {
            return Err(ResponseError::StatusLine);
        };
        // RFC 9110 §15: a status code is 100 to 599. Higher ones are in use and harmless, lower ones are not.
        if status < 100 {
            return Err(ResponseError::StatusLine);
        }
        self.head.status = status;
        self.head.version = if minor == 0 { Version::Http10 } else { Version::Http11 };
        self.head.reason = reason_span(block, self.scan.first_line_bytes());
        let collected = fields::collect(response.headers, block, &self.limits, &mut self.head.fields)?;
        self.judge(&collected, block)
    }

    /// Decides how the response ends, in the order of RFC 9112 §6.3.
    #[inline(always)]
    fn judge(&mut self, collected: &Collected, block: &[u8]) -> Result<(), ResponseError> {
        let head = &mut self.head;
        let declared = framing::declared(collected, head.version, block)?;
        head.framing = match (head.status, self.method) {
            // RFC 9112 §6.1 and RFC 9110 §8.6: neither field may be there. A zero length is a common slip
            // without consequence; anything else leaves it open whether content follows.
            (100..200 | 204, _) => match declared {
                None | Some(Framing::Length(0)) => Framing::None,
                Some(_) => return Err(FramingFault::ContentForbidden.into()),
            },
            // Rule 1: what the fields say is about a response that is not sent.
            (304, _) | (_, Method::Head) => Framing::None,
            // Rule 2, RFC 9110 §9.3.6: the tunnel starts behind the head, whatever the fields say.
            (200..300, Method::Connect) => Framing::None,
            // Rule 8: nothing declared, so that closing is the end.
            _ => declared.unwrap_or(Framing::Close),
        };
        head.keep_alive = collected.connection.is_persistent(head.version) && head.framing != Framing::Close;
        head.connection_nominates = collected.connection.nominates;
        Ok(())
    }
}

/// The reason phrase in a status line of this length: what follows the status code and its space. httparse
/// has checked the line, and lets the space be missing where the phrase is empty, as many servers do.
fn reason_span(block: &[u8], line_bytes: usize) -> Span {
    let start = if block.get(STATUS_END) == Some(&b' ') { STATUS_END + 1 } else { STATUS_END };
    Span::new(start as u32, line_bytes.max(start) as u32)
}

/// What a fault of `httparse` means, looking at the status line (RFC 9112 §4).
#[cold]
fn head_fault(error: httparse::Error, block: &[u8]) -> ResponseError {
    match error {
        httparse::Error::Version if names_other_version(block) => ResponseError::Version,
        httparse::Error::Version | httparse::Error::Status => ResponseError::StatusLine,
        other => ResponseError::Field(fields::fault_of(other)),
    }
}

/// Whether the line starts with a version that is not spoken here.
fn names_other_version(block: &[u8]) -> bool {
    block
        .get(..8)
        .is_some_and(|version| is_version(version) && version != b"HTTP/1.1" && version != b"HTTP/1.0")
}

impl From<BodyFault> for ResponseError {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::Chunk(fault) => Self::Chunk(fault),
            BodyFault::Trailers(fault) => Self::Field(fault),
        }
    }
}

impl From<LineFault> for ResponseError {
    fn from(fault: LineFault) -> Self {
        match fault {
            LineFault::FirstLineTooLong => Self::Field(FieldFault::LineTooLong),
            LineFault::FirstLineEmpty => Self::StatusLine,
            LineFault::Field(fault) => Self::Field(fault),
        }
    }
}
