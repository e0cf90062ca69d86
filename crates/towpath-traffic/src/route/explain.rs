//! Why a route won or lost, in words.

use super::rule::{Rank, RequestView};
use super::table::RouteTable;

/// What became of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Position of the rule in the list given to [`RouteTable::build`].
    pub route: usize,
    /// Why it won or lost.
    pub verdict: Verdict,
}

/// Why a route won or lost. The first reason in the order host, path, method, headers, query, rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answers this request.
    Chosen,
    /// The host is another one.
    Host,
    /// The path does not match.
    Path,
    /// Host and path match, the method does not.
    Method,
    /// A request header field does not hold what the rule asks for.
    Header {
        /// The field's name, in lower case.
        name: String,
        /// Whether the field was absent, and not merely different.
        missing: bool,
    },
    /// A query parameter does not hold what the rule asks for.
    Query {
        /// The parameter's name.
        name: String,
        /// Whether the parameter was absent, and not merely different.
        missing: bool,
    },
    /// It matches too, but another one ranks before it.
    Outranked {
        /// The chosen route.
        by: usize,
        /// What made the difference.
        step: Step,
    },
}

/// The steps of the ranking, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The other host rule is more specific.
    Host,
    /// The other path rule is more specific.
    Path,
    /// The other rule has more matchers.
    Matchers,
    /// The other rule has the higher priority.
    Priority,
}

impl RouteTable {
    /// Says of every rule, best rank first, why it won or lost. Exactly one is [`Verdict::Chosen`] when
    /// [`find`](RouteTable::find) has an answer, and it is that answer; otherwise none is.
    pub fn explain(&self, request: &RequestView<'_>) -> Vec<Candidate> {
        let mut chosen: Option<(usize, Rank)> = None;
        self.rules
            .iter()
            .map(|ranked| {
                let verdict = ranked.mismatch(request).unwrap_or_else(|| match chosen {
                    Some((by, rank)) => {
                        Verdict::Outranked { by, step: first_difference(&rank, &ranked.rank) }
                    }
                    None => {
                        chosen = Some((ranked.id, ranked.rank));
                        Verdict::Chosen
                    }
                });
                Candidate { route: ranked.id, verdict }
            })
            .collect()
    }

    /// One line for a person: `users: lost, header x-canary is missing`.
    pub fn describe(&self, candidate: &Candidate) -> String {
        format!("{}: {}", self.name(candidate.route), self.reason(candidate))
    }

    fn reason(&self, candidate: &Candidate) -> String {
        let rule = self.rule(candidate.route);
        match &candidate.verdict {
            Verdict::Chosen => "chosen".to_owned(),
            Verdict::Host => {
                format!("lost, its host is {}", rule.map_or(String::new(), |rule| rule.host.to_string()))
            }
            Verdict::Path => {
                format!("lost, its path is {}", rule.map_or(String::new(), |rule| rule.path.to_string()))
            }
            Verdict::Method => {
                format!(
                    "lost, its methods are {}",
                    rule.map_or(String::new(), |rule| rule.methods.join(", "))
                )
            }
            Verdict::Header { name, missing } => format!("lost, header {name} {}", how(*missing)),
            Verdict::Query { name, missing } => format!("lost, query parameter {name} {}", how(*missing)),
            Verdict::Outranked { by, step } => format!("matches, but {} {}", self.name(*by), step.words()),
        }
    }
}

impl Step {
    fn words(self) -> &'static str {
        match self {
            Self::Host => "has the more specific host",
            Self::Path => "has the more specific path",
            Self::Matchers => "has more matchers",
            Self::Priority => "has the higher priority",
        }
    }
}

fn how(missing: bool) -> &'static str {
    if missing { "is missing" } else { "differs" }
}

/// A table holds no two rules that match the same request at equal rank, so the last step needs no further test.
fn first_difference(winner: &Rank, loser: &Rank) -> Step {
    if winner.host != loser.host {
        Step::Host
    } else if winner.path != loser.path {
        Step::Path
    } else if winner.matchers != loser.matchers {
        Step::Matchers
    } else {
        Step::Priority
    }
}
