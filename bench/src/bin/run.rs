//! `bench-run`: from the start of `towpath run FILE` to the first byte that a client gets, of a program that was built
//! before and of a configuration.
//!
//! A client tries every millisecond to connect from the moment the process is started; the first byte it gets ends the
//! time. The first row is `true`, started without `towpath`: what the system itself takes.
//!
//! ```text
//! bench-run [--runs 30] [--profile dist] [--out bench/results | none]
//! ```
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use towpath_bench::args::Args;
use towpath_bench::child::{Running, free_address};
use towpath_bench::peers::bin_folder;
use towpath_bench::results::record;
use towpath_bench::{Outcome, machine};

/// How often a client that was refused tries again; the figure cannot be finer.
const TRY_INTERVAL: Duration = Duration::from_millis(1);
/// A start that takes longer has failed. The first one builds the program and what it stands on.
const START_TIME_MAX: Duration = Duration::from_secs(900);

fn main() -> Outcome<()> {
    let mut args = Args::from_env()?;
    let runs: usize = args.take("runs")?.unwrap_or(30);
    let profile: String = args.take("profile")?.unwrap_or_else(|| "dist".to_owned());
    let out: String = args.take("out")?.unwrap_or_else(|| "bench/results".to_owned());
    args.finish()?;

    let bin = bin_folder()?;
    let folder = bin.join("bench").join("run");
    fs::create_dir_all(&folder)?;
    let mut report = format!(
        "# Start to first byte of `towpath run`, {}\n\n{}\n{runs} starts each with a warm page cache; milliseconds from the \
         start of the process to the first byte at a client that tries to connect every {} ms. Both files are unchanged, \
         the program was built before.\n\n| | p50 | p99 |\n|---|---|---|\n",
        machine::today(),
        machine::facts(&profile),
        TRY_INTERVAL.as_millis(),
    );
    let base = (0..runs).map(|_| spawn_time()).collect::<Outcome<Vec<_>>>()?;
    row(&mut report, "the system starts `true`", base);
    for (name, write) in [("hello.rs", program as fn(SocketAddr) -> String), ("hello.toml", configuration)] {
        let times = start_times(&bin.join("towpath"), &folder, name, write, runs)?;
        row(&mut report, name, times);
    }
    println!("{}", record(&out, "run", &report)?);
    Ok(())
}

fn row(report: &mut String, name: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let line = format!("| {name} | {:.1} | {:.1} |\n", quantile(&times, 0.50), quantile(&times, 0.99));
    print!("{line}");
    let _ = report.write_str(&line);
}

/// The least value that this part of all does not exceed.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn spawn_time() -> Outcome<f64> {
    let begin = Instant::now();
    Command::new("true").stdin(Stdio::null()).status()?;
    Ok(begin.elapsed().as_secs_f64() * 1e3)
}

/// The times of `runs` starts behind a first one, which is not counted.
fn start_times(
    towpath: &Path,
    folder: &Path,
    name: &str,
    write: fn(SocketAddr) -> String,
    runs: usize,
) -> Outcome<Vec<f64>> {
    let address = free_address()?;
    let file = folder.join(name);
    fs::write(&file, write(address))?;
    // What it says of a build that fails is for whoever runs the bench; what it says of each end is not.
    start_time(towpath, &file, address, Stdio::inherit())?;
    (0..runs).map(|_| start_time(towpath, &file, address, Stdio::null())).collect()
}

fn start_time(towpath: &Path, file: &Path, address: SocketAddr, stderr: Stdio) -> Outcome<f64> {
    let mut command = Command::new(towpath);
    command.arg("run").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    let begin = Instant::now();
    let mut running = Running::start(command)?;
    while !has_answered(address) {
        if let Some(status) = running.child_mut().try_wait()? {
            return Err(format!("{} ended with {status}", file.display()).into());
        }
        if begin.elapsed() > START_TIME_MAX {
            return Err(format!("{} does not answer", file.display()).into());
        }
        sleep(TRY_INTERVAL);
    }
    let time = begin.elapsed();
    running.end(Signal::TERM);
    Ok(time.as_secs_f64() * 1e3)
}

fn has_answered(address: SocketAddr) -> bool {
    let Ok(mut client) = TcpStream::connect(address) else { return false };
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).is_ok() && client.read(&mut [0]).is_ok_and(|count| count > 0)
}

fn configuration(address: SocketAddr) -> String {
    format!(
        "[listener.web]\nbind = \"{address}\"\n\n[route.all]\nmatch = {{ path = \"/*\" }}\n\
         respond = {{ status = 200, body = \"hello\\n\" }}\n"
    )
}

/// The least program that answers, with the kit beside it as every program has.
fn program(address: SocketAddr) -> String {
    format!(
        "use std::io::{{Read, Write}};\n\nfn main() {{\n    let listener = std::net::TcpListener::bind(\"{address}\").unwrap();\n    \
         for stream in listener.incoming() {{\n        let mut stream = stream.unwrap();\n        \
         let _ = stream.read(&mut [0; 1024]);\n        \
         let _ = stream.write_all(b\"HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\nConnection: close\\r\\n\\r\\nhello\\n\");\n    }}\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let sorted: Vec<f64> = (1..=30).map(f64::from).collect();
        assert_eq!((quantile(&sorted, 0.50), quantile(&sorted, 0.99)), (15.0, 30.0));
        assert!(quantile(&[], 0.5).is_nan());
    }
}
