---
[dependencies]
tokio = { version = "1", features = ["rt"] }
---
//! A channel without room: the sender goes on when the value is received. Prints 42.

use towpath::chan;

fn main() -> std::process::ExitCode {
    towpath::run(async |_ctx| {
        let (sender, mut receiver) = chan::rendezvous();
        tokio::spawn(async move { sender.send(42).await });
        println!("{}", receiver.recv().await.unwrap_or_default());
        Ok(())
    })
}
