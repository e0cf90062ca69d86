//! The client: requests out, responses in.
//!
//! ```text
//!   Client::request ── send ──> cookies, deadline, coding ──> Lines, by origin ──> Exchange ──> Response
//!                       ^                                       HTTP/1.1: a connection of the pool's
//!                       │                                       HTTP/2: a stream of one (h2)   │
//!                       └──── a redirect, or a second try on another connection ───────────────┘
//! ```

mod cookies;
mod decoding;
mod exchange;
mod h2;
mod head;
mod origin;
mod outgoing;
mod patience;
mod proxy;
mod settings;
mod url;
mod version;

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use ::http::Method;
use serde::Serialize;
use towpath_net::time::timeout;
use towpath_proto::coding::{Coding, DecodeLimits};
use towpath_proto::h1::HeadLimits;
use towpath_proto::message::Known;

use self::cookies::Jar;
use self::decoding::Decoding;
use self::exchange::{Exchange, Failed, Repeat};
use self::h2::{Avoid, How, Lines, Way};
use self::head::Framing;
use self::origin::{Dialling, LazyTls, Origin, OriginDialer};
use self::outgoing::Outgoing;
use self::proxy::Proxies;
pub use self::settings::ClientSettings;
use self::url::Url;
pub use self::version::HttpVersion;
use super::body::Body;
use super::error::{Error, Kind};
use super::headers::{HeaderFault, Headers};
use super::response::Response;
use crate::Ctx;
use crate::net;
use crate::pool::{DialError, GetError, PoolConfig, Pools};

/// How often a request is sent again in all. An origin that leaves one connection after the other can refuse it several
/// times, and has promised each time that nothing was done; Go's client goes as far.
const REPEATS_MAX: usize = 6;

/// How much is read of a redirect's body to keep its connection, and for how long (R32).
const DRAIN_BYTES_MAX: u64 = 64 * 1024;
const DRAIN_TIME: Duration = Duration::from_millis(100);

/// The codings that are asked for.
const ACCEPT_ENCODING: &[u8] = b"gzip, br, zstd";

static SHARED: LazyLock<Client> = LazyLock::new(|| Client::new(ClientSettings::default()));

/// Fetches `url` with a client that the whole program shares, which has every default. *Cancel-safe*.
///
/// ```no_run
/// # async fn fetch() -> Result<(), towpath::http::Error> {
/// use towpath::Ctx;
/// use towpath::http;
///
/// let ctx = Ctx::background();
/// let text = http::get(&ctx, "https://example.com/").await?.text().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// There is no response; see [`Error`]. A status such as 404 is a response.
pub async fn get(ctx: &Ctx, url: &str) -> Result<Response, Error> {
    SHARED.get(ctx, url).await
}

/// Sends requests. It keeps its connections, so a program makes one and clones it: a clone is the same client. It may be used
/// from any thread of any runtime. A connection of HTTP/2 is served by the runtime whose request opened it: it goes on while
/// that runs, and ends with it.
///
/// Everything ends with the context of its request, reading the response's body included.
///
/// ```no_run
/// # async fn post() -> Result<(), towpath::http::Error> {
/// use std::time::Duration;
/// use towpath::Ctx;
/// use towpath::http::{Client, ClientSettings, Method};
///
/// let client = Client::new(ClientSettings { cookies: true, ..ClientSettings::default() });
/// let ctx = Ctx::background().with_timeout(Duration::from_secs(5));
/// let response = client
///     .request(Method::POST, "https://api.example.com/users")
///     .header("Authorization", "Bearer …")
///     .json(&["Ada", "Grace"])
///     .send(&ctx)
///     .await?;
/// let ids: Vec<u64> = response.json().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    settings: ClientSettings,
    lines: Lines,
    proxies: Proxies,
    jar: Option<Jar>,
}

impl Client {
    /// A client without connections. Nothing is opened before it is asked for.
    pub fn new(settings: ClientSettings) -> Self {
        let limits = HeadLimits {
            head_bytes_max: settings.header_bytes,
            fields_count_max: settings.header_fields,
            ..HeadLimits::default()
        };
        let how =
            Dialling { dialer: settings.dialer.clone(), tls: Arc::new(LazyTls::new(&settings)), limits };
        let config = PoolConfig { connect_timeout: settings.dialer.timeout, ..settings.pool.clone() };
        let pools = Pools::new(config.clone(), move |origin: &Origin| OriginDialer {
            origin: origin.clone(),
            how: how.clone(),
        });
        let how = How {
            head: limits,
            streams_max: settings.http2_streams.clamp(1, h2::STREAMS_COUNT_CEILING),
            write_timeout: settings.idle_timeout,
            ping_interval: settings.http2_ping_interval,
            ping_timeout: settings.http2_ping_timeout,
            pool: config,
        };
        let lines = Lines::new(pools, how);
        let proxies = settings.environment_proxy.then(Proxies::from_environment).unwrap_or_default();
        let jar = settings.cookies.then(Jar::default);
        Self(Arc::new(Inner { settings, lines, proxies, jar }))
    }

