//! What the kernel says about a running process: CPU time and memory of a whole family.

use std::fs;

/// A process and its children, as nginx runs (one master, one worker). Threads are part of their process.
#[must_use]
pub fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let Ok(entries) = fs::read_dir("/proc") else { return family };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    family.extend(pids.filter(|&other: &u32| parent(other) == Some(pid)));
    family
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name may hold spaces and brackets; the state and the parent follow its last bracket.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// CPU time a family has used, in microseconds, by the scheduler's nanosecond account (not the 4 ms ticks of
/// `utime` and `stime`). Threads that ended are not in it.
#[must_use]
pub fn cpu_us(pid: u32) -> f64 {
    let threads = family(pid).into_iter().filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok());
    let nanos: u64 = threads
        .flat_map(|tasks| tasks.flatten())
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    nanos as f64 / 1_000.0
}

/// User memory of a family, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Proportional set size: shared pages divided by their users.
    pub pss: u64,
    /// Pages only this family holds and has written.
    pub private_dirty: u64,
}

/// Reads the memory of a family; parts that cannot be read count as nothing.
#[must_use]
pub fn memory(pid: u32) -> Memory {
    let mut sum = Memory::default();
    for pid in family(pid) {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        sum.pss += kilobytes(&text, "Pss:") * 1024;
        sum.private_dirty += kilobytes(&text, "Private_Dirty:") * 1024;
    }
    sum
}

/// Kernel memory in slabs that cannot be given back, machine-wide, in bytes: where sockets live.
#[must_use]
pub fn slab_bytes() -> u64 {
    kilobytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "SUnreclaim:") * 1024
}

fn kilobytes(text: &str, key: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(key));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_family_cpu_time_and_memory() {
        let pid = std::process::id();
        assert_eq!(family(pid)[0], pid);
        assert!(cpu_us(pid) > 0.0);
        assert!(memory(pid).private_dirty > 0);
        assert_eq!(kilobytes("Pss_Dirty:  7 kB\nPss:   42 kB\n", "Pss:"), 42);
    }
}
