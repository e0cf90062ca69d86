//! What a route demands of one WebSocket, and how it keeps to it.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;
use towpath_net::relay::Side;
use towpath_proto::limits::{WS_FRAGMENTS_FREE_COUNT, WS_INFLATE_RATIO_MAX, WsLimits};
use towpath_proto::ws::{ControlMeter, Passed, WsError};

use super::breach::Breach;
use super::lane::{Judge, Signs, Verdict};
use super::pulse::{Due, Pulse};
use crate::plan::{MessageRate, Route};
use crate::worker::Worker;

/// The demands of a route, and what has been counted. There for the WebSockets of routes that demand something.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) route: Arc<Route>,
    /// For the log.
    pub(super) client: IpAddr,
    limits: WsLimits,
    since: Instant,
    messages: Option<ControlMeter>,
    /// Pings and pongs of the client and of the origin.
    controls: [ControlMeter; 2],
    pulses: [Pulse; 2],
    /// What our own pings say, so that the answers to them are known. Another gateway on the way may ask as well, so
    /// it is drawn for each WebSocket.
    pub(super) question: [u8; 8],
    /// When something was passed on last.
    pub(super) moved_at: Instant,
    /// The plan that was looked at for the route, and whether that was gone.
    looked: (u64, bool),
}

/// The size of frames and messages is nobody's business.
const UNLIMITED: WsLimits = WsLimits {
    frame_bytes_max: u64::MAX,
    message_bytes_max: u64::MAX,
    inflate_ratio_max: u64::MAX,
    fragments_free_count: u64::MAX,
};

impl Guard {
    pub(super) fn new(route: Arc<Route>, client: IpAddr, question: u64, now: Instant) -> Self {
        let settings = &route.websocket;
        Self {
            limits: WsLimits {
                // A frame is no larger than its message.
                frame_bytes_max: u64::MAX,
                message_bytes_max: settings.message_bytes_max.unwrap_or(u64::MAX),
                inflate_ratio_max: WS_INFLATE_RATIO_MAX,
                fragments_free_count: WS_FRAGMENTS_FREE_COUNT,
            },
            since: now,
            messages: settings.message_rate.map(meter),
            controls: [ControlMeter::default(); 2],
            pulses: [Pulse::Beating(now); 2],
            question: question.to_ne_bytes(),
            moved_at: now,
            looked: (0, false),
            route,
            client,
        }
    }

    /// Takes note of what was heard of the client and of the origin, and of what was said to the other one.
    pub(super) fn handle_signs(&mut self, [up, down]: [Signs; 2], now: Instant) {
        if up.moved || down.moved {
            self.moved_at = now;
        }
        let [client, origin] = &mut self.pulses;
        client.handle_signs(up.heard, down.spoken, now);
        origin.handle_signs(down.heard, up.spoken, now);
    }

    /// Whether the route closes what is left of it, and is gone. Plans are looked at once.
    pub(super) fn has_lost_route(&mut self, worker: &Worker) -> bool {
        let version = worker.plan_version();
        if self.route.websocket.closes_when_removed && self.looked.0 != version {
            self.looked = (version, !worker.has_route(&self.route.name));
        }
        self.looked.1
    }

    /// When something is due for a side that says nothing.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let ping = self.route.websocket.ping;
        self.pulses.into_iter().filter_map(move |pulse| pulse.deadline(ping?))
    }

    /// What is due now, for the client and for the origin.
    pub(super) fn handle_time(&mut self, now: Instant) -> [Due; 2] {
        match self.route.websocket.ping {
            Some(ping) => self.pulses.each_mut().map(|pulse| pulse.handle_time(ping, now)),
            None => [Due::Nothing; 2],
        }
    }

    fn now_ms(&self) -> u64 {
        self.since.elapsed().as_millis() as u64
    }

    fn take_note(&mut self, side: Side, passed: &Passed) -> Result<Verdict, Breach> {
        match passed {
            Passed::MessageStart if side == Side::Downstream => self.count_message()?,
            Passed::MessageStart | Passed::Close(_) => {}
            Passed::Ping(_) => self.count_control(side)?,
            Passed::Pong(control) => {
                self.count_control(side)?;
                if control.as_bytes() == self.question {
                    return Ok(Verdict::Keep);
                }
            }
        }
        Ok(Verdict::Pass)
    }

    fn count_message(&mut self) -> Result<(), Breach> {
        let now_ms = self.now_ms();
        let Some(meter) = &mut self.messages else { return Ok(()) };
        meter.charge(now_ms).map_err(|_| Breach::Rate)
    }

    fn count_control(&mut self, side: Side) -> Result<(), Breach> {
        let now_ms = self.now_ms();
        self.controls[side as usize].charge(now_ms).map_err(Breach::Frames)
    }
}

fn meter(rate: MessageRate) -> ControlMeter {
    ControlMeter::new(rate.count, rate.per.as_millis() as u64)
}

/// Judges what one side sends, if anything is demanded of it.
pub(super) struct SideJudge<'a> {
    pub(super) guard: Option<&'a mut Guard>,
    pub(super) side: Side,
}

impl Judge for SideJudge<'_> {
    fn limits(&self) -> &WsLimits {
        self.guard.as_ref().map_or(&UNLIMITED, |guard| &guard.limits)
    }

    fn take_note(&mut self, passed: &Passed) -> Result<Verdict, Breach> {
        match &mut self.guard {
            Some(guard) => guard.take_note(self.side, passed),
            None => Ok(Verdict::Pass),
        }
    }

    fn not_frames(&self, error: WsError) -> Result<(), Breach> {
        if self.guard.is_some() { Err(Breach::Frames(error)) } else { Ok(()) }
    }
}
