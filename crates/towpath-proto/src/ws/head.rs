//! The head of a frame (§5.2).

use super::{Mask, MaskKey, Role, WsError};

const LAST: u8 = 0x80;
const RESERVED: u8 = 0x70;
/// The bit that permessage-deflate uses, on the first frame of a message (RFC 7692 §6).
const COMPRESSED: u8 = 0x40;
const MASKED: u8 = 0x80;

/// Stands for a length of two bytes behind it.
const LENGTH_IN_2: u8 = 126;
/// Stands for a length of eight bytes behind it.
const LENGTH_IN_8: u8 = 127;

/// What a control frame can carry (§5.5).
pub(super) const CONTROL_BYTES_MAX: usize = 125;

/// Two bytes, a length of eight and a key of four.
const HEAD_BYTES_MAX: usize = 14;

/// What a frame is (§5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) is_last: bool,
    pub(super) is_compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: Option<MaskKey>,
    pub(super) payload_bytes: u64,
}

impl Opcode {
    fn of(bits: u8) -> Result<Self, WsError> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return Err(WsError::ReservedOpcode),
        })
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl FrameHead {
    /// The head at the start of `input` and its length, if it is whole. Refuses at the first byte that is wrong.
    /// `role` is ours; `may_compress` tells whether permessage-deflate was agreed.
    pub(super) fn parse(
        input: &[u8],
        role: Role,
        may_compress: bool,
    ) -> Result<Option<(Self, usize)>, WsError> {
        let Some(&first) = input.first() else { return Ok(None) };
        let opcode = Opcode::of(first & 0x0F)?;
        check_first(first, opcode, may_compress)?;
        let Some(&second) = input.get(1) else { return Ok(None) };
        check_second(second, opcode, role)?;
        let Some((payload_bytes, length_bytes)) = length(second & !MASKED, input)? else { return Ok(None) };
        let mut head_bytes = 2 + length_bytes;
        let mut mask = None;
        if second & MASKED != 0 {
            mask = input.get(head_bytes..).and_then(|rest| rest.first_chunk()).copied();
            if mask.is_none() {
                return Ok(None);
            }
            head_bytes += size_of::<MaskKey>();
        }
        let is_compressed = first & COMPRESSED != 0;
        Ok(Some((
            Self { is_last: first & LAST != 0, is_compressed, opcode, mask, payload_bytes },
            head_bytes,
        )))
    }

    /// The mask of its payload; one that does nothing if there is none.
    pub(super) fn mask(&self) -> Mask {
        Mask::new(self.mask.unwrap_or_default())
    }

    /// Writes the head.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (bytes, count) = self.to_bytes();
        out.extend(bytes.into_iter().take(count));
    }

    /// Writes the head before what stands in `out` from `at` on.
    pub(super) fn insert(&self, out: &mut Vec<u8>, at: usize) {
        let (bytes, count) = self.to_bytes();
        out.splice(at..at, bytes.into_iter().take(count));
    }

    fn to_bytes(self) -> ([u8; HEAD_BYTES_MAX], usize) {
        let mut bytes = Bytes { bytes: [0; HEAD_BYTES_MAX], count: 0 };
        let last = if self.is_last { LAST } else { 0 };
        let compressed = if self.is_compressed { COMPRESSED } else { 0 };
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        bytes.push(&[last | compressed | self.opcode as u8]);
        // §5.2: the shortest of the three forms.
        match self.payload_bytes {
            length @ 0..126 => bytes.push(&[masked | length as u8]),
            length @ 126..0x1_0000 => {
                bytes.push(&[masked | LENGTH_IN_2]);
                bytes.push(&(length as u16).to_be_bytes());
            }
            length => {
                bytes.push(&[masked | LENGTH_IN_8]);
                bytes.push(&length.to_be_bytes());
            }
        }
        bytes.push(self.mask.as_ref().map_or(&[], |key| &key[..]));
        (bytes.bytes, bytes.count)
    }
}

/// A head in the making.
struct Bytes {
    bytes: [u8; HEAD_BYTES_MAX],
    count: usize,
}

impl Bytes {
    fn push(&mut self, bytes: &[u8]) {
        let room = self.bytes.iter_mut().skip(self.count);
        room.zip(bytes).for_each(|(slot, byte)| *slot = *byte);
        self.count += bytes.len();
    }
}

fn check_first(first: u8, opcode: Opcode, may_compress: bool) -> Result<(), WsError> {
    // RFC 7692 §6: not on control frames, and not on the later frames of a message.
    let begins_message = matches!(opcode, Opcode::Text | Opcode::Binary);
    let allowed = if may_compress && begins_message { COMPRESSED } else { 0 };
    if first & RESERVED & !allowed != 0 {
        return Err(WsError::ReservedBit);
    }
    if opcode.is_control() && first & LAST == 0 {
        return Err(WsError::ControlFragmented);
    }
    Ok(())
}

fn check_second(second: u8, opcode: Opcode, role: Role) -> Result<(), WsError> {
    match (role, second & MASKED != 0) {
        (Role::Server, false) => return Err(WsError::MaskMissing),
        (Role::Client, true) => return Err(WsError::MaskForbidden),
        _ => {}
    }
    if opcode.is_control() && usize::from(second & !MASKED) > CONTROL_BYTES_MAX {
        return Err(WsError::ControlTooLong);
    }
    Ok(())
}

/// The payload's length, and the bytes it takes behind the first two; `None` when more input is needed.
fn length(code: u8, input: &[u8]) -> Result<Option<(u64, usize)>, WsError> {
    let behind = input.get(2..).unwrap_or_default();
    let (length, length_bytes, least) = match code {
        LENGTH_IN_2 => (behind.first_chunk().map(|bytes| u64::from(u16::from_be_bytes(*bytes))), 2, 126),
        LENGTH_IN_8 => (behind.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)), 8, 0x1_0000),
        code => (Some(u64::from(code)), 0, 0),
    };
    match length {
        Some(length) if length >> 63 != 0 => Err(WsError::LengthTooLarge),
        Some(length) if length < least => Err(WsError::LengthNotMinimal),
        length => Ok(length.map(|length| (length, length_bytes))),
    }
}
