//! Hellos recorded from programs in common use.

use crate::hello::records;
use crate::{bytes, check};

/// As recorded, and cut into records of 100 bytes.
#[track_caller]
fn check_recorded(hex: &str, expected: &str) {
    let input = bytes(hex);
    check(&input, expected);
    check(&records(&input[5..], 100), expected);
}

/// `openssl s_client -servername A.Example.com -alpn h2,http/1.1`, version 3.0.
#[test]
fn openssl_for_tls_1_3_is_read() {
    check_recorded(
        include_str!("hellos/openssl_tls13.hex"),
        "a.example.com [h2,http/1.1] 0303 [0304,0303,0302,0301]",
    );
}

/// `openssl s_client -servername pg.example.com -tls1_2`, version 3.0.
#[test]
fn openssl_for_tls_1_2_is_read() {
    check_recorded(include_str!("hellos/openssl_tls12.hex"), "pg.example.com [] 0303 []");
}

/// `openssl s_client -noservername`, version 3.0.
#[test]
fn openssl_without_a_name_is_read() {
    check_recorded(include_str!("hellos/openssl_no_name.hex"), "- [] 0303 [0304,0303,0302,0301]");
}

/// `tls.connect` of Node.js 20 with a server name and ALPN.
#[test]
fn node_is_read() {
    check_recorded(include_str!("hellos/node.hex"), "node.example.com [h2] 0303 [0304,0303]");
}
