//! From messages to frames.

use std::fmt;

use super::close::REASON_BYTES_MAX;
use super::deflate::Deflater;
use super::head::{CONTROL_BYTES_MAX, FrameHead, Opcode};
use super::{CloseCode, Deflate, Kind, Mask, MaskKey, Role};

/// Messages below this size are sent as they are: a head of the network's own layers is larger than what would be
/// saved.
pub const COMPRESS_BYTES_MIN: usize = 128;

/// A control frame cannot carry more than 125 bytes (§5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlTooLong;

/// Writes the frames of one end of a connection.
///
/// Every frame takes a mask key: a client gives four bytes from a source that nobody can foretell, new for each
/// frame (§5.3); a server's key is not looked at, because a server does not mask (§5.1).
#[derive(Debug)]
pub struct Encoder {
    role: Role,
    /// There if permessage-deflate was agreed and we can keep to what was agreed.
    deflater: Option<Deflater>,
    compress_bytes_min: usize,
    message: Message,
}

/// Whether the next data frame begins a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    None,
    Open { is_compressed: bool },
}

impl Encoder {
    /// An encoder for what goes out behind the handshake. `role` is ours, and `deflate` what was agreed, if anything
    /// was. Messages of [`COMPRESS_BYTES_MIN`] and more are then compressed.
    pub fn new(role: Role, deflate: Option<&Deflate>) -> Self {
        let deflater = deflate.and_then(|deflate| {
            Deflater::new(deflate.keeps_outbound_context(role), deflate.outbound_window(role))
        });
        Self { role, deflater, compress_bytes_min: COMPRESS_BYTES_MIN, message: Message::None }
    }

    /// The same encoder with another smallest size, in bytes, of a message that is compressed.
    pub fn compress_from(mut self, bytes_min: usize) -> Self {
        self.compress_bytes_min = bytes_min;
        self
    }

    /// Writes a whole message as one frame; after fragments it is the last one of their message.
    pub fn message(&mut self, out: &mut Vec<u8>, kind: Kind, payload: &[u8], key: MaskKey) {
        self.fragment(out, kind, payload, true, key);
    }

    /// Writes a frame of a message (§5.4). The first one decides the kind, and by its size whether the message is
    /// compressed; `is_last` ends the message.
    pub fn fragment(&mut self, out: &mut Vec<u8>, kind: Kind, payload: &[u8], is_last: bool, key: MaskKey) {
        let (opcode, is_compressed) =
            self.next_frame(kind, payload.len() >= self.compress_bytes_min, is_last);
        // RFC 7692 §6: the bit stands on the first frame only.
        let is_marked = is_compressed && opcode != Opcode::Continuation;
        let mut head = FrameHead { is_compressed: is_marked, ..self.plain_head(opcode, is_last, key) };
        match &mut self.deflater {
            Some(deflater) if is_compressed => {
                let start = out.len();
                deflater.write(payload, is_last, out);
                head.payload_bytes = (out.len() - start) as u64;
                head.mask().apply(out.get_mut(start..).unwrap_or_default());
                head.insert(out, start);
            }
            _ => write_frame(out, head, payload),
        }
    }

    /// Writes the head of a frame whose `payload_bytes` the caller sends behind it, masked with the mask that is
    /// returned, and not compressed. For bytes that are forwarded from where they stand.
    ///
    /// Inside a message that [`Encoder::fragment`] began compressed it would be read as compressed bytes: begin and
    /// end a message with this.
    pub fn head(
        &mut self,
        out: &mut Vec<u8>,
        kind: Kind,
        payload_bytes: u64,
        is_last: bool,
        key: MaskKey,
    ) -> Mask {
        let (opcode, _) = self.next_frame(kind, false, is_last);
        let head = FrameHead { payload_bytes, ..self.plain_head(opcode, is_last, key) };
        head.write(out);
        head.mask()
    }

    /// Writes a ping (§5.5.2).
    ///
    /// # Errors
    /// `payload` holds more than 125 bytes; nothing was written.
    pub fn ping(&self, out: &mut Vec<u8>, payload: &[u8], key: MaskKey) -> Result<(), ControlTooLong> {
        self.control(out, Opcode::Ping, payload, key)
    }

    /// Writes a pong, which answers a ping with its bytes (§5.5.3).
    ///
    /// # Errors
    /// `payload` holds more than 125 bytes; nothing was written.
    pub fn pong(&self, out: &mut Vec<u8>, payload: &[u8], key: MaskKey) -> Result<(), ControlTooLong> {
        self.control(out, Opcode::Pong, payload, key)
    }

    /// Writes a close frame (§5.5.1). Without a code there is no reason either; a reason above
    /// [`REASON_BYTES_MAX`] is cut before the character that does not fit.
    pub fn close(&self, out: &mut Vec<u8>, code: Option<CloseCode>, reason: &str, key: MaskKey) {
        let mut payload = [0; CONTROL_BYTES_MAX];
        let mut count = 0;
        if let Some(code) = code {
            let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
            let bytes = code.number().to_be_bytes().into_iter().chain(reason.bytes());
            count = payload.iter_mut().zip(bytes).map(|(slot, byte)| *slot = byte).count();
        }
        let fits = self.control(out, Opcode::Close, payload.get(..count).unwrap_or_default(), key);
        debug_assert_eq!(fits, Ok(()), "cut above");
    }

    fn control(
        &self,
        out: &mut Vec<u8>,
        opcode: Opcode,
        payload: &[u8],
        key: MaskKey,
    ) -> Result<(), ControlTooLong> {
        if payload.len() > CONTROL_BYTES_MAX {
            return Err(ControlTooLong);
        }
        write_frame(out, self.plain_head(opcode, true, key), payload);
        Ok(())
    }

    /// Opcode of the next data frame, and whether its message is compressed.
    fn next_frame(&mut self, kind: Kind, wants_compression: bool, is_last: bool) -> (Opcode, bool) {
        let (opcode, is_compressed) = match self.message {
            Message::Open { is_compressed } => (Opcode::Continuation, is_compressed),
            Message::None => {
                let opcode = if kind == Kind::Text { Opcode::Text } else { Opcode::Binary };
                (opcode, self.deflater.is_some() && wants_compression)
            }
        };
        self.message = if is_last { Message::None } else { Message::Open { is_compressed } };
        (opcode, is_compressed)
    }

    /// §5.1: a client masks every frame, a server none.
    fn plain_head(&self, opcode: Opcode, is_last: bool, key: MaskKey) -> FrameHead {
        let mask = (self.role == Role::Client).then_some(key);
        FrameHead { is_last, is_compressed: false, opcode, mask, payload_bytes: 0 }
    }
}

/// Writes a frame with its payload as it is.
fn write_frame(out: &mut Vec<u8>, head: FrameHead, payload: &[u8]) {
    FrameHead { payload_bytes: payload.len() as u64, ..head }.write(out);
    let start = out.len();
    out.extend_from_slice(payload);
    head.mask().apply(out.get_mut(start..).unwrap_or_default());
}

impl fmt::Display for ControlTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a control frame carries 125 bytes at most")
    }
}

impl std::error::Error for ControlTooLong {}
