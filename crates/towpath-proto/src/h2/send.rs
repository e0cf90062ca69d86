//! Messages out.
//!
//! A head is written by a closure that is given a [`FieldWriter`]: the frame around it, and its cut into CONTINUATION
//! frames where it is long, are not the caller's business. Nothing is appended for a head that fails.

use super::connection::Connection;
use super::frame::{self, END_HEADERS, END_STREAM, HEAD_BYTES, Kind};
use super::hpack::Encoder;
use super::stream::{Answers, Send, Stream};
use super::{Role, SendError, StreamId};
use crate::authority::Authority;
use crate::field;
use crate::message::{Field, Known, Method, Span};

/// The scheme of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

/// What stands in the pseudo-header fields of a request (RFC 9113 §8.3.1).
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, a token.
    pub method: &'a [u8],
    /// The scheme; CONNECT without `protocol` sends none.
    pub scheme: Scheme,
    /// Host and optional port. Stands for `Host`, which is left out of the fields.
    pub authority: &'a [u8],
    /// The path, starting with `/`, or `*` for OPTIONS; CONNECT without `protocol` sends none.
    pub path: &'a [u8],
    /// What follows `?`.
    pub query: Option<&'a [u8]>,
    /// The protocol of an extended CONNECT (RFC 8441 §4). The peer has to accept it:
    /// [`super::PeerSettings::accepts_connect_protocol`].
    pub protocol: Option<&'a [u8]>,
}

/// Takes the fields of one head or of trailers.
///
/// Names may be in any case and are sent in lower case (RFC 9113 §8.2). Fields that HTTP/2 has no place for are left
/// out, because they speak about a connection of HTTP/1.1 (§8.2.2) or are said otherwise: `Host`, and `TE` other than
/// `trailers`.
#[derive(Debug)]
pub struct FieldWriter<'a> {
    encoder: &'a mut Encoder,
    scratch: &'a mut Vec<u8>,
    out: &'a mut Vec<u8>,
    is_valid: bool,
}

impl FieldWriter<'_> {
    /// Appends a field. A name or value that may not be sent fails the whole head with [`SendError::Field`] (T17, T43).
    ///
    /// What is secret is kept out of compression tables (RFC 7541 §7.1.3): credentials and cookies.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        self.field_as(name, value, false);
    }

    /// As [`FieldWriter::field`]; with `never_index`, which is [`crate::message::Field::never_index`], for a field
    /// whose sender wants it in no table (RFC 7541 §6.2.3).
    pub fn field_as(&mut self, name: &[u8], value: &[u8], never_index: bool) {
        self.field_known(Known::of(name), name, value, never_index);
    }

    /// Appends a field of another message, whose block this is.
    pub fn copied(&mut self, field: &Field, block: &[u8]) {
        self.field_known(field.known, field.name.of(block), field.value.of(block), field.never_index);
    }

    fn field_known(&mut self, known: Known, name: &[u8], value: &[u8], never_index: bool) {
        if !field::is_name(name) || !field::is_value(value) {
            self.is_valid = false;
            return;
        }
        if is_left_out(known, value) {
            return;
        }
        self.scratch.clear();
        self.scratch.extend(name.iter().map(u8::to_ascii_lowercase));
        let never_index = never_index || is_secret(self.scratch);
        self.encoder.field(self.scratch, value, never_index, self.out);
    }

    fn pseudo(&mut self, name: &str, value: &[u8]) {
        self.encoder.field(name.as_bytes(), value, false, self.out);
    }
}

fn is_left_out(known: Known, value: &[u8]) -> bool {
    match known {
        Known::Connection
        | Known::KeepAlive
        | Known::ProxyConnection
        | Known::TransferEncoding
        | Known::Upgrade
        | Known::Host => true,
        Known::Te => !value.eq_ignore_ascii_case(b"trailers"),
        _ => false,
    }
}

fn is_secret(name: &[u8]) -> bool {
    matches!(name, b"authorization" | b"proxy-authorization" | b"cookie" | b"set-cookie")
}

