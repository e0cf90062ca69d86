//! What a program reads beside its source: its environment and its certificates.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::key::Key;

/// Read by programs themselves, so that they are known by their names alone.
const ENVIRONMENT: &str = ".env";
const CERTIFICATES: [&str; 3] = ["pem", "crt", "key"];

/// A folder may have very many.
const FILES_MAX: usize = 1_000;

/// Nobody saves a file again within this time of the start that the former save has brought; a program does that writes it.
const OWN_WORK_TIME: Duration = Duration::from_secs(1);

/// The files that were there when a program was started, and what they held.
#[derive(Debug)]
pub(super) struct Surroundings {
    folder: PathBuf,
    files: BTreeMap<PathBuf, String>,
    /// Those whose change has brought the last start.
    bringers: BTreeSet<PathBuf>,
    started: Instant,
    /// What the program writes: to follow it would have no end.
    own: BTreeSet<PathBuf>,
}

impl Surroundings {
    pub(super) fn new(folder: PathBuf, now: Instant) -> Self {
        let (files, bringers, own) = Default::default();
        let mut this = Self { folder, files, bringers, started: now, own };
        this.start(now);
        this
    }

    /// A program that starts now reads what is there now.
    pub(super) fn start(&mut self, now: Instant) {
        self.bringers = self.changed();
        self.started = now;
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_certificate = |path: &PathBuf| {
            path.extension().is_some_and(|own| CERTIFICATES.iter().any(|ending| own == *ending))
        };
        let certificates = entries.filter(is_certificate).take(FILES_MAX);
        let files =
            certificates.chain([self.folder.join(ENVIRONMENT)]).filter(|path| !self.own.contains(path));
        self.files = files.map(|path| (path.clone(), content(&path))).collect();
    }

    /// Whether they hold something else than at the start; the files that turn out to be the program's own are added to
    /// `own` and count no more.
    pub(super) fn have_changed(&mut self, now: Instant, own: &mut Vec<PathBuf>) -> bool {
        let mut changed = self.changed();
        if now < self.started + OWN_WORK_TIME {
            for path in changed.intersection(&self.bringers).cloned().collect::<Vec<_>>() {
                changed.remove(&path);
                self.files.remove(&path);
                own.push(path.clone());
                self.own.insert(path);
            }
        }
        !changed.is_empty()
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.keys()
    }

    fn changed(&self) -> BTreeSet<PathBuf> {
        let changed = self.files.iter().filter(|(path, held)| content(path) != **held);
        changed.map(|(path, _)| path.clone()).collect()
    }
}

fn content(path: &Path) -> String {
    let mut key = Key::new();
    key.add_file("", path);
    key.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_saves_counts_and_what_the_program_writes_does_not() {
        let folder = std::env::temp_dir().join(format!("towpath-surroundings-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        let mut now = Instant::now();
        let mut own = Vec::new();
        let mut surroundings = Surroundings::new(folder.clone(), now);
        write("made.key", "1");
        assert!(!surroundings.have_changed(now, &mut own), "what comes later may be anybody's");
        write(".env", "A=1");
        assert!(surroundings.have_changed(now, &mut own));
        surroundings.start(now);
        // The program writes it at each start: one is in vain.
        write("made.key", "2");
        assert!(surroundings.have_changed(now, &mut own));
        surroundings.start(now);
        write("made.key", "3");
        assert!(!surroundings.have_changed(now, &mut own));
        assert_eq!(own, [folder.join("made.key")]);
        for text in ["A=2", "A=3"] {
            now += OWN_WORK_TIME;
            write(".env", text);
            assert!(surroundings.have_changed(now, &mut own));
            surroundings.start(now);
            write("made.key", text);
            assert!(!surroundings.have_changed(now, &mut own));
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
