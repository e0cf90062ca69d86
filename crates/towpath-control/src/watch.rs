//! Notices that a watched file may have changed. Whether it really did is for the reader to say, by its content.
//!
//! The *folders* are watched, because editors rename a new file over the old one and a Kubernetes volume swaps a
//! symbolic link; both leave a watch on the file itself looking at something that is gone. Where the system has no
//! watch to give, the files are looked at once a second, and that is said once.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::console::Console;

/// Editors write in several steps; this much silence ends them.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// A folder that never falls silent is looked at nevertheless.
const DEBOUNCE_MAX: Duration = Duration::from_millis(500);

/// How often files are looked at where they cannot be watched.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Symbolic links followed from one file, as many as the kernel follows.
const LINKS_MAX: usize = 40;

/// The identity of a folder: a name may come to mean another one.
type FolderId = (u64, u64);

/// A set of watched folders.
#[derive(Debug)]
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeMap<PathBuf, FolderId>,
    events: mpsc::Receiver<()>,
    /// Puts in the token that says: look. One waiting token says everything.
    token: mpsc::Sender<()>,
    /// Whether something has changed that [`Watch::changed`] has not told yet.
    is_stirred: bool,
    is_polling: bool,
    has_said_polling: bool,
    console: Console,
}

impl Watch {
    /// Watches the folders of `files`.
    #[must_use]
    pub fn start(files: &[PathBuf], console: Console) -> Self {
        Self::start_with(files, console, system_watcher)
    }

    fn start_with(
        files: &[PathBuf],
        console: Console,
        watcher: impl FnOnce(mpsc::Sender<()>) -> Option<RecommendedWatcher>,
    ) -> Self {
        let (token, events) = mpsc::channel(1);
        let watcher = watcher(token.clone());
        let mut watch = Self {
            watcher,
            folders: BTreeMap::new(),
            events,
            token,
            is_stirred: false,
            is_polling: false,
            has_said_polling: false,
            console,
        };
        watch.follow(files);
        watch
    }

    /// Watches the folders of `files` from now on, and the folders their symbolic links lead through.
    pub fn follow(&mut self, files: &[PathBuf]) {
        let wanted: BTreeMap<PathBuf, Option<FolderId>> = files
            .iter()
            .flat_map(|file| folders_of(file))
            .map(|folder| (folder.clone(), id_of(&folder)))
            .collect();
        let gone: Vec<PathBuf> = self
            .folders
            .iter()
            .filter(|(folder, id)| wanted.get(*folder) != Some(&Some(**id)))
            .map(|(folder, _)| folder.clone())
            .collect();
        for folder in gone {
            self.folders.remove(&folder);
            if let Some(watcher) = &mut self.watcher {
                // The system may have dropped the watch itself when the folder went.
                let _ = watcher.unwatch(&folder);
            }
        }
        self.is_polling = false;
        for (folder, id) in wanted {
            if !self.folders.contains_key(&folder) && !self.add(&folder, id) {
                self.is_polling = true;
            }
        }
    }

    fn add(&mut self, folder: &Path, id: Option<FolderId>) -> bool {
        let Some(watcher) = &mut self.watcher else {
            self.say_polling("the system has no file watches to give");
            return false;
        };
        // A folder that is away is no fault of the system: polling until it is back needs no message.
        let Some(id) = id else { return false };
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.folders.insert(folder.to_path_buf(), id);
                // What changed between the last reading and this watch was seen by neither.
                let _ = self.token.try_send(());
                true
            }
            Err(fault) => {
                self.say_polling(&format!("{}: {fault}", folder.display()));
                false
            }
        }
    }

    fn say_polling(&mut self, why: &str) {
        if !self.has_said_polling {
            self.has_said_polling = true;
            self.console.warn("watch_polling", &format!("watch: {why}; looking once a second instead"));
        }
    }

    /// Waits until something may have changed, and until whoever changes it seems to be done. Nothing is lost when the
    /// wait is given up for something else.
    pub async fn changed(&mut self) {
        match (self.is_stirred, self.is_polling) {
            (true, _) => {}
            (false, true) => drop(timeout(POLL_INTERVAL, self.events.recv()).await),
            (false, false) => drop(self.events.recv().await),
        }
        self.is_stirred = true;
        let deadline = Instant::now() + DEBOUNCE_MAX;
        while Instant::now() < deadline && matches!(timeout(DEBOUNCE, self.events.recv()).await, Ok(Some(())))
        {
        }
        self.is_stirred = false;
    }
}

