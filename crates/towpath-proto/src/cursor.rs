//! Takes numbers and length-prefixed bytes off the front of a slice, never past its end.

/// What is left to read. Every method answers `None` and takes nothing when the bytes do not suffice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Bytes behind their length in one byte.
    pub(crate) fn prefixed_u8(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let length = ahead.u8()?;
        let taken = ahead.take(usize::from(length))?;
        *self = ahead;
        Some(taken)
    }

    /// Bytes behind their length in two bytes.
    pub(crate) fn prefixed_u16(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let length = ahead.u16()?;
        let taken = ahead.take(usize::from(length))?;
        *self = ahead;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn a_read_that_does_not_fit_takes_nothing() {
        let mut cursor = Cursor::new(&[0, 3, b'a', b'b']);
        assert_eq!(cursor.prefixed_u16(), None);
        assert_eq!(cursor.take(5), None);
        assert_eq!(cursor.array::<5>(), None);
        assert_eq!(cursor.prefixed_u8(), Some(&[][..]));
        assert_eq!(cursor.prefixed_u8(), None);
        assert_eq!(cursor.rest(), [3, b'a', b'b']);
        assert_eq!(cursor.u16(), Some(0x0361));
        assert_eq!(cursor.u32(), None);
        assert_eq!(cursor.u8(), Some(b'b'));
        assert!(cursor.is_empty());
    }
}
