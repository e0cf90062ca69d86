//! A response body that is coded on its way.

use super::upload::encode_data;
use crate::coding::Coder;

/// Bytes that are coded before others of the worker have their turn: what two reads usually bring.
const TURN_BYTES_MAX: usize = 64 * 1024;

/// What codes the body of a response, and what it has made.
#[derive(Debug)]
pub(super) struct Encoding {
    coder: Coder,
    /// What was made since the last chunk.
    coded: Vec<u8>,
    /// Bytes taken since others had their turn.
    turn_bytes: usize,
}

impl Encoding {
    pub(super) fn new(coder: Coder) -> Self {
        Self { coder, coded: Vec::new(), turn_bytes: 0 }
    }

    /// Takes a piece of the body.
    pub(super) fn push(&mut self, data: &[u8]) {
        self.coder.push(data, &mut self.coded);
        self.turn_bytes += data.len();
    }

    /// Whether it is somebody else's turn; true once.
    pub(super) fn take_turn_end(&mut self) -> bool {
        let is_over = self.turn_bytes >= TURN_BYTES_MAX;
        if is_over {
            self.turn_bytes = 0;
        }
        is_over
    }

    /// The origin is waited for.
    pub(super) fn pause(&mut self) {
        self.coder.pause(&mut self.coded);
    }

    /// How much was made since the last chunk.
    pub(super) fn made_bytes(&self) -> usize {
        self.coded.len()
    }

    /// Writes what was made since the last time, in a chunk or not. Returns how many bytes that was.
    pub(super) fn hand(&mut self, is_chunked: bool, out: &mut Vec<u8>) -> u64 {
        let count = encode_coded(is_chunked, &self.coded, out);
        self.coded.clear();
        count
    }

    /// The same, to the end of the body.
    pub(super) fn finish(self, is_chunked: bool, out: &mut Vec<u8>) -> u64 {
        let Self { coder, mut coded, .. } = self;
        coder.finish(&mut coded);
        encode_coded(is_chunked, &coded, out)
    }
}

/// An empty chunk would be the last.
fn encode_coded(is_chunked: bool, coded: &[u8], out: &mut Vec<u8>) -> u64 {
    if !coded.is_empty() {
        encode_data(is_chunked, coded, out);
    }
    coded.len() as u64
}
