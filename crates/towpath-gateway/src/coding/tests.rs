//! Heads in, what becomes of them out.

use towpath_proto::coding::{Coding, DecodeError, DecodeLimits, Decoder};
use towpath_proto::h1::{Event, RequestDecoder, ResponseDecoder, encode};
use towpath_proto::limits::HeadLimits;
use towpath_proto::message::{Framing, Method};

use super::*;
use crate::plan::{Compress, HeaderEdits, MediaPattern};
use towpath_proto::coding::Accepted;

const PAGE: &str = "200\ncontent-type: text/html; charset=utf-8\ncontent-length: 5000";

/// The block of a head written in lines, the first without its version.
fn block(first: &str, rest: &str) -> Vec<u8> {
    let fields: String = rest.lines().map(|line| format!("{}\r\n", line.trim())).collect();
    format!("{first}\r\n{fields}\r\n").into_bytes()
}

fn request(fields: &str) -> (RequestDecoder, Vec<u8>) {
    let block = block("POST / HTTP/1.1", &format!("host: a\n{fields}"));
    let mut decoder = RequestDecoder::new(HeadLimits::default());
    assert_eq!(decoder.handle_input(&block).unwrap().event, Some(Event::Head));
    (decoder, block)
}

fn response(method: Method, status: &str, fields: &str) -> (ResponseDecoder, Vec<u8>) {
    let block = block(&format!("HTTP/1.1 {status} x"), fields);
    let mut decoder = ResponseDecoder::new(HeadLimits::default());
    decoder.expect(method);
    assert_eq!(decoder.handle_input(&block).unwrap().event, Some(Event::Head));
    (decoder, block)
}

/// What a client with this `Accept-Encoding` gets of this response: the framing, and the fields.
fn treated(rules: &Compress, method: Method, accept: &str, answer: &str) -> String {
    let (asked, asked_block) = request(&format!("accept-encoding: {accept}"));
    let (status, fields) = answer.split_once('\n').unwrap_or((answer, ""));
    let (decoder, block) = response(method, status, fields);
    let head = decoder.head();
    let accepted = Accepted::of(&asked.head().fields, &asked_block);
    let treatment = Treatment::of(&Answer { rules, method, accepted, head, block: &block });
    let mut out = Vec::new();
    for field in head.fields.iter().filter(|field| treatment.passes(field.name.of(&block))) {
        encode::field(&mut out, field.name.of(&block), field.value.of(&block));
    }
    treatment.encode_fields(head, &block, &HeaderEdits::default(), &mut out);
    let coder = treatment.coder(rules, head.framing).map_or("", |_| " coded");
    let fields = String::from_utf8(out).unwrap().replace("\r\n", "\n");
    format!("{:?}{coder}\n{fields}", treatment.framing(head.framing))
}

#[track_caller]
fn check(accept: &str, response: &str, expected: &str) {
    let expected: String = expected.lines().map(|line| format!("{}\n", line.trim())).collect();
    let found = treated(&Compress::default(), Method::Get, accept, response);
    assert_eq!(found, expected, "{accept}: {response}");
}

#[track_caller]
fn check_as_it_is(response: &str) {
    let found = treated(&Compress::default(), Method::Get, "gzip", response);
    assert!(!found.contains("vary") && !found.contains(" coded"), "{found}");
}

fn page_with(field: &str) -> String {
    format!("{PAGE}\n{field}")
}

#[test]
fn a_page_is_coded_for_who_accepts_it_rfc9110_8_4() {
    check(
        "gzip, br",
        &page_with("etag: \"a\"\naccept-ranges: bytes\nx: y"),
        "Chunked coded
        content-type: text/html; charset=utf-8
        x: y
        content-encoding: br
        vary: accept-encoding
        etag: W/\"a\"",
    );
    check(
        "zstd;q=0.1",
        "200\ncontent-type: TEXT/Event-Stream\ntransfer-encoding: chunked\netag: W/\"a\"",
        "Chunked coded
        content-type: TEXT/Event-Stream
        transfer-encoding: chunked
        content-encoding: zstd
        vary: accept-encoding
        etag: W/\"a\"",
    );
}

#[test]
fn who_does_not_accept_it_learns_that_others_do_rfc9110_12_5_5() {
    for accept in ["identity", "deflate", "gzip;q=0", "identity, gzip;q=0.5"] {
        check(
            accept,
            &page_with("etag: \"a\""),
            "Length(5000)
            content-type: text/html; charset=utf-8
            content-length: 5000
            etag: \"a\"
            vary: accept-encoding",
        );
    }
}

