//! Who holds an address that could not be bound, as far as `/proc` lets us see.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::compile::BindAddress;

/// Processes looked at before giving up; a message is not worth more.
const PROCESSES_MAX: usize = 20_000;

/// The state `LISTEN` in `/proc/net/tcp`, and `CLOSE` in `/proc/net/udp`, which is a bound socket without a peer.
const LISTEN: &str = "0A";
const CLOSE: &str = "07";

/// Who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A process that we may look at.
    Process {
        /// Its process id.
        pid: u32,
        /// The name of its program.
        program: String,
    },
    /// Someone listens, and the process is not ours to look at.
    OtherAccount,
    /// Something that is no socket stands at the path.
    File,
    /// Nobody is seen to listen; the port may be held in another network namespace, or be free again.
    Unknown,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, program } => write!(f, "held by {program} (pid {pid})"),
            Self::OtherAccount => write!(f, "held by a process of another account"),
            Self::File => write!(f, "by a file that is no socket"),
            Self::Unknown => write!(f, "held by a process that is not visible from here"),
        }
    }
}

/// Looks for the process that listens on `address`, or on every address with the same port.
pub(crate) fn holder_of(address: &BindAddress) -> Holder {
    let inodes = match address {
        BindAddress::Tcp(address) => bound_to(["/proc/net/tcp", "/proc/net/tcp6"], LISTEN, *address),
        BindAddress::Udp(address) => bound_to(["/proc/net/udp", "/proc/net/udp6"], CLOSE, *address),
        BindAddress::Unix(path) if !is_socket(path) => return Holder::File,
        BindAddress::Unix(path) => {
            let table = fs::read_to_string("/proc/net/unix").unwrap_or_default();
            inodes_at_path(&table, &path.to_string_lossy())
        }
    };
    if inodes.is_empty() {
        return Holder::Unknown;
    }
    process_with(&inodes).unwrap_or(Holder::OtherAccount)
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn bound_to(tables: [&str; 2], state: &str, address: SocketAddr) -> HashSet<String> {
    let tables = tables.iter().filter_map(|path| fs::read_to_string(path).ok());
    tables.flat_map(|table| inodes_at_port(&table, state, address)).collect()
}

fn inodes_at_port(table: &str, wanted_state: &str, wanted: SocketAddr) -> Vec<String> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split_whitespace().skip(1);
            let local = parse_address(columns.next()?)?;
            let state = columns.nth(1)?;
            let inode = columns.nth(5)?;
            (state == wanted_state && collides(local, wanted)).then(|| inode.to_owned())
        })
        .collect()
}

/// `Num RefCount Protocol Flags Type St Inode Path`.
fn inodes_at_path(table: &str, wanted: &str) -> HashSet<String> {
    let rows = table.lines().skip(1).filter_map(|line| {
        let mut columns = line.split_whitespace().skip(6);
        let inode = columns.next()?;
        let (_, path) = line.split_once(inode)?;
        (path.trim_start() == wanted).then(|| inode.to_owned())
    });
    rows.collect()
}

fn collides(held: SocketAddr, wanted: SocketAddr) -> bool {
    let (held_ip, wanted_ip) = (held.ip().to_canonical(), wanted.ip().to_canonical());
    held.port() == wanted.port()
        && (held_ip == wanted_ip || held_ip.is_unspecified() || wanted_ip.is_unspecified())
}

/// `0100007F:1F90`: words of the address in host order, the port in hexadecimal.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = address
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok())
        .collect::<Option<Vec<_>>>()?;
    let ip = match words.as_slice() {
        [word] => IpAddr::V4(Ipv4Addr::from(word.to_ne_bytes())),
        [_, _, _, _] => {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn process_with(inodes: &HashSet<String>) -> Option<Holder> {
    fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .take(PROCESSES_MAX)
        .find(|pid| holds_one(*pid, inodes))
        .map(|pid| Holder::Process { pid, program: program_of(pid) })
}

fn holds_one(pid: u32, inodes: &HashSet<String>) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|entry| {
        fs::read_link(entry.path()).ok().is_some_and(|link| {
            let inode = link.to_str().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']'));
            inode.is_some_and(|inode| inodes.contains(inode))
        })
    })
}

fn program_of(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    // A process may give itself any name; control characters would reach the terminal.
    name.trim_end().chars().filter(|char| !char.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[track_caller]
    fn check(address: &BindAddress) {
        match holder_of(address) {
            Holder::Process { pid, .. } => assert_eq!(pid, std::process::id()),
            other => panic!("{address}: {other:?}"),
        }
    }

    #[test]
    fn this_process_is_found_by_its_sockets() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        check(&BindAddress::Tcp(tcp.local_addr().unwrap()));
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        check(&BindAddress::Udp(udp.local_addr().unwrap()));
        let path = std::env::temp_dir().join(format!("towpath holder {}.sock", std::process::id()));
        let unix = UnixListener::bind(&path).unwrap();
        check(&BindAddress::Unix(path.as_path().into()));
        drop(unix);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(holder_of(&BindAddress::Unix(path.as_path().into())), Holder::File);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_wildcard_collides_with_every_address_of_its_port() {
        let check = |held: &str, wanted: &str| collides(held.parse().unwrap(), wanted.parse().unwrap());
        assert!(check("[::]:80", "127.0.0.1:80"));
        assert!(check("127.0.0.1:80", "0.0.0.0:80"));
        assert!(!check("127.0.0.2:80", "127.0.0.1:80"));
        assert!(!check("127.0.0.1:81", "127.0.0.1:80"));
    }

    #[test]
    fn a_line_of_the_table_is_read_or_skipped() {
        let word = u32::from_ne_bytes([127, 0, 0, 1]);
        let table = format!(
            "head\n 0: {word:08X}:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000 0 4711 1\nbad\n"
        );
        assert_eq!(inodes_at_port(&table, LISTEN, "127.0.0.1:8080".parse().unwrap()), ["4711"]);
    }
}
