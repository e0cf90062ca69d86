//! The index: from host and path to the few rules that can match.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::host::{HOST_BYTES_MAX, HostKind, bare};
use super::path::PathKind;
use super::rule::{Ranked, RequestView};
use super::trie::Trie;

/// A map with byte strings as keys. Only the plan's author adds keys, so nobody can pile up collisions from outside
/// and the hash may be a cheap one.
pub(crate) type ByteMap<T> = HashMap<Box<[u8]>, T, BuildHasherDefault<WordHasher>>;

/// Hosts first, since host outranks path.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostIndex {
    exact: ByteMap<PathIndex>,
    wildcard: Suffixes,
    any: PathIndex,
}

/// Wildcards by their suffix, with the distinct lengths of these, longest first.
#[derive(Clone, Debug, Default)]
struct Suffixes {
    by_suffix: ByteMap<PathIndex>,
    lengths: Vec<usize>,
}

/// The rules of one host rule. Every list holds positions in rank order, best first.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathIndex {
    pub(crate) exact: ByteMap<Vec<u32>>,
    pub(crate) prefix: ByteMap<Vec<u32>>,
    /// The distinct lengths of prefixes, longest first. They bound the look-ups for a path with very many slashes.
    prefix_lengths: Vec<usize>,
    trie: Trie,
    /// The rules in `trie`, as a list.
    pub(crate) patterns: Vec<u32>,
    pub(crate) anything: Vec<u32>,
}

impl HostIndex {
    /// Indexes rules that stand in rank order.
    pub(crate) fn new(rules: &[Ranked]) -> Self {
        let mut index = Self::default();
        for (position, ranked) in rules.iter().enumerate() {
            index.paths_of(ranked).insert(ranked, position as u32);
        }
        index
    }

    fn paths_of(&mut self, ranked: &Ranked) -> &mut PathIndex {
        match &ranked.rule.host.0 {
            HostKind::Any => &mut self.any,
            HostKind::Exact(name) => self.exact.entry(name.as_bytes().into()).or_default(),
            HostKind::Wildcard(suffix) => {
                note_length(&mut self.wildcard.lengths, suffix.len());
                self.wildcard.by_suffix.entry(suffix.as_bytes().into()).or_default()
            }
        }
    }

    /// All path indexes, one per distinct host rule.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &PathIndex> {
        self.exact.values().chain(self.wildcard.by_suffix.values()).chain([&self.any])
    }

    /// Position of the best rule for `request`.
    pub(crate) fn find(&self, rules: &[Ranked], request: &RequestView<'_>) -> Option<u32> {
        self.find_named(rules, request).or_else(|| self.any.find(rules, request))
    }

    fn find_named(&self, rules: &[Ranked], request: &RequestView<'_>) -> Option<u32> {
        if self.exact.is_empty() && self.wildcard.by_suffix.is_empty() {
            return None;
        }
        let mut buffer = [0; HOST_BYTES_MAX];
        let host = bare(request.host);
        let folded = fold_tail(host, &mut buffer);
        // A host that did not fit is longer than any exact rule; its tail still decides about wildcards.
        let exact = self.exact.get(folded).filter(|_| folded.len() == host.len());
        exact
            .and_then(|paths| paths.find(rules, request))
            .or_else(|| self.wildcard.find(folded, host.len(), rules, request))
    }
}

impl Suffixes {
    fn find(
        &self,
        tail: &[u8],
        host_bytes: usize,
        rules: &[Ranked],
        request: &RequestView<'_>,
    ) -> Option<u32> {
        self.lengths.iter().filter(|&&length| length < host_bytes).find_map(|&length| {
            let suffix = tail.get(tail.len().checked_sub(length)?..)?;
            self.by_suffix.get(suffix)?.find(rules, request)
        })
    }
}

impl PathIndex {
    fn insert(&mut self, ranked: &Ranked, position: u32) {
        match &ranked.rule.path.0 {
            PathKind::Exact(path) => self.exact.entry(path.as_bytes().into()).or_default().push(position),
            PathKind::Prefix(prefix) => {
                note_length(&mut self.prefix_lengths, prefix.len());
                self.prefix.entry(prefix.as_bytes().into()).or_default().push(position);
            }
            PathKind::Pattern(pattern) => {
                self.trie.insert(pattern, position);
                self.patterns.push(position);
            }
            PathKind::Any => self.anything.push(position),
        }
    }

    fn find(&self, rules: &[Ranked], request: &RequestView<'_>) -> Option<u32> {
        self.find_exact(rules, request)
            .or_else(|| self.find_prefix(rules, request))
            .or_else(|| self.find_pattern(rules, request))
            .or_else(|| first_holding(&self.anything, rules, request))
    }

    fn find_exact(&self, rules: &[Ranked], request: &RequestView<'_>) -> Option<u32> {
        if self.exact.is_empty() {
            return None;
        }
        first_holding(self.exact.get(request.path)?, rules, request)
    }

    fn find_prefix(&self, rules: &[Ranked], request: &RequestView<'_>) -> Option<u32> {
        self.prefix_lengths.iter().find_map(|&length| {
            let (prefix, after) = request.path.split_at_checked(length)?;
            if !matches!(after.first(), None | Some(b'/')) {
                return None;
            }
            first_holding(self.prefix.get(prefix)?, rules, request)
        })
    }

    fn find_pattern(&self, rules: &[Ranked], request: &RequestView<'_>) -> Option<u32> {
        if self.patterns.is_empty() {
            return None;
        }
        self.trie.find(rules, request)
    }
}

/// The first of `list` whose method, header and query conditions hold.
pub(crate) fn first_holding(list: &[u32], rules: &[Ranked], request: &RequestView<'_>) -> Option<u32> {
    list.iter()
        .copied()
        .find(|&position| rules.get(position as usize).is_some_and(|r| r.conditions_hold(request)))
}

/// Copies the last bytes of `host` into `buffer` in lower case.
fn fold_tail<'b>(host: &[u8], buffer: &'b mut [u8; HOST_BYTES_MAX]) -> &'b [u8] {
    let tail = &host[host.len().saturating_sub(HOST_BYTES_MAX)..];
    let folded = &mut buffer[..tail.len()];
    folded.copy_from_slice(tail);
    folded.make_ascii_lowercase();
    folded
}

fn note_length(lengths: &mut Vec<usize>, length: usize) {
    if let Err(place) = lengths.binary_search_by(|known| length.cmp(known)) {
        lengths.insert(place, length);
    }
}

/// Eight bytes per step: rotate, xor, multiply. See [`ByteMap`] for why it need not resist an attacker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WordHasher(u64);

impl WordHasher {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, tail) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        self.mix(u64::from_le_bytes(last));
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn finish(&self) -> u64 {
        // The product's high bits are the well-mixed ones, and the map looks at both ends.
        self.0 ^ (self.0 >> 32)
    }
}
