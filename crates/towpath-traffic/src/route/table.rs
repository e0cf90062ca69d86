//! The table itself: build, find, and what a miss means.

use super::clash::{self, Fault};
use super::index::HostIndex;
use super::path::Captures;
use super::rule::{Ranked, RequestView, RouteRule};

/// All rules of a listener, indexed. Immutable and freely shared.
#[derive(Clone, Debug)]
pub struct RouteTable {
    /// In rank order.
    pub(crate) rules: Vec<Ranked>,
    /// From the caller's position to the position in `rules`.
    places: Vec<u32>,
    index: HostIndex,
    warnings: Vec<Fault>,
}

/// Why no route answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// No route for this host and path: 404.
    NoRoute,
    /// Some route matches all but the method: 405, which must carry `Allow` (RFC 9110 §15.5.6).
    Method {
        /// The methods that would match, sorted, each once.
        allow: Vec<String>,
    },
}

impl RouteTable {
    /// Ranks and indexes `rules`. The numbers that [`find`](Self::find) and [`explain`](Self::explain) give are
    /// positions in this list.
    ///
    /// # Errors
    /// Every [`Fault`] found, not the first alone.
    pub fn build(rules: Vec<RouteRule>) -> Result<Self, Vec<Fault>> {
        let mut ranked: Vec<Ranked> =
            rules.into_iter().enumerate().map(|(id, rule)| Ranked::new(id, rule)).collect();
        ranked.sort_by_key(|ranked| (ranked.rank, ranked.id));
        let index = HostIndex::new(&ranked);
        let mut faults = clash::bad_words(&ranked);
        let (errors, warnings) = clash::clashes(&ranked, &index);
        faults.extend(errors);
        if faults.is_empty() {
            Ok(Self { places: places_of(&ranked), rules: ranked, index, warnings })
        } else {
            Err(faults)
        }
    }

    /// The route for `request`. Allocates nothing and takes no lock.
    pub fn find(&self, request: &RequestView<'_>) -> Option<usize> {
        let position = self.index.find(&self.rules, request)?;
        self.rules.get(position as usize).map(|ranked| ranked.id)
    }

    /// The same answer by looking at every rule; what tests compare [`find`](Self::find) with.
    pub fn find_slow(&self, request: &RequestView<'_>) -> Option<usize> {
        let matching = self.rules.iter().filter(|ranked| ranked.mismatch(request).is_none());
        matching.min_by_key(|ranked| (ranked.rank, ranked.id)).map(|ranked| ranked.id)
    }

    /// What to answer when [`find`](Self::find) gave nothing. Looks at every rule; not for the hot path.
    pub fn miss(&self, request: &RequestView<'_>) -> Miss {
        let only_method = |ranked: &&Ranked| {
            ranked.mismatch(request) == Some(super::Verdict::Method) && ranked.unmet_value(request).is_none()
        };
        let blocked = self.rules.iter().filter(only_method);
        let mut allow: Vec<String> = blocked.flat_map(|ranked| ranked.rule.methods.iter().cloned()).collect();
        allow.sort_unstable();
        allow.dedup();
        if allow.is_empty() { Miss::NoRoute } else { Miss::Method { allow } }
    }

    /// What the names in the path of `route` stand for in `path`; nothing when they do not match.
    pub fn captures<'t>(&'t self, route: usize, path: &'t [u8]) -> Captures<'t> {
        match self.rule(route) {
            Some(rule) => rule.path.captures(path),
            None => Captures::none(),
        }
    }

    /// The rule at `route`, as given to [`build`](Self::build) except that header names are in lower case.
    pub fn rule(&self, route: usize) -> Option<&RouteRule> {
        let place = *self.places.get(route)?;
        self.rules.get(place as usize).map(|ranked| &ranked.rule)
    }

    /// The name of `route`, or nothing when there is no such rule.
    pub fn name(&self, route: usize) -> &str {
        self.rule(route).map_or("", |rule| &rule.name)
    }

    /// Rules that can never win although nothing is wrong with them as such: a pattern below a prefix that takes
    /// all of it. Always [`Fault::Unreachable`].
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// How many rules the table holds.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether the table holds no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

fn places_of(rules: &[Ranked]) -> Vec<u32> {
    let mut places = vec![0; rules.len()];
    for (place, ranked) in rules.iter().enumerate() {
        places[ranked.id] = place as u32;
    }
    places
}
