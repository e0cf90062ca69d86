//! What can be wrong with a set of rules: ties, and rules that can never win.

use std::fmt;

use super::index::{HostIndex, PathIndex};
use super::path::PathKind;
use super::rule::{Ranked, RouteRule, ValueRule};

/// Something wrong with a set of rules. Positions are those in the list given to `build`, names are the rules' own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A method that is no token (RFC 9110 §5.6.2).
    Method {
        /// The rule's position and name.
        route: (usize, String),
        /// What was written.
        method: String,
    },
    /// A header field name that is no token (RFC 9110 §5.1).
    HeaderName {
        /// The rule's position and name.
        route: (usize, String),
        /// What was written.
        name: String,
    },
    /// Two rules of equal rank match the same requests.
    Tie {
        /// The one that stands first in the list.
        first: (usize, String),
        /// The other one.
        second: (usize, String),
    },
    /// A rule that can never be chosen, because a better-ranked one takes every request it would match.
    Unreachable {
        /// The rule that never wins.
        route: (usize, String),
        /// The rule that always wins instead.
        by: (usize, String),
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method { route, method } => {
                write!(f, "route `{}`: {method:?} is not a method name", route.1)
            }
            Self::HeaderName { route, name } => {
                write!(f, "route `{}`: {name:?} is not a header field name", route.1)
            }
            Self::Tie { first, second } => write!(
                f,
                "routes `{}` and `{}` match the same requests and are equally specific; give one of them a `priority`",
                first.1, second.1
            ),
            Self::Unreachable { route, by } => {
                write!(
                    f,
                    "route `{}` is never chosen: route `{}` takes every request it would match",
                    route.1, by.1
                )
            }
        }
    }
}

impl std::error::Error for Fault {}

/// What two rules do to each other, the first of them ranked no worse.
enum Clash {
    Tie,
    /// Same path: a mistake.
    Twin,
    /// A wider path of better rank: legal, but worth a warning.
    Hidden,
}

/// Words of the rules themselves that cannot be right.
pub(crate) fn bad_words(rules: &[Ranked]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for ranked in rules {
        let bad_methods = ranked.rule.methods.iter().filter(|method| !is_token(method));
        faults
            .extend(bad_methods.map(|method| Fault::Method { route: label(ranked), method: method.clone() }));
        let bad_names = ranked.rule.headers.iter().filter(|(name, _)| !is_token(name));
        faults.extend(
            bad_names.map(|(name, _)| Fault::HeaderName { route: label(ranked), name: name.clone() }),
        );
    }
    faults
}

/// Errors and warnings about pairs of rules. A rule is reported once, with the best-ranked rule it clashes with, so
/// that ten thousand equal rules make ten thousand faults and not their square.
pub(crate) fn clashes(rules: &[Ranked], index: &HostIndex) -> (Vec<Fault>, Vec<Fault>) {
    let mut found = Found { errors: Vec::new(), warnings: Vec::new() };
    for group in index.groups() {
        found.examine_group(rules, group);
    }
    found.errors.sort_by_key(Fault::position);
    found.warnings.sort_by_key(Fault::position);
    (found.errors, found.warnings)
}

struct Found {
    errors: Vec<Fault>,
    warnings: Vec<Fault>,
}

impl Found {
    /// Rules of different host rules never clash: either the hosts are apart, or one outranks the other and leaves
    /// it the hosts in between. The same goes for two exact paths and two prefixes.
    fn examine_group(&mut self, rules: &[Ranked], group: &PathIndex) {
        for list in group.exact.values().chain(group.prefix.values()).chain([&group.anything]) {
            for (place, &loser) in list.iter().enumerate() {
                self.examine(rules, &list[..place], loser);
            }
        }
        let prefixes: Vec<u32> = group.prefix.values().flatten().copied().collect();
        for (place, &loser) in group.patterns.iter().enumerate() {
            if !self.examine(rules, &prefixes, loser) {
                self.examine(rules, &group.patterns[..place], loser);
            }
        }
    }

