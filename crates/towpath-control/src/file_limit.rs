//! How many files the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::console::Console;

/// Below this the limit is worth a line: a proxy needs two descriptors per busy connection.
const FILES_FEW: u64 = 1024;

/// Raises the soft limit to the hard one, as most systems start programs with a soft limit of 1024 that exists for
/// the sake of `select`, and says what it is when it is low. Returns the limit now in force.
pub(crate) fn raise(console: &Console) -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    if let Some(files) = files.filter(|files| *files < FILES_FEW) {
        let message =
            format!("at most {files} files may be open (ulimit -n); connections beyond that will wait");
        console.warn("few_files", &message);
    }
    files
}
