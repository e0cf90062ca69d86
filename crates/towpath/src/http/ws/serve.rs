//! A server's side: the handshake, then the handler's time, then the end.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use towpath_proto::authority;
use towpath_proto::message::{RequestHead, Version};
use towpath_proto::ws::{CloseCode, Deflate, HandshakeError, Opening, Role};

use super::Options;
use super::error::Error;
use super::socket::{Leave, Opened, Socket};
use crate::Ctx;
use crate::http::error::BoxError;
use crate::http::server::{Switch, Taken, panicked, report};
use crate::http::{IntoResponse, Request, Response, StatusCode};

/// What a handler of a socket ends with: nothing, or an error, which is reported unless it is the peer's.
pub trait Ending {
    /// The error, if it is one.
    fn into_error(self) -> Option<BoxError>;
}

impl Ending for () {
    fn into_error(self) -> Option<BoxError> {
        None
    }
}

impl<E: Into<BoxError>> Ending for Result<(), E> {
    fn into_error(self) -> Option<BoxError> {
        self.err().map(Into::into)
    }
}

/// What a handshake agrees on.
struct Agreed {
    accept: Option<Vec<u8>>,
    protocol: Option<String>,
    deflate: Option<Deflate>,
}

pub(super) fn accept<H, R>(options: &Options, request: &Request, handler: H) -> Response
where
    H: AsyncFnOnce(&Ctx, &mut Socket) -> R + Send + 'static,
    R: Ending + 'static,
{
    let mut head = request.head().clone();
    head.fields = request.headers().fields().clone();
    let agreed = match agree(options, request, &head) {
        Ok(agreed) => agreed,
        Err(refusal) => return *refusal,
    };
    let mut response = match &agreed.accept {
        Some(accept) => Response::new(StatusCode::SWITCHING_PROTOCOLS)
            .with_header("Upgrade", "websocket")
            .with_header("Connection", "Upgrade")
            .with_header("Sec-WebSocket-Accept", accept),
        // RFC 8441 §5: the answer to an extended CONNECT is any 2xx, and there is no key.
        None => Response::new(StatusCode::OK),
    };
    if let Some(protocol) = &agreed.protocol {
        response = response.with_header("Sec-WebSocket-Protocol", protocol);
    }
    if let Some(deflate) = &agreed.deflate {
        let mut value = Vec::new();
        deflate.write_answer(&mut value);
        response = response.with_header("Sec-WebSocket-Extensions", value);
    }
    let options = options.clone();
    response.set_switch(Switch(Box::new(move |taken| Box::pin(serve(taken, options, agreed, handler)))));
    response
}

/// Judges the request. What is refused leaves a connection that can be used.
fn agree(options: &Options, request: &Request, head: &RequestHead) -> Result<Agreed, Box<Response>> {
    let block = request.headers().block();
    let refuse = |error: HandshakeError| {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let response = (status, format!("{error}\n")).into_response();
        let fields = error.fields().iter();
        Box::new(fields.fold(response, |response, (name, value)| response.with_header(name, value)))
    };
    let opening = Opening::read(head, block).map_err(refuse)?;
    // What can be taken over says so; a request that a test made, or one with a body, cannot.
    if !request.can_upgrade() || !request.is_empty() {
        return Err(refuse(HandshakeError::Upgrade));
    }
    if !admits(options, opening.origin(), request.host()) {
        let refusal = (StatusCode::FORBIDDEN, "this page may not open a WebSocket here\n");
        return Err(Box::new(refusal.into_response()));
    }
    let deflate = match &options.deflate {
        Some(policy) => opening.choose_deflate(policy).map_err(refuse)?,
        None => None,
    };
    let ours: Vec<&str> = options.protocols.iter().map(String::as_str).collect();
    Ok(Agreed {
        accept: (head.version != Version::Http2).then(|| opening.accept().to_vec()),
        protocol: opening.choose_protocol(&ours).map(str::to_owned),
        deflate,
    })
}

/// Whether a page of this origin may open a socket (§10.2).
fn admits(options: &Options, origin: Option<&[u8]>, host: Option<&str>) -> bool {
    if let Some(origins) = &options.origins {
        return origins.allows(origin);
    }
    let Some(origin) = origin else { return true };
    let (port, authority) = match (origin.strip_prefix(b"https://"), origin.strip_prefix(b"http://")) {
        (Some(rest), _) => (443, rest),
        (None, Some(rest)) => (80, rest),
        (None, None) => return false,
    };
    host.is_some_and(|host| authority::is_same(authority, host.as_bytes(), Some(port)))
}

async fn serve<H, R>(taken: Taken, options: Options, agreed: Agreed, handler: H)
where
    H: AsyncFnOnce(&Ctx, &mut Socket) -> R,
    R: Ending + 'static,
{
    let Taken { stream, early, ctx, site } = taken;
    let leave = Arc::new(Leave::default());
    let Agreed { protocol, deflate, .. } = agreed;
    let opened =
        Opened { role: Role::Server, stream, early, deflate, protocol, leave: Some(Arc::clone(&leave)) };
    let mut socket = Socket::new(opened, &options);
    let code = {
        let mut handling = pin!(handler(&ctx, &mut socket));
        let mut is_told = false;
        let ended = poll_fn(|cx| {
            if !is_told && site.poll_draining(cx).is_ready() {
                is_told = true;
                leave.tell();
            }
            match catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx))) {
                Ok(ended) => ended.map(Ok),
                Err(panic) => Poll::Ready(Err(panic)),
            }
        });
        match ended.await.map(Ending::into_error) {
            Ok(None) if is_told => CloseCode::GOING_AWAY,
            Ok(None) => CloseCode::NORMAL,
            Ok(Some(error)) => code_of(&error),
            Err(panic) => {
                panicked(&*panic);
                CloseCode::INTERNAL_ERROR
            }
        }
    };
    socket.finish(code).await;
}

/// What a failed handler closes with. Only what is not the peer's doing is reported.
fn code_of(error: &BoxError) -> CloseCode {
    match error.downcast_ref::<Error>() {
        Some(error) if error.is_of_the_peer() => error.close_code(),
        _ => {
            report(&format!("a WebSocket's handler failed: {error}"));
            CloseCode::INTERNAL_ERROR
        }
    }
}
