//! Dividing requests among upstreams, as in `upstreams = { stable = 90, canary = 10 }`.

use super::smooth::Smooth;

/// A weighted rotation. Over each cycle of as many picks as the weights add up to, every member gets exactly its
/// weight; the members' turns are spread out.
#[derive(Clone, Debug)]
pub struct Split {
    weights: Vec<u32>,
    smooth: Smooth,
}

impl Split {
    /// A split by `weights`; a member of weight 0 gets nothing. The seed decides where in the cycle it begins.
    pub fn new(weights: &[u32], seed: u64) -> Self {
        Self { weights: weights.to_vec(), smooth: Smooth::started(weights, seed) }
    }

    /// The next member; `None` when no member has a weight.
    pub fn pick(&mut self) -> Option<usize> {
        self.smooth.pick(&self.weights, |_| true)
    }

    /// The next member among those for which `usable` holds, in proportion to their weights.
    pub fn pick_usable(&mut self, usable: impl Fn(usize) -> bool) -> Option<usize> {
        self.smooth.pick(&self.weights, usable)
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Whether it has no member.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }
}