    /// Fetches `url`. *Cancel-safe*: a connection that was in use is closed.
    ///
    /// # Errors
    /// There is no response; see [`Error`]. A status such as 404 is a response.
    pub async fn get(&self, ctx: &Ctx, url: &str) -> Result<Response, Error> {
        self.request(Method::GET, url).send(ctx).await
    }

    /// A request, to be completed and sent. What is wrong with it is said when it is sent.
    pub fn request(&self, method: Method, url: &str) -> Call<'_> {
        Call {
            client: self,
            method,
            url: url.to_owned(),
            headers: Headers::default(),
            body: Body::empty(),
            expects_continue: false,
            fault: None,
        }
    }

    /// Closes the connections that are idle; those in use when they are returned. What is asked afterwards opens new ones.
    pub fn close_idle(&self) {
        self.0.lines.shut_down();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("pools", &self.0.lines).finish_non_exhaustive()
    }
}

/// A request that is being made; see [`Client::request`].
#[derive(Debug)]
#[must_use = "a request goes nowhere before it is sent"]
pub struct Call<'c> {
    client: &'c Client,
    method: Method,
    url: String,
    headers: Headers,
    body: Body,
    expects_continue: bool,
    fault: Option<Error>,
}

impl Call<'_> {
    /// With this header field in place of all of its name. Those about framing and the connection are written by the client.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if let Err(fault) = self.headers.set(name, value) {
            self.fault.get_or_insert_with(|| unsendable(fault));
        }
        self
    }

    /// With this body. One that is all here can be sent again, after a redirect or over another connection; one that comes piece
    /// by piece is sent as it comes, and goes on while the response is read.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// With a value in JSON as its body.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(text) => self.header("Content-Type", "application/json").body(text),
            Err(error) => {
                self.fault.get_or_insert_with(|| unwritable(error));
                self
            }
        }
    }

    /// With a value as forms encode it as its body.
    pub fn form<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_urlencoded::to_string(value) {
            Ok(text) => self.header("Content-Type", "application/x-www-form-urlencoded").body(text),
            Err(error) => {
                self.fault.get_or_insert_with(|| unwritable(error));
                self
            }
        }
    }

    /// Asks the server before the body is sent (RFC 9110 §10.1.1). One that does not answer within 1 s gets it all the same.
    pub fn expect_continue(mut self) -> Self {
        self.expects_continue = true;
        self
    }

    /// Sends it, follows redirects, and gives the response when its head is there. *Cancel-safe*: a connection that was in use is
    /// closed; what the server did with the request is not known.
    ///
    /// # Errors
    /// There is no response; see [`Error`]. A status such as 404 is a response.
    pub async fn send(self, ctx: &Ctx) -> Result<Response, Error> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let url = Url::parse(&self.url)
            .map_err(|fault| Error::with(Kind::Own(format!("{:?} is no URL", self.url)), fault))?;
        let whole = self.body.as_whole().cloned();
        let outgoing = Outgoing {
            method: self.method,
            url,
            headers: self.headers,
            body: self.body,
            whole,
            expects_continue: self.expects_continue,
        };
        self.client.0.send(ctx, outgoing).await
    }
}

fn unsendable(fault: HeaderFault) -> Error {
    Error::with(Kind::Own("a header field may not be sent".to_owned()), fault)
}

fn unwritable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::with(Kind::Own("the body cannot be written".to_owned()), error)
}

impl Inner {
    async fn send(&self, ctx: &Ctx, mut outgoing: Outgoing) -> Result<Response, Error> {
        let mut followed = 0;
        loop {
            let response = self.exchange(ctx, &mut outgoing).await?;
            self.keep_cookies(&outgoing.url, &response);
            let next = match self.settings.redirects_max {
                0 => None,
                _ => outgoing.redirected(&response)?,
            };
            let Some((next, becomes_get)) = next else { return Ok(self.finished(response, &outgoing)) };
            if followed == self.settings.redirects_max {
                return Err(Error::new(Kind::Limit(format!("more than {followed} redirects in a row"))));
            }
            followed += 1;
            // Its connection can be used again, if the rest is little and soon there.
            let _ = timeout(DRAIN_TIME, response.into_body().bytes(DRAIN_BYTES_MAX)).await;
            outgoing.follow(next, becomes_get);
        }
    }

