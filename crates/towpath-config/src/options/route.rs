//! `[route.NAME]` and `[policy.NAME]`: which requests go where, and what judges them on the way.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::table::options;
use crate::value::{ByteSize, FilePath, List, Map, Opt, Rate, Reject, SizeCap, Status, Switch, Text, words};

options! {
    /// Which requests, and the one thing that happens to them: exactly one of `upstream`, `upstreams`, `respond`,
    /// `redirect` and `files`.
    pub struct Route {
        /// Which requests; all conditions must hold. Default: every request.
        pub matches as "match": Opt<Match>,
        /// The listeners this route belongs to. Default: every `http` listener.
        pub listeners: Opt<List<String>>,
        /// Decides between routes that are otherwise equally specific; the higher wins. Default 0.
        pub priority: Opt<i32>,
        /// Action: pass on to this `[upstream.NAME]`.
        pub upstream: Opt<String>,
        /// Action: share among upstreams by weight, `{ stable = 90, canary = 10 }`.
        pub upstreams: Opt<Map<u32>>,
        /// Action: answer with a fixed response.
        pub respond: Opt<Respond>,
        /// Action: send the client elsewhere.
        pub redirect: Opt<Redirect>,
        /// Action: serve files of a folder.
        pub files: Opt<Files>,
        /// Changes the path before it goes to the origin.
        pub rewrite: Opt<Rewrite>,
        /// Edits of the request's header.
        pub request_headers: Opt<HeaderEdits>,
        /// Edits of the response's header.
        pub response_headers: Opt<HeaderEdits>,
        /// Compresses responses of the origin for clients that accept it: a table, or `true` with everything at its default.
        /// Not for responses that hold a secret beside something a client can choose: their length tells the secret
        /// (BREACH). Default `false`.
        pub compress: Opt<Switch<Compress>>,
        /// Takes the `Content-Encoding` off request bodies, for origins that know none: a table, or `true` with everything
        /// at its default. Another coding than gzip, br and zstd is answered 415. Default `false`: bodies stay as they are.
        pub decompress_request: Opt<Switch<DecompressRequest>>,
        /// Makes calls of gRPC-Web, which is what browsers can speak, into calls of gRPC, and answers them as the caller
        /// wants. Needs upstreams with `protocol = "http2"`. Default `false`: they pass as they are.
        pub grpc_web: Opt<bool>,
        /// The `Host` the origin sees: `"preserve"`, `"upstream"` (the endpoint's own address) or a name of your
        /// own. Default `"preserve"`.
        pub host: Opt<HostHeader>,
        /// From the complete request head to the last byte of the response. Default: none, the times of each
        /// phase are the bound.
        pub timeout: Opt<Duration>,
        /// The clocks the origin runs against.
        pub timeouts: Opt<RouteTimeouts>,
        /// What becomes of a request, once it is complete, whose client leaves before it has its answer. Default `"cancel"`.
        pub on_disconnect: Opt<OnDisconnect>,
        /// Tries again when the origin fails and the request can be sent twice. Default: once more after a failed
        /// connect. Whatever stands here, a kept connection that was closed under the request is replaced once.
        pub retry: Opt<Retry>,
        /// The `[policy.NAME]`s a request passes.
        pub policies: Opt<List<String>>,
        /// Protocols a client may change to with `Upgrade`. Default `["websocket"]`; `[]` allows none.
        pub upgrades: Opt<List<String>>,
        /// What is demanded of the WebSockets among them. Default: nothing, whatever follows the switch passes.
        pub websocket: Opt<WebSocket>,
        /// Largest request body, or `"unlimited"`. Default: that of the listener.
        pub max_body_bytes: Opt<SizeCap>,
        /// Paths with encoded `/ \ . ;` or NUL, which origins read differently. Default `"refuse"`: 400.
        pub encoded_path: Opt<EncodedPath>,
        /// Adds `Via` to requests and responses (RFC 9110 section 7.6.3). Default `true`.
        pub via: Opt<bool>,
    }

    /// Conditions on a request. Those not written always hold.
    pub struct Match {
        /// A host name without port, `"api.example.com"`, or `"*.example.com"` for the names below it.
        pub host: Opt<String>,
        /// `"/exact"`; `"/below/*"` for `/below` and everything below it; or a pattern such as `"/users/{id}/orders"`,
        /// in which each name stands for one segment, or `"/docs/{page...}"`, in which the last takes the rest.
        pub path: Opt<String>,
        /// Methods, `["GET", "POST"]`.
        pub methods: Opt<List<String>>,
        /// Header fields and the value each must have, letter for letter; `"*"` alone asks only that the field is there.
        pub headers: Map<String>,
        /// Query parameters and the decoded value each must have; `"*"` alone asks only that the parameter is there.
        pub query: Map<String>,
        /// The same as the route's `priority`.
        pub priority: Opt<i32>,
    }

    /// A fixed response.
    pub struct Respond {
        /// Default 200.
        pub status: Opt<Status>,
        /// Default: empty.
        pub body: Opt<String>,
        /// Header fields. Without a `content-type`, a body is `text/plain; charset=utf-8`.
        pub headers: Map<String>,
    }

    /// Sends the client elsewhere.
    pub struct Redirect {
        /// A path or a URL, in which `{name}` stands for what the route's path captured and `{*}` for what its `*`
        /// took: `"/new/{*}"`. Required.
        pub to: Opt<String>,
        /// 301, 302, 303, 307 or 308. Default 308.
        pub status: Opt<Status>,
    }

    /// A folder served as files. Nothing outside of it is ever opened.
    pub struct Files {
        /// The folder. Required.
        pub root: Opt<FilePath>,
        /// What answers for a folder, the first that exists. Default `["index.html"]`.
        pub index: Opt<List<String>>,
        /// Ready-made siblings (`app.js.br`, `app.js.gz`, `app.js.zst`) for clients that accept them, in order of
        /// preference. Default: none.
        pub precompressed: Opt<List<Encoding>>,
        /// Follows symbolic links that stay inside the root. Default `false`: none is followed.
        pub follow_symlinks: Opt<bool>,
        /// The `Cache-Control` of each file. Default: none.
        pub cache_control: Opt<String>,
    }

    /// How responses are compressed. Never are those that are compressed already, are parts, or say `no-transform`.
    pub struct Compress {
        /// What is offered, in order of preference. Default `["zstd", "br", "gzip"]`.
        pub encodings: Opt<List<Encoding>>,
        /// Media types: `"text/html"`, `"text/*"`, `"application/*+json"` or `"*/*"`. Default: text, JSON, JavaScript, XML,
        /// WebAssembly, SVG, and fonts that are not compressed.
        pub types: Opt<List<String>>,
        /// The smallest body that is compressed, where its length is known. Default `"1KiB"`.
        pub min_body_bytes: Opt<ByteSize>,
        /// How much work is put in. Default `"balanced"`.
        pub effort: Opt<Effort>,
    }

    /// How far request bodies are decompressed.
    pub struct DecompressRequest {
        /// Largest body once it is decompressed; `max_body_bytes` of the route bounds it before and after. Default
        /// `"64MiB"`.
        pub max_body_bytes: Opt<ByteSize>,
        /// Most bytes that a byte may become, beyond the first 64 KiB. Default 100.
        pub max_ratio: Opt<NonZeroU32>,
    }

    /// Changes the path the origin sees: exactly one key.
    pub struct Rewrite {
        /// Takes this off the front: with `"/shop"`, `/shop/cart` becomes `/cart`. It ends where a segment ends, so
        /// that `/shopping` stays.
        pub strip_prefix: Opt<String>,
        /// Replaces what the route's path fixed before its `*`: with `"/v2/"`, `/shop/cart` matched by `/shop/*`
        /// becomes `/v2/cart`.
        pub prefix: Opt<String>,
        /// Replaces the whole path, in which `{name}` stands for what the route's path captured; the query stays.
        pub path: Opt<String>,
    }

    /// Edits of a header: `remove` first, then `set`, then `add`.
    pub struct HeaderEdits {
        /// Fields that replace all of the same name.
        pub set: Map<String>,
        /// Fields that stand beside those of the same name.
        pub add: Map<String>,
        /// Names to take out.
        pub remove: Opt<List<String>>,
    }

    /// How long the origin may take.
    pub struct RouteTimeouts {
        /// From the last byte of the request to the head of the response. Default `"60s"`.
        pub response_header: Opt<Duration>,
        /// A response body that stands still. Default `"60s"`.
        pub upstream_idle: Opt<Duration>,
        /// An upgraded connection, such as a WebSocket, without a byte in either direction. Default `"1h"`: such
        /// streams are quiet by nature.
        pub tunnel_idle: Opt<Duration>,
    }

    /// What is demanded of a route's WebSockets. With any of these keys but `origins` frames are judged by RFC 6455: who
    /// breaks a rule or a limit gets a Close that says so, and the other side one as well.
    pub struct WebSocket {
        /// Pages that may open one, by the `Origin` that browsers send: `"https://app.example.com"`, with a port that is
        /// not the usual one, or `"https://*.example.com"` for the names below it. Others get 403. Programs, which send no
        /// `Origin`, are let in. Default: every page.
        pub origins: Opt<List<String>>,
        /// Largest message of either side, as it is on the wire: a compressed one is not unpacked. More is closed with
        /// 1009. Default: no limit.
        pub max_message_bytes: Opt<ByteSize>,
        /// How many messages a client may send, `"100/s"`; they may come at once. More is closed with 1008. Default: no
        /// limit.
        pub message_rate: Opt<Rate>,
        /// A side that has sent nothing for this long is asked for a sign of life with a ping. Default: nobody is asked.
        pub ping_idle: Opt<Duration>,
        /// How long it has to send anything then, before both are closed. Default `"10s"`.
        pub ping_timeout: Opt<Duration>,
        /// What becomes of those that are open when a reload takes the route out. Default `"finish"`.
        pub on_removed: Opt<OnRemoved>,
    }

    /// Tries again on another endpoint.
    pub struct Retry {
        /// How often at most, the first try not counted. Default 1.
        pub attempts: Opt<u32>,
        /// What counts as failure: `"connect-failure"`, `"reset"`, `"timeout"`, `"5xx"` or a status such as `"503"`.
        /// Default `["connect-failure"]`.
        pub on: Opt<List<RetryOn>>,
    }

    /// What judges a request: exactly one key.
    pub struct Policy {
        /// Demands a token signed by a known key.
        pub jwt: Opt<Jwt>,
        /// Bounds how often.
        pub rate_limit: Opt<RateLimit>,
    }

    /// Demands a JSON Web Token.
    pub struct Jwt {
        /// Where the keys are: a URL.
        pub jwks: Opt<String>,
        /// The issuer a token must name.
        pub issuer: Opt<String>,
        /// The audience a token must name.
        pub audience: Opt<String>,
    }

    /// Bounds how often.
    pub struct RateLimit {
        /// What is counted by, such as `"client-ip"`.
        pub key: Opt<String>,
        /// How often, `"100/s"`.
        pub rate: Opt<Rate>,
        /// How many at once after a quiet time. Default: the count of `rate`.
        pub burst: Opt<u32>,
    }
}

