//! What makes a head, and what makes it malformed (RFC 9113 §8). Whatever HTTP/1.1 could read otherwise is refused
//! before anybody sees it.

use towpath_proto::h2::{Config, HeadLimits, Role};

use crate::script::{Cut, begun};
use crate::script::{check, check_client, check_with};

/// A request with these pseudo-header fields and fields behind them is refused with that reason.
#[track_caller]
fn refused(fields: &str, reason: &str) {
    check(
        &format!("headers 1 end | {fields}"),
        &format!("Reset 1 ProtocolError {reason}\n> RST_STREAM 1 ProtocolError"),
    );
}

const USUAL: &str = ":method GET | :scheme https | :authority h | :path /";

#[track_caller]
fn refused_field(field: &str, reason: &str) {
    refused(&format!("{USUAL} | {field}"), reason);
}

#[test]
fn every_pseudo_header_comes_once_and_first_t17() {
    refused(":scheme https | :authority h | :path /", "bad_pseudo_header");
    refused(":method GET | :authority h | :path /", "bad_pseudo_header");
    refused(":method GET | :scheme https | :authority h", "bad_pseudo_header");
    for name in [":method GET", ":scheme https", ":authority h", ":path /"] {
        refused(&format!("{USUAL} | {name}"), "bad_pseudo_header");
    }
    refused(&format!("a b | {USUAL}"), "bad_pseudo_header");
    refused(":method GET | :scheme https | a b | :authority h | :path /", "bad_pseudo_header");
    for name in [":status 200", ":host h", ":Method GET", ": x", ":protocol websocket"] {
        refused(&format!("{name} | {USUAL}"), "bad_pseudo_header");
    }
    refused("a b", "bad_pseudo_header");
    check("headers 1 end", "Reset 1 ProtocolError bad_pseudo_header\n> RST_STREAM 1 ProtocolError");
}

#[test]
fn pseudo_headers_have_values_that_fit_a_request_line_t17() {
    for method in ["", "G^T", "GET/", "a:b"] {
        refused(&format!(":method {method} | :scheme https | :authority h | :path /"), "bad_pseudo_header");
    }
    for scheme in ["", "ftp", "HTTPS", "https://h/", "http^"] {
        let reason = if scheme.ends_with('^') { "bad_header" } else { "bad_pseudo_header" };
        refused(&format!(":method GET | :scheme {scheme} | :authority h | :path /"), reason);
    }
    for path in ["", "a", "*", "//h\\", "/a#b", "/a%4", "http://h/", "?a", "/a^b", "/a?b^c", "/a?b#c"] {
        refused(&format!(":method GET | :scheme https | :authority h | :path {path}"), "bad_request_target");
    }
    for authority in ["", "u@h", "h:", "h:0", "h:65536", "h/", "[::1", "h,i", "h^i"] {
        refused(&format!(":method GET | :scheme https | :authority {authority} | :path /"), "bad_host");
    }
}

#[test]
fn asterisk_is_for_options_and_paths_are_judged_as_in_http1() {
    check(
        "headers 1 end | :method OPTIONS | :scheme https | :authority h | :path *
         headers 3 end | :method OPTIONS | :scheme https | :authority h | :path /
         get 5 /a//b?x
         get 7 /a%2fb
         headers 9 end | :method BREW | :scheme http | :authority h:80 | :path /",
        "Head 1 OPTIONS * @h None end
         Head 3 OPTIONS / @h None end
         Head 5 GET /a//b?x @h None not-canonical end
         Head 7 GET /a%2fb @h None not-canonical end
         Head 9 BREW / @h:80 None end",
    );
    refused(":method OPTIONS | :scheme https | :authority h | :path *?a", "bad_request_target");
}

#[test]
fn one_authority_is_left_of_two_t10() {
    check(
        "headers 1 end | :method GET | :scheme https | :path / | host h
         get 3 | host H:443
         headers 5 end | :method GET | :scheme http | :authority h:80 | :path / | host h",
        "Head 1 GET / @h None end
           host: h
         Head 3 GET / @h None end
           host: H:443
         Head 5 GET / @h:80 None end
           host: h",
    );
    refused(":method GET | :scheme https | :path /", "bad_host");
    refused_field("host i", "bad_host");
    refused_field("host h:80", "bad_host");
    refused_field("host h | host h", "bad_host");
    refused_field("host", "bad_host");
    refused_field("host u@h", "bad_host");
}

