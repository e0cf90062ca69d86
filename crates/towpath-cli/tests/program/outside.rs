//! A crate of somebody else's, which no workspace of ours knows.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{Scratch, Towpath};
use crate::kit::cache;

const MAIN: &str = r#"
use towpath::Ctx;
use towpath::http::{self, Request, Router};

async fn hello(_ctx: &Ctx, request: Request) -> String {
    format!("Hello, {}!\n", request.param("name").unwrap_or("you"))
}

fn main() -> std::process::ExitCode {
    let router = Router::new().get("/hello/{name}", hello);
    towpath::run(async |ctx| Ok(http::serve(&ctx, "127.0.0.1:0", router).await?))
}
"#;

#[test]
fn a_crate_outside_the_workspace_builds_serves_and_stops() {
    let scratch = Scratch::new();
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../towpath");
    // The profile and the flags are those of `towpath run`, so that what was built for the other tests is found again.
    let manifest = format!(
        "[package]\nname = \"outside\"\nedition = \"2024\"\n[dependencies]\ntowpath.path = {:?}\n\
         [profile.dev]\ndebug = \"line-tables-only\"\n",
        kit.canonicalize().unwrap()
    );
    scratch.write("Cargo.toml", &manifest);
    fs::create_dir(scratch.path("src")).unwrap();
    scratch.write("src/main.rs", MAIN);
    let target = cache().join("towpath/run/target");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--offline", "--target-dir"]).arg(&target).current_dir(scratch.folder());
    let built = cargo.env("RUSTFLAGS", "-Cforce-frame-pointers=yes").output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let program = Command::new(target.join("debug/outside"));
    let running = Towpath::start(program, &[]);
    let said = running.wait_for_stdout("listening http://");
    let url =
        said.lines().find_map(|line| line.strip_prefix("listening ")).unwrap().to_owned() + "/hello/Ada";
    let answer = Command::new("curl").args(["-sS", "-m", "10", "--noproxy", "*", &url]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "Hello, Ada!\n");
    running.stop();
}
