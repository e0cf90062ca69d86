//! Masking (§5.3).

/// Four bytes that nobody but the client can foretell; a new one for each frame (§5.3, §10.3).
pub type MaskKey = [u8; 4];

/// A key, turned to where the payload has come. The key of four zeros masks nothing, and costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    key: MaskKey,
}

/// One step of the loop. Eight bytes leave room for the compiler to take more at once.
const STEP_BYTES: usize = 8;

impl Mask {
    /// The mask at the start of a frame's payload.
    pub fn new(key: MaskKey) -> Self {
        Self { key }
    }

    /// Masks `bytes`, or unmasks them, and turns to what follows them.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        if self.key != MaskKey::default() {
            self.xor(bytes);
        }
        self.skip(bytes.len());
    }

    /// Turns to what follows the next `count` bytes.
    pub(super) fn skip(&mut self, count: usize) {
        self.key.rotate_left(count % size_of::<MaskKey>());
    }

    fn xor(self, bytes: &mut [u8]) {
        let (steps, rest) = bytes.as_chunks_mut::<STEP_BYTES>();
        let [a, b, c, d] = self.key;
        let key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        for step in steps {
            *step = (u64::from_ne_bytes(*step) ^ key).to_ne_bytes();
        }
        rest.iter_mut().zip(key.to_ne_bytes()).for_each(|(byte, key)| *byte ^= key);
    }
}
