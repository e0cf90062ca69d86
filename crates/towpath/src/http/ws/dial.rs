//! A client's side: the connection and the handshake.

use std::future::poll_fn;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use towpath_net::time::timeout;
use towpath_net::{Address, Stream, tls};
use towpath_proto::authority::Authority;
use towpath_proto::h1::{self, ResponseDecoder, encode};
use towpath_proto::limits::HeadLimits;
use towpath_proto::message::Method;
use towpath_proto::ws::{Answer, HandshakeError, KEY_BYTES, Role, key_value};

use super::Options;
use super::error::{Error, Kind};
use super::socket::{Opened, Socket};
use crate::Ctx;
use crate::http::StatusCode;
use crate::http::error::BoxError;

/// How long it may take to open a socket, where the context allows more.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Bytes that one read of the answer may bring.
const READ_BYTES: usize = 4 * 1024;

/// A URL taken apart (RFC 6455 §3).
struct Url<'u> {
    is_tls: bool,
    authority: &'u str,
    host: &'u str,
    port: u16,
    path: String,
    query: Option<&'u str>,
}

impl<'u> Url<'u> {
    fn parse(url: &'u str) -> Option<Self> {
        let (is_tls, rest) = match (url.strip_prefix("ws://"), url.strip_prefix("wss://")) {
            (Some(rest), _) => (false, rest),
            (None, rest) => (true, rest?),
        };
        // §3: there is no fragment.
        if !rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return None;
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let parsed = Authority::parse(authority.as_bytes())?;
        let host = std::str::from_utf8(parsed.host).ok()?;
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        Some(Self {
            is_tls,
            authority,
            host: host.trim_matches(['[', ']']),
            port: parsed.port.unwrap_or(if is_tls { 443 } else { 80 }),
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            query,
        })
    }
}

pub(super) async fn connect(options: &Options, ctx: &Ctx, url: &str) -> Result<Socket, Error> {
    let parsed = Url::parse(url).ok_or_else(|| Error::new(Kind::Address(url.to_owned())))?;
    let opening = timeout(CONNECT_TIME, async {
        let stream = dial(options, &parsed).await?;
        open(options, &parsed, stream).await
    });
    ctx.run(opening).await?.unwrap_or_else(|_| Err(Error::new(Kind::Timeout("the handshake"))))
}

/// Opens a socket over a stream there is.
#[cfg(test)]
pub(super) async fn connect_over(options: &Options, url: &str, stream: Stream) -> Result<Socket, Error> {
    let parsed = Url::parse(url).ok_or_else(|| Error::new(Kind::Address(url.to_owned())))?;
    open(options, &parsed, stream).await
}

/// Connects to the first address of the host that answers.
async fn dial(options: &Options, url: &Url<'_>) -> Result<Stream, Error> {
    let unreachable = |error| Error::with(Kind::Connect(url.authority.to_owned()), error);
    let addresses = tokio::net::lookup_host((url.host, url.port)).await.map_err(unreachable)?;
    let mut outcome = Err(unreachable(std::io::ErrorKind::NotFound.into()));
    for address in addresses {
        outcome = Address::Tcp(address).connect().await.map_err(unreachable);
        if outcome.is_ok() {
            break;
        }
    }
    let stream = outcome?;
    if !url.is_tls {
        return Ok(stream);
    }
    let unsecured = |error: BoxError| Error::with(Kind::Connect(url.authority.to_owned()), error);
    let client = match &options.tls {
        Some(client) => Arc::clone(client),
        None => match tokio::task::spawn_blocking(system_client).await {
            Ok(client) => client.map_err(unsecured)?,
            Err(error) => return Err(unsecured(error.into())),
        },
    };
    tls::connect(stream, &client, url.host).await.map_err(|error| unsecured(error.into()))
}

/// A client that trusts whom the system trusts, made once.
fn system_client() -> Result<Arc<tls::Client>, BoxError> {
    static SYSTEM: OnceLock<Arc<tls::Client>> = OnceLock::new();
    if let Some(client) = SYSTEM.get() {
        return Ok(Arc::clone(client));
    }
    let pem = std::fs::read(tls::system_authorities())?;
    let client = tls::Client::new(tls::ClientSettings {
        authorities: Some(tls::Authorities::lenient(tls::certificates(&pem)?)?),
        identity: None,
        alpn: vec![tls::ALPN_HTTP1.to_vec()],
    })?;
    Ok(Arc::clone(SYSTEM.get_or_init(|| Arc::new(client))))
}

