//! What both sides announce in SETTINGS (RFC 9113 §6.5).

use super::frame::{self, Kind, MAX_31};
use super::{Config, ConnectionError, Role};
use crate::limits::H2_FRAME_BYTES_MAX;

const ENABLE_PUSH: u16 = 0x2;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;
const MAX_HEADER_LIST_SIZE: u16 = 0x6;
/// RFC 8441 §3.
const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
/// RFC 9218 §2.1.
const NO_RFC7540_PRIORITIES: u16 = 0x9;

/// Length of one setting.
pub(super) const SETTING_BYTES: usize = 6;

/// RFC 9113 §6.5.2.
const FRAME_BYTES_CEILING: u32 = (1 << 24) - 1;

/// What the peer has announced, or what holds until it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerSettings {
    /// Streams that the peer lets us have open at the same time. Default: no limit (RFC 9113 §6.5.2).
    pub streams_count_max: u32,
    /// Window of a new stream for what we send, in bytes. Default 65,535.
    pub stream_window_bytes: u32,
    /// Largest payload of a frame the peer accepts, in bytes. Default 16,384.
    pub frame_bytes_max: usize,
    /// Largest head the peer says it takes, as name + value + 32 for each field. Default: nothing said.
    pub head_bytes_max: Option<u32>,
    /// The peer takes extended CONNECT (RFC 8441 §3). Default no.
    pub accepts_connect_protocol: bool,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self {
            streams_count_max: u32::MAX,
            stream_window_bytes: 65_535,
            frame_bytes_max: H2_FRAME_BYTES_MAX,
            head_bytes_max: None,
            accepts_connect_protocol: false,
        }
    }
}

impl PeerSettings {
    /// Takes one setting; the stream window takes effect when the whole frame has been read.
    pub(super) fn take(&mut self, setting: &[u8; SETTING_BYTES], role: Role) -> Result<(), ConnectionError> {
        let [identifier @ .., a, b, c, d] = *setting;
        let value = u32::from_be_bytes([a, b, c, d]);
        match u16::from_be_bytes(identifier) {
            // RFC 9113 §6.5.2: zero or one, and a server never says one.
            ENABLE_PUSH => switch(value).and_then(|is_on| match role {
                Role::Client if is_on => Err(ConnectionError::Settings),
                _ => Ok(()),
            })?,
            MAX_CONCURRENT_STREAMS => self.streams_count_max = value,
            INITIAL_WINDOW_SIZE if value > MAX_31 => return Err(ConnectionError::WindowOverflow),
            INITIAL_WINDOW_SIZE => self.stream_window_bytes = value,
            MAX_FRAME_SIZE if !(H2_FRAME_BYTES_MAX as u32..=FRAME_BYTES_CEILING).contains(&value) => {
                return Err(ConnectionError::Settings);
            }
            MAX_FRAME_SIZE => self.frame_bytes_max = value as usize,
            MAX_HEADER_LIST_SIZE => self.head_bytes_max = Some(value),
            ENABLE_CONNECT_PROTOCOL => {
                let is_on = switch(value)?;
                // RFC 8441 §3: what was promised is not taken back.
                if self.accepts_connect_protocol && !is_on {
                    return Err(ConnectionError::Settings);
                }
                self.accepts_connect_protocol = is_on;
            }
            NO_RFC7540_PRIORITIES => drop(switch(value)?),
            // The table size concerns an encoder with a table, which ours is not. All others are unknown (RFC 9113
            // §6.5.2).
            _ => {}
        }
        Ok(())
    }
}

fn switch(value: u32) -> Result<bool, ConnectionError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ConnectionError::Settings),
    }
}

/// Appends what we announce, where it differs from what holds unsaid.
pub(super) fn encode(config: &Config, role: Role, out: &mut Vec<u8>) {
    let mut settings = vec![
        (INITIAL_WINDOW_SIZE, config.stream_window()),
        (MAX_HEADER_LIST_SIZE, u32::try_from(config.head.head_bytes_max).unwrap_or(u32::MAX)),
    ];
    match role {
        Role::Client => settings.push((ENABLE_PUSH, 0)),
        Role::Server => {
            let streams_count_max = u32::try_from(config.streams_count_max).unwrap_or(u32::MAX);
            settings.push((MAX_CONCURRENT_STREAMS, streams_count_max));
            settings.push((NO_RFC7540_PRIORITIES, 1));
        }
    }
    if role == Role::Server && config.accepts_connect_protocol {
        settings.push((ENABLE_CONNECT_PROTOCOL, 1));
    }
    frame::encode_head(settings.len() * SETTING_BYTES, Kind::Settings, 0, 0, out);
    for (identifier, value) in settings {
        out.extend_from_slice(&identifier.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}
