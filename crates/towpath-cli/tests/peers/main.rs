//! The real binary between real peers: curl, wrk, Python and nginx from Debian's packages.
//!
//! A wire test shows what the rules say; these show that the programs people run agree with them. Every peer gets a
//! port of its own, lives in a scratch folder, and is killed by its process id when the test ends.
//! `cargo xtask test` installs what is missing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[path = "../common/mod.rs"]
mod common;

mod curl;
mod load;
mod messages;
mod nginx;
mod process;
mod python;
mod under_load;
mod upstreams;
mod websocket;

use std::path::Path;

use common::{PROMPT, Scratch, Towpath};

/// A gateway and the folder of its file.
struct Gateway {
    running: Towpath,
    scratch: Scratch,
}

impl Gateway {
    /// Starts one listener `web` and the admin listener with these routes and upstreams.
    fn start(objects: &str) -> Self {
        let scratch = Scratch::new();
        let running = Towpath::run(&scratch.write("a.toml", &gateway(objects)), &["web", "admin"]);
        Self { running, scratch }
    }

    /// A gateway that passes everything on to one origin.
    fn before(origin: std::net::SocketAddr) -> Self {
        Self::start(&format!(
            "[route.all]\nupstream = \"origin\"\n\n[upstream.origin]\nendpoints = [\"{origin}\"]\n"
        ))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address("web"))
    }
}

/// A file with two workers, a listener of each kind, and these objects.
fn gateway(objects: &str) -> String {
    format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n\n[workers]\ncount = 2\n\n[listener.web]\nbind = \"127.0.0.1:0\"\n\n\
         {objects}\n{PROMPT}"
    )
}

/// Bytes that no compression and no repetition hides a fault in, the same in every run.
fn write_noise(file: &Path, bytes: usize) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let noise: Vec<u8> = words.take(bytes.div_ceil(8)).flatten().take(bytes).collect();
    std::fs::write(file, noise).unwrap();
}
