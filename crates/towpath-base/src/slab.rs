//! Slots that are reused, with a guard against a key of a former owner.

/// Names one value of a [`Slab`]. A key outlives its value safely: the guard no longer fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    index: u32,
    guard: u32,
}

#[derive(Debug)]
struct Slot<T> {
    guard: u32,
    value: Option<T>,
}

/// A growing table of slots. It never shrinks, so its bound is the bound of what is put in.
#[derive(Debug)]
pub struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Puts a value into a free slot.
    ///
    /// # Panics
    /// With more than 2^32 values, which no caller's own bound allows.
    pub fn insert(&mut self, value: T) -> Key {
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.value = Some(value);
            return Key { index, guard: slot.guard };
        }
        let index = u32::try_from(self.slots.len()).expect("callers bound their values far below 2^32");
        self.slots.push(Slot { guard: 0, value: Some(value) });
        Key { index, guard: 0 }
    }

    /// Takes a value out and makes its key stale.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.index as usize).filter(|slot| slot.guard == key.guard)?;
        let value = slot.value.take()?;
        slot.guard = slot.guard.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    /// The value of this key, unless it was taken out.
    pub fn get(&self, key: Key) -> Option<&T> {
        self.slots.get(key.index as usize).filter(|slot| slot.guard == key.guard)?.value.as_ref()
    }

    /// The value of this key, unless it was taken out.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.slots.get_mut(key.index as usize).filter(|slot| slot.guard == key.guard)?.value.as_mut()
    }

    /// Every value.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| slot.value.as_mut())
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_does_not_reach_the_next_owner() {
        let mut slab = Slab::default();
        let first = slab.insert("first");
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second");
        assert_eq!(second.index, first.index);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!((slab.get(second), slab.len()), (Some(&"second"), 1));
    }
}
