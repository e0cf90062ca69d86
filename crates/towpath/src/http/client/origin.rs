//! Connections to origins, as the pool keeps them.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::sync::OnceCell;
use towpath_net::Stream;
use towpath_net::tls;
use towpath_proto::h1::{Event, HeadLimits, ResponseDecoder, encode};
use towpath_proto::message::Method;

use super::ClientSettings;
use super::proxy::Proxy;
use super::version::HttpVersion;
use crate::net::{Dialer, Error, Kind};
use crate::pool::{Connection, Manager};

/// Everything that makes two connections of a client differ (P1). What its settings say is the same for all of them: the
/// authorities that are trusted, the certificate that is shown, the local address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) is_tls: bool,
    /// The name that TLS asks for and checks.
    pub(super) host: String,
    /// Where to dial: `host:port`, or what stands in its place.
    pub(super) address: String,
    pub(super) proxy: Option<Proxy>,
    /// What it is offered. One client has connections of both kinds to an origin that wants HTTP/1.1 after all.
    pub(super) version: HttpVersion,
}

/// How all origins of a client are dialled.
#[derive(Clone, Debug)]
pub(super) struct Dialling {
    pub(super) dialer: Dialer,
    pub(super) tls: Arc<LazyTls>,
    pub(super) limits: HeadLimits,
}

/// The client's side of TLS, made when it is needed: the authorities of the system are a file of some hundred certificates.
#[derive(Debug)]
pub(super) struct LazyTls {
    authorities: Option<tls::Authorities>,
    identity: Option<tls::Identity>,
    made: OnceCell<Arc<tls::Client>>,
    /// The same for origins that want HTTP/1.1.
    made_for_http1: OnceCell<Arc<tls::Client>>,
}

impl LazyTls {
    pub(super) fn new(settings: &ClientSettings) -> Self {
        let (authorities, identity) = (settings.authorities.clone(), settings.identity.clone());
        Self { authorities, identity, made: OnceCell::new(), made_for_http1: OnceCell::new() }
    }

    async fn client(&self, version: HttpVersion) -> io::Result<Arc<tls::Client>> {
        let made = match version {
            HttpVersion::Http1Only => &self.made_for_http1,
            _ => &self.made,
        };
        let make = || async {
            let authorities = match self.authorities.clone() {
                Some(authorities) => authorities,
                None => tokio::task::spawn_blocking(of_the_system).await.map_err(io::Error::other)??,
            };
            let settings = tls::ClientSettings {
                authorities: Some(authorities),
                identity: self.identity.clone(),
                alpn: version.offer(),
            };
            tls::Client::new(settings).map(Arc::new).map_err(io::Error::other)
        };
        made.get_or_try_init(make).await.map(Arc::clone)
    }
}

fn of_the_system() -> io::Result<tls::Authorities> {
    let pem = std::fs::read(tls::system_authorities())?;
    let certificates = tls::certificates(&pem).map_err(io::Error::other)?;
    tls::Authorities::lenient(certificates).map_err(io::Error::other)
}

/// A connection to an origin, as the pool keeps it.
pub(super) struct Transport {
    pub(super) stream: Stream,
    pub(super) speaks: Speaks,
    /// Of HTTP/1.1.
    pub(super) decoder: Box<ResponseDecoder>,
    /// What the origin's `Keep-Alive: timeout=` promised.
    pub(super) keep_alive: Option<Duration>,
    /// Whose event loop has it.
    runtime: Id,
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// One exchange at a time.
    Http1,
    /// Nothing was said on it yet, and the pool keeps it only if those who dialled it have gone. Whoever takes it makes
    /// it carry many exchanges, and takes it out of the pool but for its slot.
    Http2,
}

impl Connection for Transport {
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.speaks {
            Speaks::Http1 => self.stream.poll_disturbed(cx),
            // An origin begins unasked.
            Speaks::Http2 => Poll::Pending,
        }
    }

    fn is_dead(&mut self) -> bool {
        match (self.speaks, self.stream.peek()) {
            (_, Ok(None)) => false,
            (Speaks::Http1, _) => true,
            (Speaks::Http2, found) => matches!(found, Ok(Some(0)) | Err(_)),
        }
    }

    fn rehome(self) -> io::Result<Self> {
        let here = Handle::try_current().map_err(io::Error::other)?.id();
        if here == self.runtime {
            return Ok(self);
        }
        Ok(Self { stream: self.stream.rehome()?, runtime: here, ..self })
    }

    fn keep_alive_hint(&self) -> Option<Duration> {
        self.keep_alive
    }
}

/// Dials one origin.
pub(super) struct OriginDialer {
    pub(super) origin: Origin,
    pub(super) how: Dialling,
}

impl Manager for OriginDialer {
    type Conn = Transport;
    type Error = Error;

    async fn connect(&self) -> Result<Transport, Error> {
        let Self { origin, how } = self;
        let decoder = || Box::new(ResponseDecoder::new(how.limits));
        let address = origin.proxy.as_ref().map_or(&origin.address, |proxy| &proxy.address);
        let mut stream = how.dialer.connect(address).await?.into_stream();
        if let Some(proxy) = origin.proxy.as_ref().filter(|_| origin.is_tls) {
            stream = tunnel(stream, &origin.address, proxy, &mut decoder()).await?;
        }
        if origin.is_tls {
            stream = tls::connect(stream, &*how.tls.client(origin.version).await?, &origin.host).await?;
        }
        let speaks = origin.spoken(&stream)?;
        let runtime = Handle::current().id();
        Ok(Transport { stream, speaks, decoder: decoder(), keep_alive: None, runtime })
    }
}

/// Asks a proxy for a tunnel to `address` (RFC 9110 §9.3.6).
async fn tunnel(
    mut stream: Stream,
    address: &str,
    proxy: &Proxy,
    decoder: &mut ResponseDecoder,
) -> Result<Stream, Error> {
    let mut head = Vec::new();
    encode::request_line(&mut head, b"CONNECT", address.as_bytes(), None);
    encode::field(&mut head, b"Host", address.as_bytes());
    if let Some(authorization) = &proxy.authorization {
        encode::field(&mut head, b"Proxy-Authorization", authorization.as_bytes());
    }
    encode::end_of_head(&mut head);
    let mut written = 0;
    while let Some(rest @ [_, ..]) = head.get(written..) {
        written += poll_fn(|cx| stream.split().1.poll_write(cx, rest)).await?;
    }
    decoder.expect(Method::Connect);
    let mut input = Vec::new();
    loop {
        let step = decoder.handle_input(&input).map_err(io::Error::other)?;
        if step.event == Some(Event::Head) {
            return match decoder.head().status {
                // Bytes before the handshake are nobody's (T07).
                200..300 if step.consumed == input.len() => Ok(stream),
                status => Err(Error::new(Kind::Proxy(status))),
            };
        }
        input.drain(..step.consumed);
        let mut room = [0; 1024];
        match poll_fn(|cx| stream.split().0.poll_read(cx, &mut room)).await? {
            0 => return Err(Error::new(Kind::Ended)),
            count => input.extend_from_slice(room.get(..count).unwrap_or_default()),
        }
    }
}
