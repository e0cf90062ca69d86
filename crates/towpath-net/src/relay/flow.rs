//! One direction of a relay.

use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::buffers::Size;
use super::pipes::Pipe;
use super::reserve::Reserve;
use crate::stream::Stream;

/// Bytes that one flow moves before others of the worker get their turn, about 0.3 ms of work.
const TURN_BYTES_MAX: usize = 1 << 20;

/// A flow splices once this size was filled by one read. Copying 64 KiB costs what four splices do.
const SPLICE_FROM: Size = Size::Kib64;

/// Below this many bytes at a time a splice costs as much as a copy (16 KiB: break-even; 4 KiB: a sixth dearer).
const SPLICE_BELOW: usize = 16 * 1024;

/// This many small splices in a row, and the flow copies again. One alone may be the gap between two bursts.
const SMALL_SPLICES_MAX: u8 = 8;

/// A read that leaves seven eighths of its buffer empty is followed by a smaller one.
const SHRINK_BELOW: usize = 8;

/// What stands between two reads and writes of one direction.
#[derive(Debug)]
pub(super) struct Flow {
    held: Held,
    delivered: u64,
    state: State,
    travel: Travel,
    small_splices: u8,
    /// Both ends are sockets, and the system has not refused to splice them.
    splices: bool,
    ends: Ends,
}

/// Bytes that were read and not written.
#[derive(Debug)]
enum Held {
    Nothing,
    Bytes { buffer: Box<[u8]>, start: u32, end: u32, was_lent: bool },
    Piped { pipe: Pipe, len: u32, is_full: bool },
}

/// ```text
///  Open ── end read ──> Ended ── last byte written, end passed on ──> Over
///   │ └─── error read ─> Failed ── last byte written ──> the error
///   └───── the reader is gone ──> Discarding ── end or error read ──> Over
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    Failed(io::ErrorKind),
    /// Reads and throws away: a socket that is closed with unread bytes in it is reset, and what the other direction
    /// has sent last would be lost.
    Discarding,
    Over,
}

/// How the next bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Travel {
    Copied(Size),
    Spliced,
}

/// What becomes of the end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// The other side is told.
    PassedOn,
    /// It is no real end, so the other side is not told.
    Withheld,
}

/// Which operation failed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Read(io::ErrorKind),
    Write(io::ErrorKind),
}

/// What a splice from a socket did.
enum Filled {
    Bytes(usize),
    /// Nothing moved, and the socket may still hold bytes: the pipe had no free slot, or the socket stands at the mark
    /// of urgent data (RFC 9293 §3.8.5), which recv(2) passes and splice(2) does not: it reports an empty socket, or
    /// even the end.
    Refused,
}

impl Flow {
    pub(super) fn new(splices: bool) -> Self {
        Self {
            held: Held::Nothing,
            delivered: 0,
            state: State::Open,
            travel: Travel::Copied(Size::Kib4),
            small_splices: 0,
            splices,
            ends: Ends::PassedOn,
        }
    }