/// Does the handshake.
async fn open(options: &Options, url: &Url<'_>, mut stream: Stream) -> Result<Socket, Error> {
    let key = key();
    let mut request = Vec::new();
    encode::request_line(&mut request, b"GET", url.path.as_bytes(), url.query.map(str::as_bytes));
    encode::field(&mut request, b"Host", url.authority.as_bytes());
    encode::field(&mut request, b"Upgrade", b"websocket");
    encode::field(&mut request, b"Connection", b"Upgrade");
    encode::field(&mut request, b"Sec-WebSocket-Key", &key);
    encode::field(&mut request, b"Sec-WebSocket-Version", b"13");
    if !options.protocols.is_empty() {
        encode::field(&mut request, b"Sec-WebSocket-Protocol", options.protocols.join(", ").as_bytes());
    }
    if let Some(policy) = &options.deflate {
        let mut offer = Vec::new();
        policy.write_offer(&mut offer);
        encode::field(&mut request, b"Sec-WebSocket-Extensions", &offer);
    }
    encode::end_of_head(&mut request);
    let mut written = 0;
    while let Some(rest) = request.get(written..).filter(|rest| !rest.is_empty()) {
        written += poll_fn(|cx| stream.split().1.poll_write(cx, rest)).await?;
    }
    read_answer(options, stream, &key).await
}

/// 16 bytes that nobody can foretell (§4.1), from a hash whose key the system gave.
fn key() -> [u8; KEY_BYTES] {
    let chance = RandomState::new();
    let mut nonce = [0; 16];
    let bytes = (0..2_u64).flat_map(|number| chance.hash_one(number).to_ne_bytes());
    nonce.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = byte);
    key_value(&nonce)
}

async fn read_answer(options: &Options, mut stream: Stream, key: &[u8]) -> Result<Socket, Error> {
    let mut input = Vec::new();
    let mut decoder = ResponseDecoder::new(HeadLimits::default());
    decoder.expect(Method::Get);
    loop {
        let step = decoder
            .handle_input(&input)
            .map_err(|error| Error::with(Kind::Handshake(HandshakeError::Status), error))?;
        match step.event {
            Some(h1::Event::Head) => {
                let early = input.split_off(step.consumed);
                return judge(options, stream, &decoder, &input, early, key);
            }
            // An interim answer, which says nothing here (RFC 9110 §15.2).
            Some(_) => drop(input.drain(..step.consumed)),
            None => {
                let held = input.len();
                input.resize(held + READ_BYTES, 0);
                let count =
                    poll_fn(|cx| stream.split().0.poll_read(cx, input.get_mut(held..).unwrap_or_default()))
                        .await?;
                input.truncate(held + count);
                if count == 0 {
                    return Err(Error::new(Kind::Disconnected));
                }
            }
        }
    }
}

fn judge(
    options: &Options,
    stream: Stream,
    decoder: &ResponseDecoder,
    block: &[u8],
    early: Vec<u8>,
    key: &[u8],
) -> Result<Socket, Error> {
    let head = decoder.head();
    let protocols: Vec<&str> = options.protocols.iter().map(String::as_str).collect();
    let answer = match Answer::read(head, block, key, &protocols, options.deflate.as_ref()) {
        Ok(answer) => answer,
        Err(HandshakeError::Status) => {
            let status = StatusCode::from_u16(head.status).unwrap_or(StatusCode::BAD_GATEWAY);
            return Err(Error::new(Kind::Refused(status)));
        }
        Err(error) => return Err(Error::new(Kind::Handshake(error))),
    };
    let opened = Opened {
        role: Role::Client,
        stream,
        early,
        deflate: answer.deflate,
        protocol: answer.protocol.map(str::to_owned),
        leave: None,
    };
    Ok(Socket::new(opened, options))
}
