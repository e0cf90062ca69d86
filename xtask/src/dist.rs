//! `cargo xtask dist`: the binary that is published, laid out by a profile of the repository's own benches.
//!
//! ```text
//!   build that counts  ->  benches as its load  ->  profile  ->  build that uses it  ->  target/dist/towpath
//! ```
//!
//! A request walks through many functions once, so most of its user time is waiting for code that is not in the
//! nearest cache. The profile keeps what a request needs together and moves the rest away: with the first one, 21 %
//! fewer instructions, 19 % fewer cache lines and 39 % fewer pages of code per HTTP/1.1 request.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::step::{command, run, run_silently};
use crate::{Outcome, bench, debian};

/// A profile is read only by tools of the LLVM release that the compiler was built with.
const LLVM_MAJOR: &str = "22";
const PROFDATA: &str = "/usr/lib/llvm-22/bin/llvm-profdata";
const FOR_PROFILES: &[debian::Tool] = &[(PROFDATA, "llvm-22")];

/// What the counting binary lives through: a bench and its arguments. A path that no load takes is laid out as cold,
/// so every new data path belongs here.
const LOADS: &[(&str, &[&str])] = &[
    (
        "bench-http1",
        &["--rounds", "1", "--seconds", "1", "--connections", "64", "--peers", "towpath", "--out", "none"],
    ),
    (
        "bench-tcp",
        &["--rounds", "1", "--seconds", "1", "--mib", "256", "--peers", "towpath", "--out", "none"],
    ),
    ("bench-udp", &["--rounds", "1", "--seconds", "1", "--peers", "towpath", "--out", "none"]),
    ("bench-http2", &["--rounds", "1", "--seconds", "1", "--peers", "towpath", "--out", "none"]),
    ("bench-grpc", &["--rounds", "1", "--seconds", "1", "--peers", "towpath", "--out", "none"]),
    ("bench-tls", &["--rounds", "1", "--seconds", "1", "--peers", "towpath", "--out", "none"]),
    ("bench-ws", &["--rounds", "1", "--seconds", "1", "--peers", "towpath", "--out", "none"]),
];

/// What those benches start beside it.
const PROGRAMS: &[&str] = &[
    "bench-control",
    "bench-far",
    "bench-flow",
    "bench-grpc",
    "bench-http1",
    "bench-http2",
    "bench-load",
    "bench-origin",
    "bench-relay",
    "bench-tcp",
    "bench-tls",
    "bench-udp",
    "bench-ws",
];

/// Two cold builds with link-time optimisation are minutes on two cores.
const BUILD_TIME_MAX: Duration = Duration::from_secs(1_800);
/// The load is seconds per scenario.
const LOAD_TIME_MAX: Duration = Duration::from_secs(300);

/// Builds the benches and the optimised binary, and says where it is.
///
/// # Errors
/// As [`build`].
pub(crate) fn run_command(root: &Path) -> Outcome<()> {
    let binary = build(root)?;
    println!("{}", binary.display());
    Ok(())
}

/// Builds the benches and the optimised binary into `target/dist`. The profile is taken anew when the sources have
/// changed since it was.
///
/// # Errors
/// A missing tool may not be installed, a build failed, or a bench failed under the counting binary.
pub(crate) fn build(root: &Path) -> Outcome<PathBuf> {
    debian::provide(root, debian::FOR_BENCHES)?;
    debian::provide(root, FOR_PROFILES)?;
    let dist = Dist::new(root, &Compiler::installed(root)?)?;
    dist.build_benches()?;
    let counting = dist.build_counting()?;
    if !is_newer(&dist.profile, &counting) {
        dist.take_profile(&counting)?;
    }
    let optimised = dist.build_optimised()?;
    publish(&optimised, &dist.target.join("dist/towpath"))
}

/// The folders of one distribution build. The two builds have one each: cargo does not see that a profile it names
/// has changed, so the optimised one goes whenever the profile does.
#[derive(Debug)]
struct Dist<'a> {
    root: &'a Path,
    target: PathBuf,
    host: String,
    counting: PathBuf,
    counts: PathBuf,
    profile: PathBuf,
    optimised: PathBuf,
}

