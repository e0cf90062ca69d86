//! Why a file is not served.

use rustix::io::Errno;

use crate::error::Reason;

/// The ways to be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no such file.
    NotFound,
    /// Links out of the root, folders without an index, files the process may not read.
    Forbidden,
    /// A FIFO, socket or device.
    NotRegular,
    /// Neither GET nor HEAD nor OPTIONS.
    MethodNotAllowed,
    /// No requested range lies in the representation, which has `len` bytes.
    RangeNotSatisfiable {
        /// Length of the representation.
        len: u64,
    },
    /// A path that can be no file's name.
    BadPath,
    /// Not now: no descriptor or memory is left, or the answer would have to wait.
    Busy,
    /// The file system failed.
    Failed,
}

impl Refusal {
    /// What the client, the log and the counters are told.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::NotFound => Reason::FileNotFound,
            Self::Forbidden => Reason::FileForbidden,
            Self::NotRegular => Reason::FileNotRegular,
            Self::MethodNotAllowed => Reason::MethodNotAllowed,
            Self::RangeNotSatisfiable { .. } => Reason::RangeNotSatisfiable,
            Self::BadPath => Reason::BadPath,
            Self::Busy => Reason::FileLimit,
            Self::Failed => Reason::Internal,
        }
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        match errno {
            // INVAL and ILSEQ: names that this file system cannot have.
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ => Self::NotFound,
            // LOOP: a link where none is followed. XDEV: a link out of the root.
            Errno::LOOP | Errno::XDEV | Errno::ACCESS | Errno::PERM => Self::Forbidden,
            // What opening a socket, or a device without a driver, answers.
            Errno::NXIO | Errno::NODEV => Self::NotRegular,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => Self::Busy,
            _ => Self::Failed,
        }
    }
}