#[test]
fn connect_has_an_authority_with_a_port_only_rfc9113_8_5() {
    refused(":method CONNECT | :authority h", "bad_request_target");
    refused(":method CONNECT | :authority h:443 | :scheme https", "bad_pseudo_header");
    refused(":method CONNECT | :authority h:443 | :path /", "bad_pseudo_header");
    refused(":method CONNECT", "bad_host");
    refused(":method CONNECT | host h:443", "bad_pseudo_header");
    refused(":method CONNECT | :authority h:443 | host i:443", "bad_host");
    refused(":method CONNECT | :authority h:443 | content-length 5", "h2_bad_length");
    refused(":method CONNECT | :protocol websocket | :authority h | :path /", "bad_pseudo_header");
    refused(":method CONNECT | :protocol websocket | :authority h | :scheme https", "bad_pseudo_header");
    refused(":method CONNECT | :protocol a^b | :authority h | :scheme https | :path /", "bad_pseudo_header");
    refused(
        ":method CONNECT | :protocol websocket | :authority h | :scheme https | :path a",
        "bad_request_target",
    );
}

#[test]
fn fields_of_http1_connections_are_refused_t17() {
    for field in
        ["connection close", "keep-alive 5", "proxy-connection x", "transfer-encoding chunked", "upgrade x"]
    {
        refused_field(field, "bad_header");
    }
    for te in ["gzip", "trailers,^gzip", "chunked", ""] {
        refused_field(&format!("te {te}"), "bad_header");
    }
    for field in ["A b", "a^ b", "a: b", " b", "a ^b", "a b^", "a\u{e9} b"] {
        refused_field(field, "bad_header");
    }
}

#[test]
fn a_declared_length_is_one_number_and_is_kept_t17() {
    for value in ["", "+5", "-1", "5,5", "0x5", "5^5", "18446744073709551616"] {
        refused(&format!("{USUAL} | content-length {value}"), "h2_bad_length");
    }
    refused(&format!("{USUAL} | content-length 5 | content-length 5"), "h2_bad_length");
    refused(&format!("{USUAL} | content-length 5"), "h2_bad_length");
    check("get 1 | content-length 0", "Head 1 GET / @h Length(0) end\n content-length: 0");
    for (data, events) in [
        ("data 1 hell end", "Reset 1 ProtocolError h2_bad_length"),
        ("data 1 end", "Reset 1 ProtocolError h2_bad_length"),
        ("headers 1 end | a b", "Reset 1 ProtocolError h2_bad_length"),
        ("data 1 hello!", "Reset 1 ProtocolError h2_bad_length"),
        ("data 1 hello\ndata 1 !", "Data 1 hello\nReset 1 ProtocolError h2_bad_length"),
        ("data 1 hello\ndata 1 ! end", "Data 1 hello\nReset 1 ProtocolError h2_bad_length"),
        ("data 1 hell\ndata 1 o! end pad=3", "Data 1 hell\nReset 1 ProtocolError h2_bad_length"),
    ] {
        check(
            &format!("post 1 | content-length 5\n{data}"),
            &format!("Head 1 POST / @h Length(5)\ncontent-length: 5\n{events}\n> RST_STREAM 1 ProtocolError"),
        );
    }
}

#[test]
fn expectations_are_judged_as_in_http1() {
    check("get 1 | expect 100-continue", "Head 1 GET / @h None end\nexpect: 100-continue");
    check("post 1 | expect 100-Continue", "Head 1 POST / @h Chunked continue\nexpect: 100-Continue");
    check(
        "get 1 | expect more
         ! respond 1 417 end
         ! finish 1
         post 3 | expect more
         data 3 dropped
         ! finish 3",
        "Refused 1 417 bad_expectation
         > HEADERS 1 END | :status 417
         Refused 3 417 bad_expectation
         > RST_STREAM 3 EnhanceYourCalm",
    );
}

#[test]
fn pieces_of_a_cookie_are_one_field_rfc9113_8_2_3() {
    check(
        "get 1 | cookie a=b | x y | cookie c=d | cookie e=f | z z
         get 3 | cookie a=b
         get 5 | cookie | cookie | cookie a | cookie",
        "Head 1 GET / @h None end
           cookie: a=b; c=d; e=f
           x: y
           z: z
         Head 3 GET / @h None end
           cookie: a=b
         Head 5 GET / @h None end
           cookie: a",
    );
    check_client(
        "! request end
         ok 1 end | set-cookie a | set-cookie b | cookie c | cookie d",
        "> HEADERS 1 END | :method GET | :scheme https | :path / | :authority origin
         Head 1 200 Length(0) end
           set-cookie: a
           set-cookie: b
           cookie: c
           cookie: d",
    );
}

