//! One direction of a WebSocket that is followed.

use std::io;
use std::task::{Context, Poll};

use towpath_net::Stream;
use towpath_net::relay::Reserve;
use towpath_proto::limits::WsLimits;
use towpath_proto::ws::{Follower, Passed, Role, WsError};

use super::breach::Breach;
use super::held::Held;

/// Bytes that a lane takes in before others of the worker get their turn, as a relay does.
const TURN_BYTES_MAX: usize = 1 << 20;

/// What one side sends on its way to the other. Bytes are passed on as they came; frames of our own may stand between
/// those of the side.
#[derive(Debug)]
pub(super) struct Lane {
    /// `None` once what comes are no frames.
    follower: Option<Follower>,
    held: Held,
    /// Bytes at the start of what is held that may go on.
    passable: usize,
    /// Frames of our own, due at the next boundary. Boxed, as an idle WebSocket has none.
    own: Option<Box<Own>>,
    state: State,
    /// The other side was told that nothing more comes, or cannot be told.
    is_end_told: bool,
    /// The end that is read is none.
    is_end_withheld: bool,
    signs: Signs,
}

/// Frames of our own on their way.
#[derive(Debug, Default)]
struct Own {
    bytes: Vec<u8>,
    sent: usize,
}

/// ```text
///   Open ── a close frame of ours is due ──> Closing ── written ──> Discarding
///    │ └──────── nobody takes what comes ─────────────────────────────^  │
///    └── end read ──> Ended <──── end read ──────────────────────────────┘
///                       └── last byte written, end passed on ──> Over
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The frame under way goes on to its end.
    Closing,
    /// Reads and throws away: behind our close frame nothing may follow (§5.5.1), and a socket that is closed with
    /// unread bytes in it is reset, which would take the close frame with it.
    Discarding,
    Ended,
    Over,
}

/// What a lane has done since it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signs {
    /// The side that it comes from has sent something.
    pub(super) heard: bool,
    /// Something of it was passed on.
    pub(super) moved: bool,
    /// A frame of our own has gone.
    pub(super) spoken: bool,
}

/// Why a lane cannot go on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    Read(io::ErrorKind),
    Write(io::ErrorKind),
    Breach(Breach),
}

/// What becomes of bytes that are frames.
pub(super) enum Verdict {
    Pass,
    /// An answer to a question of our own.
    Keep,
}

/// Judges what a side sends.
pub(super) trait Judge {
    /// What its messages may cost.
    fn limits(&self) -> &WsLimits;

    /// Takes note of something that comes.
    fn take_note(&mut self, passed: &Passed) -> Result<Verdict, Breach>;

    /// What bytes that are no frames come to: an error if they are not let through.
    fn not_frames(&self, error: WsError) -> Result<(), Breach>;
}

impl Lane {
    /// `role` is that of the side it leads to; `early` came before there was a lane.
    pub(super) fn new(role: Role, may_compress: bool, early: Vec<u8>) -> Self {
        Self {
            follower: Some(Follower::new(role, may_compress)),
            held: Held::new(early),
            passable: 0,
            own: None,
            state: State::Open,
            is_end_told: false,
            is_end_withheld: false,
            signs: Signs::default(),
        }
    }

