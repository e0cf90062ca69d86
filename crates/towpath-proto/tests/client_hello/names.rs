//! Which names select (RFC 6066 §3), and the other extensions that are read.

use towpath_proto::client_hello::{ClientHello, ClientHelloError};

use crate::check;
use crate::hello::{
    alpn, body_start, extension, handshake, message, record, server_name, supported_versions, vec16,
};

#[track_caller]
fn check_extensions(extensions: &[Vec<u8>], expected: &str) {
    check(&record(&message(extensions)), expected);
}

#[track_caller]
fn check_name(name: &[u8], expected: &str) {
    let expected = match expected {
        "refused" => "bad_server_name: ServerName".to_owned(),
        name => format!("{name} [] 0303 []"),
    };
    check_extensions(&[server_name(name)], &expected);
}

#[test]
fn dns_names_are_read_in_lower_case_rfc6066_3() {
    check_name(b"a.example.com", "a.example.com");
    check_name(b"A.Example.COM", "a.example.com");
    check_name(b"a.example.com.", "a.example.com");
    check_name(b"localhost", "localhost");
    check_name(b"_x-1.xn--bcher-kva.example", "_x-1.xn--bcher-kva.example");
    check_name(b"1.2.3.4.5", "1.2.3.4.5");
    let longest =
        [&"a".repeat(63), &"b".repeat(63), &"c".repeat(63), &"d".repeat(61)].map(String::as_str).join(".");
    check_name(longest.as_bytes(), &longest);
    check_name(format!("{longest}d").as_bytes(), "refused");
}

#[test]
fn an_address_selects_nothing_rfc6066_3() {
    check_name(b"127.0.0.1", "-");
    check_name(b"127.0.0.1.", "-");
    check_name(b"::1", "-");
    check_name(b"2001:db8::1", "-");
}

#[test]
fn what_is_no_dns_name_is_refused_t32() {
    for name in [
        &b""[..],
        b".",
        b"..",
        b".a",
        b"a..b",
        b"a..",
        b"a\0.example.com",
        b"a.example.com\0",
        b"a b",
        b"*.example.com",
        b"a:443",
        b"[::1]",
        b"a/b",
        b"b\xc3\xbccher.example",
        b"a\r\nb",
        &[b'a'; 64],
        &[b'a'; 300],
    ] {
        check_name(name, "refused");
    }
}

#[test]
fn the_list_holds_one_host_name_rfc6066_3() {
    let host = |name: &[u8]| [vec![0], vec16(name)].concat();
    let listed = |names: &[u8]| extension(0, &vec16(names));
    let refused = "bad_server_name: ServerName";
    check_extensions(&[listed(&[host(b"a"), host(b"b")].concat())], refused);
    check_extensions(&[listed(&[host(b"a"), host(b"a")].concat())], refused);
    check_extensions(&[listed(&[vec![1], vec16(b"a")].concat())], refused);
    check_extensions(&[listed(&[host(b"a"), vec![1, 0]].concat())], refused);
    let syntax = "bad_client_hello: Syntax";
    check_extensions(&[listed(b"")], syntax);
    check_extensions(&[extension(0, b"")], syntax);
    check_extensions(&[extension(0, &[vec16(&host(b"a")), vec![0]].concat())], syntax);
    check_extensions(&[extension(0, &[0, 5, 0, 0, 1, b'a'])], syntax);
    check_extensions(&[listed(&[0, 0, 2, b'a'])], syntax);
}

#[test]
fn protocols_and_versions_keep_their_order() {
    check_extensions(
        &[
            extension(0x5A5A, b""),
            supported_versions(&[0x5A5A, 0x0304, 0x0303]),
            alpn(&["h2", "http/1.1", "\0"]),
            server_name(b"a"),
            extension(21, &[0; 100]),
        ],
        "a [h2,http/1.1,\\x00] 0303 [5a5a,0304,0303]",
    );
}