impl Connection {
    /// A client's only: opens a stream and appends the head of a request to `out`. With `end` the request is complete.
    ///
    /// # Errors
    ///
    /// [`SendError::Unavailable`] when [`Connection::can_open`] says no, or for an extended CONNECT that the peer does
    /// not take; [`SendError::Field`] when a part of the request cannot be sent.
    pub fn encode_request(
        &mut self,
        request: &Request<'_>,
        end: bool,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut FieldWriter<'_>),
    ) -> Result<StreamId, SendError> {
        debug_assert!(self.role == Role::Client, "a server opens no stream");
        let is_understood = request.protocol.is_none() || self.peer.accepts_connect_protocol;
        let Some(id) = self.streams.next().filter(|_| self.can_open() && is_understood) else {
            return Err(SendError::Unavailable);
        };
        if !is_sound(request) {
            return Err(SendError::Field);
        }
        let mut target = std::mem::take(&mut self.target);
        join_target(request, &mut target);
        let result = self.encode_block(id, end, out, |fields| {
            encode_pseudo(request, &target, fields);
            write(fields);
        });
        self.target = target;
        result.map(|()| self.add_asked(id, request, end))
    }

    fn add_asked(&mut self, id: u32, request: &Request<'_>, end: bool) -> StreamId {
        self.streams.open(id);
        let stream = Stream::new(id, self.config.stream_window(), self.peer.stream_window_bytes);
        let stream = self.streams.add(stream);
        stream.send = if end { Send::Ended } else { Send::ExpectBody };
        stream.answers = answers_of(request.method);
        StreamId(id)
    }

    /// A server's only: appends the head of a response to `out`. A `status` below 200 is an interim one, which never
    /// ends the stream; with `end` any other response is complete.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the stream was reset or never was, [`SendError::Order`] after a head, or for an
    /// interim response that ends or is 101, [`SendError::Field`] for a field that cannot be sent.
    pub fn encode_response(
        &mut self,
        stream: StreamId,
        status: u16,
        end: bool,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut FieldWriter<'_>),
    ) -> Result<(), SendError> {
        let is_interim = status < 200;
        self.expect_send(stream, Send::ExpectHead)?;
        // RFC 9113 §8.1, §8.6.
        if (is_interim && end) || status == 101 || !(100..=999).contains(&status) {
            return Err(SendError::Order);
        }
        let digit = |divisor: u16| b'0' + (status / divisor % 10) as u8;
        self.encode_block(stream.0, end, out, |fields| {
            fields.pseudo(":status", &[digit(100), digit(10), digit(1)]);
            write(fields);
        })?;
        if !is_interim {
            self.sent(stream, end);
        }
        Ok(())
    }

    /// Appends trailers, which complete the message.
    ///
    /// # Errors
    ///
    /// As [`Connection::encode_response`]; [`SendError::Order`] before the head.
    pub fn encode_trailers(
        &mut self,
        stream: StreamId,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut FieldWriter<'_>),
    ) -> Result<(), SendError> {
        self.expect_send(stream, Send::ExpectBody)?;
        self.encode_block(stream.0, true, out, write)?;
        self.sent(stream, true);
        Ok(())
    }

    /// How many bytes one DATA frame on this stream may hold now: the least of both windows and the peer's largest
    /// frame. Zero when the stream cannot send, or has to wait; then [`super::Event::WindowOpen`] says when it can go
    /// on.
    pub fn send_data_len_max(&mut self, stream: StreamId) -> usize {
        let connection = self.send_window.available();
        let Some(live) = self.streams.get_mut(stream.0).filter(|live| live.send == Send::ExpectBody) else {
            return 0;
        };
        let own = live.send_window.available();
        live.wants_window |= own == 0;
        self.wants_window |= own > 0 && connection == 0;
        own.min(connection).min(self.peer.frame_bytes_max)
    }

    /// Appends one DATA frame. With `end` the message is complete; an empty frame that does not end it is not sent.
    ///
    /// # Errors
    ///
    /// [`SendError::Window`] for more than [`Connection::send_data_len_max`]; else as [`Connection::encode_trailers`].
    pub fn encode_data(
        &mut self,
        stream: StreamId,
        data: &[u8],
        end: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.encode_data_head(stream, data.len(), end, out)?;
        out.extend_from_slice(data);
        Ok(())
    }

    /// Appends the head of a DATA frame only. `length` bytes of data have to follow it on the wire, out of the caller's
    /// own buffer.
    ///
    /// # Errors
    ///
    /// As [`Connection::encode_data`].
    pub fn encode_data_head(
        &mut self,
        stream: StreamId,
        length: usize,
        end: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.expect_send(stream, Send::ExpectBody)?;
        if length > 0 && length > self.send_data_len_max(stream) {
            return Err(SendError::Window);
        }
        self.poll_output(out);
        if length == 0 && !end {
            return Ok(());
        }
        let flags = if end { END_STREAM } else { 0 };
        frame::encode_head(length, Kind::Data, flags, stream.0, out);
        self.send_window.take(length);
        if let Some(live) = self.streams.get_mut(stream.0) {
            live.send_window.take(length);
        }
        self.sent(stream, end);
        // The peer may open both windows for it, and more often for a large one.
        self.budget.earn(2 + (length / 1024) as u32);
        Ok(())
    }