fn system_watcher(token: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is an event too, and we read it after every event.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            let _ = token.try_send(());
        }
    });
    watcher.ok()
}

/// The folders in which a change can change what `file` reads as: its own, and those of the links on the way.
fn folders_of(file: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut current = file.to_path_buf();
    for _ in 0..LINKS_MAX {
        let folder = match current.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        match std::fs::read_link(&current) {
            Ok(target) => current = folder.join(target),
            Err(_) => {
                folders.push(folder);
                break;
            }
        }
        folders.push(folder);
    }
    if let Some(real) = file.canonicalize().ok().as_deref().and_then(Path::parent) {
        folders.push(real.to_path_buf());
    }
    folders.sort();
    folders.dedup();
    folders
}

fn id_of(folder: &Path) -> Option<FolderId> {
    std::fs::metadata(folder).ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("towpath-watch-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Sets up a file, watches it, changes it, and waits for the news; a hang is the failure.
    fn check(name: &str, set_up: impl Fn(&Path) -> PathBuf, change: impl Fn(&Path)) {
        let scratch = Scratch::new(name);
        let file = set_up(&scratch.0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut watch = Watch::start(&[file], Console { quiet: true, ..Console::default() });
            timeout(Duration::from_secs(20), watch.changed()).await.expect("a new watch wants a first look");
            change(&scratch.0);
            timeout(Duration::from_secs(20), watch.changed()).await.expect("the change is noticed");
        });
    }

    fn plain(folder: &Path) -> PathBuf {
        fs::write(folder.join("a.toml"), "1").unwrap();
        folder.join("a.toml")
    }

    #[test]
    fn a_write_in_place_is_noticed() {
        check("write", plain, |folder| fs::write(folder.join("a.toml"), "2").unwrap());
    }

    #[test]
    fn a_rename_over_the_file_is_noticed() {
        check("rename", plain, |folder| {
            fs::write(folder.join("new"), "2").unwrap();
            fs::rename(folder.join("new"), folder.join("a.toml")).unwrap();
        });
    }

    #[test]
    fn a_swapped_symbolic_link_is_noticed() {
        let set_up = |folder: &Path| {
            for version in ["v1", "v2"] {
                fs::create_dir(folder.join(version)).unwrap();
                fs::write(folder.join(version).join("a.toml"), version).unwrap();
            }
            symlink("v1", folder.join("data")).unwrap();
            symlink("data/a.toml", folder.join("a.toml")).unwrap();
            folder.join("a.toml")
        };
        check("symlink", set_up, |folder| {
            symlink("v2", folder.join("new")).unwrap();
            fs::rename(folder.join("new"), folder.join("data")).unwrap();
        });
    }

    #[test]
    fn where_the_system_has_no_watch_the_file_is_looked_at_again_and_again() {
        let scratch = Scratch::new("polling");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let console = Console { quiet: true, ..Console::default() };
            let mut watch = Watch::start_with(&[plain(&scratch.0)], console, |_| None);
            assert!(watch.is_polling && watch.has_said_polling);
            timeout(Duration::from_secs(20), watch.changed()).await.expect("a look without any event");
        });
    }

    #[test]
    fn a_change_outlives_a_wait_that_is_given_up() {
        let scratch = Scratch::new("given-up");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut watch = Watch::start(&[plain(&scratch.0)], Console { quiet: true, ..Console::default() });
            {
                let waiting = std::pin::pin!(watch.changed());
                // The first poll takes the token of the new watch, and begins to wait for silence.
                assert!(poll_once(waiting).is_pending());
            }
            timeout(Duration::from_secs(20), watch.changed()).await.expect("the change is told");
        });
    }

    fn poll_once<F: Future<Output = ()>>(future: std::pin::Pin<&mut F>) -> std::task::Poll<()> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }

    #[test]
    fn a_loop_of_symbolic_links_ends() {
        let scratch = Scratch::new("loop");
        symlink("b", scratch.0.join("a")).unwrap();
        symlink("a", scratch.0.join("b")).unwrap();
        assert_eq!(folders_of(&scratch.0.join("a")), std::slice::from_ref(&scratch.0));
    }

    #[test]
    fn a_bare_file_name_is_watched_in_the_current_folder() {
        assert!(folders_of(Path::new("no-such-file.toml")).contains(&PathBuf::from(".")));
    }
}
