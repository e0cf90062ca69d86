//! Label values with an upper bound on how many there are (T59): a peer, or a file with very many routes, must not
//! decide how much memory metrics take, here or in the database behind them.

use std::collections::HashMap;
use std::hash::Hash;

/// Distinct values of one label before the rest is counted as [`OTHER`].
pub const LABEL_VALUES_MAX: usize = 200;

/// The value that stands for all beyond the bound.
pub const OTHER: &str = "other";

/// Things by label, at most a fixed number of them; every further label shares one thing.
#[derive(Debug)]
pub struct Capped<K, T> {
    places: HashMap<K, usize>,
    things: Vec<(Option<K>, T)>,
    labels_max: usize,
    other: Option<usize>,
}

impl<K: Clone + Eq + Hash, T> Capped<K, T> {
    /// Room for `labels_max` labels, and one more thing for all the others.
    pub fn new(labels_max: usize) -> Self {
        Self { places: HashMap::new(), things: Vec::new(), labels_max, other: None }
    }

    /// The thing for `label`, made now if there is none and room for it; else the one for all others.
    pub fn get_or_insert_with(&mut self, label: &K, make: impl FnOnce() -> T) -> &mut T {
        let place = match self.places.get(label) {
            Some(&place) => place,
            None if self.is_full() => return self.other_or_insert_with(make),
            None => {
                self.places.insert(label.clone(), self.things.len());
                self.push(Some(label.clone()), make())
            }
        };
        &mut self.things[place].1
    }

    /// The thing for all others, made now if there is none.
    pub fn other_or_insert_with(&mut self, make: impl FnOnce() -> T) -> &mut T {
        let place = match self.other {
            Some(place) => place,
            None => self.push(None, make()),
        };
        self.other = Some(place);
        &mut self.things[place].1
    }

    fn push(&mut self, label: Option<K>, thing: T) -> usize {
        self.things.push((label, thing));
        self.things.len() - 1
    }

    /// Whether a new label would have to share.
    pub fn is_full(&self) -> bool {
        self.places.len() >= self.labels_max
    }

    /// Removes labels for which `keep` does not hold, to make room. The thing for all others stays.
    pub fn retain(&mut self, keep: impl Fn(&K, &T) -> bool) {
        self.things.retain(|(label, thing)| label.as_ref().is_none_or(|label| keep(label, thing)));
        self.places.clear();
        self.other = None;
        for (place, (label, _)) in self.things.iter().enumerate() {
            match label {
                Some(label) => drop(self.places.insert(label.clone(), place)),
                None => self.other = Some(place),
            }
        }
    }

    /// Every thing with its label, in the order they came; `None` is the label for all others.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&K>, &T)> {
        self.things.iter().map(|(label, thing)| (label.as_ref(), thing))
    }
}
