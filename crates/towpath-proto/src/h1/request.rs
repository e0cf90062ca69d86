//! The server's side: requests in.

use super::body::{BodyDecoder, BodyFault};
use super::fields::{self, Collected, Single, span_of};
use super::framing;
use super::lines::{LineFault, LineScan, Section};
use super::target::{self, Target};
use super::whole;
use super::{Event, FramingFault, HostFault, RequestError, Step, TargetFault};
use crate::authority::{self, Authority};
use crate::field;
use crate::limits::{FIELDS_KEPT_COUNT, HeadLimits};
use crate::message::{Fields, Framing, Method, RequestHead, Span, Version};

/// Decodes the requests of one connection, one after the other.
///
/// ```text
///   ExpectHead --Head--> RecvBody --Data*, Trailers?, End--> ExpectHead
///       |                    |
///       +------- fault ------+--> Failed (for good)
/// ```
///
/// The memory of heads and trailers is kept from request to request. After a fault every call repeats it:
/// nothing behind a refused message is parsed (RFC 9112 §11.2).
#[derive(Clone, Debug)]
pub struct RequestDecoder {
    limits: HeadLimits,
    state: State,
    scan: LineScan,
    /// One empty line before this request has been dropped.
    is_empty_line_dropped: bool,
    head: RequestHead,
    body: BodyDecoder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    ExpectHead,
    RecvBody,
    Failed(RequestError),
}

