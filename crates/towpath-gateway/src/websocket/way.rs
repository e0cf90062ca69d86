//! A direction of a WebSocket, which is small while nothing is under way.

use std::task::Context;

use towpath_net::Stream;
use towpath_net::relay::Reserve;
use towpath_proto::ws::Role;

use super::lane::{Judge, Lane, Signs, Stop};

/// A lane, or what one can be made of again. Between two messages there is nothing to remember, and most WebSockets are
/// between two messages most of the time.
#[derive(Debug)]
pub(super) enum Way {
    Resting { role: Role, may_compress: bool },
    Busy(Box<Lane>),
}

impl Way {
    /// See [`Lane::new`].
    pub(super) fn new(role: Role, may_compress: bool, early: Vec<u8>) -> Self {
        match early.is_empty() {
            true => Self::Resting { role, may_compress },
            false => Self::Busy(Box::new(Lane::new(role, may_compress, early))),
        }
    }

    /// The lane, from now on until it [`rest`](Self::rest)s.
    pub(super) fn lane(&mut self) -> &mut Lane {
        if let Self::Resting { role, may_compress } = *self {
            *self = Self::Busy(Box::new(Lane::new(role, may_compress, Vec::new())));
        }
        let Self::Busy(lane) = self else { unreachable!("it was made busy above") };
        lane
    }

    /// Gives up what a lane works with if nothing is under way.
    pub(super) fn rest(&mut self) {
        if let Self::Busy(lane) = self
            && let Some((role, may_compress)) = lane.at_rest()
        {
            *self = Self::Resting { role, may_compress };
        }
    }

    /// Whether it is busy, with a lane of which this holds.
    pub(super) fn is_busy_and(&self, holds: impl FnOnce(&Lane) -> bool) -> bool {
        match self {
            Self::Resting { .. } => false,
            Self::Busy(lane) => holds(lane),
        }
    }

    /// See [`Lane::poll`].
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        (from, to): (&mut Stream, &mut Stream),
        judge: &mut impl Judge,
        reserve: &Reserve,
    ) -> Result<(), Stop> {
        if matches!(self, Self::Resting { .. }) && from.poll_readable(cx).is_pending() {
            return Ok(());
        }
        self.lane().poll(cx, (from, to), judge, reserve)
    }

    /// See [`Lane::take_signs`].
    pub(super) fn take_signs(&mut self) -> Signs {
        match self {
            Self::Resting { .. } => Signs::default(),
            Self::Busy(lane) => lane.take_signs(),
        }
    }

    /// See [`Lane::release`].
    pub(super) fn release(&mut self, reserve: &Reserve) {
        if let Self::Busy(lane) = self {
            lane.release(reserve);
        }
    }
}