    /// Moves what can be moved now. Afterwards the task is woken when there is more to do.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        (from, to): (&mut Stream, &mut Stream),
        judge: &mut impl Judge,
        reserve: &Reserve,
    ) -> Result<(), Stop> {
        let mut read_bytes = 0;
        loop {
            match self.step(cx, from, to, judge, reserve)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(count) => read_bytes += count,
            }
            if read_bytes >= TURN_BYTES_MAX {
                cx.waker().wake_by_ref();
                return Ok(());
            }
        }
    }

    /// One write or one read, and how much was read. `Pending` when neither can be done.
    fn step(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        judge: &mut impl Judge,
        reserve: &Reserve,
    ) -> Result<Poll<usize>, Stop> {
        if self.passable > 0 {
            return self.write_held(cx, to, reserve);
        }
        if self.may_speak() && self.own.is_some() {
            return self.write_own(cx, to);
        }
        if self.judge(judge).map_err(Stop::Breach)? {
            return Ok(Poll::Ready(0));
        }
        match self.state {
            State::Open | State::Closing | State::Discarding => self.read(cx, from, reserve),
            State::Ended => {
                self.state = State::Over;
                self.tell_end(cx, to)?;
                Ok(Poll::Pending)
            }
            State::Over => Ok(Poll::Pending),
        }
    }

    /// Judges what is held. True when some of it may go on.
    fn judge(&mut self, judge: &mut impl Judge) -> Result<bool, Breach> {
        while self.judge_frame(judge)? {}
        if self.state == State::Discarding {
            self.held.consume(std::mem::take(&mut self.passable));
        }
        Ok(self.passable > 0)
    }

    /// Judges up to the end of a frame. False when nothing more can be judged now: there is too little of it, or a
    /// frame of our own comes first.
    fn judge_frame(&mut self, judge: &mut impl Judge) -> Result<bool, Breach> {
        let Some(follower) = &mut self.follower else { return Ok(self.pass_unread()) };
        if self.own.is_some() && follower.is_between_frames() {
            return Ok(false);
        }
        let pass = match follower.handle_input(self.held.behind(self.passable), judge.limits()) {
            Ok(pass) => pass,
            Err(error) => return self.lose(judge, error),
        };
        let verdict = match &pass.event {
            Some(passed) if self.state == State::Open => judge.take_note(passed)?,
            _ => Verdict::Pass,
        };
        match verdict {
            Verdict::Pass => self.passable += pass.bytes,
            Verdict::Keep => self.held.drop_behind(self.passable, pass.bytes),
        }
        Ok(pass.bytes > 0)
    }

    /// What comes are no frames from here on. True if it has to be looked at all the same.
    fn lose(&mut self, judge: &impl Judge, error: WsError) -> Result<bool, Breach> {
        if self.state == State::Open {
            judge.not_frames(error)?;
        }
        self.follower = None;
        Ok(true)
    }

    /// Lets what are no frames go on, but not behind a close frame of ours. False, as all of it is judged then.
    fn pass_unread(&mut self) -> bool {
        if self.state == State::Open {
            self.passable = self.held.len();
        } else {
            self.drop_unjudged();
        }
        false
    }

    fn drop_unjudged(&mut self) {
        self.held.drop_behind(self.passable, self.held.len());
    }

    fn read(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        reserve: &Reserve,
    ) -> Result<Poll<usize>, Stop> {
        let polled = self.held.poll_fill(cx, from, reserve);
        match polled {
            Poll::Ready(Ok(0)) => self.end(),
            Poll::Ready(Ok(_)) => self.signs.heard = true,
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        self.held.release_empty(reserve);
        match polled {
            Poll::Ready(result) => result.map(Poll::Ready).map_err(|error| Stop::Read(error.kind())),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// The side has ended. What is left is the beginning of a frame, which goes as it came.
    fn end(&mut self) {
        if self.state == State::Open {
            self.passable = self.held.len();
        }
        self.state = State::Ended;
    }

    fn write_held(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut Stream,
        reserve: &Reserve,
    ) -> Result<Poll<usize>, Stop> {
        let bytes = self.held.bytes().get(..self.passable).unwrap_or_default();
        let count = match write(cx, to, bytes)? {
            Poll::Ready(count) => count,
            Poll::Pending => return Ok(Poll::Pending),
        };
        self.held.consume(count);
        self.passable -= count;
        self.signs.moved = true;
        self.held.release_empty(reserve);
        Ok(Poll::Ready(0))
    }

    fn write_own(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Result<Poll<usize>, Stop> {
        let Some(own) = &mut self.own else { return Ok(Poll::Pending) };
        match write(cx, to, own.bytes.get(own.sent..).unwrap_or_default())? {
            Poll::Ready(count) => own.sent += count,
            Poll::Pending => return Ok(Poll::Pending),
        }
        if own.sent >= own.bytes.len() {
            self.own = None;
            self.signs.spoken = true;
            if self.state == State::Closing {
                self.state = State::Discarding;
            }
        }
        Ok(Poll::Ready(0))
    }

    /// Whether a frame of our own may stand behind what was passed on.
    fn may_speak(&self) -> bool {
        self.follower.as_ref().is_none_or(Follower::is_between_frames)
    }

    /// Whether frames of our own can be sent at all: not among bytes that are no frames, and not behind a close frame
    /// (§5.5.1).
    pub(super) fn can_speak(&self) -> bool {
        self.state == State::Open && self.follower.as_ref().is_some_and(|follower| !follower.is_closed())
    }

    /// Whether what came so far were frames.
    pub(super) fn is_followed(&self) -> bool {
        self.follower.is_some()
    }

    /// Has a frame sent at the next boundary.
    pub(super) fn say(&mut self, frame: &[u8]) {
        if self.can_speak() {
            self.own.get_or_insert_default().bytes.extend_from_slice(frame);
        }
    }

    /// Has a close frame sent at the next boundary; what comes behind it is thrown away.
    pub(super) fn say_last(&mut self, frame: &[u8]) {
        self.say(frame);
        if self.state == State::Open {
            self.state = if self.own.is_some() { State::Closing } else { State::Discarding };
        }
    }

    /// What was judged goes on; the rest, and what comes, is not what it should be.
    pub(super) fn distrust(&mut self) {
        self.follower = None;
        self.drop_unjudged();
    }

    /// Nobody takes what this lane carries.
    pub(super) fn give_up(&mut self, reserve: &Reserve) {
        self.release(reserve);
        (self.own, self.is_end_told, self.passable) = (None, true, 0);
        self.state = match self.state {
            State::Open | State::Closing | State::Discarding => State::Discarding,
            State::Ended | State::Over => State::Over,
        };
    }

    /// The end that will be read is that of a connection that has failed.
    pub(super) fn withhold_end(&mut self) {
        self.is_end_withheld = true;
    }

    /// Whether the side has said its last word: its close frame, its end, or something that is no frame.
    pub(super) fn has_said_last(&self) -> bool {
        self.is_over() || self.follower.as_ref().is_none_or(Follower::is_closed)
    }

    /// Tells the other side that nothing more comes, once our close frame has gone.
    pub(super) fn end_behind_close(&mut self, cx: &mut Context<'_>, to: &mut Stream) {
        if self.state == State::Discarding {
            // A side that is gone is found by the lane that reads from it.
            let _ = self.tell_end(cx, to);
        }
    }

    fn tell_end(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Result<(), Stop> {
        if self.is_end_told || self.is_end_withheld {
            return Ok(());
        }
        self.is_end_told = true;
        match to.split().1.poll_shutdown(cx) {
            // A side that is gone already is found by the lane that reads from it.
            Poll::Ready(Err(error)) if error.kind() != io::ErrorKind::NotConnected => {
                Err(Stop::Write(error.kind()))
            }
            // None of the streams has something to wait for here.
            _ => Ok(()),
        }
    }

    /// Whether nothing more will be read.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Ended | State::Over)
    }

    /// Whether the other side got everything that was meant for it, and was told so.
    pub(super) fn is_passed_on(&self) -> bool {
        self.state == State::Over && !self.is_end_withheld
    }

    /// Whether the lane has nothing more to do.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Over
    }

    /// Whether something waits to be taken.
    pub(super) fn is_holding(&self) -> bool {
        self.passable > 0 || self.own.is_some()
    }

    /// What another lane like this one is made with, if nothing is under way: no message, no bytes, no end.
    pub(super) fn at_rest(&self) -> Option<(Role, bool)> {
        let is_quiet = self.state == State::Open
            && self.passable == 0
            && self.own.is_none()
            && self.held.is_as_new()
            && !self.is_end_told
            && !self.is_end_withheld
            && self.signs == Signs::default();
        self.follower.as_ref().filter(|_| is_quiet)?.at_rest()
    }

    /// What has been done since the last call.
    pub(super) fn take_signs(&mut self) -> Signs {
        std::mem::take(&mut self.signs)
    }

    /// Gives back what is borrowed.
    pub(super) fn release(&mut self, reserve: &Reserve) {
        self.held.release(reserve);
    }
}

fn write(cx: &mut Context<'_>, to: &mut Stream, bytes: &[u8]) -> Result<Poll<usize>, Stop> {
    match to.split().1.poll_write(cx, bytes) {
        Poll::Ready(Ok(0)) => Err(Stop::Write(io::ErrorKind::WriteZero)),
        Poll::Ready(Ok(count)) => Ok(Poll::Ready(count)),
        Poll::Ready(Err(error)) => Err(Stop::Write(error.kind())),
        Poll::Pending => Ok(Poll::Pending),
    }
}
