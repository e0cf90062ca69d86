//! curl as a client.

use std::fs;
use std::process::Command;

use crate::common::Scratch;
use crate::process::find;

/// What curl saw of the last response.
pub(crate) struct Seen {
    pub(crate) status: u64,
    /// All heads in order, interim ones too.
    pub(crate) heads: String,
    pub(crate) body: Vec<u8>,
    /// Everything `--write-out %{json}` tells.
    pub(crate) facts: serde_json::Value,
}

impl Seen {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|fault| panic!("{fault}: {}", self.text()))
    }

    /// The value of the last field of this lower-case name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.heads.lines().rev().find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// A number that `--write-out` tells.
    pub(crate) fn count(&self, fact: &str) -> u64 {
        self.facts[fact].as_u64().unwrap_or_else(|| panic!("no {fact} in {}", self.facts))
    }
}

/// Runs curl, which must succeed: it checks lengths, chunks and closes itself. A `--output` among the arguments wins
/// over the one that keeps the body.
pub(crate) fn curl(arguments: &[&str]) -> Seen {
    let scratch = Scratch::new();
    let output = Command::new(find("curl", "curl"))
        .args(["--silent", "--show-error", "--max-time", "60", "--noproxy", "*"])
        .args(["--dump-header", "-", "--write-out", "%{stderr}%{json}\\n"])
        .args(arguments)
        .args(if arguments.contains(&"--output") { &[][..] } else { &["--output"] })
        .args((!arguments.contains(&"--output")).then(|| scratch.path("body")))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let heads = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "curl {arguments:?}: {stderr}\n{heads}");
    let last = stderr.lines().rev().find(|line| line.starts_with('{'));
    let facts: serde_json::Value = serde_json::from_str(last.unwrap_or_default())
        .unwrap_or_else(|fault| panic!("curl {arguments:?}: {fault} in {stderr}"));
    let body = fs::read(scratch.path("body")).unwrap_or_default();
    Seen { status: facts["response_code"].as_u64().unwrap_or(0), heads, body, facts }
}
