//! Prints what is at a URL: `cargo run --example http_get http://127.0.0.1:3000/`.

use towpath::{Failure, http};

#[expect(clippy::print_stdout, reason = "this is what it is for")]
fn main() -> std::process::ExitCode {
    towpath::run(async |ctx| {
        let url = std::env::args().nth(1).ok_or_else(|| Failure::msg("a URL is missing"))?;
        let response = http::get(&ctx, &url).await?;
        print!("{}", response.text().await?);
        Ok(())
    })
}
