//! Version 1 (§2.1).

use crate::check;

#[test]
fn lines_with_addresses_are_read_2_1() {
    check(
        b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n",
        "47: V1 Stream 192.168.0.1:56324 -> 192.168.0.11:443",
    );
    check(
        b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
        "44: V1 Stream 0.0.0.0:0 -> 255.255.255.255:65535",
    );
    check(b"PROXY TCP6 2001:DB8::1 ::1 1 2\r\n\0", "32: V1 Stream [2001:db8::1]:1 -> [::1]:2");
    // The line of a running HAProxy 2.6.
    check(
        b"PROXY TCP4 127.0.0.1 127.0.0.1 44618 37495\r\n",
        "44: V1 Stream 127.0.0.1:44618 -> 127.0.0.1:37495",
    );
}

#[test]
fn the_longest_lines_fit_2_1() {
    let group = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let line = format!("PROXY TCP6 {group} {group} 65535 65535\r\n");
    check(line.as_bytes(), &format!("104: V1 Stream [{group}]:65535 -> [{group}]:65535"));
    let line = format!("PROXY UNKNOWN {group} {group} 65535 65535\r\n");
    check(line.as_bytes(), "107: V1 Unknown");
}

#[test]
fn unknown_has_no_address_whatever_follows_2_1() {
    check(b"PROXY UNKNOWN\r\n", "15: V1 Unknown");
    check(b"PROXY UNKNOWN \0 whatever  1.2.3.4\r\n", "35: V1 Unknown");
    check(b"PROXY UNKNOWNX\r\n", "bad_proxy_family: Family");
}

#[test]
fn mapped_addresses_are_the_addresses_they_map() {
    check(b"PROXY TCP6 ::ffff:10.0.0.1 ::1 1 2\r\n", "36: V1 Stream 10.0.0.1:1 -> [::1]:2");
    check(b"PROXY TCP6 ::ffff:a00:1 ::FFFF:10.0.0.2 1 2\r\n", "45: V1 Stream 10.0.0.1:1 -> 10.0.0.2:2");
}

#[test]
fn a_header_in_the_making_asks_for_more() {
    for input in
        ["", "P", "PROXY", "PROXY TCP4 1.2.3.4", "PROXY UNKNOWN\r", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r"]
    {
        check(input.as_bytes(), "more");
    }
}

#[test]
fn a_line_too_long_is_refused_at_107_bytes_2_1() {
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
    check(&endless.as_bytes()[..106], "more");
    check(&endless.as_bytes()[..107], "proxy_header_too_large: LineTooLong");
    check(endless.as_bytes(), "proxy_header_too_large: LineTooLong");
    check(format!("{}\r", &endless[..106]).as_bytes(), "proxy_header_too_large: LineTooLong");
    check(format!("{}\r\n", &endless[..106]).as_bytes(), "proxy_header_too_large: LineTooLong");
    check(format!("{}\r\n", &endless[..105]).as_bytes(), "107: V1 Unknown");
}

#[test]
fn cr_or_lf_alone_do_not_end_a_line_2_1() {
    check(b"PROXY UNKNOWN\n", "bad_proxy_header: LineEnd");
    check(b"PROXY UNKNOWN\rX\r\n", "bad_proxy_header: LineEnd");
    check(b"PROXY UNKNOWN\r\r\n", "bad_proxy_header: LineEnd");
    check(b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n\r\n", "bad_proxy_header: LineEnd");
}

#[test]
fn lines_of_another_shape_are_refused_2_1() {
    for (line, expected) in [
        ("PROXY \r\n", "bad_proxy_family: Family"),
        ("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", "bad_proxy_family: Family"),
        ("PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", "bad_proxy_family: Family"),
        ("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "bad_proxy_family: Family"),
        ("PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "bad_proxy_family: Family"),
        ("PROXY TCP4\r\n", "bad_proxy_header: Line"),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "bad_proxy_header: Line"),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "bad_proxy_header: Line"),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "bad_proxy_header: Line"),
        ("PROXY TCP4 1.2.3.4  1 2\r\n", "bad_proxy_header: Address"),
        ("PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n", "bad_proxy_family: Family"),
    ] {
        check(line.as_bytes(), expected);
    }
}

#[test]
fn addresses_of_another_family_or_form_are_refused_2_1() {
    for address in
        ["::1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.2.3.4", "1.2.3.4:5", "0x1.2.3.4", "a", "1.2.3.\u{661}"]
    {
        check(format!("PROXY TCP4 {address} 1.2.3.4 1 2\r\n").as_bytes(), "bad_proxy_header: Address");
    }
    for address in
        ["1.2.3.4", "[::1]", "::1%lo", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "::g"]
    {
        check(format!("PROXY TCP6 ::1 {address} 1 2\r\n").as_bytes(), "bad_proxy_header: Address");
    }
}

#[test]
fn ports_are_plain_decimal_numbers_2_1() {
    for port in ["", "00", "01", "65536", "99999999999999999999", "+1", "-1", "1a", "0x1"] {
        let line = format!("PROXY TCP4 1.2.3.4 1.2.3.4 {port} 2\r\n");
        check(line.as_bytes(), "bad_proxy_header: Port");
    }
}

#[test]
fn what_is_no_header_is_refused_at_its_first_wrong_byte() {
    for input in
        ["GET / HTTP/1.1\r\n", "PRI * HTTP/2.0", "PROXYTCP4", "\x16\x03\x01", "proxy ", "X", "\r\n\r\nX"]
    {
        check(input.as_bytes(), "proxy_header_missing: Signature");
    }
}
