//! WebSocket sessions between two ends that are not ours.

use std::process::Command;

use crate::Gateway;
use crate::python::{Python, script, websocket_python};

/// RFC 6455 over the tunnel of RFC 9110 §7.8: frames, a large message, pings, and who closed with which code.
#[test]
fn a_session_passes_a_thousand_messages_and_both_close_codes() {
    let (Some(server), Some(python)) = (Python::websocket_server(), websocket_python()) else { return };
    let gateway = Gateway::before(server.address);
    let url = gateway.url("/chat").replace("http:", "ws:");
    let mut command = Command::new(python);
    let output = command.arg(script("websocket.py")).args(["client", &url, "1000"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let seen: serde_json::Value = serde_json::from_str(&text)
        .unwrap_or_else(|fault| panic!("{fault}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!((&seen["text"], &seen["binary"]), (&500.into(), &500.into()));
    assert_eq!((&seen["large"], &seen["pong"]), (&true.into(), &true.into()));
    assert_eq!(seen["server_close"], serde_json::json!([4001, "as asked"]));
    assert_eq!(seen["client_close"], serde_json::json!({ "code": 4002, "reason": "client is done" }));
    gateway.running.stop();
}
