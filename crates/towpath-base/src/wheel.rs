//! A hashed timer wheel (Varghese and Lauck 1987) that counts ticks it is told about.
//!
//! It holds *checks*, not deadlines: when a check comes due, the owner of the key compares with the deadline it has
//! now and either acts or names the tick of the next check. Moving a deadline to a later time therefore costs one
//! store and touches no list, which is what every request does.

use crate::slab::Key;

/// Slots of the wheel. With ticks of 64 ms it turns once in 65.5 s, a little more than the longest default timeout;
/// a later check just comes by once each turn.
pub const SLOT_COUNT: usize = 1024;

/// The wheel. Not a clock: the caller says which tick it is.
#[derive(Debug)]
pub struct Wheel {
    slots: Vec<Vec<Key>>,
    /// Every check up to and including this tick has been made.
    now: u64,
    len: usize,
}

impl Default for Wheel {
    fn default() -> Self {
        Self { slots: vec![Vec::new(); SLOT_COUNT], now: 0, len: 0 }
    }
}

impl Wheel {
    /// Plans a check at `tick`, or at the next tick if that one has passed, or one turn ahead if it is further away.
    /// Returns the tick at which the check will be made.
    pub fn insert(&mut self, tick: u64, key: Key) -> u64 {
        let due = tick.clamp(self.now + 1, self.now + SLOT_COUNT as u64);
        self.slots[due as usize % SLOT_COUNT].push(key);
        self.len += 1;
        due
    }

    /// Makes every check that is due up to `tick`. `check` is told the tick it was planned for and may plan the next
    /// one on the wheel it is given.
    pub fn advance(&mut self, tick: u64, mut check: impl FnMut(&mut Self, u64, Key)) {
        // After a long sleep one turn visits every slot; more turns would visit them again for nothing.
        let from = self.now.max(tick.saturating_sub(SLOT_COUNT as u64));
        for due in from + 1..=tick {
            self.now = due;
            let mut keys = std::mem::take(&mut self.slots[due as usize % SLOT_COUNT]);
            self.len -= keys.len();
            for key in keys.drain(..) {
                check(self, due, key);
            }
            // The allocation goes back unless a check was planned into this very slot, one turn ahead.
            let slot = &mut self.slots[due as usize % SLOT_COUNT];
            if slot.is_empty() {
                *slot = keys;
            }
        }
        self.now = self.now.max(tick);
    }

    /// The tick of the next check, if there is one.
    pub fn next_check(&self) -> Option<u64> {
        if self.len == 0 {
            return None;
        }
        (self.now + 1..=self.now + SLOT_COUNT as u64)
            .find(|&tick| !self.slots[tick as usize % SLOT_COUNT].is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Slab;

    #[test]
    fn checks_come_in_order_and_late_ones_are_made_once() {
        let mut keys = Slab::default();
        let mut wheel = Wheel::default();
        let planned: Vec<(u64, Key)> = [5, 3, 900, 3].map(|tick| (tick, keys.insert(tick))).to_vec();
        for &(tick, key) in &planned {
            assert_eq!(wheel.insert(tick, key), tick);
        }
        assert_eq!(wheel.next_check(), Some(3));
        let mut seen = Vec::new();
        wheel.advance(4, |_, _, key| seen.push(keys.get(key).copied()));
        wheel.advance(2000, |_, _, key| seen.push(keys.get(key).copied()));
        assert_eq!(seen, [Some(3), Some(3), Some(5), Some(900)]);
        assert_eq!(wheel.next_check(), None);
    }

    #[test]
    fn a_check_further_than_one_turn_comes_by_each_turn() {
        let mut wheel = Wheel::default();
        let key = Slab::default().insert(());
        let far = 3 * SLOT_COUNT as u64;
        let mut visits = 0;
        let mut due = wheel.insert(far, key);
        while due < far {
            wheel.advance(due, |wheel, _, key| {
                visits += 1;
                due = wheel.insert(far, key);
            });
        }
        assert_eq!((visits, due), (2, far));
    }

    #[test]
    fn a_check_in_the_past_is_made_at_the_next_tick() {
        let mut wheel = Wheel::default();
        wheel.advance(10, |_, _, _| {});
        assert_eq!(wheel.insert(4, Slab::default().insert(())), 11);
    }
}
