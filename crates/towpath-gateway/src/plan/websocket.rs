//! What a route demands of the WebSockets that go through it.

use std::time::Duration;

pub use towpath_proto::ws::Origins;

/// How long an idle ping waits for a sign of life unless something else is said: a few round trips of a bad mobile
/// network, and less than the idle times of the proxies and address translations on the way.
pub const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// What a route demands of the WebSockets that go through it. By default nothing: whatever follows a 101 is passed on,
/// and frames are looked at only to know where a drain may say goodbye.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebSocketSettings {
    /// The pages that may open one, by their `Origin`; others get 403. `None`, the default, lets in everybody (T54).
    pub origins: Option<Origins>,
    /// Largest message of either side, in bytes on the wire: a compressed message is not inflated. `None`, the default,
    /// means no limit.
    pub message_bytes_max: Option<u64>,
    /// How many messages a client may send. `None`, the default, means no limit; what the origin sends is its own
    /// affair.
    pub message_rate: Option<MessageRate>,
    /// Whether a side that says nothing is asked for a sign of life. `None`, the default, asks nobody.
    pub ping: Option<Ping>,
    /// Whether it is closed with 1012 once no route of the plan has the name of its own. Default false: it goes on.
    pub closes_when_removed: bool,
}

/// How many messages may be sent in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRate {
    /// How many in [`MessageRate::per`], at least one; they may come at once.
    pub count: u32,
    /// In which time.
    pub per: Duration,
}

/// When a side that says nothing is asked, and given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// A side that has sent nothing for this long gets a ping.
    pub idle: Duration,
    /// One that sends nothing for this long after it is gone. Default [`PING_TIMEOUT`].
    pub timeout: Duration,
}

impl WebSocketSettings {
    /// Whether anything is demanded of the frames, so that they have to be frames.
    pub(crate) fn judges_frames(&self) -> bool {
        self.message_bytes_max.is_some()
            || self.message_rate.is_some()
            || self.ping.is_some()
            || self.closes_when_removed
    }
}
