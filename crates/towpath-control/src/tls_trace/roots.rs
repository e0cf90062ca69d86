//! Whom to trust.

use std::fs;
use std::path::Path;

use towpath_net::tls::{Authorities, certificates, system_authorities};

use super::Fault;

/// The authorities in `file`, or the system's. `None` for a system without any, which trusts nobody; a file without any is
/// a mistake.
pub(super) fn load(file: Option<&Path>) -> Result<Option<Authorities>, Fault> {
    match file {
        Some(file) => read(file).map(Some),
        None => match system_authorities() {
            file if file.is_file() => read(&file).map(Some),
            _ => Ok(None),
        },
    }
}

fn read(file: &Path) -> Result<Authorities, Fault> {
    let failed = |why: String| Fault::Failed(format!("{}: {why}", file.display()));
    let pem = fs::read(file).map_err(|fault| failed(fault.to_string()))?;
    // A system's file may hold one that is too strange to be used.
    let read = certificates(&pem).and_then(Authorities::lenient);
    read.map_err(|fault| failed(fault.to_string()))
}
