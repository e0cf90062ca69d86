//! Streams and where they stand (RFC 9113 §5.1).

use std::collections::VecDeque;
use std::ops::Range;

use super::Role;
use super::flow::{RecvWindow, SendWindow};
use crate::limits::H2_CUT_STREAMS_COUNT_MAX;

/// One stream, from its head until the caller says that its work has ended.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) recv: Recv,
    pub(super) send: Send,
    pub(super) recv_window: RecvWindow,
    pub(super) send_window: SendWindow,
    /// Body bytes the caller has been given, or will be out of a frame whose head was read, and has not released.
    pub(super) held_bytes: usize,
    /// What its head is charged for as long as the stream has a place.
    pub(super) head_bytes: usize,
    /// What is still to come of a declared length.
    pub(super) left_bytes: Option<u64>,
    /// How the response to our request ends.
    pub(super) answers: Answers,
    /// Data are a tunnel's, and no fields follow (RFC 9113 §8.5).
    pub(super) is_tunnel: bool,
    pub(super) interim_count: usize,
    /// The caller has asked for room to send when there was none.
    pub(super) wants_window: bool,
}

/// What the peer may send on a stream.
///
/// ```text
///   ExpectHead --head--> ExpectBody --END_STREAM--> Ended
///       |                    |
///       +--- RST_STREAM of the peer --> Gone
///       +--- RST_STREAM of ours ------> Cut        what is on the way is dropped
///   (a head that is refused with a status) --> Discard --END_STREAM--> Ended
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recv {
    /// A client waits for the response.
    ExpectHead,
    ExpectBody,
    Discard,
    Ended,
    Cut,
    Gone,
}

/// What we may send on a stream.
///
/// ```text
///   ExpectHead --head--> ExpectBody --END_STREAM--> Ended
///       +--------------------+--- RST_STREAM of either side --> Ended
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Send {
    ExpectHead,
    ExpectBody,
    Ended,
}

/// The request that a response belongs to, as far as it decides how the response ends (RFC 9110 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    Head,
    Connect,
    Other,
}

impl Stream {
    pub(super) fn new(id: u32, recv_window: u32, send_window: u32) -> Self {
        Self {
            id,
            recv: Recv::ExpectHead,
            send: Send::ExpectHead,
            recv_window: RecvWindow::new(recv_window),
            send_window: SendWindow::new(send_window),
            held_bytes: 0,
            head_bytes: 0,
            left_bytes: None,
            answers: Answers::Other,
            is_tunnel: false,
            interim_count: 0,
            wants_window: false,
        }
    }

    /// Whether the peer may still send something that belongs to the message.
    pub(super) fn is_receiving(&self) -> bool {
        matches!(self.recv, Recv::ExpectHead | Recv::ExpectBody | Recv::Discard)
    }

    /// Whether the peer has said that it sends no more, and neither may we (RFC 9113 §5.1: closed).
    pub(super) fn is_closed_by_peer(&self) -> bool {
        matches!(self.recv, Recv::Ended | Recv::Gone) && self.send == Send::Ended
    }

    /// Whether a reset has still to be sent for both sides to forget the stream.
    pub(super) fn is_open(&self) -> bool {
        match self.recv {
            Recv::Cut | Recv::Gone => false,
            Recv::Ended => self.send != Send::Ended,
            Recv::ExpectHead | Recv::ExpectBody | Recv::Discard => true,
        }
    }
}

/// Where a stream identifier stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not opened yet, or never to be.
    Idle,
    /// Opened and not finished.
    Live,
    /// We have reset it: what was on the way is dropped.
    Cut,
    /// Passed over: a later one was opened first, which closed it (RFC 9113 §5.1.1).
    Skipped,
    /// The peer has ended it.
    Closed,
}

/// The streams of a connection. One that is closed keeps its place until the caller has finished its work, so that the
/// limit bounds work and not only frames (T11).
#[derive(Clone, Debug)]
pub(super) struct Streams {
    role: Role,
    /// In the order of their identifiers, for identifiers only grow.
    list: Vec<Stream>,
    /// The highest identifier that was opened.
    last: u32,
    skipped: Range<u32>,
    cut: VecDeque<u32>,
}

impl Streams {
    pub(super) fn new(role: Role) -> Self {
        Self { role, list: Vec::new(), last: 0, skipped: 0..0, cut: VecDeque::new() }
    }

    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    pub(super) fn last(&self) -> u32 {
        self.last
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.list.iter_mut()
    }

    pub(super) fn get(&self, id: u32) -> Option<&Stream> {
        let at = self.list.binary_search_by_key(&id, |stream| stream.id).ok()?;
        self.list.get(at)
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Stream> {
        let at = self.list.binary_search_by_key(&id, |stream| stream.id).ok()?;
        self.list.get_mut(at)
    }

    /// Where `id` stands.
    pub(super) fn standing(&self, id: u32) -> Standing {
        // Clients open streams with odd identifiers, and servers none: we forbid pushes (RFC 9113 §5.1.1, §6.6).
        if id.is_multiple_of(2) || id > self.last {
            Standing::Idle
        } else if self.get(id).is_some() {
            Standing::Live
        } else if self.cut.contains(&id) {
            Standing::Cut
        } else if self.skipped.contains(&id) {
            Standing::Skipped
        } else {
            Standing::Closed
        }
    }

    /// The next identifier is used, by a stream that is added or refused.
    pub(super) fn open(&mut self, id: u32) {
        if self.role == Role::Server && id > self.last + 2 {
            self.skipped = self.last + 1..id;
        }
        self.last = id;
    }

    /// The identifier of the next stream of a client.
    pub(super) fn next(&self) -> Option<u32> {
        let next = if self.last == 0 { 1 } else { self.last + 2 };
        (next <= super::frame::MAX_31).then_some(next)
    }

    /// Adds the stream that was opened last.
    pub(super) fn add(&mut self, stream: Stream) -> &mut Stream {
        debug_assert!(stream.id == self.last && self.get(stream.id).is_none());
        let at = self.list.len();
        self.list.push(stream);
        &mut self.list[at]
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Stream> {
        let at = self.list.binary_search_by_key(&id, |stream| stream.id).ok()?;
        Some(self.list.remove(at))
    }

    /// Remembers that we have reset a stream on which the peer may still be sending.
    pub(super) fn remember_cut(&mut self, id: u32) {
        if self.cut.len() == H2_CUT_STREAMS_COUNT_MAX {
            self.cut.pop_front();
        }
        self.cut.push_back(id);
    }

    /// Gives back memory that an idle connection does not need.
    pub(super) fn release_excess(&mut self) {
        self.list.shrink_to_fit();
        self.cut.shrink_to_fit();
    }
}
