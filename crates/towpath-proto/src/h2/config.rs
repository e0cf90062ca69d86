//! What a connection allows its peer.

use super::frame::MAX_31;
use crate::limits::{
    H2_CONNECTION_WINDOW_BYTES, H2_HEADS_BYTES_MAX, H2_REPLIES_COUNT_MAX, H2_RESETS_COUNT_MAX,
    H2_STREAM_WINDOW_BYTES, H2_STREAMS_COUNT_MAX, H2_WORKLESS_COUNT_MAX, HeadLimits,
};

/// The least a window can begin with: peers may use that much before they have read our SETTINGS (RFC 9113 §6.9.2).
const WINDOW_BYTES_MIN: u32 = 65_535;

/// Limits and offers of one side. The defaults are those of [`crate::limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What one head or one trailer section may cost; lines have no meaning in HTTP/2.
    pub head: HeadLimits,
    /// Streams of the peer at work at the same time. Default [`H2_STREAMS_COUNT_MAX`].
    pub streams_count_max: usize,
    /// Bytes of the heads of all streams together. Default [`H2_HEADS_BYTES_MAX`].
    pub heads_bytes_max: usize,
    /// Streams that end in a reset because of the peer, in ten seconds. Default [`H2_RESETS_COUNT_MAX`].
    pub resets_count_max: u32,
    /// Frames without work in a second. Default [`H2_WORKLESS_COUNT_MAX`].
    pub workless_count_max: u32,
    /// Answers owed at the same time. Default [`H2_REPLIES_COUNT_MAX`].
    pub replies_count_max: usize,
    /// Receive window of a new stream, in bytes. Default [`H2_STREAM_WINDOW_BYTES`]; 65,535 is the least.
    pub stream_window_bytes: u32,
    /// Receive window of the connection, in bytes. Default [`H2_CONNECTION_WINDOW_BYTES`]; 65,535 is the least.
    pub connection_window_bytes: u32,
    /// A server takes extended CONNECT (RFC 8441). Default no.
    pub accepts_connect_protocol: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            head: HeadLimits::default(),
            streams_count_max: H2_STREAMS_COUNT_MAX,
            heads_bytes_max: H2_HEADS_BYTES_MAX,
            resets_count_max: H2_RESETS_COUNT_MAX,
            workless_count_max: H2_WORKLESS_COUNT_MAX,
            replies_count_max: H2_REPLIES_COUNT_MAX,
            stream_window_bytes: H2_STREAM_WINDOW_BYTES,
            connection_window_bytes: H2_CONNECTION_WINDOW_BYTES,
            accepts_connect_protocol: false,
        }
    }
}

impl Config {
    /// The stream window that is announced.
    pub(super) fn stream_window(&self) -> u32 {
        self.stream_window_bytes.clamp(WINDOW_BYTES_MIN, MAX_31)
    }
}
