//! The head of a request, for whichever version writes it.

use std::time::SystemTime;

use ::http::Method;
use towpath_proto::h1::encode;
use towpath_proto::h2;
use towpath_proto::message::Known;

use super::{ACCEPT_ENCODING, Inner, Outgoing};
use crate::Ctx;
use crate::ctx::wire::{self, Egress, Protocol};
use crate::http::body::Body;
use crate::http::error::Error;

/// How the end of a request's body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// By chunks in HTTP/1.1, by the end of the stream in HTTP/2.
    Open,
}

/// What a head says. The fields are lines as HTTP/1.1 has them, without those that one version alone has.
pub(super) struct Head {
    method: Method,
    is_tls: bool,
    /// What is asked for: a path and a query.
    target: String,
    /// The whole URL, for a proxy that is told it (RFC 9112 §3.2.2).
    url: Option<String>,
    /// `Host`, or `:authority`.
    authority: Vec<u8>,
    fields: Vec<u8>,
    pub(super) framing: Framing,
}

impl Head {
    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    /// The head as HTTP/1.1 writes it.
    pub(super) fn to_http1(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.fields.len() + 256);
        let target = self.url.as_ref().unwrap_or(&self.target);
        encode::request_line(&mut out, self.method.as_str().as_bytes(), target.as_bytes(), None);
        encode::field(&mut out, b"Host", &self.authority);
        out.extend_from_slice(&self.fields);
        if self.framing == Framing::Open {
            encode::transfer_encoding_chunked(&mut out);
        }
        encode::end_of_head(&mut out);
        out
    }

    /// What HTTP/2 has pseudo-header fields for (RFC 9113 §8.3.1).
    pub(super) fn as_http2(&self) -> h2::Request<'_> {
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes())),
            None => (self.target.as_str(), None),
        };
        h2::Request {
            method: self.method.as_str().as_bytes(),
            scheme: if self.is_tls { h2::Scheme::Https } else { h2::Scheme::Http },
            authority: &self.authority,
            path: path.as_bytes(),
            query,
            protocol: None,
        }
    }

    /// The fields besides, as lines.
    pub(super) fn fields(&self) -> &[u8] {
        &self.fields
    }
}

impl Inner {
    /// The head of `outgoing` with this body, which is told the whole URL if it goes `through` a proxy in clear text.
    ///
    /// # Errors
    /// The context is done, so that there is no time to tell.
    pub(super) fn head(
        &self,
        ctx: &Ctx,
        outgoing: &Outgoing,
        body: &Body,
        through: Option<&super::proxy::Proxy>,
    ) -> Result<Head, Error> {
        let Outgoing { method, url, headers, .. } = outgoing;
        let settings = &self.settings;
        let mut fields = Vec::with_capacity(512);
        let told = Egress {
            limits: wire::Limits::default(),
            protocol: Protocol::Http,
            is_trusted: settings.is_trusted,
            propagate_deadline: settings.propagate_deadline,
            allow: &settings.allow,
        };
        let told = told.headers(ctx)?;
        let is_told = |name: &[u8]| told.iter().any(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
        for (known, name, value) in headers.known() {
            if !is_ours(known) && !is_told(name) {
                encode::field(&mut fields, name, value);
            }
        }
        for (name, text) in &told {
            text.iter().for_each(|text| encode::field(&mut fields, name.as_bytes(), text.as_bytes()));
        }
        let mut unless_set = |name: &str, value: &[u8]| {
            if headers.get_bytes(name).is_none() && !value.is_empty() {
                encode::field(&mut fields, name.as_bytes(), value);
            }
        };
        unless_set("User-Agent", settings.user_agent.trim().as_bytes());
        unless_set("Accept", b"*/*");
        if self.decodes(headers) {
            unless_set("Accept-Encoding", ACCEPT_ENCODING);
        }
        let cookies = self.jar.as_ref().and_then(|jar| jar.header(url, SystemTime::now()));
        unless_set("Cookie", cookies.unwrap_or_default().as_bytes());
        if let Some(authorization) = through.and_then(|proxy| proxy.authorization.as_ref()) {
            encode::field(&mut fields, b"Proxy-Authorization", authorization.as_bytes());
        }
        let framing = body.length().map_or(Framing::Open, Framing::Length);
        // Where content is usual, its absence is said (RFC 9110 §8.6).
        let is_usual = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
        if let Framing::Length(length) = framing
            && (length > 0 || is_usual)
        {
            encode::content_length(&mut fields, length);
        }
        if outgoing.expects_continue && framing != Framing::Length(0) {
            encode::field(&mut fields, b"Expect", b"100-continue");
        }
        let authority = headers.find(Known::Host).unwrap_or(url.authority().as_bytes()).to_vec();
        Ok(Head {
            method: method.clone(),
            is_tls: url.is_tls,
            target: url.target.clone(),
            url: through.map(|_| url.to_string()),
            authority,
            fields,
            framing,
        })
    }
}

/// Fields that the client writes by itself: where it goes, how it is framed, what becomes of the connection.
fn is_ours(known: Known) -> bool {
    towpath_proto::connection::is_hop_by_hop(known)
        || matches!(known, Known::Host | Known::ContentLength | Known::Expect)
}
