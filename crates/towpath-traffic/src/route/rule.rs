//! What a rule asks, what a request offers, and whether the two meet.

use std::cmp::Reverse;

use super::explain::Verdict;
use super::host::{self, HostRule};
use super::path::PathRule;
use super::query;

/// One route's conditions. All of them must hold.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RouteRule {
    /// The route's name, for faults and [`explain`](super::RouteTable::explain). Several rules may share one, as
    /// when a route lists several hosts.
    pub name: String,
    /// Hosts it answers for.
    pub host: HostRule,
    /// Paths it answers for.
    pub path: PathRule,
    /// Methods it answers for, spelled as in the request (they are case-sensitive, RFC 9110 §9.1). Empty means every
    /// method. `HEAD` is not implied by `GET`.
    pub methods: Vec<String>,
    /// Request header fields and what they must hold. Names in any case.
    pub headers: Vec<(String, ValueRule)>,
    /// Query parameters and what the first one of that name must hold, after decoding.
    pub query: Vec<(String, ValueRule)>,
    /// Decides between rules that are equally specific; the higher wins. 0 when not given.
    pub priority: i32,
}

/// What a header field or a query parameter must hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValueRule {
    /// Exactly this value, case-sensitive.
    Exact(String),
    /// Any value, but it must be there.
    Present,
}

impl ValueRule {
    /// `"*"` is [`ValueRule::Present`], every other text is that exact value.
    pub fn parse(text: &str) -> Self {
        if text == "*" { Self::Present } else { Self::Exact(text.to_owned()) }
    }

    /// Whether no value meets both.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Exact(a), Self::Exact(b)) if a != b)
    }

    /// Whether every value that meets `other` meets this too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        matches!(self, Self::Present) || self == other
    }
}

/// The parts of a request that a route may look at, all borrowed.
#[derive(Clone, Copy)]
pub struct RequestView<'a> {
    /// The authority, with or without a port; empty when there is none.
    pub host: &'a [u8],
    /// The canonical path, without query. `*` and the empty path are legal and match only rules for every path.
    pub path: &'a [u8],
    /// What follows the `?`, if there was one.
    pub query: Option<&'a [u8]>,
    /// The method as received.
    pub method: &'a [u8],
    /// Looks up a header field by its name in lower case. For a field that came in several lines: the first.
    pub header: &'a dyn Fn(&[u8]) -> Option<&'a [u8]>,
}

impl std::fmt::Debug for RequestView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestView")
            .field("host", &String::from_utf8_lossy(self.host))
            .field("path", &String::from_utf8_lossy(self.path))
            .field("query", &self.query.map(String::from_utf8_lossy))
            .field("method", &String::from_utf8_lossy(self.method))
            .finish_non_exhaustive()
    }
}

/// A rule together with its place. Inside a table, rules stand in order of `(rank, id)`.
#[derive(Clone, Debug)]
pub(crate) struct Ranked {
    /// Position in the list the table was built from.
    pub(crate) id: usize,
    pub(crate) rule: RouteRule,
    pub(crate) rank: Rank,
}

/// How specific a rule is. The smaller rank wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) host: Reverse<(u8, usize)>,
    pub(crate) path: Reverse<(u8, usize)>,
    pub(crate) matchers: Reverse<usize>,
    pub(crate) priority: Reverse<i32>,
}

impl Ranked {
    pub(crate) fn new(id: usize, mut rule: RouteRule) -> Self {
        for (name, _) in &mut rule.headers {
            name.make_ascii_lowercase();
        }
        let rank = Rank {
            host: Reverse(rule.host.rank()),
            path: Reverse(rule.path.rank()),
            matchers: Reverse(usize::from(!rule.methods.is_empty()) + rule.headers.len() + rule.query.len()),
            priority: Reverse(rule.priority),
        };
        Self { id, rule, rank }
    }

    /// Why this rule does not match, or `None` when it does.
    pub(crate) fn mismatch(&self, request: &RequestView<'_>) -> Option<Verdict> {
        if !self.rule.host.matches(host::bare(request.host)) {
            return Some(Verdict::Host);
        }
        if !self.rule.path.matches(request.path) {
            return Some(Verdict::Path);
        }
        if !self.accepts_method(request.method) {
            return Some(Verdict::Method);
        }
        self.unmet_value(request)
    }

    /// Whether all but host and path hold; those two are what the index has already settled.
    pub(crate) fn conditions_hold(&self, request: &RequestView<'_>) -> bool {
        // Most rules have no condition, and then the rank says so without a look at three lists.
        self.rank.matchers == Reverse(0)
            || self.accepts_method(request.method)
                && self.rule.headers.iter().all(|(name, wanted)| header_meets(request, name, wanted))
                && self.rule.query.iter().all(|(name, wanted)| query_meets(request, name, wanted))
    }

    pub(crate) fn accepts_method(&self, method: &[u8]) -> bool {
        self.rule.methods.is_empty() || self.rule.methods.iter().any(|known| known.as_bytes() == method)
    }

    /// The first header or query condition that fails.
    pub(crate) fn unmet_value(&self, request: &RequestView<'_>) -> Option<Verdict> {
        for (name, wanted) in &self.rule.headers {
            if !header_meets(request, name, wanted) {
                let missing = (request.header)(name.as_bytes()).is_none();
                return Some(Verdict::Header { name: name.clone(), missing });
            }
        }
        for (name, wanted) in &self.rule.query {
            if !query_meets(request, name, wanted) {
                let missing = query_value(request, name).is_none();
                return Some(Verdict::Query { name: name.clone(), missing });
            }
        }
        None
    }
}

fn header_meets(request: &RequestView<'_>, name: &str, wanted: &ValueRule) -> bool {
    match ((request.header)(name.as_bytes()), wanted) {
        (Some(value), ValueRule::Exact(text)) => value == text.as_bytes(),
        (Some(_), ValueRule::Present) => true,
        (None, _) => false,
    }
}

fn query_meets(request: &RequestView<'_>, name: &str, wanted: &ValueRule) -> bool {
    match (query_value(request, name), wanted) {
        (Some(value), ValueRule::Exact(text)) => query::equals_decoded(value, text.as_bytes()),
        (Some(_), ValueRule::Present) => true,
        (None, _) => false,
    }
}

fn query_value<'a>(request: &RequestView<'a>, name: &str) -> Option<&'a [u8]> {
    query::first_value(request.query?, name.as_bytes())
}
