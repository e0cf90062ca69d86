//! Who may use a file.

use std::path::Path;

use crate::value::{Reject, Text};

/// The permission bits of a file, `"0660"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileMode(pub u32);

/// Read, write and execute for owner, group and others. The bits above them mean nothing for a socket.
const MODE_MAX: u32 = 0o777;

impl Text for FileMode {
    const WHAT: &'static str = "the mode of a file";
    const EXAMPLE: &'static str = "0660";
    const PATTERN: &'static str = "^0?[0-7]{3}$";

    fn parse(text: &str, _folder: &Path) -> Result<Self, Reject> {
        let hint = || Reject::hint("write three octal digits, for example \"0660\" or \"0666\"");
        let is_octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let digits = text.strip_prefix('0').unwrap_or(text);
        if !is_octal || digits.len() != 3 {
            return Err(hint());
        }
        u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= MODE_MAX).map(Self).ok_or_else(hint)
    }

    fn to_text(&self) -> String {
        format!("{:04o}", self.0)
    }

    fn spell_number(number: &str) -> Option<String> {
        let is_octal = number.len() == 3 && number.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        is_octal.then(|| format!("write \"0{number}\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_three_octal_digits() {
        let mode = |text| FileMode::parse(text, Path::new("/")).ok().map(|mode| mode.0);
        assert_eq!(mode("0660"), Some(0o660));
        assert_eq!(mode("600"), Some(0o600));
        assert_eq!(mode("0000"), Some(0));
        for text in ["", "0", "66", "0680", "1777", "00660", "+660", "rw-rw----", "0o660"] {
            assert_eq!(mode(text), None, "{text}");
        }
        assert_eq!(FileMode(0o60).to_text(), "0060");
    }
}
