//! Why a file is not served.

use rustix::io::Errno;

/// The ways to be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
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
    /// The word for it, also in logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotFound => "file_not_found",
            Self::Forbidden => "file_forbidden",
            Self::NotRegular => "file_not_regular",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RangeNotSatisfiable { .. } => "range_not_satisfiable",
            Self::BadPath => "bad_path",
            Self::Busy => "file_limit",
            Self::Failed => "internal_error",
        }
    }

    /// The status that the client gets.
    pub fn status(self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Forbidden | Self::NotRegular => 403,
            Self::MethodNotAllowed => 405,
            Self::RangeNotSatisfiable { .. } => 416,
            Self::BadPath => 400,
            Self::Busy => 503,
            Self::Failed => 500,
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
