//! The requests that were collected for HTTP/1, asked by HTTP/2: what their heads hide in lines and spaces stands in
//! fields here, and must not come out as something else in HTTP/1.1 (T17).

use std::path::Path;

use serde_json::Value;
use towpath_proto::grpc_web::TextDecoder;
use towpath_proto::message::Known;

use crate::downgrade::{Sent, check_downgraded};

/// The head of a request as fields, taken apart where its own bytes say so and no more: a name is what stands before the
/// first colon, a value what stands behind it and one space. Only capitals are made small, as every one would be refused.
fn sent(request: &[u8]) -> Option<Sent> {
    let end = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(request.len());
    let mut lines =
        request[..end].split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut words = lines.next()?.splitn(2, |&byte| byte == b' ');
    let (method, target) = (words.next()?, words.next()?);
    let target = target.strip_suffix(b" HTTP/1.1").unwrap_or(target);
    let mut fields = vec![
        (b":method".to_vec(), method.to_vec()),
        (b":scheme".to_vec(), b"http".to_vec()),
        (b":authority".to_vec(), b"h".to_vec()),
        (b":path".to_vec(), target.to_vec()),
    ];
    for line in lines {
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let (name, value) = (name.to_ascii_lowercase(), value.strip_prefix(b" ").unwrap_or(value));
        // The authority has taken its place; another one is another fault.
        if name != b"host" {
            fields.push((name, value.to_vec()));
        }
    }
    Some(Sent { fields, end: false })
}

/// What no head of HTTP/2 may have, whatever else it has.
fn is_forbidden(sent: &Sent) -> bool {
    sent.fields.iter().any(|(name, value)| {
        let is_name = name.strip_prefix(b":").unwrap_or(name);
        let has_control =
            |bytes: &[u8]| bytes.iter().any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7F);
        let of_connection = matches!(
            Known::of(name),
            Known::Connection
                | Known::KeepAlive
                | Known::ProxyConnection
                | Known::TransferEncoding
                | Known::Upgrade
        );
        let is_odd_name = is_name.is_empty() || is_name.iter().any(|&byte| byte <= b' ' || byte >= 0x7F);
        let is_padded = value.trim_ascii() != &value[..];
        is_odd_name || has_control(value) || is_padded || of_connection
    })
}

#[test]
fn the_collected_requests_hide_nothing_in_fields_either_t17() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/corpus/http1-requests.json");
    let corpus = std::fs::read(path).expect("the corpus is committed");
    let corpus: Value = serde_json::from_slice(&corpus).expect("the corpus is JSON");
    let (mut accepted, mut refused, mut forbidden) = (0, 0, 0);
    for case in corpus.as_array().expect("an array") {
        let (mut request, text) = (Vec::new(), case["request_base64"].as_str().expect("a string"));
        TextDecoder::default().handle_input(text.as_bytes(), &mut request).expect("base64");
        let Some(sent) = sent(&request) else { continue };
        let is_accepted = check_downgraded(&sent, &case["name"]);
        assert!(!(is_accepted && is_forbidden(&sent)), "{}: {}", case["name"], request.escape_ascii());
        forbidden += usize::from(is_forbidden(&sent));
        *(if is_accepted { &mut accepted } else { &mut refused }) += 1;
    }
    // A change of these numbers is a change of what is taken.
    assert_eq!((accepted, refused, forbidden), (21, 437, 409));
}