#[test]
fn trailers_carry_nothing_that_steers_t20() {
    for fields in
        [":path /", ":status 200", "content-length 5", "host h", "te trailers", "connection x", "A b", "a b^"]
    {
        let transcript =
            begun(Role::Server, Config::default(), &format!("post 1\nheaders 1 end | {fields}"), Cut::Whole);
        assert!(transcript.ends_with("> RST_STREAM 1 ProtocolError\n"), "{fields}: {transcript}");
    }
    check(
        "post 1
         headers 1 end | a b | cookie c | x-forwarded-for d
         post 3
         headers 3 | a b
         headers 5 | :method CONNECT | :authority h:443
         headers 5 end | a b",
        "Head 1 POST / @h Chunked
         Trailers 1
           a: b
         Head 3 POST / @h Chunked
         Reset 3 ProtocolError bad_trailer
         > RST_STREAM 3 ProtocolError
         Head 5 CONNECT  @h:443 None
         Reset 5 ProtocolError bad_trailer
         > RST_STREAM 5 ProtocolError",
    );
}

/// An origin's answer with these fields is refused with that reason.
#[track_caller]
fn refused_response(head: &str, reason: &str) {
    check_client(
        &format!("! request end\n{head}"),
        &format!(
            "> HEADERS 1 END | :method GET | :scheme https | :path / | :authority origin
             Reset 1 ProtocolError {reason}
             > RST_STREAM 1 ProtocolError"
        ),
    );
}

#[test]
fn a_response_has_a_status_of_three_digits_and_no_other_pseudo_header_t17() {
    for status in ["", "20", "2000", "099", "2x0", "+20", "２００"] {
        refused_response(&format!("headers 1 end | :status {status}"), "bad_pseudo_header");
    }
    refused_response("headers 1 end | a b", "bad_pseudo_header");
    refused_response("headers 1 end | :status 200 | :status 200", "bad_pseudo_header");
    refused_response("headers 1 end | :status 200 | :path /", "bad_pseudo_header");
    refused_response("headers 1 end | a b | :status 200", "bad_pseudo_header");
    refused_response("ok 1 end | transfer-encoding chunked", "bad_header");
    refused_response("ok 1 end | content-length 5", "h2_bad_length");
    refused_response("ok 1 | content-length 5 | content-length 6", "h2_bad_length");
    refused_response("headers 1 | :status 204 | content-length 5", "h2_bad_length");
    refused_response("headers 1 | :status 101", "h2_bad_order");
    refused_response("headers 1 end | :status 100", "h2_bad_order");
    refused_response("data 1 early", "h2_bad_order");
}

#[test]
fn interim_responses_have_an_end_t20() {
    let script = "! request end\nx9 headers 1 | :status 103";
    let transcript = begun(Role::Client, Config::default(), script, Cut::Whole);
    assert_eq!(transcript.matches("Interim 1 103").count(), 8);
    assert!(transcript.contains("Reset 1 EnhanceYourCalm too_many_interim_responses"), "{transcript}");
}

#[test]
fn a_head_over_its_limit_is_answered_and_the_table_stays_right_t14() {
    let head = HeadLimits { head_bytes_max: 400, fields_count_max: 8, ..HeadLimits::default() };
    let config = Config { head, ..Config::default() };
    check_with(
        Role::Server,
        config,
        "get 1 | a *100
         get 3 | a *250
         ! respond 3 431 end
         ! finish 3
         post 5 | a 1 | b 2 | c 3 | d 4 | e 5
         data 5 dropped
         headers 5 end | dropped too
         ! respond 5 431 end
         ! finish 5
         get 7 | a 1 | b 2 | c 3 | d 4",
        "Head 1 GET / @h None end
           a: *100
         Refused 3 431 header_too_large
         > HEADERS 3 END | :status 431
         Refused 5 431 too_many_headers
         > HEADERS 5 END | :status 431
         Head 7 GET / @h None end
           a: 1
           b: 2
           c: 3
           d: 4",
    );
}
