//! What is agreed about permessage-deflate (RFC 7692 §5, §7.1). Sections without a document are of that one.

use towpath_proto::ws::{DeflatePolicy, HandshakeError, Role, WindowBits};

use crate::agreement;

/// `server_no_context_takeover`, `client_no_context_takeover`, and the two bounds.
fn policy(server_drops: bool, client_drops: bool, server_bits: u8, client_bits: u8) -> DeflatePolicy {
    DeflatePolicy {
        server_no_context_takeover: server_drops,
        client_no_context_takeover: client_drops,
        server_window_bits_max: WindowBits::new(server_bits).expect("a window there is"),
        client_window_bits_max: WindowBits::new(client_bits).expect("a window there is"),
    }
}

fn open() -> DeflatePolicy {
    policy(false, false, 15, 15)
}

/// What a server answers to the values of a request's fields.
#[track_caller]
fn check_answer(policy: DeflatePolicy, offers: &[&str], expected: &str) {
    let found = match policy.accept(offers.iter().map(|offer| offer.as_bytes())) {
        Err(error) => format!("{}: {error:?}", error.status()),
        Ok(None) => "declined".to_owned(),
        Ok(Some(deflate)) => {
            let mut out = Vec::new();
            deflate.write_answer(&mut out);
            let text = String::from_utf8(out).expect("ASCII");
            text.strip_prefix("permessage-deflate").expect("the name").replace("; ", " ").trim().to_owned()
        }
    };
    assert_eq!(found, expected, "{offers:?}");
}

#[test]
fn an_offer_without_parameters_is_answered_in_kind_5_1() {
    check_answer(open(), &["permessage-deflate"], "");
    check_answer(open(), &[], "declined");
    check_answer(open(), &[""], "declined");
    check_answer(open(), &[" , ,"], "declined");
    check_answer(open(), &["x-webkit-deflate-frame, bbf-usp-protocol; a=b"], "declined");
    check_answer(open(), &["Permessage-Deflate"], "declined");
    check_answer(
        DeflatePolicy::default(),
        &["permessage-deflate"],
        "server_no_context_takeover client_no_context_takeover",
    );
}

#[test]
fn the_server_drops_its_window_when_asked_and_the_clients_when_told_7_1_1() {
    check_answer(open(), &["permessage-deflate; server_no_context_takeover"], "server_no_context_takeover");
    check_answer(open(), &["permessage-deflate; client_no_context_takeover"], "client_no_context_takeover");
    check_answer(policy(true, false, 15, 15), &["permessage-deflate"], "server_no_context_takeover");
    check_answer(policy(false, true, 15, 15), &["permessage-deflate"], "client_no_context_takeover");
}

#[test]
fn the_servers_window_is_the_smaller_of_both_bounds_7_1_2_1() {
    let offer = |bits: u8| format!("permessage-deflate; server_max_window_bits={bits}");
    for bits in 8..=15 {
        check_answer(open(), &[&offer(bits)], &format!("server_max_window_bits={bits}"));
        let smaller = bits.min(11);
        check_answer(
            policy(false, false, 11, 15),
            &[&offer(bits)],
            &format!("server_max_window_bits={smaller}"),
        );
    }
    check_answer(policy(false, false, 11, 15), &["permessage-deflate"], "server_max_window_bits=11");
}

#[test]
fn the_clients_window_is_bounded_with_its_leave_only_7_1_2_2() {
    let small = policy(false, false, 15, 10);
    check_answer(small, &["permessage-deflate"], "");
    check_answer(small, &["permessage-deflate; client_max_window_bits"], "client_max_window_bits=10");
    check_answer(small, &["permessage-deflate; client_max_window_bits=9"], "client_max_window_bits=9");
    check_answer(small, &["permessage-deflate; client_max_window_bits=15"], "client_max_window_bits=10");
    check_answer(open(), &["permessage-deflate; client_max_window_bits"], "client_max_window_bits=15");
}

#[test]
fn values_may_be_quoted_rfc6455_9_1() {
    for value in ["10", "\"10\"", "\"1\\0\"", "\"\\1\\0\"", " 10", "10 ", "\t\"10\"\t"] {
        let offer = format!("permessage-deflate;server_max_window_bits={value}");
        check_answer(open(), &[&offer], "server_max_window_bits=10");
    }
    check_answer(open(), &["foo; a=\"b\\\"\", permessage-deflate"], "400: ExtensionSyntax");
}

#[test]
fn offers_that_are_not_understood_are_declined_7_1() {
    for parameters in [
        "unknown",
        "unknown=1",
        "server_no_context_takeover=1",
        "server_no_context_takeover=\"true\"",
        "client_no_context_takeover=0",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=8a",
        "server_max_window_bits=100",
        "server_max_window_bits=x",
        "client_max_window_bits=0",
        "client_max_window_bits=16",
        "client_max_window_bits=+9",
        "client_max_window_bits=999999999999",
        "Server_no_context_takeover",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=9; server_max_window_bits=9",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=9",
    ] {
        let offer = format!("permessage-deflate; {parameters}");
        check_answer(open(), &[&offer], "declined");
        // The next one may be better (§5.1).
        check_answer(open(), &[&format!("{offer}, permessage-deflate")], "");
        check_answer(
            open(),
            &[&offer, "permessage-deflate; server_max_window_bits=9"],
            "server_max_window_bits=9",
        );
    }
}

