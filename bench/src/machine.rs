//! Facts about where a figure was measured; a figure without them is not recorded.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// A Markdown list of machine, kernel, compiler and peers.
#[must_use]
pub fn facts(profile: &str) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rows = [
        ("CPU", cpu_model()),
        ("cores", cores.to_string()),
        ("kernel", first_line("uname", &["-sr"])),
        ("system", system()),
        ("compiler", first_line("rustc", &["-V"])),
        ("Towpath, controls, generators, origins", format!("cargo profile `{profile}`, commit {}", commit())),
        ("layout of Towpath", layout(profile).to_owned()),
        ("allocator of Towpath", "mimalloc, no transparent huge pages".to_owned()),
        ("nginx", first_line("nginx", &["-v"])),
        ("HAProxy", first_line("haproxy", &["-v"])),
        ("clock source", read("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
    ];
    rows.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "- {name}: {}", value.trim());
        text
    })
}

/// Today as `YYYY-MM-DD`, in UTC.
#[must_use]
pub fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Whether a program can be started by its name.
#[must_use]
pub fn has_program(name: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    path.split(':').any(|folder| Path::new(folder).join(name).is_file())
}

/// The date of a day since 1970, by counting: a bench asks once.
fn civil(mut days: u64) -> (u64, usize, u64) {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

fn cpu_model() -> String {
    let text = read("/proc/cpuinfo");
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':'))
        .map_or("unknown".to_owned(), |(_, name)| name.trim().to_owned())
}

fn system() -> String {
    let text = read("/etc/os-release");
    let line = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line.unwrap_or("unknown").trim_matches('"').to_owned()
}

fn commit() -> String {
    let dirty = match Command::new("git").args(["status", "--porcelain", "--untracked-files=no"]).output() {
        Ok(output) if !output.stdout.is_empty() => " with local changes",
        _ => "",
    };
    first_line("git", &["rev-parse", "--short", "HEAD"]) + dirty
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|_| "unknown".to_owned())
}

/// What a program says first, on either output (nginx names its version on the second).
#[must_use]
pub fn first_line(program: &str, args: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(args).output() else { return "not installed".to_owned() };
    let both = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&both).lines().next().unwrap_or("unknown").to_owned()
}

/// What a reader has to know when he compares programs: the peers' are not built with a profile of a bench.
fn layout(profile: &str) -> &'static str {
    match profile {
        "dist" => "PGO, with a profile of these benches; the peers are published builds",
        _ => "as the compiler's defaults have it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_779), (2026, 11, 22));
    }
}