words! {
    /// A compression of a body.
    pub enum Encoding {
        /// Brotli; the file is `.br`.
        Brotli = "br",
        /// Gzip; the file is `.gz`.
        Gzip = "gzip",
        /// Zstandard; the file is `.zst`.
        Zstd = "zstd",
    }

    /// How much work is put into making a body small.
    pub enum Effort {
        /// The least.
        Fast = "fast",
        /// What most servers do.
        Balanced = "balanced",
        /// Twice to four times the work for a body smaller by some percent.
        Small = "small",
    }

    /// What becomes of a WebSocket whose route is in the file no more.
    pub enum OnRemoved {
        /// It goes on.
        Finish = "finish",
        /// Its client gets Close 1012 within the first half of `spread`, as at a drain.
        Close = "close",
    }

    /// What becomes of a request whose client has left.
    pub enum OnDisconnect {
        /// It ends at the origin too, and what it held is free.
        Cancel = "cancel",
        /// It goes on to the end of the answer, which nobody reads, within the route's `timeout`, or 60 s where that is not
        /// set. Not for upgrades.
        Detach = "detach",
    }

    /// What happens to paths with encoded separators.
    pub enum EncodedPath {
        /// 400.
        Refuse = "refuse",
        /// Passed on as sent.
        Allow = "allow",
    }
}