impl RequestDecoder {
    /// A decoder for a new connection.
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            state: State::ExpectHead,
            scan: LineScan::default(),
            is_empty_line_dropped: false,
            head: RequestHead::default(),
            body: BodyDecoder::default(),
        }
    }

    /// Takes what is in `input`: the bytes not consumed yet, from the first of them. Reports at most one
    /// event. For [`Event::Head`] the spans are relative to `input`, and `consumed` is the length of the head
    /// (with the one empty line that may precede it, RFC 9112 §2.2).
    ///
    /// # Errors
    ///
    /// The request is refused; the connection must be closed after the answer.
    pub fn handle_input(&mut self, input: &[u8]) -> Result<Step, RequestError> {
        let result = match self.state {
            State::ExpectHead => self.handle_head(input),
            State::RecvBody => self.handle_body(input),
            State::Failed(error) => Err(error),
        };
        if let Err(error) = result {
            self.state = State::Failed(error);
        }
        result
    }

    /// Begins a request whose head another codec has judged: `put` puts that in the place of the last one. The body, if
    /// the head says that there is one, follows through [`RequestDecoder::handle_input`] in chunks, whatever length was
    /// declared: trailers may end it. That codec holds it to the length.
    pub fn adopt(&mut self, put: impl FnOnce(&mut RequestHead)) {
        put(&mut self.head);
        self.scan.reset();
        self.is_empty_line_dropped = false;
        self.body.begin_adopted(self.head.framing);
        self.state = State::RecvBody;
    }

    /// The client will send no more.
    ///
    /// # Errors
    ///
    /// [`RequestError::Truncated`] inside a request: one is never ended by closing (RFC 9112 §6.3, T03).
    pub fn handle_eof(&mut self) -> Result<(), RequestError> {
        let is_whole = match self.state {
            State::ExpectHead => !self.scan.has_begun(),
            State::RecvBody => self.body.handle_eof(),
            State::Failed(error) => return Err(error),
        };
        if is_whole {
            return Ok(());
        }
        self.state = State::Failed(RequestError::Truncated);
        Err(RequestError::Truncated)
    }

    /// Gives back what an unusual message made the decoder hold, for a connection that goes idle. The fields
    /// of the last head are gone after it. Heads of up to [`FIELDS_KEPT_COUNT`] fields find their memory
    /// still there.
    pub fn release_excess(&mut self) {
        self.head.fields.release(FIELDS_KEPT_COUNT);
        self.body.release_trailers();
    }

    /// The head last reported. Its spans belong to the input of that call.
    pub fn head(&self) -> &RequestHead {
        &self.head
    }

    /// Exchanges the head last reported for another, whose memory the next one uses.
    pub fn swap_head(&mut self, head: &mut RequestHead) {
        std::mem::swap(&mut self.head, head);
    }

    /// The trailers last reported. Their spans belong to the input of that call.
    pub fn trailers(&self) -> &Fields {
        self.body.trailers()
    }

    /// Whether the last request is complete and no byte of the next head has come.
    pub fn is_between_messages(&self) -> bool {
        self.state == State::ExpectHead && !self.scan.has_begun()
    }

    /// Bytes of the body still to come, when `Content-Length` announced it.
    pub fn body_remaining(&self) -> Option<u64> {
        match self.state {
            State::RecvBody => self.body.remaining(),
            State::ExpectHead | State::Failed(_) => None,
        }
    }

    fn handle_body(&mut self, input: &[u8]) -> Result<Step, RequestError> {
        let step = self.body.handle_input(input, &self.limits)?;
        if step.event == Some(Event::End) {
            self.state = State::ExpectHead;
        }
        Ok(step)
    }

    fn handle_head(&mut self, input: &[u8]) -> Result<Step, RequestError> {
        let skipped = match input {
            // RFC 9112 §2.2: at least one empty line before the request line is ignored. One it is.
            [b'\r', b'\n', ..] if !self.is_empty_line_dropped => 2,
            [b'\r'] if !self.is_empty_line_dropped => return Ok(Step::needs_more(0)),
            _ => 0,
        };
        match input.get(skipped) {
            // No request starts like this; told at once, so that TLS sent to a plain port does not wait for a
            // deadline.
            Some(&byte) if !field::is_token_byte(byte) => return Err(RequestError::RequestLine),
            Some(_) => {}
            None => {
                self.is_empty_line_dropped |= skipped > 0;
                return Ok(Step::needs_more(skipped));
            }
        }
        let consumed = match self.parse_whole_fast(input, skipped) {
            Some(consumed) => consumed,
            None => match self.parse_slow(input, skipped)? {
                Some(consumed) => consumed,
                None => return Ok(Step::needs_more(skipped)),
            },
        };
        self.scan.reset();
        self.is_empty_line_dropped = false;
        self.body.begin(self.head.framing);
        self.state = State::RecvBody;
        Ok(Step::found(consumed, Event::Head))
    }

    /// Takes the head that begins at `start` if all of it is there and nothing about it is unusual; gives where it ends.
    /// Only the first sight of a head is tried, so that one that comes byte by byte is not parsed at each of them.
    fn parse_whole_fast(&mut self, input: &[u8], start: usize) -> Option<usize> {
        if self.scan.has_begun() {
            return None;
        }
        let line = whole::request_line_fast(input, start, &self.limits)?;
        let target = self.take_line(line.method, line.target, line.version, input).ok()?;
        let mut collected = Collected::default();
        let fields = &mut self.head.fields;
        let end = whole::collect_fast(input, line.end, &self.limits, fields, &mut collected)?;
        self.judge(&target, &collected, input).ok()?;
        Some(end)
    }

    /// Takes any head, or says what is wrong with it. `None` when it is not all there.
    #[cold]
    #[inline(never)]
    fn parse_slow(&mut self, input: &[u8], start: usize) -> Result<Option<usize>, RequestError> {
        let Some(head_bytes) = self.scan.find_end(&input[start..], Section::Head, &self.limits)? else {
            self.is_empty_line_dropped |= start > 0;
            return Ok(None);
        };
        let end = start + head_bytes;
        self.parse_head(&input[..end], start)?;
        Ok(Some(end))
    }

    /// Parses the complete head that fills `block` from `start` on.
    fn parse_head(&mut self, block: &[u8], start: usize) -> Result<(), RequestError> {
        let section = &block[start..];
        let mut headers = fields::header_array();
        let mut request = httparse::Request::new(&mut []);
        let room = &mut headers[..self.limits.fields_count()];
        let line = &section[..self.scan.first_line_bytes()];
        match request.parse_with_uninit_headers(section, room) {
            Ok(httparse::Status::Complete(length)) if length == section.len() => {
                self.take_head(&request, block)
            }
            Err(error) => Err(line_fault(line).unwrap_or_else(|| fields::fault_of(error).into())),
            // The section ends in its only empty line, so httparse has no reason to stop early or to want
            // more.
            Ok(_) => Err(RequestError::RequestLine),
        }
    }

    /// Judges what `httparse` found in `block`.
    fn take_head(&mut self, request: &httparse::Request<'_, '_>, block: &[u8]) -> Result<(), RequestError> {
        let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
        else {
            return Err(RequestError::RequestLine);
        };
        let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
        let [method, target] = [method, target].map(|part| span_of(part.as_bytes(), block));
        let target = self.take_line(method, target, version, block)?;
        let collected = fields::collect(request.headers, block, &self.limits, &mut self.head.fields)?;
        self.judge(&target, &collected, block)
    }

    /// Takes the parts of the request line.
    #[inline(always)]
    fn take_line(
        &mut self,
        method: Span,
        target: Span,
        version: Version,
        block: &[u8],
    ) -> Result<Target, TargetFault> {
        let head = &mut self.head;
        head.method = Method::of(method.of(block), method);
        head.version = version;
        let target = target::parse(head.method, target, block)?;
        head.path = target.path;
        head.query = target.query;
        head.path_is_canonical = target.path_is_canonical;
        Ok(target)
    }

    /// Completes the head from its parts, or finds that they contradict each other.
    #[inline(always)]
    fn judge(&mut self, target: &Target, collected: &Collected, block: &[u8]) -> Result<(), RequestError> {
        let head = &mut self.head;
        head.authority = authority_of(target, collected, head.version, block)?;
        // RFC 9112 §6.3 rule 7: a request that declares no length has no body.
        head.framing = framing::declared(collected, head.version, block)?.unwrap_or(Framing::None);
        let has_content = !matches!(head.framing, Framing::None | Framing::Length(0));
        head.keep_alive = collected.connection.is_persistent(head.version);
        head.connection_nominates = collected.connection.nominates;
        head.upgrade = upgrade_of(collected, head.version)?;
        head.expect_continue =
            expects_continue(collected, block)? && has_content && head.version == Version::Http11;
        let may_have_content = match head.method {
            // RFC 9110 §9.3.6: CONNECT has no content; what follows belongs to the tunnel.
            Method::Connect => false,
            // Bytes that are content for one reader and tunnel for another (T06, CVE-2026-69243).
            method => !(method.is_safe() && head.upgrade.is_some()),
        };
        if has_content && !may_have_content {
            return Err(FramingFault::ContentForbidden.into());
        }
        Ok(())
    }
}

