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

/// The part of a family's CPU time that was spent in user space, in microseconds. The kernel counts it in ticks of
/// 10 ms: coarse for one turn, fair as the mean of many.
#[must_use]
pub fn user_us(pid: u32) -> f64 {
    let ticks: u64 = family(pid).into_iter().filter_map(user_ticks).sum();
    ticks as f64 * 10_000.0
}

fn user_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(11)?.parse().ok()
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
        sum.pss += number(&text, "Pss:") * 1024;
        sum.private_dirty += number(&text, "Private_Dirty:") * 1024;
    }
    sum
}

/// Whether a UDP socket of this machine is bound to `port` on an IPv4 address.
#[must_use]
pub fn is_udp_bound(port: u16) -> bool {
    let table = fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let local =
        |line: &str| u16::from_str_radix(line.split_whitespace().nth(1)?.rsplit_once(':')?.1, 16).ok();
    table.lines().skip(1).filter_map(local).any(|bound| bound == port)
}

/// How often the threads of a process left a core, by themselves or not. Threads that ended are not in it.
#[must_use]
pub fn context_switches(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let statuses = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    statuses
        .map(|text| number(&text, "voluntary_ctxt_switches:") + number(&text, "nonvoluntary_ctxt_switches:"))
        .sum()
}

/// Threads of a process at this moment.
#[must_use]
pub fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, |tasks| tasks.flatten().count())
}

/// Kernel memory in slabs that cannot be given back, machine-wide, in bytes: where sockets live.
#[must_use]
pub fn slab_bytes() -> u64 {
    number(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "SUnreclaim:") * 1024
}

/// Kernel memory that connections and threads cost, machine-wide, in bytes: slabs, kernel stacks, page tables.
#[must_use]
pub fn kernel_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    ["SUnreclaim:", "KernelStack:", "PageTables:"].iter().map(|key| number(&text, key) * 1024).sum()
}

/// The first number of the line that starts with `key`; nothing when there is none.
fn number(text: &str, key: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(key));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_udp_port_is_found() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(is_udp_bound(socket.local_addr().unwrap().port()));
    }

    #[test]
    fn this_process_has_a_family_cpu_time_and_memory() {
        let pid = std::process::id();
        assert_eq!(family(pid)[0], pid);
        assert!(cpu_us(pid) > 0.0);
        assert!(user_ticks(pid).is_some());
        assert!(memory(pid).private_dirty > 0);
        assert!(context_switches(pid) > 0 && threads(pid) > 0);
        assert_eq!(number("Pss_Dirty:  7 kB\nPss:   42 kB\n", "Pss:"), 42);
    }
}