    /// One request and its response; again if the connection turns out to have died before (P14), once, or the origin says
    /// that it did not look at the request.
    async fn exchange(&self, ctx: &Ctx, outgoing: &mut Outgoing) -> Result<Response, Error> {
        let origin = self.origin(&outgoing.url);
        let (mut used, mut repeats, mut has_died) = (None, 0, false);
        loop {
            let avoid = match (&used, repeats) {
                (_, 0) => Avoid::Nothing,
                (None, _) => Avoid::Reused,
                (Some(conn), _) => Avoid::Conn(conn),
            };
            let way = self.way(ctx, &outgoing.url, &origin, avoid).await?;
            used = match &way {
                Way::Http1(_) => None,
                Way::Http2(permit) => Some(Arc::clone(permit.conn())),
            };
            let failed = match self.attempt(ctx, outgoing, &origin, way).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            let is_last = repeats == REPEATS_MAX || (has_died && failed.repeat == Repeat::IfIdempotent);
            if is_last || !outgoing.may_repeat(failed.repeat) {
                return Err(failed.error);
            }
            has_died |= failed.repeat == Repeat::IfIdempotent;
            repeats += 1;
        }
    }

    async fn way(&self, ctx: &Ctx, url: &Url, origin: &Origin, avoid: Avoid<'_>) -> Result<Way, Error> {
        self.lines.get(ctx, origin, avoid).await.map_err(|error| unconnected(ctx, url, error))
    }

    async fn attempt(
        &self,
        ctx: &Ctx,
        outgoing: &mut Outgoing,
        origin: &Origin,
        way: Way,
    ) -> Result<Response, Failed> {
        let body = outgoing.take_body();
        let through = origin.proxy.as_ref().filter(|_| !origin.is_tls);
        let head =
            self.head(ctx, outgoing, &body, through).map_err(|error| Failed { error, repeat: Repeat::No })?;
        let waits = outgoing.expects_continue && head.framing != Framing::Length(0);
        let idle = self.settings.idle_timeout;
        match way {
            Way::Http1(loan) => Exchange::new(loan, &head, body, waits, ctx, idle).run().await,
            Way::Http2(permit) => h2::Exchange::new(permit, &head, body, waits, ctx, idle)?.run().await,
        }
    }

    fn origin(&self, url: &Url) -> Origin {
        let named = format!("{}:{}", url.host, url.port);
        let instead = self.settings.connect_to.iter().find(|(from, _)| from.eq_ignore_ascii_case(&named));
        let proxy = self.proxies.of(url).filter(|_| instead.is_none()).cloned();
        // In clear text all origins share the connections to their proxy.
        let is_shared = proxy.is_some() && !url.is_tls;
        let address = instead.map_or(named, |(_, to)| to.clone());
        Origin {
            is_tls: url.is_tls,
            host: if is_shared { String::new() } else { url.host.clone() },
            address: if is_shared { String::new() } else { address },
            proxy,
            version: self.settings.version,
        }
    }

    /// Whether codings are asked for, and so undone. A part of a coded body cannot be undone.
    fn decodes(&self, headers: &Headers) -> bool {
        self.settings.decode
            && headers.find(Known::AcceptEncoding).is_none()
            && headers.get_bytes("Range").is_none()
    }

    /// The response as its reader wants it.
    fn finished(&self, mut response: Response, outgoing: &Outgoing) -> Response {
        response.set_body_bytes_max(self.settings.body_bytes_max);
        let coding =
            response.headers().get_bytes("Content-Encoding").and_then(|value| Coding::of(value.trim_ascii()));
        let Some(coding) =
            coding.filter(|_| self.decodes(&outgoing.headers) && outgoing.method != Method::HEAD)
        else {
            return response;
        };
        response.headers_mut().remove("Content-Encoding");
        response.headers_mut().remove("Content-Length");
        let limits = DecodeLimits {
            bytes_max: self.settings.decoded_bytes_max,
            ratio_max: self.settings.decoded_ratio_max,
        };
        response.map_body(|body| Body::pieces(Box::new(Decoding::new(body, coding, limits))))
    }

    fn keep_cookies(&self, url: &Url, response: &Response) {
        if let Some(jar) = &self.jar {
            let now = SystemTime::now();
            response.headers().all("Set-Cookie").for_each(|line| jar.store(url, line, now));
        }
    }
}

/// Why there is no connection.
fn unconnected(ctx: &Ctx, url: &Url, error: GetError<net::Error>) -> Error {
    if let (GetError::Canceled | GetError::Timeout { .. }, Some(cause)) = (&error, ctx.err()) {
        return cause.into();
    }
    let text = || format!("no connection to {}://{}", url.scheme(), url.authority());
    match error {
        GetError::Connect(DialError::Failed(error)) => Error::with(Kind::Connect(text()), error),
        GetError::Connect(DialError::TimedOut) => Error::new(Kind::Timeout("the connection")),
        other => Error::with(Kind::Connect(text()), other),
    }
}
