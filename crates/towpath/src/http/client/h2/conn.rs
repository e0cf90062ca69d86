//! One connection without its socket: what its requests and its driver share.

mod stream;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use bytes::BytesMut;
use tokio::runtime::Id;
use tokio::time::Instant;
use towpath_net::buffer::Buffer;
use towpath_proto::h2::{Config, Connection, ConnectionError, ErrorCode, Event, Role, StreamId};
use towpath_proto::limits::HeadLimits;
use towpath_proto::message::{Framing, ResponseHead};

pub(in crate::http::client) use self::stream::{Opened, Permit};
use super::CONNECTION_WINDOW_BYTES;
use super::group::Group;
use super::lost::Lost;
use crate::http::client::exchange::copied;
use crate::http::headers::Headers;
use crate::http2::{OUTPUT_BYTES_KEPT, Window};

/// Whatever comes is an answer, so that it need not tell itself apart from others.
const PING: [u8; 8] = *b"are you?";

/// One connection. Lock order: its group's lock comes before its own.
pub(in crate::http::client) struct Conn {
    state: Mutex<State>,
    group: Arc<Group>,
    /// Whose event loop has the socket.
    pub(super) runtime: Id,
}

struct State {
    codec: Connection,
    /// Frames in their order.
    out: Vec<u8>,
    /// In the order of their numbers.
    slots: Vec<Slot>,
    /// The task that reads and writes, once it is to be woken.
    driver: Option<Waker>,
    streams_max: usize,
    /// Permits that have opened no stream yet.
    reserved: usize,
    /// The origin has said what it takes. Until then one request goes out, so that none is refused.
    has_settings: bool,
    /// It has carried a request.
    is_used: bool,
    /// It takes no more requests: too old, not needed, or the origin has said so.
    is_leaving: bool,
    /// Streams wait for room in the output.
    is_crowded: bool,
    /// Which stream is woken first when all are: another one each time, as the first may take all of the window there is.
    turn: usize,
    /// The windows of all streams together.
    granted_bytes: u32,
    heard_at: Instant,
    goaway: Option<ErrorCode>,
}

/// What came for a stream and was not taken.
struct Slot {
    id: StreamId,
    head: Option<Received>,
    /// The origin wants the body (RFC 9110 §10.1.1).
    may_go_on: bool,
    /// The stream's window bounds it.
    inbox: BytesMut,
    trailers: Option<Headers>,
    is_complete: bool,
    lost: Option<Lost>,
    window: Window,
    /// When something came last.
    since: Instant,
    /// Who waits for what comes, or for room.
    waker: Option<Waker>,
}

/// The head of a response.
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) framing: Framing,
    pub(super) headers: Headers,
}

/// Whether another request may go out.
pub(super) enum Room {
    Free(Permit),
    /// Not before the origin has said what it takes.
    Soon,
    None,
}

/// How a connection stands, for its driver.
pub(super) struct Look {
    pub(super) is_idle: bool,
    pub(super) is_leaving: bool,
    /// It has no more use.
    pub(super) wants_close: bool,
    /// A head has begun, or the first settings have not come.
    pub(super) is_inside_head: bool,
    pub(super) awaits_settings_ack: bool,
    /// The origin lets us have streams, and there are numbers left.
    pub(super) can_open: bool,
}