    fn examine(&mut self, rules: &[Ranked], before: &[u32], loser: u32) -> bool {
        let Some(loser) = rules.get(loser as usize) else { return false };
        let mut winners = before.iter().filter_map(|&position| rules.get(position as usize));
        let clash = winners.find_map(|winner| clash(winner, loser).map(|kind| (winner, kind)));
        match clash {
            Some((winner, Clash::Tie)) => {
                let (first, second) = if winner.id < loser.id { (winner, loser) } else { (loser, winner) };
                self.errors.push(Fault::Tie { first: label(first), second: label(second) });
            }
            Some((winner, Clash::Twin)) => {
                self.errors.push(Fault::Unreachable { route: label(loser), by: label(winner) });
            }
            Some((winner, Clash::Hidden)) => {
                self.warnings.push(Fault::Unreachable { route: label(loser), by: label(winner) });
            }
            None => return false,
        }
        true
    }
}

impl Fault {
    fn position(&self) -> usize {
        match self {
            Self::Method { route, .. } | Self::HeaderName { route, .. } | Self::Unreachable { route, .. } => {
                route.0
            }
            Self::Tie { second, .. } => second.0,
        }
    }
}

fn clash(winner: &Ranked, loser: &Ranked) -> Option<Clash> {
    if winner.rank == loser.rank {
        let meet = paths_overlap(&winner.rule, &loser.rule) && conditions_overlap(&winner.rule, &loser.rule);
        return meet.then_some(Clash::Tie);
    }
    if !(path_covers(&winner.rule, &loser.rule) && conditions_cover(&winner.rule, &loser.rule)) {
        return None;
    }
    Some(if path_covers(&loser.rule, &winner.rule) { Clash::Twin } else { Clash::Hidden })
}

fn paths_overlap(a: &RouteRule, b: &RouteRule) -> bool {
    match (&a.path.0, &b.path.0) {
        (PathKind::Pattern(a), PathKind::Pattern(b)) => a.overlaps(b),
        (a, b) => a == b,
    }
}

fn path_covers(wide: &RouteRule, narrow: &RouteRule) -> bool {
    match (&wide.path.0, &narrow.path.0) {
        (PathKind::Pattern(wide), PathKind::Pattern(narrow)) => wide.covers(narrow),
        (PathKind::Prefix(prefix), PathKind::Pattern(pattern)) => pattern.is_below(prefix),
        (wide, narrow) => wide == narrow,
    }
}

fn conditions_overlap(a: &RouteRule, b: &RouteRule) -> bool {
    let methods_meet = a.methods.is_empty()
        || b.methods.is_empty()
        || a.methods.iter().any(|method| b.methods.contains(method));
    methods_meet && !values_exclude(&a.headers, &b.headers) && !values_exclude(&a.query, &b.query)
}

fn values_exclude(a: &[(String, ValueRule)], b: &[(String, ValueRule)]) -> bool {
    a.iter().any(|(name, rule)| b.iter().any(|(other, value)| name == other && rule.excludes(value)))
}

fn conditions_cover(wide: &RouteRule, narrow: &RouteRule) -> bool {
    let methods_covered = wide.methods.is_empty()
        || (!narrow.methods.is_empty() && narrow.methods.iter().all(|method| wide.methods.contains(method)));
    methods_covered
        && values_cover(&wide.headers, &narrow.headers)
        && values_cover(&wide.query, &narrow.query)
}

fn values_cover(wide: &[(String, ValueRule)], narrow: &[(String, ValueRule)]) -> bool {
    wide.iter().all(|(name, rule)| narrow.iter().any(|(other, value)| name == other && rule.covers(value)))
}

fn label(ranked: &Ranked) -> (usize, String) {
    (ranked.id, ranked.rule.name.clone())
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let is_token_byte = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(is_token_byte)
}
