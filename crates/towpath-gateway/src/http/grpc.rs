//! What gRPC asks of a proxy: its deadline, and failures in its own words.
//!
//! The rules are those of the project's documents "gRPC over HTTP2" and "HTTP to gRPC Status Code Mapping".

use std::time::Duration;

use towpath::ctx::wire::read_grpc_timeout;
use towpath_proto::message::{Known, RequestHead, Version};

use crate::error::Reason;

/// The media type of calls; `+proto` and the like may follow.
pub(super) const MEDIA_TYPE: &[u8] = b"application/grpc";

/// Whether a request is a call. There is none in HTTP/1.
pub(super) fn is_call(head: &RequestHead, block: &[u8]) -> bool {
    if head.version != Version::Http2 {
        return false;
    }
    head.fields.find(Known::ContentType, block).and_then(rest_of).is_some()
}

/// What follows the media type of a message of gRPC; `None` for another.
pub(super) fn rest_of(media_type: &[u8]) -> Option<&[u8]> {
    let (name, rest) = media_type.split_at_checked(MEDIA_TYPE.len())?;
    let is_whole = matches!(rest.first(), None | Some(b'+' | b';' | b' '));
    (is_whole && name.eq_ignore_ascii_case(MEDIA_TYPE)).then_some(rest)
}

/// How long the client waits, by `grpc-timeout`; `None` for a value that is none, as for no value.
pub(super) fn timeout_of(head: &RequestHead, block: &[u8]) -> Option<Duration> {
    read_grpc_timeout(head.fields.find(Known::GrpcTimeout, block)?)
}

/// The status code that tells a client of gRPC why the gateway did not do what it asked for.
pub(super) fn status_of(reason: Reason) -> u8 {
    const CANCELLED: u8 = 1;
    const UNKNOWN: u8 = 2;
    const DEADLINE_EXCEEDED: u8 = 4;
    const PERMISSION_DENIED: u8 = 7;
    const RESOURCE_EXHAUSTED: u8 = 8;
    const UNIMPLEMENTED: u8 = 12;
    const INTERNAL: u8 = 13;
    const UNAVAILABLE: u8 = 14;
    const UNAUTHENTICATED: u8 = 16;
    match (reason, reason.status()) {
        (Reason::RequestTimeout, _) => DEADLINE_EXCEEDED,
        (_, 400) => INTERNAL,
        (_, 401) => UNAUTHENTICATED,
        (_, 403) => PERMISSION_DENIED,
        (_, 404 | 405) => UNIMPLEMENTED,
        (_, 413 | 431) => RESOURCE_EXHAUSTED,
        (_, 429 | 502 | 503 | 504) => UNAVAILABLE,
        (_, 499) => CANCELLED,
        _ => UNKNOWN,
    }
}
