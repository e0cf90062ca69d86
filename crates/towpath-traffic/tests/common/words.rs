//! What several tests share: a seeded generator, and rules and requests written as text.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "every test file uses its own part of this module"
)]

use towpath_traffic::route::{HostRule, Miss, PathRule, RequestView, RouteRule, RouteTable, ValueRule};

/// Xorshift, so that a failing seed replays.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// A request as text: `GET http://host/path?query name: value; name: value`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: Vec<u8>,
    pub host: Vec<u8>,
    pub path: Vec<u8>,
    pub query: Option<Vec<u8>>,
    pub headers: Vec<(String, String)>,
}

impl Request {
    pub fn parse(text: &str) -> Self {
        let (method, rest) = text.split_once(' ').expect("a method");
        let (url, headers) = rest.split_once(' ').unwrap_or((rest, ""));
        let url = url.strip_prefix("http://").expect("a URL");
        let slash = url.find(['/', '*']).unwrap_or(url.len());
        let (host, target) = url.split_at(slash);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes().to_vec())),
            None => (target, None),
        };
        let header = |text: &str| {
            let (name, value) = text.split_once(": ").expect("a header");
            (name.to_owned(), value.to_owned())
        };
        Self {
            method: method.into(),
            host: host.into(),
            path: path.into(),
            query,
            headers: headers.split("; ").filter(|text| !text.is_empty()).map(header).collect(),
        }
    }

    pub fn header(&self, name: &[u8]) -> Option<&[u8]> {
        let found = self.headers.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_bytes())
    }

    pub fn with_view<R>(&self, use_it: impl FnOnce(&RequestView<'_>) -> R) -> R {
        let header = |name: &[u8]| self.header(name);
        use_it(&RequestView {
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            method: &self.method,
            header: &header,
        })
    }
}

/// A rule as text: `name host path`, then any of `GET,POST`, `x-name=value`, `?name=value`, `#priority`.
pub fn rule(line: &str) -> RouteRule {
    let mut words = line.split_whitespace();
    let mut word = || words.next().expect("name, host and path");
    let mut rule = RouteRule {
        name: word().to_owned(),
        host: HostRule::parse(word()).expect("a host"),
        path: PathRule::parse(word()).expect("a path"),
        ..RouteRule::default()
    };
    for word in words {
        if let Some(priority) = word.strip_prefix('#') {
            rule.priority = priority.parse().expect("a priority");
        } else if let Some((name, value)) = word.split_once('=') {
            match name.strip_prefix('?') {
                Some(name) => rule.query.push((name.to_owned(), ValueRule::parse(value))),
                None => rule.headers.push((name.to_owned(), ValueRule::parse(value))),
            }
        } else {
            rule.methods = word.split(',').map(str::to_owned).collect();
        }
    }
    rule
}

pub fn rules(text: &str) -> Vec<RouteRule> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(rule).collect()
}

pub fn table(text: &str) -> RouteTable {
    RouteTable::build(rules(text)).expect("rules without faults")
}

/// The chosen route's name, or `404`, or `405` with what is allowed.
pub fn answer(table: &RouteTable, request: &str) -> String {
    Request::parse(request).with_view(|view| match (table.find(view), table.miss(view)) {
        (Some(route), _) => table.name(route).to_owned(),
        (None, Miss::NoRoute) => "404".to_owned(),
        (None, Miss::Method { allow }) => format!("405 {}", allow.join(", ")),
    })
}