#[test]
fn suites_and_signature_schemes_keep_their_order_and_a_bad_list_of_schemes_is_none_rfc8446_4_2_3() {
    let schemes_of = |data: &[u8]| {
        let message = message(&[extension(13, data), server_name(b"a")]);
        let hello = ClientHello::parse(&message).expect("the origin may judge");
        assert_eq!(hello.cipher_suites().collect::<Vec<_>>(), [0x1301, 0x1302]);
        hello.signature_schemes().collect::<Vec<_>>()
    };
    assert_eq!(schemes_of(&[0, 4, 4, 3, 8, 4]), [0x0403, 0x0804]);
    for bad in [&[][..], &[0], &[0, 3, 4, 3], &[0, 1, 4, 3], &[0, 0]] {
        assert_eq!(schemes_of(bad), [0_u16; 0], "{bad:?}");
    }
}

#[test]
fn a_hello_without_extensions_is_a_hello_rfc5246_7_4_1_2() {
    check(&record(&handshake(1, &body_start())), "- [] 0303 []");
    check_extensions(&[], "- [] 0303 []");
}

#[test]
fn bad_lists_are_refused_rfc7301_3_1_rfc8446_4_2_1() {
    for data in
        [&[][..], &[0], &[0, 0], &[0, 1, 0], &[0, 2, 2, b'h'], &[0, 3, 1, b'a', 0], &[0, 2, 1, b'a', 0]]
    {
        check_extensions(&[extension(16, data)], "bad_client_hello: Syntax");
    }
    for data in [&[][..], &[0], &[1, 3], &[3, 3, 4, 3], &[2, 3, 4, 0], &[4, 3, 4]] {
        check_extensions(&[extension(43, data)], "bad_client_hello: Syntax");
    }
}

#[test]
fn an_extension_that_decides_comes_once_rfc8446_4_2_t32() {
    for twice in [server_name(b"a"), alpn(&["h2"]), supported_versions(&[0x0304])] {
        check_extensions(&[twice.clone(), extension(9, b"x"), twice], "bad_client_hello: ExtensionRepeated");
    }
    check_extensions(&[extension(9, b"x"), extension(9, b"y")], "- [] 0303 []");
}

#[test]
fn lengths_that_lie_are_refused_rfc8446_4_1_2() {
    let good = message(&[server_name(b"a.example.com"), alpn(&["h2"])]);
    // Every length byte of the message, the message's own aside, one too high and one too low.
    let session_at = 4 + 2 + 32;
    let suites_at = session_at + 1 + 32 + 1;
    let compressions_at = suites_at + 1 + 4;
    let extensions_at = compressions_at + 3;
    for at in
        [suites_at, compressions_at, extensions_at, extensions_at + 4, extensions_at + 6, extensions_at + 9]
    {
        for step in [1, u8::MAX] {
            let mut bad = good.clone();
            bad[at] = bad[at].wrapping_add(step);
            let verdict = ClientHello::parse(&bad);
            assert!(verdict.is_err(), "byte {at}: {verdict:?}");
        }
    }
    let behind_extensions = [body_start(), vec16(&[]), vec![0]].concat();
    assert_eq!(ClientHello::parse(&handshake(1, &behind_extensions)), Err(ClientHelloError::Syntax));
    let mut bad = good.clone();
    bad[session_at] = 33;
    assert_eq!(ClientHello::parse(&bad), Err(ClientHelloError::Syntax));
}

#[test]
fn every_cut_message_is_refused_without_records() {
    let good = message(&[server_name(b"a.example.com"), alpn(&["h2"])]);
    assert!(ClientHello::parse(&good).is_ok());
    for length in 0..good.len() {
        assert_eq!(ClientHello::parse(&good[..length]), Err(ClientHelloError::Syntax), "{length} bytes");
        // A length of its own that fits does not make a cut message whole, unless the cut is where extensions
        // may be missing.
        let body = &good[4.min(length)..length];
        let is_bare = body == body_start();
        let verdict = ClientHello::parse(&handshake(1, body)).is_ok();
        assert_eq!(verdict, is_bare, "{length} bytes");
    }
    assert_eq!(ClientHello::parse(&[good, vec![0]].concat()), Err(ClientHelloError::Syntax));
}
