//! What sealing a TLS record costs in the library that Towpath uses and in the one that could stand beside it: libraries.md
//! allows a second one only where it is worth it. Rounds are interleaved, figures are medians.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;
const TURN: Duration = Duration::from_millis(60);
/// A record that is full, one of a usual answer, and one of a small message.
const SIZES: [usize; 3] = [16 * 1024, 1350, 128];

/// Seals records of one size for a turn, and gives GB/s.
type Seal = Box<dyn FnMut(&mut Vec<u8>)>;

macro_rules! sealing {
    ($library:ident, $algorithm:ident) => {{
        use $library::aead::{Aad, LessSafeKey, Nonce, UnboundKey};
        let algorithm = &$library::aead::$algorithm;
        let key = UnboundKey::new(algorithm, &vec![7; algorithm.key_len()]).expect("the key has its length");
        let key = LessSafeKey::new(key);
        let mut number = 0u64;
        Box::new(move |record: &mut Vec<u8>| {
            number += 1;
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&number.to_be_bytes());
            let nonce = Nonce::assume_unique_for_key(nonce);
            let tag = key.seal_in_place_separate_tag(nonce, Aad::from([23, 3, 3, 64, 17]), record);
            black_box(tag.expect("a record is short").as_ref()[0]);
        }) as Seal
    }};
}

fn speed(seal: &mut Seal, bytes: usize) -> f64 {
    let mut record = vec![1; bytes];
    let started = Instant::now();
    let mut sealed = 0u64;
    while started.elapsed() < TURN {
        for _ in 0..64 {
            seal(&mut record);
        }
        sealed += 64;
    }
    (sealed * bytes as u64) as f64 / started.elapsed().as_secs_f64() / 1e9
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let mut table = "| suite | record | aws-lc GB/s | ring GB/s | ring × aws-lc |\n|---|---|---|---|---|\n".to_owned();
    let suites = [
        ("AES-128-GCM", sealing!(aws_lc_rs, AES_128_GCM), sealing!(ring, AES_128_GCM)),
        ("AES-256-GCM", sealing!(aws_lc_rs, AES_256_GCM), sealing!(ring, AES_256_GCM)),
        ("ChaCha20-Poly1305", sealing!(aws_lc_rs, CHACHA20_POLY1305), sealing!(ring, CHACHA20_POLY1305)),
    ];
    for (name, mut ours, mut other) in suites {
        for bytes in SIZES {
            let (mut one, mut two, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                one.push(speed(&mut ours, bytes));
                two.push(speed(&mut other, bytes));
                ratios.push(two[two.len() - 1] / one[one.len() - 1]);
            }
            let _ = writeln!(
                table,
                "| {name} | {bytes} | {:.2} | {:.2} | {:.2} |",
                median(&mut one),
                median(&mut two),
                median(&mut ratios)
            );
        }
    }
    print!("{table}");
}
