//! From a canonical path to the name of a file below the root.

use super::refusal::Refusal;

/// A decoded name: segments joined by `/`, none of them empty, `.` or `..`, and no NUL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The bytes, without a slash at either end; empty for the root itself.
    pub bytes: Vec<u8>,
    /// Whether the path ended with a slash and so can only mean a folder.
    pub is_folder: bool,
}

impl Name {
    /// The name of `child` in this folder.
    pub(super) fn join(&self, child: &[u8]) -> Vec<u8> {
        match self.bytes.is_empty() {
            true => child.to_vec(),
            false => [&self.bytes, child].join(&b'/'),
        }
    }
}

/// Takes `strip_prefix` off and decodes the rest, segment by segment.
///
/// An encoded slash or NUL, a dot segment that was hidden by encoding, or a broken escape is a bad path (T40). An
/// empty segment names nothing: the file system would skip it, and then `//admin/x` would pass a router that guards
/// `/admin/*` and still reach the file.
pub(super) fn parse_name(path: &[u8], strip_prefix: &[u8]) -> Result<Name, Refusal> {
    let prefix = strip_prefix.strip_suffix(b"/").unwrap_or(strip_prefix);
    let rest = path.strip_prefix(prefix).ok_or(Refusal::NotFound)?;
    let segments = match rest {
        // The prefix itself, without a slash, names the root folder.
        [] if !prefix.is_empty() => return Ok(Name { bytes: Vec::new(), is_folder: false }),
        [b'/', segments @ ..] => segments,
        // `*` of OPTIONS, or the empty path of CONNECT (T44).
        _ if prefix.is_empty() => return Err(Refusal::BadPath),
        // `/staticfoo` is not below `/static`.
        _ => return Err(Refusal::NotFound),
    };
    let (segments, is_folder) = match segments {
        [] => (None, true),
        [inner @ .., b'/'] => (Some(inner), true),
        _ => (Some(segments), false),
    };
    let mut bytes = Vec::with_capacity(rest.len());
    for segment in segments.into_iter().flat_map(|segments| segments.split(|&byte| byte == b'/')) {
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        decode_segment(segment, &mut bytes)?;
    }
    Ok(Name { bytes, is_folder })
}

fn decode_segment(segment: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    let start = out.len();
    let mut rest = segment;
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match *first {
            b'%' => decode_escape(tail)?,
            byte => (byte, tail),
        };
        if matches!(byte, b'/' | 0) {
            return Err(Refusal::BadPath);
        }
        out.push(byte);
        rest = tail;
    }
    match out.get(start..).unwrap_or_default() {
        b"" => Err(Refusal::NotFound),
        b"." | b".." => Err(Refusal::BadPath),
        _ => Ok(()),
    }
}

/// RFC 3986 §2.1: two hexadecimal digits after the percent sign.
fn decode_escape(tail: &[u8]) -> Result<(u8, &[u8]), Refusal> {
    let [high, low, tail @ ..] = tail else { return Err(Refusal::BadPath) };
    match (hex_value(*high), hex_value(*low)) {
        (Some(high), Some(low)) => Ok((high << 4 | low, tail)),
        _ => Err(Refusal::BadPath),
    }
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, prefix: &str, expected: &str) {
        let found = match parse_name(path.as_bytes(), prefix.as_bytes()) {
            Ok(Name { bytes, is_folder: true }) => format!("folder {:?}", String::from_utf8_lossy(&bytes)),
            Ok(Name { bytes, is_folder: false }) => format!("name {:?}", String::from_utf8_lossy(&bytes)),
            Err(refusal) => refusal.code().to_owned(),
        };
        assert_eq!(found, expected, "{path} without {prefix:?}");
    }

    #[test]
    fn names_are_decoded_per_segment() {
        check("/", "", "folder \"\"");
        check("/a.txt", "", "name \"a.txt\"");
        check("/a/b/", "", "folder \"a/b\"");
        check("/a%20b/%C3%BC", "", "name \"a b/ü\"");
        check("/100%25", "", "name \"100%\"");
        check("/...", "", "name \"...\"");
    }

    #[test]
    fn encoded_slash_nul_and_dots_are_refused_t40() {
        for path in ["/a%2Fb", "/a%2fb", "/a%00", "/%2e%2e/x", "/.%2E", "/a/../b", "/./a", "/a/%2e"] {
            check(path, "", "bad_path");
        }
    }

    #[test]
    fn broken_escapes_and_odd_targets_are_refused_t44() {
        for path in ["/%", "/%4", "/%zz", "*", "", "a"] {
            check(path, "", "bad_path");
        }
    }

    #[test]
    fn an_empty_segment_names_nothing_t40() {
        for path in ["//", "//admin/x", "/a//b", "/a//"] {
            check(path, "", "file_not_found");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_slash() {
        check("/static/a", "/static", "name \"a\"");
        check("/static/a", "/static/", "name \"a\"");
        check("/static/", "/static", "folder \"\"");
        check("/static", "/static", "name \"\"");
        check("/staticfoo", "/static", "file_not_found");
        check("/other", "/static", "file_not_found");
        check("/static//a", "/static", "file_not_found");
        check("/a", "/", "name \"a\"");
    }
}
