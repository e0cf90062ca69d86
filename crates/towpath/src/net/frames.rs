//! Where a message ends: lines and frames.

use std::io;

use bytes::{Buf, Bytes, BytesMut};

use super::conn::Conn;
use super::error::{Error, Kind};
use crate::Ctx;

/// A connection as lines; see [`Conn::lines`].
#[derive(Debug)]
pub struct Lines<'c> {
    conn: &'c mut Conn,
    max: usize,
}

impl<'c> Lines<'c> {
    pub(super) fn new(conn: &'c mut Conn, max: usize) -> Self {
        Self { conn, max }
    }

    /// The next line without its end, which is LF or CR LF; `None` at the end. What stands behind the last end of a line is a
    /// line too. No more than the longest line and 8 KiB are held. *Cancel-safe*.
    ///
    /// # Errors
    /// A line is longer than it may be, and again each time it is asked for; the connection failed; or `ctx` was done first.
    pub async fn next(&mut self, ctx: &Ctx) -> Result<Option<Bytes>, Error> {
        loop {
            let searched = *self.conn.searched();
            let input = self.conn.input();
            match memchr::memchr(b'\n', input.get(searched..).unwrap_or_default()) {
                Some(at) => return self.take(searched + at, 1).map(Some),
                // A CR may be the first half of an end.
                None if input.len() > self.max.saturating_add(1) => return Err(self.too_long()),
                None => {}
            }
            *self.conn.searched() = self.conn.input().len();
            if ctx.run(self.conn.more()).await?? == 0 {
                let rest = self.conn.input().len();
                return if rest == 0 { Ok(None) } else { self.take(rest, 0).map(Some) };
            }
        }
    }

    /// Takes a line of `bytes` and its end of `end` bytes.
    fn take(&mut self, bytes: usize, end: usize) -> Result<Bytes, Error> {
        let input = self.conn.input();
        let has_cr = end > 0 && input.get(..bytes).is_some_and(|line| line.ends_with(b"\r"));
        let content = bytes - usize::from(has_cr);
        if content > self.max {
            return Err(self.too_long());
        }
        let mut line = taken(input, bytes);
        input.advance(end.min(input.len()));
        line.truncate(content);
        *self.conn.searched() = 0;
        Ok(line)
    }

    fn too_long(&self) -> Error {
        Error::new(Kind::TooLong(self.max))
    }
}

/// Takes the first bytes. What is left moves to a buffer of its own if there is nothing, so that none is held.
fn taken(input: &mut BytesMut, bytes: usize) -> Bytes {
    let bytes = input.split_to(bytes.min(input.len())).freeze();
    if input.is_empty() {
        *input = BytesMut::new();
    }
    bytes
}

/// How frames follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Each has this many bytes; 0 is read as 1.
    Fixed(usize),
    /// Before each stands how many bytes follow.
    Prefixed {
        /// How the number is written.
        width: Width,
        /// The most there may be in a frame, in bytes, whatever a peer says.
        max: usize,
    },
}

/// A number in network byte order, the most significant byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One byte.
    U8,
    /// Two bytes.
    U16,
    /// Four bytes.
    U32,
}

impl Width {
    fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::U32 => 4,
        }
    }

    fn largest(self) -> usize {
        u32::MAX as usize >> (32 - 8 * self.bytes())
    }
}

/// A connection as frames; see [`Conn::frames`].
#[derive(Debug)]
pub struct Frames<'c> {
    conn: &'c mut Conn,
    framing: Framing,
}

impl<'c> Frames<'c> {
    pub(super) fn new(conn: &'c mut Conn, framing: Framing) -> Self {
        Self { conn, framing }
    }

    /// The content of the next frame; `None` when the peer has ended between two. No memory is taken for what has not come
    /// yet, whatever the prefix says. *Cancel-safe*.
    ///
    /// # Errors
    /// A frame is longer than it may be, the peer ended inside one, the connection failed, or `ctx` was done first.
    pub async fn next(&mut self, ctx: &Ctx) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(frame) = self.whole()? {
                return Ok(Some(frame));
            }
            if ctx.run(self.conn.more()).await?? == 0 {
                let is_between = self.conn.input().is_empty();
                return if is_between { Ok(None) } else { Err(Error::new(Kind::Ended)) };
            }
        }
    }

    /// Writes a frame. *Discard-on-cancel*.
    ///
    /// # Errors
    /// `content` is no frame: longer than one may be, or of another size than all have; nothing was written then. The connection
    /// failed, or `ctx` was done first.
    pub async fn send(&mut self, ctx: &Ctx, content: &[u8]) -> Result<(), Error> {
        match self.framing {
            Framing::Fixed(size) if content.len() == size.max(1) => self.conn.write_all(ctx, content).await,
            Framing::Fixed(_) => Err(io::Error::from(io::ErrorKind::InvalidInput).into()),
            Framing::Prefixed { width, max } if content.len() <= max.min(width.largest()) => {
                let number = (content.len() as u32).to_be_bytes();
                let number = number.get(4 - width.bytes()..).unwrap_or_default();
                // One write, so that the peer is not woken for a number alone.
                self.conn.write_all(ctx, &[number, content].concat()).await
            }
            Framing::Prefixed { width, max } => Err(Error::new(Kind::TooLong(max.min(width.largest())))),
        }
    }

    fn whole(&mut self) -> Result<Option<Bytes>, Error> {
        let input = self.conn.input();
        let (head, content) = match self.framing {
            Framing::Fixed(size) => (0, size.max(1)),
            Framing::Prefixed { width, max } => {
                let Some(number) = input.get(..width.bytes()) else { return Ok(None) };
                let content = number.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                if content > max {
                    return Err(Error::new(Kind::TooLong(max)));
                }
                (width.bytes(), content)
            }
        };
        if input.len() < head + content {
            return Ok(None);
        }
        input.advance(head);
        let frame = taken(input, content);
        *self.conn.searched() = 0;
        Ok(Some(frame))
    }
}
