//! Coding a body as it goes by.

use std::fmt;
use std::io::{self, Write};
use std::mem;

use super::{Coding, brotli, gzip, zstd};

/// How much work is put into making a body small. Each coding has levels of its own, which mean different things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// The least work that is worth it.
    Fast,
    /// What most servers do to bodies that they make anew each time.
    #[default]
    Balanced,
    /// Twice to four times the work for a body smaller by some percent.
    Small,
}

/// The coder of one body.
///
/// It writes behind what is in the caller's vector: at most as much as it takes, and a little. What it holds back is
/// written by [`Encoder::flush`]. Its own memory is bounded whatever it is given: 0.5 MiB for gzip, 1 to 3.5 MiB for zstd
/// and 0.1 to 4.5 MiB for brotli, by effort.
pub struct Encoder {
    stream: Stream,
    holds_back: bool,
}

/// The libraries write into a vector, in whose place stands the caller's while they work.
enum Stream {
    Gzip(gzip::Writer),
    Brotli(Box<brotli::Writer>),
    Zstd(zstd::Writer),
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("holds_back", &self.holds_back).finish_non_exhaustive()
    }
}

impl Encoder {
    /// A coder for a body.
    pub fn new(coding: Coding, effort: Effort) -> Self {
        let stream = match coding {
            Coding::Gzip => Stream::Gzip(gzip::writer(effort)),
            Coding::Brotli => Stream::Brotli(Box::new(brotli::writer(effort))),
            Coding::Zstd => Stream::Zstd(zstd::writer(effort)),
        };
        Self { stream, holds_back: false }
    }

    /// Takes `data` and appends to `out` what is ready.
    pub fn push(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.holds_back |= !data.is_empty();
        self.stream.write_into(out, |writer| writer.write_all(data));
    }

    /// Appends all that is held back, so that the client can read everything up to here. Costs a few bytes each time, and
    /// nothing where nothing was held back.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        if mem::take(&mut self.holds_back) {
            self.stream.write_into(out, |writer| writer.flush());
        }
    }

    /// Appends the rest and the end.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        mem::swap(self.stream.output(), out);
        *out = no_want(match self.stream {
            Stream::Gzip(writer) => writer.finish(),
            Stream::Brotli(writer) => Ok(writer.into_inner()),
            Stream::Zstd(writer) => writer.finish(),
        });
    }
}

impl Stream {
    fn write_into(&mut self, out: &mut Vec<u8>, act: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        mem::swap(self.output(), out);
        no_want(act(self.writer()));
        mem::swap(self.output(), out);
    }

    fn output(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Gzip(writer) => writer.get_mut(),
            Self::Brotli(writer) => writer.get_mut(),
            Self::Zstd(writer) => writer.get_mut(),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Gzip(writer) => writer,
            Self::Brotli(writer) => writer,
            Self::Zstd(writer) => writer,
        }
    }
}

/// A coder takes any bytes and a vector takes any number of them: what is left to fail is memory.
pub(super) fn no_want<T>(result: io::Result<T>) -> T {
    result.expect("there is memory for a coder")
}
