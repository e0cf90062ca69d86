//! UTF-8 that arrives in pieces (§8.1).

use super::WsError;

/// Longest character in bytes (RFC 3629 §3).
const CHARACTER_BYTES_MAX: usize = 4;

/// Checks a text that is cut anywhere, and refuses it at the first byte that can belong to no text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8 {
    /// The start of a character whose end is to come.
    begun: [u8; CHARACTER_BYTES_MAX],
    begun_bytes: u8,
}

impl Utf8 {
    /// Takes the next piece.
    pub(super) fn handle_input(&mut self, mut bytes: &[u8]) -> Result<(), WsError> {
        while self.begun_bytes > 0 {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(()) };
            self.push(byte);
            self.judge_begun()?;
            bytes = rest;
        }
        match std::str::from_utf8(bytes) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(WsError::Utf8),
            Err(error) => {
                bytes.iter().skip(error.valid_up_to()).for_each(|&byte| self.push(byte));
                Ok(())
            }
        }
    }

    /// Takes the end, after which the next text may begin.
    pub(super) fn handle_end(&mut self) -> Result<(), WsError> {
        match std::mem::take(self).begun_bytes {
            0 => Ok(()),
            _ => Err(WsError::Utf8),
        }
    }

    fn push(&mut self, byte: u8) {
        // Four bytes are a character or none, so that there is always room.
        if let Some(slot) = self.begun.get_mut(usize::from(self.begun_bytes)) {
            *slot = byte;
            self.begun_bytes += 1;
        }
    }

    fn judge_begun(&mut self) -> Result<(), WsError> {
        let begun = self.begun.get(..usize::from(self.begun_bytes)).unwrap_or_default();
        match std::str::from_utf8(begun) {
            Ok(_) => self.begun_bytes = 0,
            Err(error) if error.error_len().is_some() => return Err(WsError::Utf8),
            Err(_) => {}
        }
        Ok(())
    }
}
