//! Header compression: the examples of RFC 7541, and blocks that are none.

use towpath_proto::h2::hpack::{Decoder, Encoder, HpackError};

/// Blocks of one connection, and the fields in each. Spaces in the digits do not count.
#[track_caller]
fn check(blocks: &[(&str, &str)]) {
    let mut decoder = Decoder::default();
    for (digits, expected) in blocks {
        let found = decode(&mut decoder, &bytes_of(digits));
        assert_eq!(
            found.expect("a block"),
            expected.split('\n').map(str::trim).collect::<Vec<_>>(),
            "{digits}"
        );
    }
}

/// The last of the blocks is none.
#[track_caller]
fn check_refused(blocks: &[&str], expected: HpackError) {
    let mut decoder = Decoder::default();
    let (last, first) = blocks.split_last().expect("a block");
    first.iter().for_each(|block| drop(decode(&mut decoder, &bytes_of(block)).expect("a block")));
    assert_eq!(decode(&mut decoder, &bytes_of(last)), Err(expected), "{last}");
    // Skipping sees what decoding sees.
    let mut decoder = Decoder::default();
    first.iter().for_each(|block| drop(decode(&mut decoder, &bytes_of(block)).expect("a block")));
    assert_eq!(skip(&mut decoder, &bytes_of(last)), Err(expected), "{last}");
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, HpackError> {
    let (mut fields, mut out) = (Vec::new(), Vec::new());
    let mut block = decoder.block(block);
    while let Some(line) = block.poll_field(&mut out)? {
        let never = if line.never_index { "!" } else { "" };
        let (name, value) = (line.name.of(&out).escape_ascii(), line.value.of(&out).escape_ascii());
        fields.push(format!("{never}{name}: {value}"));
    }
    Ok(fields)
}

fn skip(decoder: &mut Decoder, block: &[u8]) -> Result<usize, HpackError> {
    let (mut count, mut scratch) = (0, b"kept".to_vec());
    let mut block = decoder.block(block);
    while block.skip_field(&mut scratch)? {
        assert_eq!(scratch, b"kept");
        count += 1;
    }
    Ok(count)
}

fn bytes_of(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).expect("digits"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("two digits")).collect()
}

#[test]
fn field_lines_of_every_kind_rfc7541_c_2() {
    check(&[(
        "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
        "custom-key: custom-header",
    )]);
    check(&[("040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path")]);
    check(&[("1008 7061 7373 776f 7264 0673 6563 7265 74", "!password: secret")]);
    check(&[("82", ":method: GET")]);
}

const REQUESTS: [&str; 3] = [
    ":method: GET
     :scheme: http
     :path: /
     :authority: www.example.com",
    ":method: GET
     :scheme: http
     :path: /
     :authority: www.example.com
     cache-control: no-cache",
    ":method: GET
     :scheme: https
     :path: /index.html
     :authority: www.example.com
     custom-key: custom-value",
];

#[test]
fn requests_in_plain_and_in_huffman_code_rfc7541_c_3_c_4() {
    check(&[
        ("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", REQUESTS[0]),
        ("8286 84be 5808 6e6f 2d63 6163 6865", REQUESTS[1]),
        ("8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", REQUESTS[2]),
    ]);
    check(&[
        ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", REQUESTS[0]),
        ("8286 84be 5886 a8eb 1064 9cbf", REQUESTS[1]),
        ("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", REQUESTS[2]),
    ]);
}

/// The examples have a table of 256 bytes, which `3fe101` sets.
#[test]
fn responses_that_evict_entries_rfc7541_c_5_c_6() {
    let responses = [
        ":status: 302
         cache-control: private
         date: Mon, 21 Oct 2013 20:13:21 GMT
         location: https://www.example.com",
        ":status: 307
         cache-control: private
         date: Mon, 21 Oct 2013 20:13:21 GMT
         location: https://www.example.com",
        ":status: 200
         cache-control: private
         date: Mon, 21 Oct 2013 20:13:22 GMT
         location: https://www.example.com
         content-encoding: gzip
         set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    ];
    check(&[
        (
            "3fe101 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133
             3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            responses[0],
        ),
        ("4803 3330 37c1 c0bf", responses[1]),
        (
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970
             7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61
             6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
            responses[2],
        ),
    ]);
    check(&[
        (
            "3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d
             29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
            responses[0],
        ),
        ("4883 640e ffc1 c0bf", responses[1]),
        (
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
             e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
            responses[2],
        ),
    ]);
}

#[test]
fn blocks_that_are_none_are_refused() {
    check_refused(&["80"], HpackError::Index);
    check_refused(&["be"], HpackError::Index);
    check_refused(&["4000 00", "bf"], HpackError::Index);
    check_refused(&["7e00"], HpackError::Index);
    check_refused(&["40"], HpackError::Truncated);
    check_refused(&["4003 6162"], HpackError::Truncated);
    check_refused(&["4001 6105 62"], HpackError::Truncated);
    check_refused(&["ff"], HpackError::Truncated);
    check_refused(&["ff80 8080 8080 01"], HpackError::IntegerTooLong);
    check_refused(&["007f ffff ffff ffff"], HpackError::IntegerTooLong);
    check_refused(&["0081 00"], HpackError::Huffman);
    check_refused(&["0084 ffff ffff 00"], HpackError::Huffman);
    check_refused(&["3fe2 1f"], HpackError::TableSize);
    check_refused(&["8220"], HpackError::TableSize);
    check_refused(&["2020 20"], HpackError::TableSize);
}

#[test]
fn sizes_of_the_table_are_obeyed_rfc7541_4_2() {
    check(&[("203f e11f 82", ":method: GET"), ("4001 6101 62", "a: b"), ("be", "a: b")]);
    // An entry does not outlive its table, though the size comes back.
    check_refused(&["4001 6101 62", "203f e11f be"], HpackError::Index);
    // An entry larger than the table empties it.
    check_refused(&["3f02 4001 6101 62", "be"], HpackError::Index);
}

#[test]
fn a_name_may_come_from_the_entry_it_evicts_rfc7541_4_4() {
    // A table of 34 bytes holds one entry, `a: b`; the next one borrows its name.
    check(&[("3f03 4001 6101 62", "a: b"), ("7e01 63", "a: c"), ("be", "a: c")]);
}

#[test]
fn skipping_leaves_the_table_as_decoding_does_t14() {
    let mut decoder = Decoder::default();
    assert_eq!(skip(&mut decoder, &bytes_of("82 4001 6101 62 0001 6301 64 be")), Ok(4));
    assert_eq!(decode(&mut decoder, &bytes_of("be")), Ok(vec!["a: b".to_owned()]));
}

#[test]
fn what_is_encoded_is_decoded_to_the_same() {
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
    for round in 0..=255u8 {
        let value: Vec<u8> = (0..round).map(|at| at.wrapping_mul(round)).collect();
        let fields = [
            (&b":path"[..], &b"/"[..], false),
            (b":status", b"418", false),
            (b"accept-encoding", b"gzip, deflate", true),
            (b"x", &value, round % 2 == 0),
        ];
        let mut block = Vec::new();
        encoder.begin(&mut block);
        fields.iter().for_each(|(name, value, never)| encoder.field(name, value, *never, &mut block));
        let expected = fields.map(|(name, value, never)| {
            format!("{}{}: {}", if never { "!" } else { "" }, name.escape_ascii(), value.escape_ascii())
        });
        assert_eq!(decode(&mut decoder, &block), Ok(expected.to_vec()));
    }
}