/// The one authority of the request (T10).
fn authority_of(
    target: &Target,
    collected: &Collected,
    version: Version,
    block: &[u8],
) -> Result<Option<Span>, HostFault> {
    let host = match collected.host {
        Single::Once(value) => Some(value),
        // RFC 9112 §3.2: 400 for an HTTP/1.1 request without Host, and for any request with more than one.
        Single::Absent if version == Version::Http11 => return Err(HostFault::Missing),
        Single::Absent => None,
        Single::Repeated => return Err(HostFault::Repeated),
    };
    if let Some(host) = host
        && Authority::parse(host.of(block)).is_none()
    {
        return Err(HostFault::Syntax);
    }
    match (target.authority, host) {
        (None, host) => Ok(host),
        (Some(authority), None) => Ok(Some(authority)),
        // RFC 9112 §3.2.2 would let the target win in silence. Somebody behind us may read Host instead, so
        // that both have to say the same.
        (Some(authority), Some(host)) => {
            let is_same = authority::is_same(authority.of(block), host.of(block), target.default_port);
            if is_same { Ok(Some(authority)) } else { Err(HostFault::Mismatch) }
        }
    }
}

/// RFC 9110 §7.8: `Upgrade` counts only if `Connection` nominates it, and is ignored in HTTP/1.0.
fn upgrade_of(collected: &Collected, version: Version) -> Result<Option<Span>, RequestError> {
    match collected.upgrade {
        _ if !collected.connection.upgrade || version == Version::Http10 => Ok(None),
        Single::Absent => Ok(None),
        Single::Once(value) if !value.is_empty() => Ok(Some(value)),
        Single::Once(_) | Single::Repeated => Err(RequestError::Upgrade),
    }
}

/// RFC 9110 §10.1.1: `100-continue` is the only expectation there is; 417 for any other (T05).
pub(crate) fn expects_continue(collected: &Collected, block: &[u8]) -> Result<bool, RequestError> {
    match collected.expect {
        Single::Absent => Ok(false),
        Single::Once(value) if value.of(block).eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Single::Once(_) | Single::Repeated => Err(RequestError::Expectation),
    }
}

/// What is wrong with a request line, if it is the request line (RFC 9112 §3).
#[cold]
fn line_fault(line: &[u8]) -> Option<RequestError> {
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
        return Some(RequestError::RequestLine);
    };
    if !field::is_token(method) || target.is_empty() {
        return Some(RequestError::RequestLine);
    }
    match version {
        b"HTTP/1.1" | b"HTTP/1.0" if target.iter().all(u8::is_ascii_graphic) => None,
        b"HTTP/1.1" | b"HTTP/1.0" => Some(TargetFault::Byte.into()),
        other if is_version(other) => Some(RequestError::Version),
        _ => Some(RequestError::RequestLine),
    }
}

/// Whether this is how a version looks (RFC 9112 §2.3), be it one that is spoken here or not.
pub(crate) fn is_version(bytes: &[u8]) -> bool {
    match bytes.strip_prefix(b"HTTP/") {
        Some([major, b'.', minor]) => major.is_ascii_digit() && minor.is_ascii_digit(),
        _ => false,
    }
}

impl From<BodyFault> for RequestError {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::Chunk(fault) => Self::Chunk(fault),
            BodyFault::Trailers(fault) => Self::Field(fault),
        }
    }
}

impl From<LineFault> for RequestError {
    fn from(fault: LineFault) -> Self {
        match fault {
            LineFault::FirstLineTooLong => Self::RequestLineTooLong,
            LineFault::FirstLineEmpty => Self::RequestLine,
            LineFault::Field(fault) => Self::Field(fault),
        }
    }
}
