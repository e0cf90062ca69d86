//! Opening below a root, so that nothing above, beside or behind it can be reached.
//!
//! The kernel resolves the whole name in one call (openat2, Linux 5.6) and cannot be raced by a rename. Where a
//! sandbox hides that call, names are walked component by component and no link is followed, whatever the plan
//! says: stricter, never laxer.

use std::fs::File;
use std::path::Path;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, statat};
use rustix::io::Errno;

use super::refusal::Refusal;

/// How often a resolution is repeated that a concurrent rename upset. Each repetition needs another rename inside
/// the same few microseconds; four in a row is someone who does nothing else.
const RESOLVE_ATTEMPTS_MAX: usize = 4;

/// Non-blocking, because opening a FIFO would otherwise wait for its other end; and no terminal becomes ours.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

/// A handle on a folder that needs the right to pass, not the right to list.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Whether a call may wait for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// It may.
    Waits,
    /// What is not in memory is [`Refusal::Busy`].
    Never,
}

/// The folder of a route, open for one request.
///
/// It is opened anew for each request so that a deployment that replaces the folder, or the link that leads to it, is
/// seen at once.
#[derive(Debug)]
pub(super) struct Root {
    folder: OwnedFd,
    resolve: ResolveFlags,
    patience: Patience,
}

/// What a name led to. Anything else was refused.
#[derive(Debug)]
pub(super) enum Opened {
    /// A regular file.
    File(Entry),
    /// A folder.
    Folder,
}

/// An open regular file and what was true of it at that moment.
#[derive(Debug)]
pub(super) struct Entry {
    /// The file.
    pub file: File,
    /// Length in bytes.
    pub len: u64,
    /// Seconds of the modification time since 1970.
    pub modified_seconds: i64,
    /// Nanoseconds beside the seconds.
    pub modified_nanos: u64,
    /// Number of the file in its file system.
    pub inode: u64,
}

impl Root {
    /// Opens the folder. Links in its own path are followed: the operator wrote it.
    pub(super) fn open(path: &Path, follow_symlinks: bool, patience: Patience) -> Result<Self, Refusal> {
        let cached = match patience {
            Patience::Waits => ResolveFlags::empty(),
            Patience::Never => ResolveFlags::CACHED,
        };
        let links = match follow_symlinks {
            true => ResolveFlags::empty(),
            false => ResolveFlags::NO_SYMLINKS,
        };
        let folder = match patience {
            Patience::Waits => openat(CWD, path, FOLDER, Mode::empty())?,
            Patience::Never => openat2(CWD, path, FOLDER, Mode::empty(), cached).map_err(busy_if_hidden)?,
        };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | links | cached;
        Ok(Self { folder, resolve, patience })
    }

    /// Whether calls may wait.
    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    /// Opens a name of segments joined by `/`; the empty one is the root.
    pub(super) fn open_entry(&self, name: &[u8]) -> Result<Opened, Refusal> {
        let name = if name.is_empty() { b"." } else { name };
        match self.open_name(name, READ) {
            Ok(descriptor) => classify(descriptor),
            Err(Errno::ACCESS) => self.open_unreadable(name),
            Err(errno) => Err(errno.into()),
        }
    }

    /// A folder may be passed without the right to list it; only files need to be readable.
    fn open_unreadable(&self, name: &[u8]) -> Result<Opened, Refusal> {
        match self.open_name(name, FOLDER) {
            Ok(_) => Ok(Opened::Folder),
            Err(Errno::AGAIN) => Err(Refusal::Busy),
            Err(_) => Err(Refusal::Forbidden),
        }
    }