impl Conn {
    /// One whose preface and settings are about to be written, and a place for its first request. `is_used` when it has waited in the pool.
    pub(super) fn new(
        group: &Arc<Group>,
        head: HeadLimits,
        streams_max: usize,
        is_used: bool,
    ) -> (Arc<Self>, Permit) {
        let config = Config { head, connection_window_bytes: CONNECTION_WINDOW_BYTES, ..Config::default() };
        let state = State {
            codec: Connection::new(Role::Client, config),
            out: Vec::new(),
            slots: Vec::new(),
            driver: None,
            streams_max,
            reserved: 1,
            has_settings: false,
            is_used,
            is_leaving: false,
            is_crowded: false,
            turn: 0,
            granted_bytes: 0,
            heard_at: Instant::now(),
            goaway: None,
        };
        let runtime = tokio::runtime::Handle::current().id();
        let conn = Arc::new(Self { state: Mutex::new(state), group: Arc::clone(group), runtime });
        (Arc::clone(&conn), Permit { conn, is_spent: false })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What it guards is whole between any two statements that can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for another request, if there is one.
    pub(super) fn reserve(self: &Arc<Self>) -> Room {
        let mut state = self.lock();
        let taken = state.taken();
        let allowed = state.streams_max.min(state.codec.peer_settings().streams_count_max as usize);
        if state.is_leaving || !state.codec.can_open() {
            return Room::None;
        }
        if !state.has_settings && taken > 0 {
            return Room::Soon;
        }
        if taken >= allowed {
            return Room::None;
        }
        state.reserved += 1;
        Room::Free(Permit { conn: Arc::clone(self), is_spent: false })
    }

    /// See [`Group::keep_to_http1`].
    pub(super) fn keep_to_http1(&self) -> bool {
        self.group.keep_to_http1()
    }

    /// Takes no more requests, and ends behind those it has.
    pub(super) fn retire(self: &Arc<Self>) {
        let driver = {
            let mut state = self.lock();
            state.is_leaving = true;
            state.driver.take()
        };
        self.group.remove(self);
        driver.into_iter().for_each(Waker::wake);
    }
}

/// What the driver does.
impl Conn {
    /// This task is woken when there is something to write.
    pub(super) fn attend(&self, cx: &Context<'_>) {
        self.lock().driver = Some(cx.waker().clone());
    }

    /// Swaps what is to be written into `sending`, which is empty.
    pub(super) fn take_output(&self, sending: &mut Vec<u8>) {
        let mut woken = Vec::new();
        {
            let state = &mut *self.lock();
            state.codec.poll_output(&mut state.out);
            std::mem::swap(&mut state.out, sending);
            if std::mem::take(&mut state.is_crowded) {
                state.wake_all(&mut woken);
            }
        }
        woken.into_iter().for_each(Waker::wake);
    }

    /// Has the codec judge all of `input`, and puts down what came.
    ///
    /// # Errors
    /// The connection is over; what is told to the peer is in the output.
    pub(super) fn take_in(&self, now_ms: u64, input: &mut Buffer) -> Result<(), ConnectionError> {
        let (mut woken, mut has_changed) = (Vec::new(), false);
        let outcome = {
            let state = &mut *self.lock();
            state.heard_at = Instant::now();
            loop {
                match state.codec.handle_input(now_ms, input.unread()) {
                    Err(error) => break Err(error),
                    Ok(step) => {
                        let Some(event) = step.event else {
                            input.consume(step.consumed);
                            break Ok(());
                        };
                        has_changed |= state.follow(event, input.unread(), &mut woken);
                        input.consume(step.consumed);
                    }
                }
            }
        };
        woken.into_iter().for_each(Waker::wake);
        if has_changed {
            self.group.changed();
        }
        outcome
    }

    pub(super) fn look(&self) -> Look {
        let state = self.lock();
        Look {
            is_idle: state.taken() == 0,
            is_leaving: state.is_leaving,
            wants_close: state.codec.wants_close(),
            is_inside_head: state.codec.is_inside_head(),
            awaits_settings_ack: state.codec.awaits_settings_ack(),
            can_open: state.codec.can_open(),
        }
    }

    /// Takes no more requests from now on, unless it has some.
    pub(super) fn leave_if_idle(&self) -> bool {
        let mut state = self.lock();
        let is_idle = state.taken() == 0;
        state.is_leaving |= is_idle;
        is_idle
    }

    /// When something came last.
    pub(super) fn heard_at(&self) -> Instant {
        self.lock().heard_at
    }

    /// Asks the origin for a sign of life.
    pub(super) fn ping(&self) {
        self.lock().codec.ping(PING);
    }

    /// Says why it ends.
    pub(super) fn close(&self, code: ErrorCode) {
        self.lock().codec.close(code);
    }

    /// The connection is over: so are its streams.
    pub(super) fn end(&self, lost: Lost) {
        let mut woken = Vec::new();
        {
            let state = &mut *self.lock();
            state.is_leaving = true;
            let lost = match lost {
                Lost::Gone(_) => Lost::Gone(state.goaway),
                lost => lost,
            };
            for slot in &mut state.slots {
                slot.lost.get_or_insert(lost);
            }
            state.wake_all(&mut woken);
        }
        woken.into_iter().for_each(Waker::wake);
    }

