//! Listeners of layer 4 on the real binary: what the file says, done with sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[path = "../common/mod.rs"]
mod common;

mod command;
mod echo;
mod forward;
mod health;
mod life;
mod tls;

use common::{PROMPT, Scratch, Towpath};

/// A gateway and the folder of its file, in which its Unix sockets are.
struct Gateway {
    running: Towpath,
    scratch: Scratch,
}

impl Gateway {
    /// Starts an admin listener and these objects, and waits for the start lines of `listeners`.
    fn start(objects: &str, listeners: &[&str]) -> Self {
        let scratch = Scratch::new();
        let file = scratch.write("a.toml", &file(objects));
        Self { running: Towpath::run(&file, &[listeners, &["admin"]].concat()), scratch }
    }

    /// Writes other objects into the file and reloads; the answer tells what changed.
    fn reload(&self, objects: &str) -> serde_json::Value {
        self.scratch.write("a.toml", &file(objects));
        let reply = common::post(self.running.address("admin"), "/reload", "");
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    }

    fn admin(&self, path: &str) -> serde_json::Value {
        common::get(self.running.address("admin"), path).json()
    }
}

fn file(objects: &str) -> String {
    format!("[admin]\nlisten = \"127.0.0.1:0\"\n\n[workers]\ncount = 2\n\n{objects}\n{PROMPT}")
}
