//! `towpath tls trace`.

use towpath_control::{Exit, TraceOrder, TraceVersions, trace_tls};

use crate::args::{TlsTrace, TlsVersion};

/// Traces what was asked for.
pub(crate) fn trace(words: TlsTrace) -> Exit {
    trace_tls(&TraceOrder {
        target: words.target,
        server_name: words.server_name,
        versions: versions(words.version),
        alpn: words.alpn,
        ca: words.ca,
        insecure: words.insecure,
        timeout: words.timeout,
    })
}

fn versions(version: Option<TlsVersion>) -> TraceVersions {
    match version {
        None => TraceVersions::Both,
        Some(TlsVersion::Tls12) => TraceVersions::Tls12,
        Some(TlsVersion::Tls13) => TraceVersions::Tls13,
    }
}
