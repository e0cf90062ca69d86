//! The canonical path: one spelling for what means the same (T40).

use towpath_proto::path::{PathError, canonicalize, is_canonical};

/// The canonical form, or the error's name. Checks on the way that the form is final and that the two
/// functions agree.
#[track_caller]
fn check(path: &str, expected: &str) {
    check_with(path, false, expected);
}

#[track_caller]
fn check_with(path: &str, allow_encoded: bool, expected: &str) {
    let found = canonical(path.as_bytes(), allow_encoded);
    let text = match &found {
        Ok(form) => String::from_utf8_lossy(form).into_owned(),
        Err(error) => format!("{error:?}"),
    };
    assert_eq!(text, expected, "{path}");
    assert_eq!(
        is_canonical(path.as_bytes()),
        canonical(path.as_bytes(), false).as_deref() == Ok(path.as_bytes())
    );
}

fn canonical(path: &[u8], allow_encoded: bool) -> Result<Vec<u8>, PathError> {
    let mut out = b"left over".to_vec();
    canonicalize(path, allow_encoded, &mut out).map(|()| out)
}

#[test]
fn a_canonical_path_stays_as_it_is() {
    for path in [
        "/",
        "/a",
        "/a/",
        "/a/b.c",
        "/a/.b",
        "/a/..b",
        "/a/...",
        "/a;b=c",
        "/%20",
        "/%E2%82%AC",
        "/a:b@c!$&'()*+,=~_-",
        "/[x]{y}|^`",
    ] {
        check(path, path);
    }
}

#[test]
fn percent_encoding_is_upper_case_and_only_where_needed_rfc3986_6_2_2() {
    check("/%e2%82%ac", "/%E2%82%AC");
    check("/%41%7a%30%2D%5f%7e", "/Az0-_~");
    check("/%25%32%66", "/%252f");
    check("/%3f%23", "/%3F%23");
}

#[test]
fn dot_segments_are_taken_out_rfc3986_5_2_4() {
    check("/a/./b", "/a/b");
    check("/a/../b", "/b");
    check("/a/b/..", "/a/");
    check("/a/.", "/a/");
    check("/.", "/");
    check("/a/..", "/");
    check("/a/b/../../c", "/c");
    check("/a/./././", "/a/");
}

#[test]
fn slashes_are_merged_before_segments_are_dropped_t40() {
    check("//", "/");
    check("//a///b//", "/a/b/");
    check("/a//../b", "/b");
    check("/a//./b", "/a/b");
}

#[test]
fn the_root_has_no_parent_t40() {
    for path in ["/..", "/../a", "/a/../..", "/a/../../b", "//..", "/./.."] {
        check(path, "AboveRoot");
    }
}

#[test]
fn bytes_that_change_the_shape_when_decoded_are_refused_t40() {
    for path in
        ["/a%2fb", "/a%2Fb", "/a%5cb", "/%2e%2e/a", "/.%2e/a", "/%2E", "/a%3bb", "/a%00", "/%2e%2e%2fetc"]
    {
        check(path, "EncodedByte");
    }
}

#[test]
fn a_route_may_allow_them_t40() {
    check_with("/a%2fb%5C%3b%00", true, "/a%2Fb%5C%3B%00");
    check_with("/a/%2e%2E/b", true, "/b");
    check_with("/%2e%2e/b", true, "AboveRoot");
    check_with("/a/..%2fb", true, "/a/..%2Fb");
}

#[test]
fn dot_segments_with_parameters_are_refused_t40() {
    for path in ["/a/..;/b", "/a/.;x", "/..;x=y/b", "/a/..;"] {
        check(path, "DotParameters");
    }
    check_with("/a/%2e.;/b", true, "DotParameters");
    check("/a/...;x", "/a/...;x");
}

#[test]
fn what_is_no_path_is_refused() {
    for path in ["", "*", "a", "http://h/"] {
        check(path, "NotAbsolute");
    }
    for path in ["/a b", "/a\0", "/a\\b", "/a?b", "/a#b", "/\u{e9}", "/\"", "/<", "/a\r\n"] {
        check(path, "Byte");
    }
    for path in ["/%", "/%4", "/%4g", "/%%41"] {
        check(path, "PercentEncoding");
    }
}

#[test]
fn every_short_path_has_one_final_form_t40() {
    const PIECES: &[&str] = &[
        "/", ".", "..", "a", "%2e", "%2F", "%41", "%c3", "%C3", "%25", "2f", ";", "%00", "%5c", "%3B", "\\",
        "%",
    ];
    const PIECES_MAX: u32 = 5;
    let mut accepted_count = 0;
    for number in 0..PIECES.len().pow(PIECES_MAX) {
        let mut path = b"/".to_vec();
        let mut rest = number;
        while rest > 0 {
            path.extend_from_slice(PIECES[rest % PIECES.len()].as_bytes());
            rest /= PIECES.len();
        }
        for allow_encoded in [false, true] {
            let Ok(form) = canonical(&path, allow_encoded) else { continue };
            accepted_count += 1;
            let again = canonical(&form, allow_encoded);
            assert_eq!(again.as_deref(), Ok(&form[..]), "{} is not final", path.escape_ascii());
            assert!(!has_dot_segment(&form), "{} kept a dot segment", path.escape_ascii());
        }
        let is_unchanged = canonical(&path, false).as_deref() == Ok(&path[..]);
        assert_eq!(is_canonical(&path), is_unchanged, "{}", path.escape_ascii());
    }
    assert!(accepted_count > 100_000, "only {accepted_count} paths were accepted");
}

/// Also when an origin decodes once more: nothing decoded may become a dot segment.
fn has_dot_segment(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/').any(|segment| matches!(segment, b"." | b".."))
}
