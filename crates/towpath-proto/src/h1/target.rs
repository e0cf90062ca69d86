//! The request target and its four forms (RFC 9112 §3.2).

use super::TargetFault;
use crate::authority::Authority;
use crate::message::{Method, Span};
use crate::path;

/// A request target taken apart.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Target {
    /// Host and port of an absolute or authority-form target.
    pub(crate) authority: Option<Span>,
    /// The port that is meant when the authority names none; `None` when nothing says so.
    pub(crate) default_port: Option<u16>,
    pub(crate) path: Span,
    pub(crate) query: Option<Span>,
    pub(crate) path_is_canonical: bool,
}

/// Takes apart the target at `span` of `block`. Every target of every method gets a verdict (T10, T44).
pub(crate) fn parse(method: Method, span: Span, block: &[u8]) -> Result<Target, TargetFault> {
    let bytes = span.of(block);
    match (method, bytes) {
        // RFC 9112 §3.2.3: authority-form is for CONNECT, and CONNECT has no other.
        (Method::Connect, _) => authority_form(bytes, span),
        (_, [b'/', ..]) => path_and_query(bytes, span.start),
        // RFC 9112 §3.2.4: asterisk-form is for OPTIONS.
        (Method::Options, b"*") => Ok(Target { path: span, path_is_canonical: true, ..Target::default() }),
        _ => absolute_form(method, bytes, span),
    }
}

fn authority_form(bytes: &[u8], span: Span) -> Result<Target, TargetFault> {
    let authority = Authority::parse(bytes).ok_or(TargetFault::Authority)?;
    // RFC 9112 §3.2.3: the port is part of the form; there is no default for a tunnel.
    if authority.port.is_none() {
        return Err(TargetFault::Authority);
    }
    let path = Span::new(span.end, span.end);
    Ok(Target { authority: Some(span), path, path_is_canonical: true, ..Target::default() })
}

/// RFC 9112 §3.2.2: accepted from every client, not only from those that know us as their proxy.
fn absolute_form(method: Method, bytes: &[u8], span: Span) -> Result<Target, TargetFault> {
    let Some(scheme_bytes) = memchr::memmem::find(bytes, b"://") else { return Err(TargetFault::Form) };
    let default_port = match &bytes[..scheme_bytes] {
        scheme if scheme.eq_ignore_ascii_case(b"http") => 80,
        scheme if scheme.eq_ignore_ascii_case(b"https") => 443,
        _ => return Err(TargetFault::Scheme),
    };
    let authority_start = scheme_bytes + 3;
    let rest = &bytes[authority_start..];
    let authority_bytes =
        rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    // User information would make the host look like another one (RFC 9110 §4.2.4); `@` is no host byte.
    Authority::parse(&rest[..authority_bytes]).ok_or(TargetFault::Authority)?;
    let at = span.start + authority_start as u32;
    let path_start = at + authority_bytes as u32;
    let target = match &rest[authority_bytes..] {
        path @ [b'/', ..] => path_and_query(path, path_start)?,
        // RFC 9112 §3.2.4 would have this forwarded as `OPTIONS *`, which asks something else than `OPTIONS
        // /`, and the block holds no `*` to point at. Nobody is known to send it.
        [] if method == Method::Options => return Err(TargetFault::Form),
        // RFC 9112 §3.2.1: an empty path is sent as `/`. The second slash of `://` is one.
        query => {
            let path = Span::new(at - 1, at);
            Target { path, query: query_of(query, path_start)?, path_is_canonical: true, ..Target::default() }
        }
    };
    Ok(Target { authority: Some(Span::new(at, path_start)), default_port: Some(default_port), ..target })
}

/// A path that starts with `/`, and what follows its `?`, from offset `start` of the block.
fn path_and_query(bytes: &[u8], start: u32) -> Result<Target, TargetFault> {
    let PathScan { path_bytes, is_plain } = scan_path(bytes)?;
    let (path, query) = bytes.split_at(path_bytes);
    let path_end = start + path_bytes as u32;
    Ok(Target {
        path: Span::new(start, path_end),
        query: query_of(query, path_end)?,
        path_is_canonical: is_plain || path::is_canonical(path),
        ..Target::default()
    })
}

struct PathScan {
    path_bytes: usize,
    /// Nothing in it could need a change: no `%`, no `//`, no segment that starts with `.`.
    is_plain: bool,
}

/// One pass over the path, up to `?` or the end. Most paths are plain, so that the exact check is left to the
/// others.
fn scan_path(bytes: &[u8]) -> Result<PathScan, TargetFault> {
    let mut is_plain = true;
    let mut follows_slash = false;
    for (at, &byte) in bytes.iter().enumerate() {
        match CLASS[byte as usize] {
            Class::Plain => follows_slash = false,
            Class::Slash => {
                is_plain &= !follows_slash;
                follows_slash = true;
            }
            Class::Dot => {
                is_plain &= !follows_slash;
                follows_slash = false;
            }
            Class::Percent => {
                is_plain = false;
                follows_slash = false;
                // RFC 3986 §2.1.
                let digits = bytes.get(at + 1..at + 3).unwrap_or_default();
                if digits.len() != 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(TargetFault::PercentEncoding);
                }
            }
            Class::Question => return Ok(PathScan { path_bytes: at, is_plain }),
            Class::Refused if byte == b'#' => return Err(TargetFault::Fragment),
            Class::Refused => return Err(TargetFault::Byte),
        }
    }
    Ok(PathScan { path_bytes: bytes.len(), is_plain })
}

/// The span behind `?`, where `bytes` is empty or starts with it. A query is opaque here: browsers put `\`,
/// `"` and lone `%` into it and nothing below the router reads it, so only what could end the line or hide a
/// fragment is refused.
fn query_of(bytes: &[u8], start: u32) -> Result<Option<Span>, TargetFault> {
    let [b'?', query @ ..] = bytes else {
        // Only the authority's end can leave something else than `?` here.
        return if bytes.is_empty() { Ok(None) } else { Err(TargetFault::Fragment) };
    };
    // RFC 9112 §3.2: the fragment is not part of any form (GHSA-fvhj-4qfh-q2hm, T10).
    if memchr::memchr(b'#', query).is_some() {
        return Err(TargetFault::Fragment);
    }
    if !query.iter().all(u8::is_ascii_graphic) {
        return Err(TargetFault::Byte);
    }
    Ok(Some(Span::new(start + 1, start + bytes.len() as u32)))
}

#[derive(Clone, Copy)]
enum Class {
    Plain,
    Slash,
    Dot,
    Percent,
    Question,
    Refused,
}

const CLASS: [Class; 256] = {
    let mut table = [Class::Refused; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'/' => Class::Slash,
            b'.' => Class::Dot,
            b'%' => Class::Percent,
            b'?' => Class::Question,
            other if path::is_path_byte(other) => Class::Plain,
            _ => Class::Refused,
        };
        byte += 1;
    }
    table
};