    fn expect_send(&self, stream: StreamId, expected: Send) -> Result<(), SendError> {
        match self.streams.get(stream.0).map(|live| live.send) {
            None | Some(Send::Ended) => Err(SendError::Closed),
            Some(send) if send == expected => Ok(()),
            Some(_) => Err(SendError::Order),
        }
    }

    fn sent(&mut self, stream: StreamId, end: bool) {
        if let Some(live) = self.streams.get_mut(stream.0) {
            live.send = if end { Send::Ended } else { Send::ExpectBody };
        }
    }

    /// Appends a header block in as many frames as it needs.
    fn encode_block(
        &mut self,
        id: u32,
        end: bool,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut FieldWriter<'_>),
    ) -> Result<(), SendError> {
        self.poll_output(out);
        let start = out.len();
        let encoder_before = self.encoder.clone();
        out.extend_from_slice(&[0; HEAD_BYTES]);
        self.encoder.begin(out);
        let (encoder, scratch) = (&mut self.encoder, &mut self.scratch);
        let mut fields = FieldWriter { encoder, scratch, out, is_valid: true };
        write(&mut fields);
        if !fields.is_valid {
            out.truncate(start);
            self.encoder = encoder_before;
            return Err(SendError::Field);
        }
        self.frame_block(id, end, start, out);
        self.budget.earn(1);
        Ok(())
    }

    /// Puts the frame heads where they belong: one in the room that was left for it, for nearly every block.
    fn frame_block(&self, id: u32, end: bool, start: usize, out: &mut Vec<u8>) {
        let end_stream = if end { END_STREAM } else { 0 };
        let length = out.len() - start - HEAD_BYTES;
        let length_max = self.peer.frame_bytes_max;
        if length <= length_max {
            let head = frame::head_of(length, Kind::Headers, END_HEADERS | end_stream, id);
            out[start..start + HEAD_BYTES].copy_from_slice(&head);
            return;
        }
        let block = out.split_off(start + HEAD_BYTES);
        out.truncate(start);
        let (first, rest) = block.split_at(length_max);
        frame::encode_head(first.len(), Kind::Headers, end_stream, id, out);
        out.extend_from_slice(first);
        let mut pieces = rest.chunks(length_max).peekable();
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            frame::encode_head(piece.len(), Kind::Continuation, flags, id, out);
            out.extend_from_slice(piece);
        }
    }
}

/// Whether every part of the request can be sent, and all of them together (T17).
fn is_sound(request: &Request<'_>) -> bool {
    let is_connect = request.method == b"CONNECT";
    let is_asterisk = request.method == b"OPTIONS" && request.path == b"*" && request.query.is_none();
    let has_path = request.path.starts_with(b"/") || is_asterisk;
    let is_graphic = |part: &[u8]| part.iter().all(u8::is_ascii_graphic);
    field::is_token(request.method)
        && Authority::parse(request.authority).is_some()
        && request.protocol.is_none_or(|protocol| is_connect && field::is_token(protocol))
        && (is_bare_connect(request) || has_path)
        && is_graphic(request.path)
        && request.query.is_none_or(is_graphic)
}

/// CONNECT for a tunnel, which has neither scheme nor path (RFC 9113 §8.5).
fn is_bare_connect(request: &Request<'_>) -> bool {
    request.method == b"CONNECT" && request.protocol.is_none()
}

/// Path and query in one piece.
fn join_target(request: &Request<'_>, target: &mut Vec<u8>) {
    target.clear();
    target.extend_from_slice(request.path);
    if let Some(query) = request.query {
        target.push(b'?');
        target.extend_from_slice(query);
    }
}

/// RFC 9113 §8.3: before all other fields.
fn encode_pseudo(request: &Request<'_>, target: &[u8], fields: &mut FieldWriter<'_>) {
    fields.pseudo(":method", request.method);
    if !is_bare_connect(request) {
        let scheme: &[u8] = match request.scheme {
            Scheme::Http => b"http",
            Scheme::Https => b"https",
        };
        fields.pseudo(":scheme", scheme);
        fields.pseudo(":path", target);
    }
    fields.pseudo(":authority", request.authority);
    if let Some(protocol) = request.protocol {
        fields.pseudo(":protocol", protocol);
    }
}

fn answers_of(method: &[u8]) -> Answers {
    match Method::of(method, Span::default()) {
        Method::Head => Answers::Head,
        Method::Connect => Answers::Connect,
        _ => Answers::Other,
    }
}
