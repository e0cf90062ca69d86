//! The tables of the file. Each definition below is at once the Rust struct, the list of known keys, the reader, the
//! JSON Schema and the reference: see `table.rs` for what the macro makes of it.
//!
//! Every key is optional here. A missing key is `None`, never a default: defaults belong to the crate that enforces
//! them and are only *told* here, in the doc of the key. Every value knows where it stands ([`Spanned`]).
//!
//! [`Spanned`]: crate::Spanned

mod edge;
mod process;
mod route;
mod upstream;

pub use edge::{
    ClientAuth, ForwardedStyle, Listener, ListenerProtocol, ListenerTimeouts, ProxyProtocol, ProxySource,
    Tls, TlsVersion, UnderscoreHeaders,
};
pub use process::{
    AccessLog, Admin, Io, Limits, Log, LogFormat, LogLevel, LogTarget, LogTemplate, Shutdown, WorkerCount,
    Workers,
};
pub use route::{
    Compress, DecompressRequest, Effort, EncodedPath, Encoding, Files, HeaderEdits, HostHeader, Jwt, Match,
    OnDisconnect, OnRemoved, Policy, RateLimit, Redirect, Respond, Retry, RetryOn, Rewrite, Route,
    RouteTimeouts, WebSocket,
};
pub use upstream::{
    Balance, Discover, Endpoint, Health, HealthKind, Overload, Pool, ProxyVersion, Tier, TotalCap, Upstream,
    UpstreamProtocol, UpstreamTls, Validate,
};

use crate::table::options;
use crate::value::{List, Map, Opt};

options! {
    /// Everything one configuration file says.
    pub struct Options {
        /// Further files to read, relative to this one; `*` stands for any part of a file name. An object may be
        /// defined in one file only.
        pub include: Opt<List<String>>,
        /// The address where operators ask and command.
        pub admin: Opt<Admin>,
        /// How a stop treats what is in flight.
        pub shutdown: Opt<Shutdown>,
        /// The threads that carry traffic.
        pub workers: Opt<Workers>,
        /// Bounds of the whole process.
        pub limits: Opt<Limits>,
        /// What Towpath says about itself, on standard error.
        pub log: Opt<Log>,
        /// One line for each request, connection and session.
        pub access_log: Opt<AccessLog>,
        /// Where clients connect: `[listener.NAME]`.
        pub listener: Map<Listener>,
        /// Certificates and what a TLS listener asks of its clients: `[tls.NAME]`.
        pub tls: Map<Tls>,
        /// Which requests go where: `[route.NAME]`. Order never matters, the most specific route wins.
        pub route: Map<Route>,
        /// Named groups of endpoints: `[upstream.NAME]`.
        pub upstream: Map<Upstream>,
        /// What judges a request before its route acts: `[policy.NAME]`.
        pub policy: Map<Policy>,
    }
}

impl Options {
    /// The file as JSON, as written: a `${…}` stays one and secrets are hidden.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        crate::value::Value::to_json(self)
    }
}
