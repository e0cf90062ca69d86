//! A folder with a cache of its own, an empty kit, and a cargo that can be watched.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{Scratch, TOWPATH, text};

pub(crate) struct Place(Scratch);

impl Place {
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new();
        fs::create_dir_all(scratch.path("kit/src")).unwrap();
        fs::create_dir(scratch.path("app")).unwrap();
        let manifest =
            "[package]\nname = \"towpath\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
        scratch.write("kit/Cargo.toml", manifest);
        scratch.write("kit/src/lib.rs", "");
        Self(scratch)
    }

    /// The folder of the programs, which is the current one of every command.
    pub(crate) fn folder(&self) -> PathBuf {
        self.0.path("app")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    /// Writes a file of a program, all of it at once: whoever watches never sees half of it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::rename(self.0.write("new", text), &path).unwrap();
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(TOWPATH);
        command.args(arguments);
        self.prepare(&mut command);
        command
    }

    /// Gives a command this place's environment.
    pub(crate) fn prepare(&self, command: &mut Command) {
        command.current_dir(self.folder()).stdin(Stdio::null());
        command.env("XDG_CACHE_HOME", self.path("cache")).env("TOWPATH_KIT", self.path("kit"));
        command.env_remove("TOWPATH_CACHE_MAX");
    }

    /// Code, stdout and stderr.
    pub(crate) fn outcome(&self, arguments: &[&str]) -> (i32, String, String) {
        text(&self.command(arguments).output().unwrap())
    }

    /// The output of a command that must end well.
    pub(crate) fn stdout(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.outcome(arguments);
        assert_eq!(code, 0, "{arguments:?}: {stderr}");
        stdout
    }

    /// A search path on which cargo is `script`, which finds the real one as `$CARGO`.
    pub(crate) fn path_with_cargo(&self, script: &str) -> String {
        let folder = self.path("bin");
        fs::create_dir_all(&folder).unwrap();
        let cargo = folder.join("cargo");
        let text = format!("#!/bin/sh\nCARGO='{}'\n{script}\n", real_cargo().display());
        fs::write(&cargo, text).unwrap();
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
        format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
    }

    /// How many programs the cache holds.
    pub(crate) fn programs(&self) -> usize {
        self.stdout(&["cache", "ls"]).lines().count()
    }
}

fn real_cargo() -> PathBuf {
    let path = std::env::var("PATH").unwrap();
    let found = path.split(':').map(|folder| Path::new(folder).join("cargo")).find(|cargo| cargo.is_file());
    found.expect("the test was started by cargo")
}
