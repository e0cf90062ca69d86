//! The names of what a record holds; the same in a template and in JSON.

use super::Record;

/// One thing a line can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the field of the same name in Record")]
pub enum Field {
    Time,
    RemoteAddr,
    Method,
    Host,
    Path,
    Query,
    Version,
    Status,
    BytesIn,
    BytesOut,
    DurationUs,
    Upstream,
    Endpoint,
    Route,
    Listener,
    Reason,
    RequestId,
    Referer,
    UserAgent,
    Tls,
    TlsCipher,
    Sni,
    ClientIdentity,
}

/// What a field holds for one request.
pub(crate) enum Value<'a> {
    Time(u64),
    Number(u64),
    Bytes(&'a [u8]),
    Absent,
}

impl Field {
    /// Every field, in the order of a JSON line.
    pub const ALL: [Self; 23] = [
        Self::Time,
        Self::RemoteAddr,
        Self::Method,
        Self::Host,
        Self::Path,
        Self::Query,
        Self::Version,
        Self::Status,
        Self::BytesIn,
        Self::BytesOut,
        Self::DurationUs,
        Self::Upstream,
        Self::Endpoint,
        Self::Route,
        Self::Listener,
        Self::Reason,
        Self::RequestId,
        Self::Referer,
        Self::UserAgent,
        Self::Tls,
        Self::TlsCipher,
        Self::Sni,
        Self::ClientIdentity,
    ];

    /// Its name: the key in JSON, and the variable in a template after a `$`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::RemoteAddr => "remote_addr",
            Self::Method => "method",
            Self::Host => "host",
            Self::Path => "path",
            Self::Query => "query",
            Self::Version => "version",
            Self::Status => "status",
            Self::BytesIn => "bytes_in",
            Self::BytesOut => "bytes_out",
            Self::DurationUs => "duration_us",
            Self::Upstream => "upstream",
            Self::Endpoint => "endpoint",
            Self::Route => "route",
            Self::Listener => "listener",
            Self::Reason => "reason",
            Self::RequestId => "request_id",
            Self::Referer => "referer",
            Self::UserAgent => "user_agent",
            Self::Tls => "tls",
            Self::TlsCipher => "tls_cipher",
            Self::Sni => "sni",
            Self::ClientIdentity => "client_identity",
        }
    }

    /// The field called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// The name nearest to a misspelled one, if one is near.
    pub(crate) fn nearest(name: &str) -> Option<&'static str> {
        let distances = Self::ALL.into_iter().map(|field| (distance(name, field.name()), field.name()));
        distances.min().filter(|&(distance, _)| distance <= 1 + name.len() / 3).map(|(_, name)| name)
    }

    pub(crate) fn value<'a>(self, record: &Record<'a>) -> Value<'a> {
        let bytes = match self {
            Self::Time => return Value::Time(record.time_unix_ms),
            Self::Status => return Value::Number(u64::from(record.status)),
            Self::BytesIn => return Value::Number(record.bytes_in),
            Self::BytesOut => return Value::Number(record.bytes_out),
            Self::DurationUs => return Value::Number(record.duration_us),
            Self::RemoteAddr => record.remote_addr,
            Self::Method => record.method,
            Self::Host => record.host,
            Self::Path => record.path,
            Self::Query => record.query,
            Self::Version => record.version,
            Self::Upstream => record.upstream,
            Self::Endpoint => record.endpoint,
            Self::Route => record.route,
            Self::Listener => record.listener,
            Self::Reason => record.reason,
            Self::RequestId => record.request_id,
            Self::Referer => record.referer,
            Self::UserAgent => record.user_agent,
            Self::Tls => record.tls,
            Self::TlsCipher => record.tls_cipher,
            Self::Sni => record.sni,
            Self::ClientIdentity => record.client_identity,
        };
        bytes.map_or(Value::Absent, Value::Bytes)
    }
}

/// Letters to change, add or remove to get from one word to the other (Levenshtein, one row at a time).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.bytes().enumerate() {
            let change = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
