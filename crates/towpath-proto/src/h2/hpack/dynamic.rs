//! The dynamic table (RFC 7541 §2.3.2, §4).

use std::collections::VecDeque;

use crate::limits::{FIELD_OVERHEAD_BYTES, H2_TABLE_BYTES_MAX};

/// The entries a peer has added, the newest first. Their bytes lie one behind the other in one vector, which is
/// moved up when as many of its bytes are dead as may be alive: below 8 KiB in all, and none before the first entry.
#[derive(Clone, Debug)]
pub(super) struct DynamicTable {
    bytes: Vec<u8>,
    /// Oldest first.
    entries: VecDeque<Entry>,
    /// Bytes that have been cut off the front of `bytes` since the beginning.
    cut_bytes: usize,
    /// What the entries are charged, 32 bytes for each included (RFC 7541 §4.1).
    charged_bytes: usize,
    charged_bytes_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Counted from the beginning of time, so that cutting moves no entry.
    start: usize,
    name_bytes: usize,
    value_bytes: usize,
}

impl Entry {
    fn charge(self) -> usize {
        self.name_bytes + self.value_bytes + FIELD_OVERHEAD_BYTES
    }
}

impl Default for DynamicTable {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            entries: VecDeque::new(),
            cut_bytes: 0,
            charged_bytes: 0,
            charged_bytes_max: H2_TABLE_BYTES_MAX,
        }
    }
}

impl DynamicTable {
    /// Name and value of an entry; the newest is number zero.
    pub(super) fn entry(&self, number: usize) -> Option<(&[u8], &[u8])> {
        let at = self.entries.len().checked_sub(number)?.checked_sub(1)?;
        let entry = self.entries.get(at)?;
        let start = entry.start - self.cut_bytes;
        self.bytes
            .get(start..start + entry.name_bytes + entry.value_bytes)?
            .split_at_checked(entry.name_bytes)
    }

    /// Adds an entry and evicts old ones to make room. One that is larger than the table empties it, which is not an
    /// error (RFC 7541 §4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let start = self.cut_bytes + self.bytes.len();
        let entry = Entry { start, name_bytes: name.len(), value_bytes: value.len() };
        if entry.charge() > self.charged_bytes_max {
            return self.clear();
        }
        self.evict_above(self.charged_bytes_max - entry.charge());
        self.cut();
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.charged_bytes += entry.charge();
        self.entries.push_back(entry);
    }

    /// Changes the size, which the caller has checked against the one allowed (RFC 7541 §4.3).
    pub(super) fn resize(&mut self, charged_bytes_max: usize) {
        self.charged_bytes_max = charged_bytes_max;
        self.evict_above(charged_bytes_max);
    }

    fn evict_above(&mut self, charged_bytes_max: usize) {
        while self.charged_bytes > charged_bytes_max
            && let Some(entry) = self.entries.pop_front()
        {
            self.charged_bytes -= entry.charge();
        }
    }

    /// Cuts off dead bytes once they are as many as a full table has, so that each is moved past once.
    fn cut(&mut self) {
        let end = self.cut_bytes + self.bytes.len();
        let dead_bytes = self.entries.front().map_or(end, |entry| entry.start) - self.cut_bytes;
        if dead_bytes >= H2_TABLE_BYTES_MAX || dead_bytes == self.bytes.len() {
            self.bytes.drain(..dead_bytes);
            self.cut_bytes += dead_bytes;
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.charged_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of all entries, the newest first.
    fn names(table: &DynamicTable) -> String {
        let entries = (0..).map_while(|number| table.entry(number));
        entries.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn old_entries_make_room_rfc7541_4_4() {
        let mut table = DynamicTable::default();
        assert_eq!(table.bytes.capacity(), 0);
        table.resize(100);
        table.insert(b"a", b"");
        table.insert(b"b", b"x");
        table.insert(b"c", b"");
        assert_eq!(names(&table), "c b a");
        assert_eq!(table.charged_bytes, 100);
        table.insert(b"d", b"");
        assert_eq!(names(&table), "d c b");
        table.resize(67);
        assert_eq!(names(&table), "d c");
        table.insert(b"e", &[b'x'; 100]);
        assert_eq!(names(&table), "");
        assert_eq!(table.charged_bytes, 0);
    }

    #[test]
    fn bytes_stay_below_twice_the_table_t14() {
        let mut table = DynamicTable::default();
        for round in 0..100_000usize {
            let value = vec![b'v'; round * 31 % 4100];
            table.insert(round.to_string().as_bytes(), &value);
            assert!(table.charged_bytes <= H2_TABLE_BYTES_MAX);
            assert!(table.bytes.len() <= 2 * H2_TABLE_BYTES_MAX, "{} in round {round}", table.bytes.len());
            if let Some((name, newest)) = table.entry(0) {
                assert_eq!((name, newest), (round.to_string().as_bytes(), &value[..]));
            }
        }
    }
}
