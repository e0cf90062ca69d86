//! Where a section of lines ends: a head up to its empty line, or trailers up to theirs.

use memchr::memchr_iter;

use super::FieldFault;
use crate::limits::HeadLimits;

/// Looks for the empty line that ends a section, in one pass over the line feeds, and remembers how far it
/// came so that input which arrives byte by byte is read once. It also refuses what `httparse` lets through:
/// a lone LF (T04).
#[derive(Clone, Debug, Default)]
pub(crate) struct LineScan {
    /// Bytes of the section already looked at.
    seen: usize,
    /// Where the current line begins.
    line_start: usize,
    /// Complete lines so far.
    lines_count: usize,
    /// Length of the first line without its line end, once that is known.
    first_line_bytes: Option<usize>,
}

/// How a section's first line and the number of its lines are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// A start line and then fields. It cannot be empty.
    Head,
    /// Fields only, perhaps none.
    Trailers,
}

/// Why a section was refused. The first line is told apart because a request line has a status of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineFault {
    /// A head's first line is too long.
    FirstLineTooLong,
    /// A head begins with an empty line.
    FirstLineEmpty,
    /// Any other fault.
    Field(FieldFault),
}

impl LineScan {
    /// Forgets the section.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether a byte of the section has been seen.
    pub(crate) fn has_begun(&self) -> bool {
        self.seen > 0
    }

    /// Length of the first line without its line end, once it is complete.
    pub(crate) fn first_line_bytes(&self) -> usize {
        self.first_line_bytes.unwrap_or_default()
    }

    /// Looks at what is new in `input`, which starts where the section starts. Gives the length of the
    /// section with its empty line once that is there.
    pub(crate) fn find_end(
        &mut self,
        input: &[u8],
        section: Section,
        limits: &HeadLimits,
    ) -> Result<Option<usize>, LineFault> {
        let unseen = input.get(self.seen..).unwrap_or_default();
        for offset in memchr_iter(b'\n', unseen) {
            let line_feed = self.seen + offset;
            if self.end_line(input, line_feed, section, limits)? {
                self.seen = line_feed + 1;
                return Ok(Some(line_feed + 1));
            }
        }
        self.seen = input.len();
        self.check_length(self.seen, self.seen, section, limits)?;
        Ok(None)
    }

    /// Takes the line that ends with the LF at `line_feed`; true if it is the empty line that ends the
    /// section.
    #[inline]
    fn end_line(
        &mut self,
        input: &[u8],
        line_feed: usize,
        section: Section,
        limits: &HeadLimits,
    ) -> Result<bool, LineFault> {
        self.check_length(line_feed, line_feed + 1, section, limits)?;
        // RFC 9112 §2.2 lets a recipient take a lone LF for a line end; others on the path may not, so it is
        // refused.
        if line_feed == self.line_start || input[line_feed - 1] != b'\r' {
            return Err(LineFault::Field(FieldFault::LoneLf));
        }
        let line_bytes = line_feed - 1 - self.line_start;
        let is_first = self.lines_count == 0;
        if is_first {
            self.first_line_bytes = Some(line_bytes);
        }
        if line_bytes == 0 {
            return if is_first && section == Section::Head {
                Err(LineFault::FirstLineEmpty)
            } else {
                Ok(true)
            };
        }
        self.lines_count += 1;
        self.line_start = line_feed + 1;
        let lines_count_max = limits.fields_count() + usize::from(section == Section::Head);
        if self.lines_count > lines_count_max {
            return Err(LineFault::Field(FieldFault::TooMany));
        }
        Ok(false)
    }

    /// Checks the line whose bytes up to `line_end` may include its CR, and the section up to `section_end`.
    /// The two checks give the same verdict whether the bytes came at once or one by one.
    #[inline]
    fn check_length(
        &self,
        line_end: usize,
        section_end: usize,
        section: Section,
        limits: &HeadLimits,
    ) -> Result<(), LineFault> {
        const CARRIAGE_RETURN_BYTES: usize = 1;
        if line_end.saturating_sub(self.line_start) > limits.line_bytes_max + CARRIAGE_RETURN_BYTES {
            let is_start_line = self.lines_count == 0 && section == Section::Head;
            return Err(match is_start_line {
                true => LineFault::FirstLineTooLong,
                false => LineFault::Field(FieldFault::LineTooLong),
            });
        }
        if section_end > limits.head_bytes_max {
            return Err(LineFault::Field(FieldFault::SectionTooLarge));
        }
        Ok(())
    }
}