/// The `Host` the origin sees.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostHeader {
    /// The client's own.
    Preserve,
    /// The address of the chosen endpoint.
    Upstream,
    /// This one.
    Literal(String),
}

/// What makes a request be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryOn {
    /// No connection could be made.
    ConnectFailure,
    /// The connection ended before the head of a response.
    Reset,
    /// The head of the response did not come in time.
    Timeout,
    /// Any status from 500 to 599.
    ServerError,
    /// This status.
    Status(u16),
}

impl Text for HostHeader {
    const WHAT: &'static str = "\"preserve\", \"upstream\" or a host name";
    const EXAMPLE: &'static str = "preserve";

    fn parse(text: &str, _folder: &std::path::Path) -> Result<Self, Reject> {
        match text {
            "preserve" => Ok(Self::Preserve),
            "upstream" => Ok(Self::Upstream),
            "" => Err(Reject::hint("write \"preserve\", \"upstream\" or a host name")),
            name => Ok(Self::Literal(name.to_owned())),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Preserve => "preserve".to_owned(),
            Self::Upstream => "upstream".to_owned(),
            Self::Literal(name) => name.clone(),
        }
    }
}

impl RetryOn {
    const WORDS: [(&'static str, Self); 4] = [
        ("connect-failure", Self::ConnectFailure),
        ("reset", Self::Reset),
        ("timeout", Self::Timeout),
        ("5xx", Self::ServerError),
    ];
}

impl Text for RetryOn {
    const WHAT: &'static str = "a reason to retry";
    const EXAMPLE: &'static str = "connect-failure";
    const PATTERN: &'static str = "^(connect-failure|reset|timeout|5xx|[45][0-9][0-9])$";

    fn parse(text: &str, _folder: &std::path::Path) -> Result<Self, Reject> {
        if let Some((_, known)) = Self::WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(*known);
        }
        match text.parse::<u16>() {
            Ok(status @ 400..=599) => Ok(Self::Status(status)),
            _ => {
                Err(Reject::words(text, Self::WORDS.map(|(word, _)| word))
                    .or("a status from \"400\" to \"599\""))
            }
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            named => Self::WORDS
                .iter()
                .find(|(_, known)| known == named)
                .map_or(String::new(), |(word, _)| (*word).to_owned()),
        }
    }

    fn spell_number(number: &str) -> Option<String> {
        Some(format!("write \"{number}\""))
    }
}
