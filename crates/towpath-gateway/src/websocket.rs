//! WebSockets: a tunnel that knows where frames end.
//!
//! ```text
//!   request ── opening::admits ──> origin ── 101 ──> WebSocket
//!
//!   client ── Lane up ──> origin      a Lane: read -> judged -> written as it came; frames of our own between two
//!          <── Lane down ──           │       boxed while it is busy; an idle WebSocket has none (Way)
//!                                     └── Guard: sizes, rates, pings, where the route demands something
//!
//!   Open ── a drain, some time later ──> Leaving ── Close 1001 to the client ──> Closing ── both have ended ──> over
//!    └───── what the route does not allow: Close to both ───────────────────────────^ └──── the time is over ──^
//! ```
//!
//! Where a route demands nothing, whatever follows the 101 is passed on, frames or not. Frames are followed all the same,
//! because a drain has to speak between two of them and may come at any time; bytes in which no frames are found are
//! relayed unread from there on, and end with the drain as every relay does.

mod breach;
mod guard;
mod held;
mod lane;
pub(crate) mod opening;
mod pulse;
mod way;

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use towpath_net::Stream;
use towpath_net::relay::Side;
use towpath_net::timer::Timer;
use towpath_proto::ws::{CloseCode, Encoder, Extensions, Role};
use towpath_telemetry::accesslog::Record;
use towpath_telemetry::metrics::CloseReason;

use crate::accept::Seat;
use crate::error::Reason;
use crate::plan::Route;
use breach::Breach;
use guard::{Guard, SideJudge};
use lane::{Lane, Signs, Stop};
use pulse::Due;
use way::Way;

/// How long both sides have to take their close frames, and to end, after one of them did what it may not: the rest of a
/// frame that is under way and a round trip, on a bad network.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What an upgrade leaves behind.
pub(crate) struct Opened {
    pub(crate) client: Stream,
    pub(crate) origin: Stream,
    /// What came from the two before there was a tunnel.
    pub(crate) from_client: Vec<u8>,
    pub(crate) from_origin: Vec<u8>,
    /// Without a byte passed on for this long, it ends.
    pub(crate) idle: Duration,
    pub(crate) terms: Terms,
}

/// What holds for a WebSocket beside its bytes.
#[derive(Debug)]
pub(crate) struct Terms {
    /// What the two agreed on.
    extensions: Extensions,
    /// The route, if it demands something of frames.
    route: Option<Arc<Route>>,
    /// Who the client is.
    peer: IpAddr,
}

impl Terms {
    /// The terms of a route for what two peers have agreed on.
    ///
    /// # Errors
    /// [`Reason::UpstreamBadUpgrade`] where the route demands something of frames whose meaning an extension changes.
    pub(crate) fn new(route: &Arc<Route>, extensions: Extensions, peer: IpAddr) -> Result<Self, Reason> {
        let route = route.websocket.judges_frames().then(|| Arc::clone(route));
        if route.is_some() && extensions == Extensions::Unknown {
            return Err(Reason::UpstreamBadUpgrade);
        }
        Ok(Self { extensions, route, peer })
    }
}

/// A WebSocket between a client and an origin, whatever their streams are. As a future it does the work; dropped, it
/// closes both.
pub(crate) struct WebSocket {
    client: Stream,
    origin: Stream,
    /// From the client to the origin.
    up: Way,
    down: Way,
    phase: Phase,
    /// A side that takes nothing more, while what it sent before is still passed on.
    fault: Option<Fault>,
    idle: Duration,
    timer: Timer,
    guard: Option<Box<Guard>>,
    seat: Seat,
}

/// See the graph at the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Leaving,
    Closing(Cause),
}

/// Why close frames of ours went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Drain,
    Breach,
}

/// A side that failed.
#[derive(Clone, Copy, Debug)]
struct Fault {
    side: Side,
    kind: io::ErrorKind,
}

