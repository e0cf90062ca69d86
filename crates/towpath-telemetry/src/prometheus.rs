//! The Prometheus text format, version 0.0.4.

use std::io::Write;

use crate::histogram::Snapshot;
use crate::number::push_u64;

/// The `Content-Type` of what [`Encoder::finish`] returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family's numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; the name ends in `_total`.
    Counter,
    /// Grows and shrinks.
    Gauge,
    /// A distribution, in seconds.
    Histogram,
}

/// Labels of one sample: names from our own code, values from anywhere.
pub type Labels<'l> = &'l [(&'static str, &'l str)];

/// Collects families one after the other.
#[derive(Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
    families: Vec<&'static str>,
}

/// One family, open for samples.
#[derive(Debug)]
pub struct Family<'e> {
    out: &'e mut Vec<u8>,
    name: &'static str,
}

impl Encoder {
    /// An encoder that has written nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the family `name`, writing its `HELP` and `TYPE`. The format wants all samples of a family together, so
    /// each family is opened once.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        debug_assert!(is_name(name), "{name} is not a metric name");
        debug_assert!(!self.families.contains(&name), "{name} was opened before");
        self.families.push(name);
        self.push_head(name, kind, help);
        Family { out: &mut self.out, name }
    }

    fn push_head(&mut self, name: &str, kind: Kind, help: &str) {
        self.out.extend_from_slice(b"# HELP ");
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b' ');
        push_escaped(&mut self.out, help, false);
        self.out.extend_from_slice(b"\n# TYPE ");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(match kind {
            Kind::Counter => b" counter\n",
            Kind::Gauge => b" gauge\n",
            Kind::Histogram => b" histogram\n",
        });
    }

    /// The encoded families.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

impl Family<'_> {
    /// One sample with a whole number.
    pub fn sample(&mut self, labels: Labels<'_>, value: u64) -> &mut Self {
        self.push_series("", labels, None);
        push_u64(self.out, value);
        self.out.push(b'\n');
        self
    }

    /// One sample with any number.
    pub fn sample_f64(&mut self, labels: Labels<'_>, value: f64) -> &mut Self {
        self.push_series("", labels, None);
        push_f64(self.out, value);
        self.out.push(b'\n');
        self
    }

    /// One distribution: its buckets, sum and count.
    pub fn histogram(&mut self, labels: Labels<'_>, snapshot: &Snapshot) -> &mut Self {
        for (bound_us, count) in snapshot.cumulative() {
            self.push_series("_bucket", labels, Some(Bound::Micros(bound_us)));
            push_u64(self.out, count);
            self.out.push(b'\n');
        }
        self.push_series("_bucket", labels, Some(Bound::Infinite));
        push_u64(self.out, snapshot.count());
        self.out.push(b'\n');
        self.push_series("_sum", labels, None);
        push_f64(self.out, seconds(snapshot.sum_us()));
        self.out.push(b'\n');
        self.push_series("_count", labels, None);
        push_u64(self.out, snapshot.count());
        self.out.push(b'\n');
        self
    }

    fn push_series(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<Bound>) {
        self.out.extend_from_slice(self.name.as_bytes());
        self.out.extend_from_slice(suffix.as_bytes());
        let mut before = b'{';
        for (name, value) in labels {
            debug_assert!(is_name(name), "{name} is not a label name");
            self.out.push(before);
            before = b',';
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"=\"");
            push_escaped(self.out, value, true);
            self.out.push(b'"');
        }
        if let Some(bound) = bound {
            self.out.push(before);
            before = b',';
            bound.push(self.out);
        }
        self.out.extend_from_slice(if before == b',' { b"} " } else { b" " });
    }
}

/// The value of `le`.
enum Bound {
    Micros(u64),
    Infinite,
}

impl Bound {
    fn push(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"le=\"");
        match *self {
            Self::Micros(micros) => push_f64(out, seconds(micros)),
            Self::Infinite => out.extend_from_slice(b"+Inf"),
        }
        out.push(b'"');
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn push_f64(out: &mut Vec<u8>, value: f64) {
    let text = if value.is_nan() {
        "NaN"
    } else if value == f64::INFINITY {
        "+Inf"
    } else if value == f64::NEG_INFINITY {
        "-Inf"
    } else {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{value}");
        return;
    };
    out.extend_from_slice(text.as_bytes());
}

/// The format knows three escapes, `\\`, `\n` and, inside quotes, `\"`. A carriage return is legal inside quotes, but
/// readers that split lines at it exist; it and other control characters become spaces.
fn push_escaped(out: &mut Vec<u8>, text: &str, in_quotes: bool) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if in_quotes => out.extend_from_slice(b"\\\""),
            0..0x20 | 0x7F => out.push(b' '),
            _ => out.push(byte),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
