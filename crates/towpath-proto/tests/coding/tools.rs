//! The same against `gzip`, `brotli` and `zstd` as everybody has them. Where one is missing, its part is not run.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use crate::*;

fn tool(coding: Coding) -> &'static str {
    match coding {
        Coding::Gzip => "gzip",
        Coding::Brotli => "brotli",
        Coding::Zstd => "zstd",
    }
}

/// What the tool makes of `input`; `None` if there is no such tool here.
fn run(coding: Coding, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new(tool(coding));
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let (mut stdin, input) = (child.stdin.take().expect("it is piped"), input.to_vec());
    // Both pipes at once, or each side waits for the other.
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it reads all of its input");
    assert!(output.status.success(), "{} {arguments:?}", tool(coding));
    Some(output.stdout)
}

#[test]
fn the_tools_read_what_we_write() {
    for coding in CODINGS {
        for data in [prose(0), prose(300_000), noise(70_000)] {
            for effort in EFFORTS {
                let coded = encode(coding, effort, &data, 10_000);
                if let Some(found) = run(coding, &["-dc"], &coded) {
                    assert!(found == data, "{coding:?}, {effort:?}");
                }
            }
        }
    }
}

#[test]
fn we_read_what_the_tools_write() {
    for coding in CODINGS {
        for data in [prose(0), prose(300_000), noise(70_000)] {
            for level in ["-1", "-9"] {
                if let Some(coded) = run(coding, &["-c", level], &data) {
                    check_decoded(coding, &coded, &data);
                }
            }
        }
    }
}