    fn open_name(&self, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        for _ in 0..RESOLVE_ATTEMPTS_MAX {
            match openat2(&self.folder, name, flags, Mode::empty(), self.resolve) {
                Err(Errno::AGAIN) if self.patience == Patience::Waits => {}
                Err(errno @ (Errno::NOSYS | Errno::PERM)) if self.patience == Patience::Never => {
                    return Err(busy_if_hidden(errno));
                }
                Err(Errno::NOSYS | Errno::PERM) => return walk(self.folder.as_fd(), name, flags),
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }
}

/// Where openat2 is hidden or does not know `RESOLVE_CACHED`, nothing is known without waiting.
fn busy_if_hidden(errno: Errno) -> Errno {
    match errno {
        Errno::NOSYS | Errno::PERM | Errno::INVAL => Errno::AGAIN,
        errno => errno,
    }
}

fn classify(descriptor: OwnedFd) -> Result<Opened, Refusal> {
    let stat = fstat(&descriptor)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(Opened::File(Entry {
            file: File::from(descriptor),
            len: u64::try_from(stat.st_size).unwrap_or(0),
            modified_seconds: stat.st_mtime,
            modified_nanos: stat.st_mtime_nsec,
            inode: stat.st_ino,
        })),
        FileType::Directory => Ok(Opened::Folder),
        _ => Err(Refusal::NotRegular),
    }
}

/// The slow way: one component at a time, each opened relative to the one before, links never followed.
fn walk(root: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut parts = name.split(|&byte| byte == b'/');
    let last = parts.next_back().unwrap_or(b".");
    let mut folder: Option<OwnedFd> = None;
    for part in parts {
        folder = Some(open_part(folder.as_ref().map_or(root, AsFd::as_fd), part, FOLDER)?);
    }
    open_part(folder.as_ref().map_or(root, AsFd::as_fd), last, flags)
}

fn open_part(folder: BorrowedFd<'_>, part: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    // Index names come from the plan and are not decoded names, so this is asked here too.
    if part == b".." {
        return Err(Errno::XDEV);
    }
    match openat(folder, part, flags | OFlags::NOFOLLOW, Mode::empty()) {
        // A link where a folder was wanted: the same answer as from the fast way.
        Err(Errno::NOTDIR) if is_link(folder, part) => Err(Errno::LOOP),
        other => other,
    }
}

fn is_link(folder: BorrowedFd<'_>, part: &[u8]) -> bool {
    statat(folder, part, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::tests::Folder;
    use super::*;

    fn shown(opened: Result<Opened, Refusal>) -> String {
        match opened {
            Ok(Opened::File(entry)) => format!("file of {}", entry.len),
            Ok(Opened::Folder) => "folder".to_string(),
            Err(refusal) => refusal.code().to_owned(),
        }
    }

    #[test]
    fn the_walk_and_the_kernel_agree() {
        let folder = Folder::new();
        folder.write("a.txt", b"abc");
        folder.write("in/b.txt", b"abcd");
        folder.write("../outside.txt", b"secret");
        symlink("a.txt", folder.path("link")).unwrap();
        symlink("in", folder.path("dirlink")).unwrap();
        symlink("../outside.txt", folder.path("out")).unwrap();
        symlink("loop", folder.path("loop")).unwrap();
        let root = Root::open(&folder.root, false, Patience::Waits).unwrap();
        for (name, expected) in [
            (".", "folder"),
            ("in", "folder"),
            ("a.txt", "file of 3"),
            ("in/b.txt", "file of 4"),
            ("in/none", "file_not_found"),
            ("none/b.txt", "file_not_found"),
            ("a.txt/b", "file_not_found"),
            ("link", "file_forbidden"),
            ("dirlink", "file_forbidden"),
            ("dirlink/b.txt", "file_forbidden"),
            ("out", "file_forbidden"),
            ("loop", "file_forbidden"),
            ("../outside.txt", "file_forbidden"),
            ("in/../../outside.txt", "file_forbidden"),
        ] {
            let walked = walk(root.folder.as_fd(), name.as_bytes(), READ).map_err(Refusal::from);
            assert_eq!(shown(walked.and_then(classify)), expected, "walk to {name}");
            assert_eq!(shown(root.open_entry(name.as_bytes())), expected, "openat2 of {name}");
        }
    }

    #[test]
    fn a_call_that_may_not_wait_never_answers_for_the_disk() {
        assert_eq!(busy_if_hidden(Errno::NOSYS), Errno::AGAIN);
        assert_eq!(busy_if_hidden(Errno::PERM), Errno::AGAIN);
        assert_eq!(busy_if_hidden(Errno::NOENT), Errno::NOENT);
        assert_eq!(Refusal::from(Errno::AGAIN), Refusal::Busy);
    }
}
