//! Records, and the messages that are cut into them (RFC 8446 §5.1).

use super::{MESSAGE_BYTES_MAX, RECORD_CONTENT_BYTES_MAX};
use crate::cursor::Cursor;

/// Type and length of a message.
const MESSAGE_HEADER_BYTES: usize = 4;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// From here on the sender encrypts; in TLS 1.3 it means nothing.
    ChangeCipherSpec,
    /// A warning or the end.
    Alert,
    /// Messages or parts of them.
    Handshake,
    /// In TLS 1.3 everything that is encrypted, whatever it is.
    ApplicationData,
}

/// A record, encrypted or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it says to hold.
    pub kind: RecordKind,
    /// What it holds.
    pub content: &'a [u8],
}

/// Bytes that cannot be records of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTls;

/// Puts messages together again. Holds one message at most, and what came with its end.
#[derive(Clone, Debug, Default)]
pub struct MessageJoiner {
    bytes: Vec<u8>,
    is_lost: bool,
}

impl RecordKind {
    /// The kind with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            20 => Some(Self::ChangeCipherSpec),
            21 => Some(Self::Alert),
            22 => Some(Self::Handshake),
            23 => Some(Self::ApplicationData),
            _ => None,
        }
    }
}

impl<'a> Record<'a> {
    /// Header and content.
    pub const HEADER_BYTES: usize = 5;

    /// The record at the start of `input`; `None` until it is whole.
    ///
    /// # Errors
    /// As soon as the bytes cannot be a record.
    pub fn parse(input: &'a [u8]) -> Result<Option<Self>, NotTls> {
        let kind = match input {
            [] => return Ok(None),
            [kind, major, ..] if *major != 3 || RecordKind::from_number(*kind).is_none() => {
                return Err(NotTls);
            }
            [kind, ..] => RecordKind::from_number(*kind).ok_or(NotTls)?,
        };
        let mut input = Cursor::new(input);
        let Some([_, _, _, high, low]) = input.array() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        match length > RECORD_CONTENT_BYTES_MAX {
            true => Err(NotTls),
            false => Ok(input.take(length).map(|content| Self { kind, content })),
        }
    }

    /// Bytes on the wire.
    pub fn wire_bytes(&self) -> usize {
        Self::HEADER_BYTES + self.content.len()
    }
}

impl MessageJoiner {
    /// With nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the content of a handshake record. After a message that is too long everything is dropped: where the
    /// next one begins is known only to who reads the whole.
    pub fn handle_content(&mut self, content: &[u8]) {
        if !self.is_lost {
            self.bytes.extend_from_slice(content);
        }
    }

    /// The next whole message: its kind and its body.
    pub fn poll_message(&mut self) -> Option<(u8, Vec<u8>)> {
        let (&[kind, high, middle, low], rest) = self.bytes.split_first_chunk::<MESSAGE_HEADER_BYTES>()?;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        if length > MESSAGE_BYTES_MAX {
            self.is_lost = true;
            self.bytes = Vec::new();
            return None;
        }
        let body = rest.get(..length)?.to_vec();
        self.bytes.drain(..MESSAGE_HEADER_BYTES + length);
        Some((kind, body))
    }

    /// Whether a message is there in part, or was too long to be read.
    pub fn is_in_message(&self) -> bool {
        self.is_lost || !self.bytes.is_empty()
    }
}
