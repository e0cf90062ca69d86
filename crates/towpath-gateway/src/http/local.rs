//! Answers of the gateway's own: fixed responses, redirections, files, refusals.

use std::rc::Rc;
use std::time::SystemTime;

use towpath::files::{self, FileBody, FileQuery, FileRequest, Part, Refusal};
use towpath_net::sendfile;
use towpath_proto::h1::encode;
use towpath_proto::message::{Framing, Method, Version};
use towpath_telemetry::accesslog::Record;
use towpath_telemetry::metrics::CloseReason;
use towpath_traffic::route::Miss;

use super::exchange::{Request, Tally, take_arrived_body, with_view};
use super::heads::{EitherSink, FieldSink, PSEUDONYM, encode_edits, encode_length, encode_persistence};
use super::pump::{Stop, fill, write_all};
use super::{After, Busy, Session, Workspace, grpc};
use crate::error::Reason;

use crate::http2::{Lane, lines_of};
use crate::plan::{Action, HeaderEdits, Redirect, Respond, Route};
use towpath_net::buffer::Buffer;

/// How much of an unread request body is worth reading so that the connection can be kept. What is larger costs more
/// than a new connection.
const DRAIN_BYTES_MAX: u64 = 64 * 1024;

impl Session<'_> {
    pub(super) async fn answer_locally(
        &mut self,
        request: &mut Request,
        route: &Route,
        work: &mut Workspace,
        tally: &mut Tally,
    ) -> Result<After, Reason> {
        self.drain_body(request, work).await?;
        match &route.action {
            Action::Respond(respond) => self.respond(request, route, respond, work, tally).await,
            Action::Redirect(redirect) => {
                let mut location = Vec::new();
                let captures = request.plan.router.table.captures(request.route, &work.path);
                redirect.to.expand(&captures, &mut location);
                self.redirect(request, route, redirect, &location, work, tally).await
            }
            Action::Files(root) => self.send_files(request, route, root, work, tally).await,
            Action::Upstream(_) | Action::Split(_) => Err(Reason::Internal),
        }
    }

    /// Reads a small body that nobody wants; leaves `body_complete` false when it is not worth it.
    async fn drain_body(&mut self, request: &mut Request, work: &mut Workspace) -> Result<(), Reason> {
        let plan = Rc::clone(&request.plan);
        let settings = &plan.settings;
        let is_small = match request.facts.framing {
            Framing::None => return Ok(()),
            Framing::Length(length) => length <= DRAIN_BYTES_MAX,
            Framing::Chunked | Framing::Close => true,
        };
        // A client that waits for 100 sends nothing before our answer, and may send nothing behind it (T05).
        if !is_small || request.facts.expects_continue {
            request.keep_alive = false;
            return Ok(());
        }
        while request.body_received <= DRAIN_BYTES_MAX {
            take_arrived_body(request, settings.body_bytes_max, work)?;
            if request.body_complete {
                work.body.clear();
                return Ok(());
            }
            self.clock.arm(settings.body_idle_timeout);
            let mut reader = self.client.reader();
            match fill(&mut reader, &mut work.input, &self.worker.buffers, &self.clock).await {
                Ok(0) | Err(Stop::Io) => return Err(Reason::ClientGone),
                Ok(_) => {}
                Err(Stop::Expired) => return Err(Reason::BodyTimeout),
            }
        }
        work.body.clear();
        request.keep_alive = false;
        Ok(())
    }

    async fn respond(
        &mut self,
        request: &mut Request,
        route: &Route,
        respond: &Respond,
        work: &mut Workspace,
        tally: &mut Tally,
    ) -> Result<After, Reason> {
        let fields = respond.headers.iter().map(|(name, value)| (&**name, &**value));
        let own = Own { status: respond.status, body: &respond.body, edits: Some(&route.response_headers) };
        self.send_own(request, own, fields, work, tally).await
    }

    async fn redirect(
        &mut self,
        request: &mut Request,
        route: &Route,
        redirect: &Redirect,
        location: &[u8],
        work: &mut Workspace,
        tally: &mut Tally,
    ) -> Result<After, Reason> {
        // A capture is a piece of a canonical path, so it cannot hold a byte that a value may not (T43).
        if !towpath_proto::field::is_value(location) {
            return Err(Reason::BadPath);
        }
        let own = Own { status: redirect.status, body: b"", edits: Some(&route.response_headers) };
        self.send_own(request, own, [(&b"location"[..], location)], work, tally).await
    }

    /// Writes a response whose body is at hand.
    async fn send_own<'f>(
        &mut self,
        request: &mut Request,
        own: Own<'_>,
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
        work: &mut Workspace,
        tally: &mut Tally,
    ) -> Result<After, Reason> {
        request.keep_alive &= request.body_complete;
        let has_body = request.facts.method != Method::Head && own.status != 204 && own.status != 304;
        let body = if has_body { own.body } else { b"" };
        tally.status = own.status;
        tally.bytes_out = body.len() as u64;
        let edits = own.edits.filter(|edits| !edits.is_empty());
        let begun = self.begin_own(request, own.status, !body.is_empty(), &mut work.response, |out| {
            for (name, value) in fields {
                if !edits.is_some_and(|edits| edits.removes(name)) {
                    out.field(name, value);
                }
            }
            edits.into_iter().for_each(|edits| encode_edits(edits, out));
            // RFC 9110 §8.6: 204 has no Content-Length; a response to HEAD has that of the body it leaves out.
            if own.status != 204 && own.status != 304 {
                encode_length(own.body.len() as u64, out);
            }
        });
        if begun.is_err() {
            return Ok(self.gone(Reason::ClientGone, CloseReason::Reset, tally));
        }
        self.client.lane().into_iter().for_each(Lane::expect_end);
        let write_idle = request.plan.settings.write_idle_timeout;
        self.clock.arm(write_idle);
        let mut writer = self.client.writer();
        let written = write_all(&mut writer, [&work.response, body, &[]], write_idle, &self.clock).await;
        match written.and_then(|()| self.client.end(b"")) {
            Ok(()) => Ok(after_own(request)),
            Err(Stop::Expired) => Ok(self.gone(Reason::ClientWriteTimeout, CloseReason::Timeout, tally)),
            Err(Stop::Io) => Ok(self.gone(Reason::ClientGone, CloseReason::Reset, tally)),
        }
    }

    /// Writes the head of an answer of our own: into `text`, or at once to a client of HTTP/2.
    fn begin_own(
        &self,
        request: &Request,
        status: u16,
        has_body: bool,
        text: &mut Vec<u8>,
        write: impl FnOnce(&mut EitherSink<'_, '_>),
    ) -> Result<(), Stop> {
        let write_all = |mut out: EitherSink<'_, '_>| {
            out.field(b"server", PSEUDONYM);
            out.field(b"date", &self.worker.date());
            write(&mut out);
            encode_persistence(request.keep_alive, request.facts.version, &mut out);
        };
        text.clear();
        if let Some(lane) = self.client.lane() {
            let sent = lane.respond(status, !has_body, |fields| write_all(EitherSink::Block(fields)));
            return sent.map_err(|_| Stop::Io);
        }
        encode::status_line(text, status);
        write_all(EitherSink::Text(text));
        text.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn gone(&self, reason: Reason, close: CloseReason, tally: &mut Tally) -> After {
        tally.reason = Some(reason);
        After::Close(close)
    }

    /// A request that failed before the client saw anything of an answer.
    pub(super) async fn refuse(
        &mut self,
        request: &mut Request,
        reason: Reason,
        work: &mut Workspace,
        tally: &mut Tally,
    ) -> After {
        tally.reason = Some(reason);
        if reason == Reason::ClientGone {
            tally.status = reason.status();
            return After::Close(CloseReason::Reset);
        }
        // What the client got wrong leaves the rest of its bytes without a meaning we could trust (T01).
        if reason.side() == crate::error::Side::Downstream {
            request.keep_alive = false;
        }
        self.clock.cap(None);
        if request.facts.is_grpc {
            return self.refuse_call(request, reason, work, tally).await;
        }
        let status = reason.status();
        let body = format!("{status} {}: {reason}\n", encode::reason_phrase(status));
        let proxy_status = reason.proxy_status();
        let allow = if status == 405 { self.allowed(request, work) } else { String::new() };
        // RFC 9110 §15.5.16.
        let accepted = if reason == Reason::UnknownContentCoding { "zstd, br, gzip" } else { "" };
        let fields = [
            (&b"content-type"[..], &b"text/plain; charset=utf-8"[..]),
            (b"proxy-status", proxy_status.as_bytes()),
            (b"allow", allow.as_bytes()),
            (b"accept-encoding", accepted.as_bytes()),
        ];
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
        let own = Own { status, body: body.as_bytes(), edits: None };
        self.send_own(request, own, fields, work, tally).await.unwrap_or(After::Close(CloseReason::Error))
    }

    /// The same for a gRPC call: its clients look at nothing but the status of their own, which is in the head of an
    /// answer without a body.
    async fn refuse_call(
        &mut self,
        request: &mut Request,
        reason: Reason,
        work: &mut Workspace,
        tally: &mut Tally,
    ) -> After {
        let status = grpc::status_of(reason).to_string();
        let media_type =
            request.facts.web_answer.map_or(grpc::MEDIA_TYPE, |format| format.media_type().as_bytes());
        let proxy_status = reason.proxy_status();
        let fields = [
            (&b"content-type"[..], media_type),
            (b"proxy-status", proxy_status.as_bytes()),
            (b"grpc-status", status.as_bytes()),
            (b"grpc-message", reason.code().as_bytes()),
        ];
        let own = Own { status: 200, body: b"", edits: None };
        self.send_own(request, own, fields, work, tally).await.unwrap_or(After::Close(CloseReason::Error))
    }

    /// The methods some route would have taken (RFC 9110 §15.5.6).
    fn allowed(&self, request: &Request, work: &Workspace) -> String {
        let head = work.requests.head();
        let block = work.input.as_ref().map_or(&[][..], Buffer::unread);
        match with_view(head, block, &work.path, |view| request.plan.router.table.miss(view)) {
            Miss::Method { allow } => allow.join(", "),
            Miss::NoRoute => String::new(),
        }
    }

    /// A head that is none: there is no request to speak of, and nothing behind it can be trusted.
    pub(super) async fn refuse_head(&mut self, reason: Reason, answers: bool, busy: &mut Busy) -> After {
        if !answers {
            self.worker.counters().refuse(reason.index() as u8);
            let close = if reason == Reason::HeaderTimeout { CloseReason::Idle } else { CloseReason::Reset };
            return After::Close(close);
        }
        let facts = super::Facts { version: Version::Http11, ..super::Facts::default() };
        let mut request = Request::new(facts, self.listener.plan(), 0, self.clock.now());
        (request.body_complete, request.keep_alive) = (false, false);
        let mut tally = Tally::default();
        let after = self.refuse(&mut request, reason, &mut busy.work, &mut tally).await;
        self.account(&request, &tally, &busy.work);
        match after {
            After::Close(CloseReason::Finished) | After::KeepAlive => After::Linger,
            after => after,
        }
    }

    async fn send_files(
        &mut self,
        request: &mut Request,
        route: &Route,
        root: &std::sync::Arc<crate::plan::Files>,
        work: &mut Workspace,
        tally: &mut Tally,
    ) -> Result<After, Reason> {
        let block = work.input.as_ref().map_or(&[][..], Buffer::unread);
        let asked = FileRequest {
            method: work.requests.head().method,
            fields: &work.requests.head().fields,
            block,
            path: &work.path,
            query: request.facts.query.map(|span| span.of(block)),
            now: SystemTime::now(),
        };
        let query = FileQuery::from_request(&asked);
        // What the page cache holds is answered here; only a wait for a disk leaves the worker.
        let answer = match files::answer_cached(root, &query) {
            Some(answer) => answer,
            None => {
                let root = std::sync::Arc::clone(root);
                let answered = tokio::task::spawn_blocking(move || files::answer(&root, &query)).await;
                answered.map_err(|_| Reason::Internal)?
            }
        };
        tally.reason = answer.refusal.map(reason_of);
        tally.status = answer.status;
        tally.bytes_out = answer.body.len();
        request.keep_alive &= request.body_complete;
        let has_body = answer.body.len() > 0;
        let begun = self.begin_own(request, answer.status, has_body, &mut work.response, |out| {
            lines_of(&answer.head).for_each(|(name, value)| out.field(name, value));
            encode_edits(&route.response_headers, out);
        });
        let sent = match begun {
            Ok(()) => self.send_file_body(request, work, &answer.body).await,
            Err(stop) => Err(write_failed(stop)),
        };
        match sent.and_then(|()| self.client.end(b"").map_err(write_failed)) {
            Ok(()) => Ok(after_own(request)),
            Err(Reason::ClientGone) => Ok(self.gone(Reason::ClientGone, CloseReason::Reset, tally)),
            Err(reason) => Ok(self.gone(reason, CloseReason::Error, tally)),
        }
    }

    async fn send_file_body(
        &mut self,
        request: &Request,
        work: &Workspace,
        body: &FileBody,
    ) -> Result<(), Reason> {
        let write_idle = request.plan.settings.write_idle_timeout;
        self.clock.arm(write_idle);
        let at_hand = if let FileBody::Bytes(bytes) = body { &bytes[..] } else { b"" };
        let parts = [&work.response[..], at_hand, &[]];
        let mut writer = self.client.writer();
        write_all(&mut writer, parts, write_idle, &self.clock).await.map_err(write_failed)?;
        match body {
            FileBody::None | FileBody::Bytes(_) => Ok(()),
            FileBody::File { file, offset, len } => self.send_slice(request, file, *offset, *len).await,
            FileBody::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::Bytes(bytes) => {
                            let parts = [&bytes[..], &[], &[]];
                            let mut writer = self.client.writer();
                            let written = write_all(&mut writer, parts, write_idle, &self.clock).await;
                            written.map_err(write_failed)?;
                        }
                        Part::File { file, offset, len } => {
                            self.send_slice(request, file, *offset, *len).await?;
                        }
                    }
                }
                Ok(())
            }
        }
    }

    async fn send_slice(
        &mut self,
        request: &Request,
        file: &std::fs::File,
        offset: u64,
        len: u64,
    ) -> Result<(), Reason> {
        let write_idle = request.plan.settings.write_idle_timeout;
        let clock = &self.clock;
        let progress = |_| {
            clock.look();
            clock.arm(write_idle);
        };
        let mut writer = self.client.writer();
        let sent = match writer.as_tcp() {
            Some(stream) => clock.limit(sendfile::send_all(stream, file, offset, len, progress)).await,
            None => {
                let mut buffer = self.worker.buffers.take();
                let room = buffer.room();
                let copy = sendfile::copy_all(&mut writer, file, offset, len, room, progress);
                let sent = clock.limit(copy).await;
                self.worker.buffers.give(buffer);
                sent
            }
        };
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(Reason::FileTruncated),
            Ok(Err(_)) => Err(Reason::ClientGone),
            Err(_) => Err(Reason::ClientWriteTimeout),
        }
    }

    /// Writes the request down: counters always, a line if there is a log.
    pub(super) fn account(&self, request: &Request, tally: &Tally, work: &Workspace) {
        let worker = self.worker;
        let duration_us = (self.clock.now() - request.started).as_micros() as u64;
        if let Some(reason) = tally.reason {
            worker.counters().refuse(reason.index() as u8);
        }
        let router = &request.plan.router;
        if let Some(counters) = tally.route.and_then(|route| router.counters.get(route)) {
            let counters = counters.get(worker.index());
            counters.record(tally.status, duration_us, request.body_received, tally.bytes_out);
        }
        if worker.wants_log() {
            self.write_line(request, tally, work, duration_us);
        }
    }

    #[cold]
    fn write_line(&self, request: &Request, tally: &Tally, work: &Workspace, duration_us: u64) {
        let block = work.input.as_ref().map_or(&[][..], Buffer::unread);
        let peer = self.peer.to_canonical().to_string();
        let facts = &request.facts;
        let text = |span: Option<towpath_proto::message::Span>| span.map(|span| span.of(block));
        let route = tally.route.and_then(|route| request.plan.router.routes.get(route));
        // A head that was refused has no method or path to tell.
        let is_known = request.held > 0;
        let upstream = tally.endpoint.and_then(|_| request.upstream());
        let endpoint = tally.endpoint.and_then(|index| upstream?.endpoints.get(index));
        let secured = self.client.secured();
        self.worker.log(|| Record {
            time_unix_ms: worker_time_unix_ms(),
            remote_addr: Some(peer.as_bytes()),
            method: is_known.then(|| facts.method.of_block(block)),
            host: text(facts.authority),
            path: is_known.then(|| facts.path.of(block)),
            query: text(facts.query),
            version: is_known.then_some(match facts.version {
                Version::Http10 => b"HTTP/1.0",
                Version::Http11 => b"HTTP/1.1",
                Version::Http2 => b"HTTP/2.0",
            }),
            status: tally.status,
            bytes_in: request.body_received,
            bytes_out: tally.bytes_out,
            duration_us,
            upstream: upstream.map(|upstream| upstream.name.as_bytes()),
            endpoint: endpoint.map(|endpoint| endpoint.name.as_bytes()),
            route: route.map(|route| route.name.as_bytes()),
            listener: Some(request.plan.name.as_bytes()),
            reason: tally.reason.map(|reason| reason.code().as_bytes()),
            request_id: text(facts.request_id),
            referer: text(facts.referer),
            user_agent: text(facts.user_agent),
            tls: secured.map(|secured| secured.version.as_bytes()),
            tls_cipher: secured.map(|secured| secured.cipher.as_bytes()),
            sni: secured.and_then(|secured| secured.server_name.as_deref()).map(str::as_bytes),
            client_identity: secured.and_then(|secured| secured.identity.as_deref()).map(str::as_bytes),
        });
    }
}

/// A response of our own.
struct Own<'a> {
    status: u16,
    body: &'a [u8],
    edits: Option<&'a HeaderEdits>,
}

fn after_own(request: &Request) -> After {
    if request.keep_alive { After::KeepAlive } else { request.after_close() }
}

fn write_failed(stop: Stop) -> Reason {
    match stop {
        Stop::Expired => Reason::ClientWriteTimeout,
        Stop::Io => Reason::ClientGone,
    }
}

fn worker_time_unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// How the log and the counters call a refusal.
fn reason_of(refusal: Refusal) -> Reason {
    Reason::from_code(refusal.code()).unwrap_or(Reason::Internal)
}
