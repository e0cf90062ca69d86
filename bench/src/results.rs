//! Where a run is written down: a dated Markdown file with the configurations of everybody who took part.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::peers::Started;
use crate::{Outcome, machine};

/// Writes `report` to `NAME-DATE.md` in the folder `out`, unless that is `none`; a line that says where.
///
/// # Errors
/// The folder or the file cannot be written.
pub fn record(out: &str, name: &str, report: &str) -> Outcome<String> {
    if out == "none" {
        return Ok("not recorded".to_owned());
    }
    fs::create_dir_all(out)?;
    let file = Path::new(out).join(format!("{name}-{}.md", machine::today()));
    fs::write(&file, report)?;
    Ok(format!("recorded in {}", file.display()))
}

/// The configurations of `peers`, without the paths of this machine; for a section that has its heading already.
#[must_use]
pub fn configurations<'a>(peers: impl IntoIterator<Item = &'a Started>, folder: &Path) -> String {
    let mut text = String::new();
    let folder = folder.display().to_string();
    for started in peers {
        let config = started.config.replace(&folder, "FOLDER");
        let (peer, service) = (started.peer.name(), started.service.name());
        let _ = write!(text, "\n{peer}, {service}\n\n```\n{config}```\n");
    }
    text
}
