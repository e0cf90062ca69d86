//! Request heads: the request line, targets, authorities, limits. T08, T10, T40, T44.

use towpath_proto::h1::HeadLimits;

use crate::transcript::{assert_transcript, requests, requests_in_pieces, verdict};

#[track_caller]
fn check(input: &str, expected: &str) {
    assert_transcript(&requests(input.as_bytes()), expected, input.as_bytes());
}

/// The first line of the transcript: the head or the error.
#[track_caller]
fn check_head(input: &str, expected: &str) {
    let transcript = requests(input.as_bytes());
    assert_eq!(transcript.lines().next(), Some(expected), "for {input:?}");
}

#[track_caller]
fn check_target(method: &str, target: &str, expected: &str) {
    check_head(&format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n"), expected);
}

#[test]
fn a_request_line_is_three_parts_and_two_spaces_rfc9112_3() {
    for line in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/1.1\t",
        "GET /",
        "GET",
        "GET / ",
        "/ HTTP/1.1",
        "GET HTTP/1.1",
        "G{T / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1",
        "GET / HTTP/11",
        "GET / HTTP/1.1.1",
        "GET / HTTP/1.1x",
        "GET / HTP/1.1",
        "GET / HTTP /1.1",
        "GET / HTTP/1,1",
        "GET / HTTP/A.B",
        "GE\rT / HTTP/1.1",
        "GET / HTTP/1.1\r",
        "GET /a b HTTP/1.1",
        "\"GET\" / HTTP/1.1",
    ] {
        check_head(&format!("{line}\r\nHost: h\r\n\r\n"), "400 bad_request_line");
    }
    check_head("BREW-2 /pot HTTP/1.1\r\nHost: h\r\n\r\n", "Head BREW-2 /pot 1.1 @h None keep-alive");
    check_head("get / HTTP/1.1\r\nHost: h\r\n\r\n", "Head get / 1.1 @h None keep-alive");
}

#[test]
fn other_versions_are_505_rfc9110_15_6_6() {
    for version in ["HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/9.9", "HTTP/3.0"] {
        check_head(&format!("GET / {version}\r\nHost: h\r\n\r\n"), "505 unsupported_version");
    }
    check_head("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 unsupported_version");
}