    pub(super) fn send_first(&mut self, bytes: Vec<u8>) {
        let end = u32::try_from(bytes.len()).expect("what comes before a relay was read into one buffer");
        if end > 0 {
            self.held = Held::Bytes { buffer: bytes.into(), start: 0, end, was_lent: false };
        }
    }

    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) fn is_holding(&self) -> bool {
        !matches!(self.held, Held::Nothing)
    }

    /// Whether nothing more will be delivered.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over | State::Discarding)
    }

    /// Whether the reader got everything, and was told so.
    pub(super) fn is_passed_on(&self) -> bool {
        self.state == State::Over && self.ends == Ends::PassedOn
    }

    pub(super) fn set_ends(&mut self, ends: Ends) {
        if self.state != State::Over {
            self.ends = ends;
        }
    }

    /// Nobody reads what this flow carries.
    pub(super) fn give_up(&mut self, reserve: &Reserve) {
        self.release(reserve);
        self.ends = Ends::Withheld;
        self.state = match self.state {
            State::Open => State::Discarding,
            _ => State::Over,
        };
    }

    /// Gives back what is borrowed; bytes in it are lost.
    pub(super) fn release(&mut self, reserve: &Reserve) {
        match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Nothing => {}
            Held::Bytes { buffer, was_lent, .. } => reserve.give_back_buffer(buffer, was_lent),
            Held::Piped { pipe, len, .. } => reserve.give_back_pipe(pipe, len),
        }
    }

    /// Moves what can be moved now. Afterwards the task is woken when there is more to do, unless the flow is over.
    /// `is_last` says that both streams are dropped once this flow is over.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        reserve: &Reserve,
        is_last: bool,
    ) -> Result<(), Fault> {
        let mut turn = Turn { cx, reserve, read: 0, is_last };
        while self.step(&mut turn, from, to)?.is_ready() {
            if turn.read >= TURN_BYTES_MAX {
                turn.cx.waker().wake_by_ref();
                break;
            }
        }
        Ok(())
    }

    /// One write or one read. `Pending` when neither can be done.
    fn step(
        &mut self,
        turn: &mut Turn<'_, '_>,
        from: &mut Stream,
        to: &mut Stream,
    ) -> Result<Poll<()>, Fault> {
        if self.is_holding() {
            return match self.poll_drain(turn, from, to) {
                Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
                Poll::Ready(Err(error)) => Err(Fault::Write(error.kind())),
                // One end of a pipe fills while the other waits.
                Poll::Pending if self.has_room() => Ok(self.poll_fill(turn, from)),
                Poll::Pending => Ok(Poll::Pending),
            };
        }
        match self.state {
            State::Open => Ok(self.poll_fill(turn, from)),
            State::Failed(kind) => Err(Fault::Read(kind)),
            State::Ended => {
                self.state = State::Over;
                // To close a socket of which all was read tells its peer what a shutdown would have told it.
                if self.ends == Ends::PassedOn && !(turn.is_last && matches!(to, Stream::Socket(_))) {
                    pass_end_on(turn.cx, to)?;
                }
                Ok(Poll::Pending)
            }
            State::Discarding => {
                let polled = self.poll_copy(turn, from, Size::Kib64);
                self.release(turn.reserve);
                if matches!(self.state, State::Ended | State::Failed(_)) {
                    self.state = State::Over;
                }
                Ok(polled)
            }
            State::Over => Ok(Poll::Pending),
        }
    }

    fn has_room(&self) -> bool {
        matches!(self.held, Held::Piped { is_full: false, .. })
            && self.state == State::Open
            && self.travel == Travel::Spliced
    }

    /// Writes some of what is held, and gives back what held it once that is empty.
    fn poll_drain(
        &mut self,
        turn: &mut Turn<'_, '_>,
        from: &Stream,
        to: &mut Stream,
    ) -> Poll<io::Result<()>> {
        // The end that waits behind these bytes is read before this turn is over, and passed on with them.
        let is_end_next = self.state == State::Open
            && self.ends == Ends::PassedOn
            && turn.read < TURN_BYTES_MAX
            && from.is_end_seen();
        let (written, is_empty) = match &mut self.held {
            Held::Nothing => return Poll::Ready(Ok(())),
            Held::Bytes { buffer, start, end, .. } => {
                let unsent = buffer.get(*start as usize..*end as usize).unwrap_or_default();
                let polled = match is_end_next {
                    true => to.poll_send_more(turn.cx, unsent),
                    false => to.poll_send(turn.cx, unsent),
                };
                let written = ready!(polled)?;
                *start += written as u32;
                turn.reserve.add_copied(written);
                (written, start == end)
            }
            Held::Piped { pipe, len, is_full } => {
                let Stream::Socket(socket) = to else { return Poll::Ready(Err(no_splice())) };
                let written = ready!(poll_splice_out(turn.cx, pipe, socket, *len))?;
                *len = len.saturating_sub(written as u32);
                *is_full = false;
                turn.reserve.add_spliced(written);
                (written, *len == 0)
            }
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.delivered += written as u64;
        if is_empty {
            self.release(turn.reserve);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what there is, or finds the end or an error, which count after what is held.
    fn poll_fill(&mut self, turn: &mut Turn<'_, '_>, from: &mut Stream) -> Poll<()> {
        // Nothing is borrowed for a stream that has nothing.
        ready!(from.poll_readable(turn.cx));
        match self.travel {
            Travel::Copied(size) => self.poll_copy(turn, from, size),
            Travel::Spliced => self.poll_splice(turn, from),
        }
    }

    fn poll_copy(&mut self, turn: &mut Turn<'_, '_>, from: &mut Stream, size: Size) -> Poll<()> {
        debug_assert!(!self.is_holding(), "what is held would be lost");
        let mut buffer = turn.reserve.take_buffer(size);
        let polled = from.split().0.poll_read(turn.cx, &mut buffer);
        let end = match polled {
            Poll::Ready(Ok(count)) => count,
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        if end == 0 {
            turn.reserve.give_back_buffer(buffer, true);
        } else {
            self.choose_after_copy(end, buffer.len());
            self.held = Held::Bytes { buffer, start: 0, end: end as u32, was_lent: true };
        }
        polled.map(|result| self.note(turn, result))
    }

    fn poll_splice(&mut self, turn: &mut Turn<'_, '_>, from: &mut Stream) -> Poll<()> {
        let Stream::Socket(socket) = &*from else { return self.poll_copy(turn, from, Size::Kib256) };
        if !self.is_holding() {
            let Some(pipe) = turn.reserve.take_pipe() else {
                return self.poll_copy(turn, from, Size::Kib256);
            };
            self.held = Held::Piped { pipe, len: 0, is_full: false };
        }
        let Held::Piped { pipe, len, is_full } = &mut self.held else { return Poll::Pending };
        let is_sure = *len == 0 && turn.read > 0;
        let filled = poll_splice_in(turn.cx, socket, pipe, *len, is_sure);
        match filled {
            Poll::Ready(Ok(Filled::Bytes(count))) => {
                let was_empty = *len == 0;
                *len += count as u32;
                if was_empty {
                    self.choose_after_splice(count);
                }
                self.note(turn, Ok(count));
            }
            Poll::Ready(Ok(Filled::Refused)) if *len > 0 => *is_full = true,
            Poll::Ready(Ok(Filled::Refused)) => {
                self.release(turn.reserve);
                return self.poll_copy(turn, from, Size::Kib64);
            }
            Poll::Ready(Err(error)) if *len == 0 && is_unable(&error) => {
                self.release(turn.reserve);
                self.splices = false;
                self.travel = Travel::Copied(Size::Kib256);
            }
            Poll::Ready(Err(error)) => {
                if *len == 0 {
                    self.release(turn.reserve);
                }
                self.note(turn, Err(error));
            }
            Poll::Pending => {
                if *len == 0 {
                    self.release(turn.reserve);
                }
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    /// Takes note of what a read found.
    fn note(&mut self, turn: &mut Turn<'_, '_>, read: io::Result<usize>) {
        match read {
            Ok(0) => self.state = State::Ended,
            Ok(count) => turn.read += count,
            Err(error) => self.state = State::Failed(error.kind()),
        }
    }

    fn choose_after_copy(&mut self, count: usize, size: usize) {
        let Travel::Copied(travel) = self.travel else { return };
        self.travel = match () {
            () if count == size && travel >= SPLICE_FROM && self.splices => Travel::Spliced,
            () if count == size => Travel::Copied(travel.larger()),
            () if count < size / SHRINK_BELOW => Travel::Copied(travel.smaller()),
            () => return,
        };
        self.small_splices = 0;
    }

    fn choose_after_splice(&mut self, count: usize) {
        self.small_splices = if count < SPLICE_BELOW { self.small_splices + 1 } else { 0 };
        if self.small_splices >= SMALL_SPLICES_MAX {
            self.travel = Travel::Copied(Size::Kib16);
            self.small_splices = 0;
        }
    }
}

/// What a flow uses while it is polled.
struct Turn<'a, 'c> {
    cx: &'a mut Context<'c>,
    reserve: &'a Reserve,
    /// Bytes read in this turn.
    read: usize,
    /// The other direction is over, so both streams are dropped after this one.
    is_last: bool,
}

/// A side that is gone already is found by the flow that reads from it.
fn pass_end_on(cx: &mut Context<'_>, to: &mut Stream) -> Result<(), Fault> {
    match to.split().1.poll_shutdown(cx) {
        Poll::Ready(Err(error)) if error.kind() != io::ErrorKind::NotConnected => {
            Err(Fault::Write(error.kind()))
        }
        // None of the streams has something to wait for here.
        _ => Ok(()),
    }
}

/// Fills `pipe`, which holds `held` bytes.
///
/// A splice that moves less than it might have does not show that the socket is empty: the pipe may have run out of
/// slots, of which a small segment takes a whole one, or a signal may have come. Only `EAGAIN` with an empty pipe
/// shows it, and clears what tokio remembers. `is_sure` says that this turn has seen the socket give bytes, so that
/// an `EAGAIN` cannot be the urgent mark, of which only the event loop knew.
fn poll_splice_in(
    cx: &mut Context<'_>,
    socket: &TcpStream,
    pipe: &Pipe,
    held: u32,
    is_sure: bool,
) -> Poll<io::Result<Filled>> {
    let room = pipe.capacity.saturating_sub(held) as usize;
    if room == 0 {
        return Poll::Ready(Ok(Filled::Refused));
    }
    loop {
        ready!(socket.poll_read_ready(cx))?;
        let filled = socket.try_io(Interest::READABLE, || {
            match move_bytes(socket.as_fd(), pipe.write.as_fd(), room) {
                Ok(0) => Ok(Filled::Refused),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !is_sure => Ok(Filled::Refused),
                other => other.map(Filled::Bytes),
            }
        });
        match filled {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return Poll::Ready(other),
        }
    }
}

/// Empties `pipe`, which holds `held` bytes. As above, only `EAGAIN` shows that the socket is full, and has the
/// system report when it no longer is.
fn poll_splice_out(
    cx: &mut Context<'_>,
    pipe: &Pipe,
    socket: &TcpStream,
    held: u32,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_write_ready(cx))?;
        let write = || move_bytes(pipe.read.as_fd(), socket.as_fd(), held as usize);
        match socket.try_io(Interest::WRITABLE, write) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return Poll::Ready(other),
        }
    }
}

fn move_bytes(
    from: std::os::fd::BorrowedFd<'_>,
    to: std::os::fd::BorrowedFd<'_>,
    len: usize,
) -> io::Result<usize> {
    loop {
        match splice(from, None, to, None, len, SpliceFlags::MOVE | SpliceFlags::NONBLOCK) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// The socket or the system cannot splice at all, for example under a seccomp filter.
fn is_unable(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::OPNOTSUPP)
    )
}

fn no_splice() -> io::Error {
    io::ErrorKind::Unsupported.into()
}