impl WebSocket {
    /// Joins the two sides; `timer` is this tunnel's alone from now on.
    pub(crate) fn new(opened: Opened, timer: Timer, seat: Seat) -> Self {
        let Opened { client, origin, from_client, from_origin, idle, terms } = opened;
        let worker = &seat.worker;
        worker.relays.set(worker.relays.get() + 1);
        worker.counters().tunnels_open.increment();
        let may_compress = terms.extensions == Extensions::Deflate;
        let now = Instant::now();
        let guard = terms.route.map(|route| Box::new(Guard::new(route, terms.peer, worker.draw(), now)));
        let this = Self {
            up: Way::new(Role::Server, may_compress, from_client),
            down: Way::new(Role::Client, may_compress, from_origin),
            phase: Phase::Open,
            fault: None,
            idle,
            client,
            origin,
            timer,
            guard,
            seat,
        };
        this.timer.set(now + this.idle);
        this.arm_pulses();
        this
    }

    /// Ready when the tunnel is over, with what ended it.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        loop {
            if self.seat.worker.is_stopping() {
                return Poll::Ready(self.cut());
            }
            self.notice_departure();
            if let Some(end) = self.move_bytes(cx) {
                return Poll::Ready(end);
            }
            self.note_signs();
            self.up.rest();
            self.down.rest();
            ready!(self.timer.poll_expired(cx));
            if let Some(end) = self.handle_time() {
                return Poll::Ready(end);
            }
        }
    }

    /// Moves what can be moved now, both ways. `Some` when the tunnel is over.
    fn move_bytes(&mut self, cx: &mut Context<'_>) -> Option<CloseReason> {
        while let Err((side, stop)) = self.poll_lanes(cx) {
            if let Some(end) = self.take_stop(side, stop) {
                return Some(end);
            }
        }
        // §7.1.1: the server ends the connection first, which we are to the client, and the origin to us.
        if self.up.is_busy_and(Lane::has_said_last) {
            self.down.lane().end_behind_close(cx, &mut self.client);
        }
        (self.up.is_busy_and(Lane::is_done) && self.down.is_busy_and(Lane::is_done)).then(|| self.finish())
    }

    /// An error tells which side the lane comes from that cannot go on.
    fn poll_lanes(&mut self, cx: &mut Context<'_>) -> Result<(), (Side, Stop)> {
        let Self { client, origin, up, down, guard, seat, .. } = self;
        let reserve = &seat.worker.reserve;
        let mut judge = SideJudge { guard: guard.as_deref_mut(), side: Side::Downstream };
        up.poll(cx, (client, origin), &mut judge, reserve).map_err(|stop| (Side::Downstream, stop))?;
        judge.side = Side::Upstream;
        down.poll(cx, (origin, client), &mut judge, reserve).map_err(|stop| (Side::Upstream, stop))
    }

    fn lane(&mut self, side: Side) -> &mut Lane {
        match side {
            Side::Downstream => self.up.lane(),
            Side::Upstream => self.down.lane(),
        }
    }

    fn stream(&self, side: Side) -> &Stream {
        match side {
            Side::Downstream => &self.client,
            Side::Upstream => &self.origin,
        }
    }

    /// What stopped the lane that begins at `side`. `Some` when the tunnel is over.
    fn take_stop(&mut self, side: Side, stop: Stop) -> Option<CloseReason> {
        match stop {
            Stop::Breach(breach) => {
                self.break_off(side, breach);
                None
            }
            Stop::Read(kind) => Some(self.fail(Fault { side, kind })),
            Stop::Write(kind) => self.outlive(Fault { side: side.other(), kind }),
        }
    }

    /// A side takes nothing more; what it has sent may still wait to be read, so the lane that begins there goes on to
    /// its end.
    fn outlive(&mut self, fault: Fault) -> Option<CloseReason> {
        if self.fault.is_some() {
            return Some(self.fail(fault));
        }
        self.fault = Some(fault);
        // The failed write took the error that a read would have found. A reset behind the peer's end is EPIPE; any
        // other leaves an end that is none.
        if fault.kind != io::ErrorKind::BrokenPipe {
            self.lane(fault.side).withhold_end();
        }
        let worker = Rc::clone(&self.seat.worker);
        self.lane(fault.side.other()).give_up(&worker.reserve);
        None
    }

    /// Ends with a fault, the first one, which is the cause of those that follow. A side that was promised more than
    /// it got is told by a reset.
    fn fail(&mut self, fault: Fault) -> CloseReason {
        let Fault { side, kind } = self.fault.unwrap_or(fault);
        if !self.lane(side).is_passed_on() {
            self.stream(side.other()).reset_on_drop();
        }
        let is_reset = matches!(
            kind,
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::NotConnected
        );
        match (self.phase, side) {
            (Phase::Closing(cause), _) => self.reason_of(cause),
            (_, Side::Downstream) if is_reset => CloseReason::Reset,
            _ => CloseReason::Error,
        }
    }

    /// Both sides have ended.
    fn finish(&mut self) -> CloseReason {
        match (self.fault, self.phase) {
            (Some(fault), _) => self.fail(fault),
            (None, Phase::Closing(cause)) => self.reason_of(cause),
            (None, _) => CloseReason::Finished,
        }
    }

    /// What was noted when the breach was found, or the drain.
    fn reason_of(&self, cause: Cause) -> CloseReason {
        match cause {
            Cause::Drain => CloseReason::Drain,
            Cause::Breach => self.seat.reason,
        }
    }

    /// Cuts both connections with a reset: neither side shall take it for an end.
    fn cut(&mut self) -> CloseReason {
        self.client.reset_on_drop();
        self.origin.reset_on_drop();
        if self.phase == Phase::Closing(Cause::Breach) { self.seat.reason } else { CloseReason::Drain }
    }

    /// The process, the listener or the route goes. Clients are told by and by, as those of idle connections are, so that they do
    /// not all return at once; within half the time for that, as the other half is for their answers.
    fn notice_departure(&mut self) {
        if self.phase == Phase::Open && (self.seat.is_leaving() || self.has_lost_route()) && self.can_speak()
        {
            self.phase = Phase::Leaving;
            self.timer.set(Instant::now() + self.seat.worker.drain_delay() / 2);
        }
    }

    fn has_lost_route(&mut self) -> bool {
        self.guard.as_mut().is_some_and(|guard| guard.has_lost_route(&self.seat.worker))
    }

    /// Whether what goes both ways are frames, and a close frame to the client may still stand among them.
    fn can_speak(&self) -> bool {
        !self.up.is_busy_and(|lane| !lane.is_followed()) && !self.down.is_busy_and(|lane| !lane.can_speak())
    }

    /// Tells the client that the gateway goes away (§7.4.1). It has its messages passed on until its own close frame,
    /// which tells the origin; so nothing of what it sends is lost.
    fn say_goodbye(&mut self) {
        if !self.can_speak() {
            // It has become a relay meanwhile, or is closing.
            self.phase = Phase::Open;
            return self.timer.set(Instant::now() + self.idle);
        }
        self.phase = Phase::Closing(Cause::Drain);
        self.timer.set(Instant::now() + self.seat.worker.drain_grace());
        // Whose route alone is gone may come back at once, to the same place.
        let code = if self.seat.is_leaving() { CloseCode::GOING_AWAY } else { CloseCode::RESTART };
        let frame = self.close_frame(Side::Downstream, code, Reason::Draining);
        self.down.lane().say_last(&frame);
    }

    /// A side did what the route does not allow. It is told what, the other one that it is over.
    fn break_off(&mut self, side: Side, breach: Breach) {
        let reason = breach.reason(side);
        self.phase = Phase::Closing(Cause::Breach);
        self.timer.set(Instant::now() + CLOSE_TIMEOUT);
        self.seat.refuse(reason, breach.close_reason(side));
        self.log(reason);
        let to_side = self.close_frame(side, breach.code(), reason);
        let beyond = self.close_frame(side.other(), Breach::code_beyond(side), reason);
        self.lane(side.other()).say_last(&to_side);
        self.lane(side).say_last(&beyond);
        if matches!(breach, Breach::Frames(_) | Breach::Rate) {
            self.lane(side).distrust();
        }
    }

    fn close_frame(&self, to: Side, code: CloseCode, reason: Reason) -> Vec<u8> {
        let mut frame = Vec::new();
        encoder(to).close(&mut frame, Some(code), reason.code(), self.mask_key());
        frame
    }

    /// A new key for each frame (§5.3). It need be no secret: what it hides are words of our own, over which no page has
    /// a say (§10.3).
    fn mask_key(&self) -> [u8; 4] {
        (self.seat.worker.draw() as u32).to_ne_bytes()
    }

    /// Moves the deadlines that what has happened moves.
    fn note_signs(&mut self) {
        let signs = [&mut self.up, &mut self.down].map(Way::take_signs);
        if signs == [Signs::default(); 2] {
            return;
        }
        let now = Instant::now();
        let has_moved = signs.iter().any(|signs| signs.moved);
        self.guard.iter_mut().for_each(|guard| guard.handle_signs(signs, now));
        match (self.phase, &self.guard) {
            (Phase::Open, Some(_)) => self.arm_pulses(),
            (Phase::Open, None) if has_moved => self.timer.set(now + self.idle),
            _ => {}
        }
    }

    /// Sets the deadline to what is due first, where a route demands something.
    fn arm_pulses(&self) {
        let Some(guard) = &self.guard else { return };
        self.timer.set(guard.deadlines().fold(guard.moved_at + self.idle, Instant::min));
    }

    /// The deadline has passed. `Some` when the tunnel is over.
    fn handle_time(&mut self) -> Option<CloseReason> {
        match self.phase {
            Phase::Open => return self.handle_quiet(),
            Phase::Leaving => self.say_goodbye(),
            Phase::Closing(Cause::Drain) => return Some(self.cut()),
            Phase::Closing(Cause::Breach) => return Some(self.time_out(self.seat.reason)),
        }
        None
    }

    /// Nothing was passed on for too long, or a side has said nothing.
    fn handle_quiet(&mut self) -> Option<CloseReason> {
        let now = Instant::now();
        let Some(guard) = &mut self.guard else { return Some(self.time_out(CloseReason::Idle)) };
        if guard.moved_at + self.idle <= now {
            return Some(self.time_out(CloseReason::Idle));
        }
        let question = guard.question;
        let due = guard.handle_time(now);
        self.arm_pulses();
        for (side, due) in [Side::Downstream, Side::Upstream].into_iter().zip(due) {
            match due {
                Due::Nothing => {}
                Due::Ask => self.ask(side, &question),
                Due::GiveUp => {
                    self.break_off(side, Breach::Silence);
                    break;
                }
            }
        }
        None
    }

    /// Has a ping sent to `side` (§5.5.2).
    fn ask(&mut self, side: Side, question: &[u8]) {
        let mut frame = Vec::new();
        let written = encoder(side).ping(&mut frame, question, self.mask_key());
        debug_assert!(written.is_ok(), "eight bytes fit");
        self.lane(side.other()).say(&frame);
    }

    /// Ends because nothing moves. What is held was promised to a side that has not taken it.
    fn time_out(&mut self, reason: CloseReason) -> CloseReason {
        for side in [Side::Downstream, Side::Upstream] {
            if self.lane(side).is_holding() {
                self.stream(side.other()).reset_on_drop();
            }
        }
        reason
    }

    /// Writes a line for what is no answer to a request: the request has its own.
    fn log(&self, reason: Reason) {
        let (Some(guard), true) = (&self.guard, self.seat.worker.wants_log()) else { return };
        let plan = self.seat.listener.plan();
        let client = guard.client.to_canonical().to_string();
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.seat.worker.log(|| Record {
            time_unix_ms: since_epoch.as_millis() as u64,
            remote_addr: Some(client.as_bytes()),
            version: Some(b"websocket"),
            route: Some(guard.route.name.as_bytes()),
            listener: Some(plan.name.as_bytes()),
            reason: Some(reason.code().as_bytes()),
            ..Record::default()
        });
    }
}

/// Writes our own frames to `side`.
fn encoder(side: Side) -> Encoder {
    Encoder::new(if side == Side::Downstream { Role::Server } else { Role::Client }, None)
}

impl Future for WebSocket {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.poll_end(cx).map(|reason| this.seat.reason = reason)
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        let worker = &self.seat.worker;
        self.up.release(&worker.reserve);
        self.down.release(&worker.reserve);
        worker.relays.set(worker.relays.get() - 1);
        worker.counters().tunnels_open.decrement();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an idle WebSocket holds beside its two sockets (256 bytes each in the runtime), its timer (about 90) and its
    /// task (128). With the runtime that control needs, each stream is 8 bytes larger than here, which makes it an
    /// allocation of 224.
    const WEBSOCKET_BYTES_MAX: usize = 200;

    #[test]
    fn an_idle_websocket_is_small() {
        let websocket = size_of::<WebSocket>();
        assert!(websocket <= WEBSOCKET_BYTES_MAX, "{websocket}");
    }
}
