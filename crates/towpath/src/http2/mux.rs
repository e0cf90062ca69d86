//! The codec of a connection and its output, shared by the streams and by the task that reads and writes.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Waker};

use towpath_proto::h2::{Config, Connection, ConnectionError, Event, Role, Step, StreamId};
use towpath_proto::message::{Framing, ResponseHead};

use super::lane::Lane;

/// Bytes of output that wait for the socket before streams wait for them. Eight full frames: one write of a large
/// response costs mostly its copy then, and what a slow client makes us hold stays small.
pub(crate) const OUTPUT_BYTES_MAX: usize = 128 * 1024;

/// What an idle connection keeps of its output's memory.
pub(crate) const OUTPUT_BYTES_KEPT: usize = 4 * 1024;

/// Heads of responses whose memory is kept for others: as many as wait to be read at a time, usually.
const SPARE_HEADS_MAX: usize = 32;

/// One HTTP/2 connection without its socket.
#[derive(Debug)]
pub struct Mux {
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    codec: Connection,
    /// Frames in their order.
    out: Vec<u8>,
    /// In the order of their numbers, which is that of their opening.
    lanes: Vec<Rc<Lane>>,
    /// Memory for the heads of responses.
    spare_heads: Vec<ResponseHead>,
    /// Streams wait for room in the output.
    is_crowded: bool,
    /// The stream that was woken first when all of them were. Another is next time: whoever comes first may take all
    /// that there is of the connection's window.
    first: Option<StreamId>,
    /// The task that reads and writes, once it is to be woken.
    driver: Option<Waker>,
}

impl Mux {
    /// One whose preface and settings are about to be written.
    pub fn new(role: Role, config: Config) -> Rc<Self> {
        let state = State {
            codec: Connection::new(role, config),
            out: Vec::new(),
            lanes: Vec::new(),
            spare_heads: Vec::new(),
            is_crowded: false,
            first: None,
            driver: None,
        };
        Rc::new(Self { state: RefCell::new(state) })
    }

    /// Asks the codec something, or tells it.
    pub fn with<T>(&self, ask: impl FnOnce(&mut Connection) -> T) -> T {
        ask(&mut self.state.borrow_mut().codec)
    }

    /// Has the codec append frames. Whoever writes them is told.
    pub fn encode<T>(&self, encode: impl FnOnce(&mut Connection, &mut Vec<u8>) -> T) -> T {
        let state = &mut *self.state.borrow_mut();
        let outcome = encode(&mut state.codec, &mut state.out);
        state.driver.take().into_iter().for_each(Waker::wake);
        outcome
    }

    /// Whether the output has room; if not, all streams are woken when it has.
    pub(super) fn has_room(&self) -> bool {
        let mut state = self.state.borrow_mut();
        state.is_crowded |= state.out.len() >= OUTPUT_BYTES_MAX;
        !state.is_crowded
    }

    /// This task is woken when there is something to write.
    pub fn attend(&self, cx: &Context<'_>) {
        self.state.borrow_mut().driver = Some(cx.waker().clone());
    }

    /// See [`Connection::handle_input`].
    ///
    /// # Errors
    /// The connection is over; what is told to the peer is in the output.
    pub(super) fn handle_input(&self, now_ms: u64, input: &[u8]) -> Result<Step, ConnectionError> {
        self.state.borrow_mut().codec.handle_input(now_ms, input)
    }

    /// Swaps what is to be written into `sending`, which is empty.
    pub(super) fn take_output(&self, sending: &mut Vec<u8>) {
        let was_crowded = {
            let state = &mut *self.state.borrow_mut();
            state.codec.poll_output(&mut state.out);
            std::mem::swap(&mut state.out, sending);
            std::mem::take(&mut state.is_crowded)
        };
        if was_crowded {
            self.wake_all();
        }
    }

    pub(super) fn spare_head(&self) -> ResponseHead {
        self.state.borrow_mut().spare_heads.pop().unwrap_or_default()
    }

    pub(super) fn keep_head(&self, head: ResponseHead) {
        let spare = &mut self.state.borrow_mut().spare_heads;
        if spare.len() < SPARE_HEADS_MAX {
            spare.push(head);
        }
    }

    /// A stream has opened whose messages of this framing come in.
    pub fn open(self: &Rc<Self>, id: StreamId, framing: Framing) -> Rc<Lane> {
        let lane = Rc::new(Lane::new(Rc::clone(self), id, framing));
        self.state.borrow_mut().lanes.push(Rc::clone(&lane));
        lane
    }

    /// The stream of this number, if it is open.
    pub fn lane(&self, id: StreamId) -> Option<Rc<Lane>> {
        let state = self.state.borrow();
        let place = state.lanes.binary_search_by_key(&id, |lane| lane.id()).ok()?;
        state.lanes.get(place).map(Rc::clone)
    }

    /// The work behind a stream has ended.
    pub fn finish(&self, id: StreamId) {
        let state = &mut *self.state.borrow_mut();
        state.codec.finish(id);
        if let Ok(place) = state.lanes.binary_search_by_key(&id, |lane| lane.id()) {
            state.lanes.remove(place);
        }
        state.driver.take().into_iter().for_each(Waker::wake);
    }

    /// Passes on what concerns a stream that is open, or all of them.
    pub fn follow(&self, event: Event, input: &[u8]) {
        match event {
            Event::Data { stream, range, end } => {
                let Some(lane) = self.lane(stream) else { return };
                lane.take_data(input.get(range).unwrap_or_default());
                if end {
                    lane.take_end(None);
                }
            }
            Event::Trailers { stream } => {
                let Some(lane) = self.lane(stream) else { return };
                self.with(|codec| lane.take_end(Some((codec.trailers(), codec.block()))));
            }
            Event::End { stream } => self.lane(stream).into_iter().for_each(|lane| lane.take_end(None)),
            // One whose connection has no window waits for that, in turn with the others.
            Event::WindowOpen { stream: Some(stream) }
                if self.with(|codec| codec.send_data_len_max(stream)) > 0 =>
            {
                self.lane(stream).into_iter().for_each(|lane| lane.wake());
            }
            Event::WindowOpen { stream: None } | Event::Settings => self.wake_all(),
            _ => {}
        }
    }

    /// The peer has not looked at streams above `last`, and will not.
    pub fn lose_above(&self, last: u32) {
        let lanes = self.state.borrow().lanes.clone();
        lanes.iter().filter(|lane| lane.id().number() > last).for_each(|lane| lane.lose(true));
    }

    /// Windows may have opened. Each time another stream is the first.
    pub(super) fn wake_all(&self) {
        let (before, lanes) = {
            let state = &mut *self.state.borrow_mut();
            let before = state.lanes.partition_point(|lane| Some(lane.id()) <= state.first);
            let first = state.lanes.get(before).or(state.lanes.first());
            state.first = first.map(|lane| lane.id());
            (before, state.lanes.clone())
        };
        let (later, sooner) = lanes.split_at(before);
        sooner.iter().chain(later).for_each(|lane| lane.wake());
    }

    /// The connection is over: so are its streams.
    pub fn end_all(&self) {
        let lanes = std::mem::take(&mut self.state.borrow_mut().lanes);
        lanes.iter().for_each(|lane| lane.lose(false));
    }

    /// Nothing is going on: gives back what a busy time has made it hold.
    pub fn rest(&self) {
        let state = &mut *self.state.borrow_mut();
        state.codec.release_excess();
        state.out.shrink_to(OUTPUT_BYTES_KEPT);
        state.lanes.shrink_to_fit();
        state.spare_heads = Vec::new();
    }
}
