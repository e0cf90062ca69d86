//! The blocks that workers write, and the registry that hands them out and adds them up.
//!
//! Labels are resolved when a plan is built: a plan holds, for each route and upstream, the block of each worker. On
//! the data path there is no look-up, only a pointer and a store. A block outlives the plan that asked for it, so
//! numbers go on over a reload.

mod blocks;
mod export;
mod layer4;
mod registry;
mod udp;

pub use blocks::{
    CLOSE_REASONS, CloseReason, PerWorker, REFUSALS_MAX, ReloadCounters, RouteCounters, STATUS_CLASSES,
    UpstreamCounters, WorkerCounters, status_class,
};
pub use layer4::{LIMITS, Limit, ListenerCounters, RELAY_CLOSES, RelayClose, RelayCounters};
pub use registry::{Build, Registry, RelayTotals, RouteTotals, UpstreamTotals};
pub use udp::{DATAGRAM_DROPS, DatagramDrop, SESSION_ENDS, SessionEnd, UdpCounters};
