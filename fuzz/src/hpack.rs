//! Invariants of header compression that hold for any bytes.

use towpath_proto::h2::hpack::{Decoder, Encoder, HpackError};

/// A field as its name, its value and whether it wants no table.
type Field = (Vec<u8>, Vec<u8>, bool);

/// Decodes `input` as the blocks of one connection, and skips them on another one: both end in the same place. What was
/// decoded goes through the encoder and comes back. Then the bytes are the description of fields.
pub fn check(input: &[u8]) {
    let (mut decoder, mut skipper) = (Decoder::default(), Decoder::default());
    for block in blocks(input) {
        let decoded = decode(&mut decoder, block);
        assert_eq!(skip(&mut skipper, block), decoded.as_ref().map(Vec::len).map_err(|error| *error));
        match decoded {
            Ok(fields) => check_round_trip(&fields),
            // The connection is lost.
            Err(_) => break,
        }
    }
    check_round_trip(&described(input));
}

/// Blocks whose lengths the bytes name.
fn blocks(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = input;
    std::iter::from_fn(move || {
        let (&length, tail) = rest.split_first()?;
        let (block, behind) = tail.split_at(usize::from(length).min(tail.len()));
        rest = behind;
        Some(block)
    })
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<Field>, HpackError> {
    let (mut fields, mut out) = (Vec::new(), Vec::new());
    let mut block = decoder.block(block);
    while let Some(line) = block.poll_field(&mut out)? {
        assert!(line.name.start <= line.name.end && line.name.end <= line.value.start);
        assert_eq!(line.value.end as usize, out.len(), "a value ends where the block does");
        fields.push((line.name.of(&out).to_vec(), line.value.of(&out).to_vec(), line.never_index));
    }
    Ok(fields)
}

fn skip(decoder: &mut Decoder, block: &[u8]) -> Result<usize, HpackError> {
    let (mut count, mut scratch) = (0, Vec::new());
    let mut block = decoder.block(block);
    while block.skip_field(&mut scratch)? {
        assert!(scratch.is_empty());
        count += 1;
    }
    Ok(count)
}

/// What is encoded is decoded to the same, in the first block of a connection and in later ones.
fn check_round_trip(fields: &[Field]) {
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
    for _ in 0..2 {
        let mut block = Vec::new();
        encoder.begin(&mut block);
        fields.iter().for_each(|(name, value, never)| encoder.field(name, value, *never, &mut block));
        assert_eq!(decode(&mut decoder, &block).as_deref(), Ok(fields));
    }
}

/// Pieces of the input as names and values.
fn described(input: &[u8]) -> Vec<Field> {
    let pieces: Vec<&[u8]> = blocks(input).collect();
    pieces.chunks(2).map(|pair| (pair[0].to_vec(), pair[pair.len() - 1].to_vec(), pair.len() == 1)).collect()
}