#[test]
fn the_first_good_offer_is_taken_5_1() {
    check_answer(
        open(),
        &["x; y=z, permessage-deflate; server_max_window_bits=9, permessage-deflate"],
        "server_max_window_bits=9",
    );
    check_answer(open(), &["permessage-deflate", "permessage-deflate; server_max_window_bits=9"], "");
}

#[test]
fn what_is_no_list_of_extensions_is_refused_rfc6455_9_1() {
    for value in [
        ";",
        "=",
        "permessage-deflate;",
        "permessage-deflate; ;",
        "permessage-deflate; a=",
        "permessage-deflate a",
        "permessage-deflate; a=\"\"",
        "permessage-deflate; a=\"b",
        "permessage-deflate; a=\"b c\"",
        "a/b",
        "permessage-deflate; a=b c",
        "permessage-deflate, ;",
        "\"permessage-deflate\"",
        "a; b=\"\\",
        "a; b=c=d",
    ] {
        check_answer(open(), &[value], "400: ExtensionSyntax");
        // Also behind a good offer: the field as a whole is what was sent.
        check_answer(open(), &["permessage-deflate", value], "400: ExtensionSyntax");
    }
}

#[track_caller]
fn check_offer(policy: DeflatePolicy, expected: &str) {
    let mut out = Vec::new();
    policy.write_offer(&mut out);
    assert_eq!(String::from_utf8(out).expect("ASCII"), expected);
}

#[test]
fn a_client_offers_what_it_wishes_7_1() {
    check_offer(open(), "permessage-deflate; client_max_window_bits");
    check_offer(
        policy(true, true, 10, 9),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         server_max_window_bits=10; client_max_window_bits=9",
    );
}

/// What a client makes of an answer: whether windows are kept, and the largest it may use itself.
#[track_caller]
fn check_agreed(policy: DeflatePolicy, answers: &[&str], expected: &str) {
    let found = match policy.read_answer(answers.iter().map(|answer| answer.as_bytes())) {
        Err(error) => format!("{error:?}"),
        Ok(None) => "declined".to_owned(),
        Ok(Some(deflate)) => {
            let word = |keeps: bool| if keeps { "kept" } else { "dropped" };
            let inbound = word(deflate.keeps_inbound_context(Role::Client));
            let outbound = word(deflate.keeps_outbound_context(Role::Client));
            format!("{inbound} {outbound} {}", deflate.outbound_window(Role::Client).number())
        }
    };
    assert_eq!(found, expected, "{answers:?}");
}

#[test]
fn a_client_takes_what_fits_its_offer_7_1() {
    check_agreed(open(), &[], "declined");
    check_agreed(open(), &["permessage-deflate"], "kept kept 15");
    check_agreed(open(), &["permessage-deflate; client_max_window_bits=9"], "kept kept 9");
    check_agreed(open(), &["permessage-deflate; server_no_context_takeover"], "dropped kept 15");
    check_agreed(open(), &["permessage-deflate; client_no_context_takeover"], "kept dropped 15");
    check_agreed(open(), &["permessage-deflate; server_max_window_bits=\"8\""], "kept kept 15");
    let wished = policy(true, true, 12, 11);
    check_agreed(
        wished,
        &["permessage-deflate; server_no_context_takeover; server_max_window_bits=12"],
        "dropped dropped 11",
    );
}

#[test]
fn a_client_refuses_what_it_did_not_offer_7_1() {
    let refused = "ExtensionAnswer";
    for answer in [
        "permessage-foo",
        "permessage-deflate; unknown",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate, x",
        "x, permessage-deflate",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    ] {
        check_agreed(open(), &[answer], refused);
    }
    check_agreed(open(), &["permessage-deflate", "permessage-deflate"], refused);
    check_agreed(open(), &["permessage-deflate; a b"], "ExtensionSyntax");
    let wished = policy(true, false, 12, 11);
    for answer in [
        "permessage-deflate; server_max_window_bits=12",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=13",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12",
    ] {
        check_agreed(wished, &[answer], refused);
    }
    assert_eq!(HandshakeError::ExtensionAnswer.status(), 502);
}

#[test]
fn both_ends_read_the_same_agreement_7_1() {
    for server_drops in [false, true] {
        for bits in 8..=15 {
            let deflate = agreement(server_drops, !server_drops, bits, 23 - bits);
            let mut answer = Vec::new();
            deflate.write_answer(&mut answer);
            let client = open().read_answer([&answer[..]]).expect("a list").expect("an agreement");
            assert_eq!(
                client.keeps_outbound_context(Role::Client),
                deflate.keeps_inbound_context(Role::Server)
            );
            assert_eq!(
                client.keeps_inbound_context(Role::Client),
                deflate.keeps_outbound_context(Role::Server)
            );
            assert_eq!(client.outbound_window(Role::Client), deflate.outbound_window(Role::Client));
            assert_eq!(client.outbound_window(Role::Server), deflate.outbound_window(Role::Server));
        }
    }
}
