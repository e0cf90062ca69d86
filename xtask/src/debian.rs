//! The programs that tests and benches need beside cargo, and the Debian packages they come in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Outcome;
use crate::step::{command, run_silently};

/// A program and its package.
pub(crate) type Tool = (&'static str, &'static str);

/// Needed by `cargo xtask test`. The Python modules are files of Debian's own interpreter, wherever `PATH` leads. PostgreSQL's
/// server lives in a folder with its version; the program named here comes with every one.
pub(crate) const FOR_TESTS: &[Tool] = &[
    ("brotli", "brotli"),
    ("curl", "curl"),
    ("g++", "g++"),
    ("git", "git"),
    ("gzip", "gzip"),
    ("h2load", "nghttp2-client"),
    ("ip", "iproute2"),
    ("nghttpd", "nghttp2-server"),
    ("nginx", "nginx-light"),
    ("node", "nodejs"),
    ("openssl", "openssl"),
    ("pg_ctlcluster", "postgresql"),
    ("python3", "python3"),
    ("setpriv", "util-linux"),
    ("socat", "socat"),
    ("ss", "iproute2"),
    ("strace", "strace"),
    ("unshare", "util-linux"),
    ("valgrind", "valgrind"),
    ("wrk", "wrk"),
    ("zstd", "zstd"),
    ("/usr/lib/python3/dist-packages/grpc/__init__.py", "python3-grpcio"),
    ("/usr/lib/python3/dist-packages/websockets/__init__.py", "python3-websockets"),
];

/// Needed by `cargo xtask bench`. nginx relays TCP and UDP through a module that is a file of its own.
pub(crate) const FOR_BENCHES: &[Tool] = &[
    ("h2load", "nghttp2-client"),
    ("haproxy", "haproxy"),
    ("nghttpd", "nghttp2-server"),
    ("nginx", "nginx-light"),
    ("/usr/lib/nginx/modules/ngx_stream_module.so", "libnginx-mod-stream"),
    ("strace", "strace"),
    ("taskset", "util-linux"),
    ("valgrind", "valgrind"),
];

/// Needed by `cargo xtask conformance`.
pub(crate) const FOR_CONFORMANCE: &[Tool] = &[
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("dig", "bind9-dnsutils"),
    ("dnsmasq", "dnsmasq-base"),
    ("h2load", "nghttp2-client"),
    ("ip", "iproute2"),
    ("iperf3", "iperf3"),
    ("nft", "nftables"),
    ("nghttpd", "nghttp2-server"),
    ("nginx", "nginx-light"),
    ("node", "nodejs"),
    ("openssl", "openssl"),
    ("pg_ctlcluster", "postgresql"),
    ("psql", "postgresql-client"),
    ("python3", "python3"),
    ("runuser", "util-linux"),
    ("setpriv", "util-linux"),
    ("slowhttptest", "slowhttptest"),
    ("socat", "socat"),
    ("ss", "iproute2"),
    ("strace", "strace"),
    ("wrk", "wrk"),
    ("/usr/lib/python3/dist-packages/grpc/__init__.py", "python3-grpcio"),
    ("/usr/lib/python3/dist-packages/websockets/__init__.py", "python3-websockets"),
];

/// Packages arrive over a network that may be slow, once.
const INSTALL_TIME_MAX: Duration = Duration::from_secs(300);

/// Makes sure that every tool is there; a remark on what was done.
///
/// # Errors
/// Something is missing and may not be installed by this user; the text is the command that would.
pub(crate) fn provide(root: &Path, tools: &[Tool]) -> Outcome<String> {
    let packages = missing(tools);
    if packages.is_empty() {
        return Ok("nothing missing".to_owned());
    }
    install(root, &packages)?;
    match missing(tools).as_slice() {
        [] => Ok(format!("installed {}", packages.join(" "))),
        rest => Err(format!("apt-get did not bring {}", rest.join(" ")).into()),
    }
}

/// Installs packages.
///
/// # Errors
/// This user may not; the text is the command that would.
pub(crate) fn install(root: &Path, packages: &[&str]) -> Outcome<()> {
    let names = packages.join(" ");
    if !is_root() || find("apt-get").is_none() {
        return Err(format!("please install: sudo apt-get install --no-install-recommends {names}").into());
    }
    println!("installing {names}");
    apt_get(root, &["update"])?;
    apt_get(root, &[&["install", "-y", "--no-install-recommends"], packages].concat())
}

/// Where a program is; servers live where only root's search path looks.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    path.split(':').map(|folder| Path::new(folder).join(program)).find(|file| file.is_file())
}

fn missing(tools: &[Tool]) -> Vec<&'static str> {
    tools.iter().filter(|(program, _)| find(program).is_none()).map(|(_, package)| *package).collect()
}

fn apt_get(root: &Path, args: &[&str]) -> Outcome<()> {
    let mut command = command(root, "apt-get", args);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    run_silently(&mut command, INSTALL_TIME_MAX).map(drop)
}

/// By the owner of this process's own entry, which needs no system call of ours.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_asked_for() {
        let tools: &[Tool] = &[("sh", "dash"), ("no-such-program-here", "some-package")];
        assert_eq!(missing(tools), ["some-package"]);
    }
}
