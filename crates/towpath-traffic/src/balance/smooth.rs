//! Smooth weighted rotation: exact shares, and the turns of one member spread out evenly.

/// Each member earns its weight on every pick; the richest is chosen and pays what all have earned. For weights 5, 1, 1
/// this gives `a a b a c a a` where a plain rotation would give `a a a a a b c`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Smooth {
    credit: Vec<i64>,
}

impl Smooth {
    /// A rotation that has already made some picks, the number of them drawn from `seed`.
    pub(crate) fn started(weights: &[u32], seed: u64) -> Self {
        let mut smooth = Self { credit: vec![0; weights.len()] };
        let picks = seed.checked_rem(weights.len() as u64).unwrap_or(0);
        for _ in 0..picks {
            smooth.pick(weights, |_| true);
        }
        smooth
    }

    /// The next member among those with a weight for which `eligible` holds. Members that are not eligible keep their
    /// credit; it stays within the total weight, so coming back causes no burst longer than a cycle.
    pub(crate) fn pick(&mut self, weights: &[u32], eligible: impl Fn(usize) -> bool) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<(usize, i64)> = None;
        for (i, (credit, &weight)) in self.credit.iter_mut().zip(weights).enumerate() {
            if weight == 0 || !eligible(i) {
                continue;
            }
            *credit += i64::from(weight);
            total += i64::from(weight);
            if best.is_none_or(|(_, most)| *credit > most) {
                best = Some((i, *credit));
            }
        }
        let (chosen, _) = best?;
        self.credit[chosen] -= total;
        Some(chosen)
    }

    pub(crate) fn resized(&self, members: usize, was: impl Fn(usize) -> Option<usize>) -> Self {
        let credit_of = |i| was(i).and_then(|old| self.credit.get(old).copied()).unwrap_or(0);
        Self { credit: (0..members).map(credit_of).collect() }
    }
}
