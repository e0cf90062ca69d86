//! Patterns, stored segment by segment so that a request meets only those it can match.

use super::index::{ByteMap, first_holding};
use super::path::{Pattern, Segment, next_segment};
use super::rule::{Ranked, RequestView};

/// A node stands for the segments on the way to it. Rules are held as positions in rank order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trie {
    literal: ByteMap<Self>,
    capture: Option<Box<Self>>,
    /// Patterns that end here.
    here: Vec<u32>,
    /// Patterns that end here with `{rest...}`.
    below: Vec<u32>,
}

impl Trie {
    /// Adds the pattern of rule `position`. Positions must come in ascending order.
    pub(crate) fn insert(&mut self, pattern: &Pattern, position: u32) {
        let mut node = self;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Literal(text) => node.literal.entry(text.as_bytes().into()).or_default(),
                Segment::Capture(_) => node.capture.get_or_insert_default(),
            };
        }
        if pattern.rest.is_some() { node.below.push(position) } else { node.here.push(position) }
    }

    /// The best-ranked pattern that matches and whose conditions hold. Each node is visited at most once, since a
    /// node fixes how much of the path lies before it; the depth is bounded by `PATTERN_SEGMENTS_MAX`.
    pub(crate) fn find(&self, rules: &[Ranked], request: &RequestView<'_>) -> Option<u32> {
        let mut best = None;
        if request.path.first() == Some(&b'/') {
            self.descend(rules, request, Some(request.path), &mut best);
        }
        best
    }

    fn descend(
        &self,
        rules: &[Ranked],
        request: &RequestView<'_>,
        left: Option<&[u8]>,
        best: &mut Option<u32>,
    ) {
        keep_better(best, first_holding(&self.below, rules, request));
        let mut after = left;
        let Some(segment) = next_segment(&mut after) else {
            return keep_better(best, first_holding(&self.here, rules, request));
        };
        if let Some(node) = self.literal.get(segment) {
            node.descend(rules, request, after, best);
        }
        if let Some(node) = self.capture.as_ref().filter(|_| !segment.is_empty()) {
            node.descend(rules, request, after, best);
        }
    }
}

fn keep_better(best: &mut Option<u32>, found: Option<u32>) {
    *best = match (*best, found) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}
