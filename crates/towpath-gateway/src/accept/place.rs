//! Which worker serves a connection that was just accepted.
//!
//! The kernel deals connections out by a hash of their addresses. With many short ones that is even; with a few long
//! ones it is not, and a worker that drew twice its share is a core that is twice as late. So a worker that accepts
//! one looks at another, drawn by chance, and hands the connection over if that one has clearly fewer: two choices keep
//! the largest of all loads within a few connections of the mean, where one choice does not (Mitzenmacher 2001).
//!
//! A move is not free. It wakes a thread by a write to its event loop, and the connection's first bytes are far from the
//! cache they arrived in. So it has to be worth it: the difference is more than an eighth, and the connections that come
//! here stay, since an imbalance of connections that are gone in a moment is gone with them.

/// What a worker knows when it has accepted a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own {
    /// Its index.
    pub(crate) index: usize,
    /// Connections open here.
    pub(crate) open: u64,
    /// Connections accepted here of late, a second or less.
    pub(crate) recent: u64,
}

/// The worker that the connection is better handed to, if there is one. `loads` has the open connections of each of
/// `workers`; `draw` gives a number below its argument.
///
/// The one place that decides. Whatever replaces it must be cheap, as it runs for every connection, and may be wrong, as
/// what it knows of others is a moment old.
pub(crate) fn choose(
    own: Own,
    workers: usize,
    loads: impl Fn(usize) -> u64,
    draw: impl FnOnce(u64) -> u64,
) -> Option<usize> {
    let others = workers.checked_sub(1).filter(|&others| others > 0)?;
    if !stays(own) {
        return None;
    }
    let drawn = draw(others as u64) as usize;
    let other = drawn + usize::from(drawn >= own.index);
    is_worth_it(own.open, loads(other)).then_some(other)
}

/// Whether connections here last: of those that came of late at least half are still open.
fn stays(own: Own) -> bool {
    own.recent <= own.open.saturating_mul(2)
}

/// More than one connection of difference, as the move of the last one would only turn it round, and more than an
/// eighth.
fn is_worth_it(own: u64, other: u64) -> bool {
    own > other + 1 + other / 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_base::random::Random;

    /// Deals `count` connections that stay to `workers` by chance, as the kernel does, then places them. The smallest
    /// and the largest number that a worker has, and the moves.
    fn deal(workers: usize, count: u64, seed: u64, places: bool) -> (u64, u64, u64) {
        let mut random = Random::new(seed);
        let mut loads = vec![0u64; workers];
        let mut moves = 0;
        for _ in 0..count {
            let index = random.below(workers as u64) as usize;
            let own = Own { index, open: loads[index], recent: loads[index] };
            let better = places.then(|| choose(own, workers, |other| loads[other], |n| random.below(n)));
            let better = better.flatten();
            moves += u64::from(better.is_some());
            loads[better.unwrap_or(index)] += 1;
        }
        (*loads.iter().min().unwrap(), *loads.iter().max().unwrap(), moves)
    }

    /// The worst over many seeds of the largest load, in percent of the mean, and of moves in percent.
    fn worst(workers: usize, count: u64, places: bool) -> (u64, u64) {
        let deals = (0..200).map(|seed| deal(workers, count, seed, places));
        let percent = deals.map(|(_, max, moves)| (max * 100 * workers as u64 / count, moves * 100 / count));
        percent.fold((0, 0), |worst, one| (worst.0.max(one.0), worst.1.max(one.1)))
    }

    #[test]
    fn few_long_connections_are_spread_evenly() {
        // (workers, connections): how much the fullest worker has of the mean at worst, by hash alone and placed.
        let spread = [(2, 8), (4, 16), (4, 64), (8, 64), (8, 1000), (32, 1000)].map(|(workers, count)| {
            let ((by_hash, _), (placed, _)) = (worst(workers, count, false), worst(workers, count, true));
            (workers, count, by_hash, placed)
        });
        for (workers, count, by_hash, placed) in spread {
            println!("{workers} workers, {count} connections: {by_hash} % by hash, {placed} % placed");
        }
        for (workers, count, by_hash, placed) in spread {
            let bound = if count / workers as u64 >= 16 { 130 } else { 175 };
            assert!(placed <= bound, "{workers} workers, {count} connections: {placed} %");
            assert!(
                placed < by_hash,
                "{workers} workers, {count} connections: {placed} %, {by_hash} % by hash"
            );
        }
    }

    #[test]
    fn an_even_load_moves_little() {
        let (_, moves) = worst(4, 10_000, true);
        assert!(moves <= 5, "{moves} %");
    }

    #[test]
    fn connections_that_do_not_stay_are_not_moved() {
        let own = Own { index: 0, open: 40, recent: 81 };
        assert_eq!(choose(own, 2, |_| 0, |_| 0), None);
        assert_eq!(choose(Own { recent: 80, ..own }, 2, |_| 0, |_| 0), Some(1));
    }

    #[test]
    fn a_small_difference_is_left() {
        let moved = |open, other| choose(Own { index: 1, open, recent: 0 }, 2, |_| other, |_| 0).is_some();
        assert!(moved(2, 0) && !moved(1, 0) && !moved(2, 1) && moved(3, 1));
        assert!(moved(1000, 800) && !moved(1000, 900));
    }

    #[test]
    fn every_other_worker_can_be_drawn_and_none_alone() {
        let own = Own { index: 1, open: 9, recent: 0 };
        assert_eq!([0, 1].map(|drawn| choose(own, 3, |_| 0, |_| drawn)), [Some(0), Some(2)]);
        assert_eq!(choose(Own { index: 0, ..own }, 1, |_| 0, |_| 0), None);
    }
}
