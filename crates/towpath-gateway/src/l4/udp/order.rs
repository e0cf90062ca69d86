//! Least recently used first: lists threaded through the slots of a slab, so that moving a session allocates nothing.

use towpath_base::slab::{Key, Slab};

/// How many orders a node can stand in at once.
pub(crate) const RANKS: usize = 2;

/// A node's neighbours in one order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Links {
    older: Option<Key>,
    newer: Option<Key>,
}

/// What can be put in order.
pub(crate) trait Linked {
    /// The neighbours of this rank, a number below [`RANKS`].
    fn links(&mut self, rank: Rank) -> &mut Links;
}

/// Which of a node's links an order uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    /// Among all sessions.
    All = 0,
    /// Among those of one source.
    Source = 1,
}

/// An order of nodes, from the one not used for longest.
#[derive(Debug)]
pub(crate) struct Order {
    rank: Rank,
    oldest: Option<Key>,
    newest: Option<Key>,
    len: usize,
}

impl Order {
    pub(crate) fn new(rank: Rank) -> Self {
        Self { rank, oldest: None, newest: None, len: 0 }
    }

    /// The node not used for longest.
    pub(crate) fn oldest(&self) -> Option<Key> {
        self.oldest
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts a node that stands in no order of this rank last.
    pub(crate) fn push<N: Linked>(&mut self, nodes: &mut Slab<N>, key: Key) {
        let Some(node) = nodes.get_mut(key) else { return };
        *node.links(self.rank) = Links { older: self.newest, newer: None };
        match self.newest.and_then(|newest| nodes.get_mut(newest)) {
            Some(newest) => newest.links(self.rank).newer = Some(key),
            None => self.oldest = Some(key),
        }
        self.newest = Some(key);
        self.len += 1;
    }

    /// Takes out a node that stands in this order.
    pub(crate) fn remove<N: Linked>(&mut self, nodes: &mut Slab<N>, key: Key) {
        let Some(node) = nodes.get_mut(key) else { return };
        let Links { older, newer } = std::mem::take(node.links(self.rank));
        match older.and_then(|older| nodes.get_mut(older)) {
            Some(node) => node.links(self.rank).newer = newer,
            None => self.oldest = newer,
        }
        match newer.and_then(|newer| nodes.get_mut(newer)) {
            Some(node) => node.links(self.rank).older = older,
            None => self.newest = older,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Node(char, [Links; RANKS]);

    impl Linked for Node {
        fn links(&mut self, rank: Rank) -> &mut Links {
            &mut self.1[rank as usize]
        }
    }

    /// Does what `script` says, a letter to use a node, `-` and a letter to take it out, and reads the order.
    fn check(script: &str, expected: &str) {
        let (mut nodes, mut order) = (Slab::default(), Order::new(Rank::Source));
        let mut keys: Vec<(char, Key)> = Vec::new();
        let mut is_removal = false;
        for name in script.chars() {
            if name == '-' {
                is_removal = true;
                continue;
            }
            if let Some(position) = keys.iter().position(|(known, _)| *known == name) {
                let (_, key) = keys.remove(position);
                order.remove(&mut nodes, key);
                nodes.remove(key);
            }
            if !std::mem::take(&mut is_removal) {
                let key = nodes.insert(Node(name, Default::default()));
                order.push(&mut nodes, key);
                keys.push((name, key));
            }
        }
        let mut text = String::new();
        assert_eq!(order.len(), keys.len());
        while let Some(key) = order.oldest() {
            text.extend(nodes.get(key).map(|node| node.0));
            order.remove(&mut nodes, key);
        }
        assert_eq!(text, expected, "{script}");
        assert_eq!((order.len(), order.newest), (0, None));
    }

    #[test]
    fn the_one_not_used_for_longest_comes_first() {
        check("abc", "abc");
        check("abca", "bca");
        check("abcb", "acb");
        check("abcc", "abc");
        check("abc-a-c", "b");
        check("a-a", "");
    }
}
