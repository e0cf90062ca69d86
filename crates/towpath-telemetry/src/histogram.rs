//! Latency histograms: fixed buckets, one store per record, exact sums when merged.
//!
//! Buckets are log-linear: each power of two is cut into [`STEPS`] equal parts, so a bucket is at most a quarter of its
//! value wide at every scale, and finding it takes a leading-zero count and a shift.

use crate::counter::Counter;

/// Parts of each power of two.
pub const STEPS: usize = 4;

/// Number of buckets. The last one also takes everything above [`MICROS_MAX`].
pub const BUCKETS: usize = bucket_of(MICROS_MAX) + 1;

/// The largest value told apart from larger ones: 2^27 µs, about 134 seconds. Longer requests are counted, but their
/// length is only known to be longer.
pub const MICROS_MAX: u64 = 1 << 27;

/// The upper bounds given to Prometheus are the powers of two from 2^6 to 2^26 µs (64 µs to 67 s): 21 lines and not
/// [`BUCKETS`], since every line is a series in somebody's database.
pub const EXPORTED_POWERS: std::ops::RangeInclusive<u32> = 6..=26;

/// One worker's latencies of one kind, in microseconds.
#[derive(Debug)]
pub struct Histogram {
    /// First, so that it shares a cache line with the counters that a block has in front of it.
    sum_us: Counter,
    buckets: [Counter; BUCKETS],
}

/// A histogram at one moment, or several added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    buckets: [u64; BUCKETS],
    sum_us: u64,
}

impl Histogram {
    /// Counts one value. Only the owning worker calls this.
    #[inline]
    pub fn record(&self, micros: u64) {
        self.buckets[bucket_of(micros).min(BUCKETS - 1)].increment();
        self.sum_us.add(micros);
    }

    /// Adds what this histogram holds to `snapshot`.
    pub fn merge_into(&self, snapshot: &mut Snapshot) {
        for (sum, bucket) in snapshot.buckets.iter_mut().zip(&self.buckets) {
            *sum += bucket.value();
        }
        snapshot.sum_us = snapshot.sum_us.wrapping_add(self.sum_us.value());
    }

    /// What this histogram holds now.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.merge_into(&mut snapshot);
        snapshot
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| Counter::default()), sum_us: Counter::default() }
    }
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], sum_us: 0 }
    }
}

impl Snapshot {
    /// Adds another one.
    pub fn merge(&mut self, other: &Self) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += bucket;
        }
        self.sum_us = self.sum_us.wrapping_add(other.sum_us);
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum of all values, in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The upper bound, in microseconds, of the bucket that holds the value at `share` (0.5 is the median, 0.99 the
    /// 99th percentile): at most a quarter above the true value. 0 when nothing was recorded.
    pub fn quantile_us(&self, share: f64) -> u64 {
        let rank = ((self.count() as f64) * share.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut seen = 0;
        let place = self.buckets.iter().position(|&count| {
            seen += count;
            seen >= rank
        });
        place.map_or(0, upper_bound)
    }

    /// The buckets for Prometheus: `(upper bound in microseconds, values up to and including it)`, rising. Values above
    /// the last bound are only in [`count`](Self::count).
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut sum = 0;
        let mut next = 0;
        EXPORTED_POWERS.map(move |power| {
            let bound = 1 << power;
            let end = bucket_of(bound) + 1;
            sum += self.buckets[next..end].iter().sum::<u64>();
            next = end;
            (bound, sum)
        })
    }
}

/// The bucket of a value. Upper bounds are inclusive, as Prometheus' `le` is; hence the `- 1`.
const fn bucket_of(micros: u64) -> usize {
    let value = micros.saturating_sub(1);
    if value < STEPS as u64 {
        return value as usize;
    }
    let power = value.ilog2() as usize;
    let part = (value >> (power - STEPS.ilog2() as usize)) as usize - STEPS;
    (power - STEPS.ilog2() as usize + 1) * STEPS + part
}

/// The largest value of a bucket, in microseconds.
const fn upper_bound(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64 + 1;
    }
    let scale = bucket / STEPS - 1;
    ((STEPS + bucket % STEPS + 1) as u64) << scale
}