#[test]
fn vary_is_said_once() {
    for vary in ["*", "origin, Accept-Encoding", "accept-encoding\nvary: origin"] {
        let found = treated(&Compress::default(), Method::Get, "gzip", &page_with(&format!("vary: {vary}")));
        assert!(found.contains("gzip"), "{found}");
        assert_eq!(
            found.to_lowercase().matches("accept-encoding").count(),
            usize::from(vary != "*"),
            "{found}"
        );
    }
    let found = treated(&Compress::default(), Method::Get, "gzip", &page_with("vary: origin"));
    assert!(found.contains("vary: origin\n") && found.contains("vary: accept-encoding\n"), "{found}");
}

#[test]
fn what_must_not_be_touched_is_not() {
    for field in [
        "content-encoding: gzip",
        "content-encoding: identity",
        "cache-control: max-age=1, No-Transform",
        "content-range: bytes 0-4999/9000",
        "content-digest: sha-256=:AA==:",
        "repr-digest: sha-256=:AA==:",
        "digest: sha-256=AA==",
        "content-md5: AA==",
    ] {
        check_as_it_is(&page_with(field));
    }
    for status in [204, 205, 206] {
        check_as_it_is(&PAGE.replace("200", &status.to_string()).replace("5000", "0"));
    }
    assert_eq!(treated(&Compress::default(), Method::Connect, "gzip", PAGE).lines().next(), Some("None"));
}

#[test]
fn errors_are_coded_like_anything_else() {
    for status in ["404", "500", "201"] {
        let found = treated(&Compress::default(), Method::Get, "gzip", &PAGE.replace("200", status));
        assert!(found.starts_with("Chunked coded"), "{found}");
    }
}

#[test]
fn what_is_compressed_already_is_never_coded_again() {
    let rules = Compress { types: vec![MediaPattern::parse("*/*").unwrap()], ..Compress::default() };
    let of_type = |media_type: &str| {
        let response = PAGE.replace("text/html; charset=utf-8", media_type);
        treated(&rules, Method::Get, "gzip", &response).contains("content-encoding")
    };
    for media_type in [
        "image/png",
        "IMAGE/JPEG",
        "video/mp4",
        "audio/ogg",
        "font/woff2",
        "application/zip",
        "application/epub+zip",
        "application/gzip; x=y",
        "application/zstd",
        "application/pdf",
        "application/grpc+proto",
        "application/grpc-web-text",
    ] {
        assert!(!of_type(media_type), "{media_type}");
    }
    for media_type in ["image/svg+xml", "application/octet-stream", "x/y"] {
        assert!(of_type(media_type), "{media_type}");
    }
    check_as_it_is("200\ncontent-length: 5000");
    check_as_it_is("200\ncontent-type: application/octet-stream\ncontent-length: 5000");
}

#[test]
fn small_bodies_go_as_they_are_where_their_length_is_known() {
    check_as_it_is(&PAGE.replace("5000", "1023"));
    let coded =
        |response: &str| treated(&Compress::default(), Method::Get, "gzip", response).contains(" coded");
    assert!(coded(&PAGE.replace("5000", "1024")));
    assert!(coded("200\ncontent-type: text/plain"));
    let rules = Compress { body_bytes_min: 0, ..Compress::default() };
    assert!(!treated(&rules, Method::Get, "gzip", &PAGE.replace("5000", "0")).contains("gzip"));
    assert!(treated(&rules, Method::Get, "gzip", &PAGE.replace("5000", "1")).contains("gzip"));
}

#[test]
fn head_tells_what_get_would_bring_rfc9110_9_3_2() {
    let found = treated(&Compress::default(), Method::Head, "gzip", &page_with("etag: \"a\""));
    let expected = "None\ncontent-type: text/html; charset=utf-8\ncontent-encoding: gzip\nvary: accept-encoding\netag: W/\"a\"\n";
    assert_eq!(found, expected);
    let small = treated(&Compress::default(), Method::Head, "gzip", &PAGE.replace("5000", "10"));
    assert!(small.contains("content-length: 10") && !small.contains("gzip"), "{small}");
}

/// A cache takes a strong tag for another state than its weak one (RFC 9111 §4.3.4).
#[test]
fn what_is_not_modified_has_the_tag_of_what_was_coded() {
    check("gzip", "304\netag: \"a\"", "None\nvary: accept-encoding\netag: W/\"a\"");
    check("identity", "304\netag: \"a\"", "None\netag: \"a\"\nvary: accept-encoding");
    check_as_it_is("304\netag: \"a\"\ncontent-type: image/png");
}