#[test]
fn one_empty_line_before_a_request_is_dropped_rfc9112_2_2() {
    check_head("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "Head GET / 1.1 @h None keep-alive");
    check_head("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400 bad_request_line");
    check_head("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400 bad_request_line");
    check_head("\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400 bad_request_line");
    check("\r\n", "closed");
}

#[test]
fn what_is_no_request_is_refused_at_its_first_byte() {
    check_head("\x16\x03\x01", "400 bad_request_line");
    check_head("\0", "400 bad_request_line");
}

#[test]
fn http_1_0_closes_unless_asked_to_stay_rfc9112_9_3() {
    check_head("GET / HTTP/1.0\r\n\r\n", "Head GET / 1.0 @- None");
    check_head("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "Head GET / 1.0 @- None keep-alive");
    check_head("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "Head GET / 1.0 @- None");
    check_head("GET / HTTP/1.1\r\nHost: h\r\nConnection: CLOSE\r\n\r\n", "Head GET / 1.1 @h None");
    check_head(
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: close\r\n\r\n",
        "Head GET / 1.1 @h None nominates",
    );
}

#[test]
fn exactly_one_host_is_required_t10() {
    // RFC 9112 §3.2.
    for lines in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host:\r\n",
        "Host: \t\r\n",
        "Host: a b\r\n",
        "Host: a, b\r\n",
        "Host: u@a\r\n",
        "Host: a/b\r\n",
        "Host: a:x\r\n",
        "Host: a:\r\n",
        "Host: a:99999\r\n",
        "Host: [::1\r\n",
        "Host: a#b\r\n",
        "Host: a?b\r\n",
        "Host: a\\b\r\n",
        "Host: http://a\r\n",
        "Host: a%00\r\n",
        "Host: .a\r\n",
    ] {
        check_head(&format!("GET / HTTP/1.1\r\n{lines}\r\n"), "400 bad_host");
    }
    check_head("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400 bad_host");
    check_head("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "400 bad_host");
    check_head(
        "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n",
        "Head GET / 1.1 @[2001:db8::1]:8080 None keep-alive",
    );
}

#[test]
fn an_absolute_target_and_host_say_the_same_t10() {
    // RFC 9112 §3.2.2.
    check_target("GET", "http://h/a?b", "Head GET /a?b 1.1 @h None keep-alive");
    check_target("GET", "HTTP://H:80/a", "Head GET /a 1.1 @H:80 None keep-alive");
    check_target("GET", "https://h:443/", "Head GET / 1.1 @h:443 None keep-alive");
    check_target("GET", "http://h", "Head GET / 1.1 @h None keep-alive");
    check_target("GET", "http://h?q", "Head GET /?q 1.1 @h None keep-alive");
    check_head("GET http://h/ HTTP/1.0\r\n\r\n", "Head GET / 1.0 @h None");
    check_target("GET", "http://other/", "400 bad_host");
    check_target("GET", "http://h:8080/", "400 bad_host");
    check_target("GET", "https://h:80/", "400 bad_host");
    check_target("GET", "http://h.evil/", "400 bad_host");
    check_head("GET http://h/ HTTP/1.1\r\n\r\n", "400 bad_host");
    for target in [
        "http://u@h/",
        "http://u:p@h/",
        "http:///a",
        "http://",
        "http:h",
        "http:/h",
        "http://h:/",
        "http://h:x/",
        "//h/a b",
        "ftp://h/",
        "http://h#f",
        "http://h/#f",
        "http://h?#f",
        "http://h\\@evil/",
        "http://h;x/",
        "h/a",
        "a",
        "?a",
        "h:80",
        "*a",
        "http://[::1/",
        "1http://h/",
    ] {
        let transcript = requests(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        assert!(
            transcript.starts_with("400 bad_request_target") || target.contains(' '),
            "{target}: {transcript}"
        );
    }
}

#[test]
fn connect_takes_authority_form_only_t44() {
    // RFC 9112 §3.2.3.
    check_head("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "Head CONNECT  1.1 @h:443 None keep-alive");
    check_target("CONNECT", "H:443", "Head CONNECT  1.1 @H:443 None keep-alive");
    check_target("CONNECT", "other:443", "400 bad_host");
    for target in ["/", "h", "http://h:443/", "h:443/", "*", "u@h:443", "h:0", ":443", "h:443?a", "h:443#a"] {
        check_target("CONNECT", target, "400 bad_request_target");
    }
    // The other methods do not take it.
    check_target("GET", "h:443", "400 bad_request_target");
}

#[test]
fn the_asterisk_is_for_options_only_t44() {
    // RFC 9112 §3.2.4.
    check_target("OPTIONS", "*", "Head OPTIONS * 1.1 @h None keep-alive");
    check_target("OPTIONS", "/*", "Head OPTIONS /* 1.1 @h None keep-alive");
    check_target("OPTIONS", "**", "400 bad_request_target");
    check_target("OPTIONS", "*?a", "400 bad_request_target");
    check_target("OPTIONS", "http://h", "400 bad_request_target");
    check_target("GET", "*", "400 bad_request_target");
}

#[test]
fn a_target_holds_visible_ascii_and_no_fragment_t10() {
    for byte in 0..=255u8 {
        for (prefix, is_path) in [("/a", true), ("/a?b", false)] {
            let mut input = format!("GET {prefix}").into_bytes();
            input.push(byte);
            input.extend_from_slice(b"c HTTP/1.1\r\nHost: h\r\n\r\n");
            let is_refused_in_path = is_path && b"\"<>\\%".contains(&byte);
            let is_allowed = (0x21..=0x7e).contains(&byte) && byte != b'#' && !is_refused_in_path;
            let transcript = requests(&input);
            assert_eq!(
                transcript.starts_with("Head"),
                is_allowed,
                "{byte:#04x} behind {prefix}: {transcript}"
            );
        }
    }
}

#[test]
fn percent_encoding_in_a_path_is_whole_rfc3986_2_1() {
    for path in ["/%", "/%2", "/%g0", "/%0g", "/a%", "/%%41", "/%u0041"] {
        check_target("GET", path, "400 bad_request_target");
    }
    check_target("GET", "/%20?100%", "Head GET /%20?100% 1.1 @h None keep-alive");
}

#[test]
fn a_path_that_is_not_canonical_is_marked_t40() {
    for path in ["/", "/a/b.c", "/a/.hidden", "/a/...", "/a;v=1/b", "/%20", "/a%E2%82%AC", "/a/"] {
        check_target("GET", path, &format!("Head GET {path} 1.1 @h None keep-alive"));
    }
    for path in [
        "//", "/a//b", "/.", "/..", "/a/./b", "/a/../b", "/%41", "/%e2", "/%2f", "/%2E", "/%3b", "/%5C",
        "/%00", "/..;/a",
    ] {
        check_target("GET", path, &format!("Head GET {path} 1.1 @h None keep-alive not-canonical"));
    }
}

#[test]
fn odd_field_lines_are_refused_t08() {
    for line in [
        "X : y",
        "X\t: y",
        " X: y",
        "\tX: y",
        ": y",
        "X",
        "X y: z",
        "X: a\0b",
        "X: a\u{7f}",
        "X: a\rb",
        "X: a\r",
        "\r",
        "X(: y",
        "X\0: y",
        "X: y\r\n folded",
        "X:\r\n\tfolded",
    ] {
        let input = format!("GET / HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\n");
        let transcript = requests(input.as_bytes());
        assert_eq!(transcript, "400 bad_header\n", "for {line:?}");
    }
    check_head("GET / HTTP/1.1\r\n Host: h\r\n\r\n", "400 bad_header");
}

#[test]
fn white_space_around_values_is_not_part_of_them_rfc9112_5_1() {
    check(
        "GET / HTTP/1.1\r\nHost: \t h \t\r\nA:\r\nB: \t \r\nC:x y\tz\r\nD: \u{e9}\r\n\r\n",
        r"Head GET / 1.1 @h None keep-alive
            Host: h
            A:
            B:
            C: x y\tz
            D: \xc3\xa9
          End
          closed",
    );
}

#[test]
fn limits_name_themselves_t14() {
    let long = |bytes: usize| "x".repeat(bytes);
    let line_limit = HeadLimits::default().line_bytes_max;
    let target_bytes = line_limit - "GET / HTTP/1.1".len();
    check_head(
        &format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", long(target_bytes)),
        &format!("Head GET /{} 1.1 @h None keep-alive", long(target_bytes)),
    );
    check_head(
        &format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", long(target_bytes + 1)),
        "414 request_line_too_long",
    );
    check_head(&format!("GET /{}", long(line_limit)), "414 request_line_too_long");
    let value_bytes = line_limit - "X: ".len();
    let with_value = |bytes| format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", long(bytes));
    check_head(&with_value(value_bytes), "Head GET / 1.1 @h None keep-alive");
    check_head(&with_value(value_bytes + 1), "431 header_too_large");
    let with_fields =
        |count: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    check_head(&with_fields(100), "Head GET / 1.1 @h None keep-alive");
    check_head(&with_fields(101), "431 too_many_headers");
    let heavy = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", format!("X: {}\r\n", long(8000)).repeat(9));
    check_head(&heavy, "431 header_too_large");
}

#[test]
fn each_field_is_charged_with_overhead_t14() {
    // RFC 9113 §6.5.2: name + value + 32. `Host` and `h` are 37, `X` and `y` 34.
    let limits = |head_bytes_max| HeadLimits { head_bytes_max, ..HeadLimits::default() };
    let input: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n";
    let run = |limits| requests_in_pieces(std::iter::once(input), limits);
    assert_eq!(verdict(&run(limits(37 + 34))), "closed");
    assert_eq!(verdict(&run(limits(37 + 34 - 1))), "431 header_too_large");
}

#[test]
fn no_configuration_raises_the_field_count_above_the_ceiling() {
    let limits = HeadLimits { fields_count_max: usize::MAX, ..HeadLimits::default() };
    let input = |count: usize| {
        format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(count - 1)).into_bytes()
    };
    let run = |count| verdict(&requests_in_pieces(std::iter::once(&input(count)[..]), limits)).to_owned();
    assert_eq!(run(towpath_proto::limits::FIELDS_COUNT_CEILING), "closed");
    assert_eq!(run(towpath_proto::limits::FIELDS_COUNT_CEILING + 1), "431 too_many_headers");
}