    /// Nothing is going on: gives back what a busy time has made it hold.
    pub(super) fn rest(&self) {
        let state = &mut *self.lock();
        state.codec.release_excess();
        state.out.shrink_to(OUTPUT_BYTES_KEPT);
        state.slots.shrink_to_fit();
    }
}

impl State {
    /// Streams that are open, and permits for others.
    fn taken(&self) -> usize {
        self.codec.streams_count() + self.reserved
    }

    fn slot(&mut self, id: StreamId) -> Option<&mut Slot> {
        let place = self.slots.binary_search_by_key(&id, |slot| slot.id).ok()?;
        self.slots.get_mut(place)
    }

    /// The driver, if there is something for it to do.
    fn wake_driver(&mut self) -> Option<Waker> {
        let is_idle = self.taken() == 0;
        self.driver.take_if(|_| is_idle || self.codec.wants_write() || !self.out.is_empty())
    }

    fn wake_all(&mut self, woken: &mut Vec<Waker>) {
        self.turn = (self.turn + 1) % self.slots.len().max(1);
        let (sooner, later) = self.slots.split_at_mut(self.turn);
        woken.extend(later.iter_mut().chain(sooner).filter_map(|slot| slot.waker.take()));
    }

    /// Puts down what an event means. Whether those who wait for a stream have to know.
    fn follow(&mut self, event: Event, input: &[u8], woken: &mut Vec<Waker>) -> bool {
        match event {
            Event::Interim { stream } => {
                let may_go_on = self.codec.response().status == 100;
                self.touch(stream, woken, |slot| slot.may_go_on |= may_go_on);
            }
            Event::Head { stream, end } => {
                let (mut head, mut block) = (ResponseHead::default(), Vec::new());
                self.codec.swap_response(&mut head, &mut block);
                self.touch(stream, woken, |slot| {
                    let headers = Headers::received(head.fields, block);
                    slot.head = Some(Received { status: head.status, framing: head.framing, headers });
                    slot.is_complete = end;
                });
            }
            Event::Data { stream, range, end } => self.touch(stream, woken, |slot| {
                slot.inbox.extend_from_slice(input.get(range).unwrap_or_default());
                slot.is_complete = end;
            }),
            Event::Trailers { stream } => {
                let trailers = copied(self.codec.trailers(), self.codec.block());
                self.touch(stream, woken, |slot| {
                    slot.trailers = Some(trailers);
                    slot.is_complete = true;
                });
            }
            Event::End { stream } => self.touch(stream, woken, |slot| slot.is_complete = true),
            Event::Reset { stream, code, fault } => {
                let lost = match (fault, code) {
                    (Some(fault), _) => Lost::Fault(fault),
                    (None, ErrorCode::RefusedStream) => Lost::Unprocessed("REFUSED_STREAM"),
                    (None, ErrorCode::Http11Required) => Lost::Http1Required,
                    (None, code) => Lost::Reset(code),
                };
                self.touch(stream, woken, |slot| slot.lost = Some(lost));
            }
            Event::GoAway { last, code } => {
                (self.is_leaving, self.goaway) = (true, Some(code));
                let lost = match code {
                    ErrorCode::Http11Required => Lost::Http1Required,
                    _ => Lost::Unprocessed("GOAWAY"),
                };
                let above = self.slots.iter_mut().filter(|slot| slot.id.number() > last);
                for slot in above {
                    slot.lost = Some(lost);
                    woken.extend(slot.waker.take());
                }
                return true;
            }
            Event::WindowOpen { stream: Some(stream) } => {
                woken.extend(self.slot(stream).and_then(|slot| slot.waker.take()));
            }
            Event::Settings => {
                self.has_settings = true;
                self.wake_all(woken);
                return true;
            }
            Event::WindowOpen { stream: None } => self.wake_all(woken),
            Event::Pong(_) | Event::Refused { .. } => {}
        }
        false
    }

    /// Something came for a stream.
    fn touch(&mut self, stream: StreamId, woken: &mut Vec<Waker>, change: impl FnOnce(&mut Slot)) {
        let now = self.heard_at;
        let Some(slot) = self.slot(stream) else { return };
        change(slot);
        slot.since = now;
        woken.extend(slot.waker.take());
    }
}