#[test]
fn the_route_has_the_last_word_on_fields() {
    let (decoder, block) = response(Method::Get, "200", "etag: \"a\"\ncontent-length: 1");
    let edits =
        HeaderEdits { remove: vec![b"etag"[..].into(), b"vary"[..].into()], ..HeaderEdits::default() };
    let mut out = Vec::new();
    Treatment::Coded(Coding::Gzip).encode_fields(decoder.head(), &block, &edits, &mut out);
    assert_eq!(out, b"content-encoding: gzip\r\n");
}

#[test]
fn a_client_may_want_no_transformation_rfc9111_5_2_1_6() {
    let (asked, block) = request("accept-encoding: gzip\ncache-control: no-cache, no-transform");
    assert_eq!(Accepted::of(&asked.head().fields, &block), Accepted::default());
    let (asked, block) = request("accept-encoding: br;q=0\naccept-encoding: br, gzip");
    assert_eq!(
        Accepted::of(&asked.head().fields, &block).best(&[Coding::Brotli, Coding::Gzip]),
        Some(Coding::Gzip)
    );
}

#[test]
fn events_and_what_was_waited_for_are_not_held_back() {
    for (framing, is_prompt) in
        [(Framing::Chunked, true), (Framing::Close, true), (Framing::Length(9), false)]
    {
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let mut coder: Coder = Treatment::Coded(coding).coder(&Compress::default(), framing).unwrap();
            let mut out = Vec::new();
            coder.push(b"data: 1\n\n", &mut out);
            coder.pause(&mut out);
            assert_eq!(decoded(coding, &out) == b"data: 1\n\n", is_prompt, "{coding:?} {framing:?}");
            coder.finish(&mut out);
            assert_eq!(decoded(coding, &out), b"data: 1\n\n");
        }
    }
}

fn decoded(coding: Coding, coded: &[u8]) -> Vec<u8> {
    let (mut decoder, mut plain) = (Decoder::new(coding, DecodeLimits::default()), Vec::new());
    assert!(!decoder.handle_input(coded, &mut plain).unwrap().is_cut);
    plain
}

#[track_caller]
fn check_request(fields: &str, expected: Result<Intake, Reason>) {
    let (asked, block) = request(fields);
    assert_eq!(Intake::of(Some(&DecodeLimits::default()), asked.head(), &block), expected, "{fields}");
}

#[test]
fn a_coded_request_is_decoded_or_refused_rfc9110_15_5_16() {
    let gzip = Ok(Intake::Decoded(Coding::Gzip));
    check_request("transfer-encoding: chunked\ncontent-encoding: GZIP", gzip);
    check_request("content-length: 9\ncontent-encoding: x-gzip, identity", gzip);
    check_request("content-length: 9\ncontent-encoding: zstd", Ok(Intake::Decoded(Coding::Zstd)));
    check_request("content-length: 9\ncontent-encoding: br", Ok(Intake::Decoded(Coding::Brotli)));
    check_request("content-length: 9\ncontent-encoding: identity", Ok(Intake::AsIs));
    check_request("content-length: 9", Ok(Intake::AsIs));
    check_request("content-length: 0\ncontent-encoding: gzip", Ok(Intake::AsIs));
    check_request("content-encoding: gzip", Ok(Intake::AsIs));
    for coding in ["deflate", "gzip, br", "gzip\ncontent-encoding: gzip", "aws-chunked"] {
        let fields = format!("content-length: 9\ncontent-encoding: {coding}");
        check_request(&fields, Err(Reason::UnknownContentCoding));
    }
    let (asked, block) = request("content-length: 9\ncontent-encoding: deflate");
    assert_eq!(Intake::of(None, asked.head(), &block), Ok(Intake::AsIs));
}

#[test]
fn what_told_of_the_coded_bytes_is_gone() {
    let intake = Intake::Decoded(Coding::Gzip);
    for name in
        ["Content-Encoding", "content-length", "Content-Digest", "repr-digest", "digest", "content-md5"]
    {
        assert!(!intake.passes(name.as_bytes()) && Intake::AsIs.passes(name.as_bytes()), "{name}");
    }
    assert!(intake.passes(b"content-type"));
    assert_eq!(intake.framing(Framing::Length(9)), Framing::Chunked);
    assert_eq!(Intake::AsIs.framing(Framing::Length(9)), Framing::Length(9));
    assert!(Intake::AsIs.decoder(DecodeLimits::default()).is_none());
}

#[test]
fn every_error_of_the_decoder_has_its_reason_t46() {
    for error in
        [DecodeError::Malformed, DecodeError::Truncated, DecodeError::TooLarge, DecodeError::RatioTooHigh]
    {
        assert_eq!(Reason::from(error).code(), error.reason());
    }
}
