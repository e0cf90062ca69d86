---
[dependencies]
tokio = { version = "1", features = ["time"] }
---
//! A job of three seconds that gets two: it never prints.

use std::time::Duration;

fn main() -> std::process::ExitCode {
    towpath::run(async |ctx| {
        let job = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            println!("任务完成");
        };
        if let Err(cause) = ctx.with_timeout(Duration::from_secs(2)).run(job).await {
            println!("{}", cause.name());
        }
        Ok(())
    })
}