impl<'a> Dist<'a> {
    fn new(root: &'a Path, compiler: &Compiler) -> Outcome<Dist<'a>> {
        if compiler.llvm_major != LLVM_MAJOR {
            let found = &compiler.llvm_major;
            return Err(format!("the compiler has LLVM {found}, xtask/src/dist.rs names {LLVM_MAJOR}").into());
        }
        let target = bench::target_folder(root);
        let folder = target.join("profiled");
        Ok(Dist {
            root,
            target,
            host: compiler.host.clone(),
            counting: folder.join("counting"),
            counts: folder.join("counts"),
            profile: folder.join("towpath.profdata"),
            optimised: folder.join("optimised"),
        })
    }

    fn build_benches(&self) -> Outcome<()> {
        let args = ["build", "--locked", "--profile", "dist", "--package", "towpath-bench", "--target-dir"];
        let mut cargo = command(self.root, "cargo", &args);
        run(cargo.arg(&self.target), BUILD_TIME_MAX)
    }

    fn build_counting(&self) -> Outcome<PathBuf> {
        self.build_binary(&self.counting, &format!("profile-generate={}", self.counts.display()))
    }

    fn build_optimised(&self) -> Outcome<PathBuf> {
        self.build_binary(&self.optimised, &format!("profile-use={}", self.profile.display()))
    }

    fn build_binary(&self, folder: &Path, flag: &str) -> Outcome<PathBuf> {
        let args = ["build", "--locked", "--profile", "dist", "--package", "towpath-cli", "--target-dir"];
        let mut cargo = command(self.root, "cargo", &args);
        // With a target named, build scripts and macros are left alone. Flags given this way join those of
        // .cargo/config.toml; those of the environment would replace both.
        cargo.arg(folder).args(["--target", &self.host]);
        cargo.arg("--config").arg(format!("build.rustflags=['-C', '{flag}']"));
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        run(&mut cargo, BUILD_TIME_MAX)?;
        Ok(folder.join(&self.host).join("dist/towpath"))
    }

    /// Puts the counting binary under load and writes the profile of what it counted.
    fn take_profile(&self, counting: &Path) -> Outcome<()> {
        remove_folder(&self.counts)?;
        remove_folder(&self.optimised)?;
        // A bench takes every program from its own folder.
        let folder = counting.parent().ok_or("the binary has no folder")?;
        for name in PROGRAMS {
            fs::copy(self.target.join("dist").join(name), folder.join(name))?;
        }
        for (bench, args) in LOADS {
            println!("{bench} as the load of a binary that counts; its figures mean nothing");
            let program = folder.join(bench);
            let program = program.to_str().ok_or("the checkout's path is not UTF-8")?;
            run_silently(&mut command(self.root, program, args), LOAD_TIME_MAX)?;
        }
        let mut merge = command(self.root, PROFDATA, &["merge", "--output"]);
        run(merge.arg(&self.profile).arg(&self.counts), BUILD_TIME_MAX)
    }
}

/// What `rustc` says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Compiler {
    host: String,
    llvm_major: String,
}

impl Compiler {
    fn installed(root: &Path) -> Outcome<Compiler> {
        let mut rustc = command(root, "rustc", &["--version", "--verbose"]);
        Compiler::parse(&run_silently(&mut rustc, BUILD_TIME_MAX)?)
    }

    fn parse(text: &str) -> Outcome<Compiler> {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let host = value("host:").ok_or("rustc names no host")?;
        let llvm = value("LLVM version:").ok_or("rustc names no LLVM version")?;
        let llvm_major = llvm.split('.').next().unwrap_or_default();
        Ok(Compiler { host: host.to_owned(), llvm_major: llvm_major.to_owned() })
    }
}

/// Whether `file` exists and was written after `other`.
fn is_newer(file: &Path, other: &Path) -> bool {
    let written = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    matches!((written(file), written(other)), (Some(file), Some(other)) if file > other)
}

fn remove_folder(folder: &Path) -> Outcome<()> {
    match folder.exists() {
        true => Ok(fs::remove_dir_all(folder)?),
        false => Ok(()),
    }
}

/// Copies `from` to a new file at `to`: what is there may be running, or be a second name of cargo's own artifact.
fn publish(from: &Path, to: &Path) -> Outcome<PathBuf> {
    if to.exists() {
        fs::remove_file(to)?;
    }
    fs::copy(from, to)?;
    Ok(to.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_names_its_host_and_its_llvm() {
        let text =
            "rustc 1.95.0 (59807616e 2026-04-14)\nhost: x86_64-unknown-linux-gnu\nLLVM version: 22.1.2\n";
        let compiler = Compiler::parse(text).unwrap();
        let (host, llvm_major) = ("x86_64-unknown-linux-gnu".to_owned(), "22".to_owned());
        assert_eq!(compiler, Compiler { host, llvm_major });
        assert!(Compiler::parse("rustc 1.95.0").is_err());
    }

    #[test]
    fn a_missing_profile_is_never_the_newer_one() {
        let (missing, present) = (Path::new("no-such-profile"), Path::new("Cargo.toml"));
        assert!(!is_newer(missing, present));
        assert!(!is_newer(present, present));
    }
}
