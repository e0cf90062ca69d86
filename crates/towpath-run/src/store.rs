//! From a source to a program that can be started: found, or built and kept.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;
use towpath_control::Console;

use crate::cache::{self, Cache, Stored};
use crate::cargo::{self, BuildOptions, Built, Failure, Mode, Order};
use crate::inputs::{self, Input};
use crate::key::Key;
use crate::manifest::{Kit, manifest};
use crate::package::Package;
use crate::source::{Kind, Program};
use crate::toolchain::Toolchain;

/// The folder of the kit beside this crate, when this binary was built. Someone who works on Towpath runs programs with
/// the kit he works on; a binary that was moved to another machine does not find it and takes the registry's.
const KIT_BESIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../towpath");

/// Everything that decides what is built.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) program: Program,
    pub(crate) toolchain: Toolchain,
    kit: Kit,
    mode: Mode,
    options: BuildOptions,
    bytes_max: u64,
}

/// Why nothing can be built.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The source or an argument is wrong; the text says how and ends its line.
    Source(String),
    /// There is no cargo.
    NoCargo,
}

impl Wanted {
    /// What `program` needs, here and now.
    ///
    /// # Errors
    /// There is no compiler, or the environment says what cannot be.
    pub(crate) fn new(program: Program, mode: Mode, options: BuildOptions) -> Result<Self, Refusal> {
        let told = |why: String| Refusal::Source(format!("towpath: {why}\n"));
        let bytes_max = cache::bytes_max().map_err(told)?;
        let kit = kit().map_err(told)?;
        // A cache that cannot be trusted remembers nothing.
        let memory = Cache::readable().map(|cache| cache.toolchains()).unwrap_or_else(|_| "/dev/null".into());
        let toolchain = Toolchain::find(&program.folder, &memory).ok_or(Refusal::NoCargo)?;
        Ok(Self { program, toolchain, kit, mode, options, bytes_max })
    }

    /// A name for the manifest, whatever the place of the source.
    fn manifest_key(&self) -> String {
        let Kind::Script { script, .. } = &self.program.kind else { return String::new() };
        let text = manifest(&script.manifest, Path::new("."), "main.rs", &self.kit);
        Key::new().with("manifest", text).finish()
    }

    fn source_key(&self, cache: &Cache) -> String {
        let mut key =
            Key::new().with("towpath", env!("CARGO_PKG_VERSION")).with("compiler", &self.toolchain.key);
        key.add("mode", self.mode.name());
        key.add("debug", if self.options.debug { "yes" } else { "no" });
        match &self.program.kind {
            Kind::Folder { manifest } => key.add("manifest", manifest),
            Kind::Script { text, .. } => {
                key.add("text", text);
                key.add("kit", format!("{:?}", self.kit));
                key.add_file("lock", &cache.lock_file(&self.manifest_key()));
            }
        }
        key.finish()
    }

    /// The program, if it has been built.
    pub(crate) fn find(&self, cache: &Cache) -> Option<Stored> {
        let source = self.source_key(cache);
        let inputs = inputs::parse(&fs::read_to_string(cache.inputs(&source)).ok()?);
        cache.find(&inputs::program_key(&source, &inputs, &self.program.folder))
    }

    /// The files that it is made of, as far as a build has told.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let Ok(cache) = Cache::readable() else { return Vec::new() };
        let text = fs::read_to_string(cache.inputs(&self.source_key(&cache))).unwrap_or_default();
        inputs::parse(&text).iter().filter_map(|input| input.path(&self.program.folder)).collect()
    }

    /// Builds it and keeps it; in a private folder where the cache cannot be written.
    pub(crate) async fn build(&self, console: Console) -> Result<Stored, Failure> {
        let cache = Cache::writable(console)?;
        match self.build_in(&cache, console).await {
            Err(Failure::Cache(fault)) if cache.is_lasting() => {
                let private = Cache::private()?;
                let why =
                    format!("the cache cannot be written: {fault}; building in a private folder instead");
                console.warn("cache_unusable", &why);
                self.build_in(&private, console).await
            }
            other => other,
        }
    }

    async fn build_in(&self, cache: &Cache, console: Console) -> Result<Stored, Failure> {
        let (locked, name) = (cache.clone(), self.program.name());
        // Of a thread of its own: whoever waits for the lock may have to hear a signal, or of another edit.
        let waiting = spawn_blocking(move || locked.lock(&name, console));
        let _building = waiting.await.map_err(io::Error::other)??;
        // Whoever held the lock may have built the very same.
        if let Some(found) = self.find(cache) {
            return Ok(found);
        }
        let begin = SystemTime::now();
        let (package, built) = self.compile(cache).await?;
        let executable = self.executable(&built, console)?;
        let inputs = inputs::gather(&built, &package, &cache.target(), &self.program.folder);
        if let (Kind::Script { .. }, Ok(lock)) = (&self.program.kind, package.lock()) {
            cache::write(&cache.lock_file(&self.manifest_key()), &lock)?;
        }
        let source = self.source_key(cache);
        let mut key = inputs::program_key(&source, &inputs, &self.program.folder);
        match has_changed(&inputs, &self.program.folder, begin) {
            // The compiler may have seen the former content, the key holds the later one: never to be found again.
            true => key = Key::new().with("once", &key).with("pid", std::process::id().to_string()).finish(),
            false => cache::write(&cache.inputs(&source), inputs::to_text(&inputs).as_bytes())?,
        }
        let shown = self.program.shown.display().to_string();
        let stored = cache.store(&key, executable, &self.program.name(), &shown)?;
        match cache.is_lasting() {
            true => cache.evict(self.bytes_max, &stored.path),
            false => cache.forget_all_but_programs(),
        }
        Ok(stored)
    }

    /// Has cargo do what is wanted, once.
    pub(crate) async fn compile(&self, cache: &Cache) -> Result<(Package, Built), Failure> {
        let lock = fs::read(cache.lock_file(&self.manifest_key())).ok().or_else(|| self.lock_to_start_from());
        let folder = cache.package(&Package::id(&self.program));
        let package = Package::make(folder, &self.program, &self.kit, lock.as_deref())?;
        let target = cache.target();
        let order = Order {
            toolchain: &self.toolchain,
            package: &package,
            folder: &self.program.folder,
            target: &target,
            mode: self.mode,
            options: self.options,
            shown: &self.program.shown,
        };
        let built = cargo::build(&order).await?;
        Ok((package, built))
    }

    /// The versions that a kit in a folder is tested with.
    fn lock_to_start_from(&self) -> Option<Vec<u8>> {
        let Kit::Folder(folder) = &self.kit else { return None };
        folder.ancestors().find_map(|above| fs::read(above.join("Cargo.lock")).ok())
    }

    /// The one program of a package, or the one that its manifest prefers.
    fn executable<'a>(&self, built: &'a Built, console: Console) -> Result<&'a Path, Failure> {
        let preferred = match &self.program.kind {
            Kind::Folder { manifest } => manifest
                .parse::<toml::Table>()
                .ok()
                .and_then(|manifest| Some(manifest.get("package")?.get("default-run")?.as_str()?.to_owned())),
            Kind::Script { .. } => None,
        };
        let shown = self.program.shown.display();
        let named = built.executables.iter().find(|(name, _)| Some(name) == preferred.as_ref());
        match (named, built.executables.as_slice()) {
            (Some((_, path)), _) | (None, [(_, path)]) => Ok(path),
            (None, []) => {
                console.error("no_program", &format!("{shown}: there is no program in it, only a library"));
                Err(Failure::Source)
            }
            (None, several) => {
                let mut names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
                names.sort_unstable();
                let why = "there are several programs; default-run in its Cargo.toml says which";
                console.error("several_programs", &format!("{shown}: {why}: {}", names.join(", ")));
                Err(Failure::Source)
            }
        }
    }
}

/// Where the kit is, when the source does not say.
fn kit() -> Result<Kit, String> {
    if let Some(folder) = env::var_os("TOWPATH_KIT").filter(|folder| !folder.is_empty()) {
        let folder = PathBuf::from(folder);
        return match folder.canonicalize() {
            Ok(real) if real.join("Cargo.toml").is_file() => Ok(Kit::Folder(real)),
            _ => Err(format!("TOWPATH_KIT is {}, and there is no Cargo.toml", folder.display())),
        };
    }
    match Path::new(KIT_BESIDE).canonicalize() {
        Ok(beside) if beside.join("Cargo.toml").is_file() => Ok(Kit::Folder(beside)),
        _ => Ok(Kit::Version(env!("CARGO_PKG_VERSION").to_owned())),
    }
}

fn has_changed(inputs: &[Input], folder: &Path, since: SystemTime) -> bool {
    let paths = inputs.iter().filter_map(|input| input.path(folder));
    paths.filter_map(|path| fs::metadata(path).ok()?.modified().ok()).any(|modified| modified >= since)
}

/// A runtime for the time of a build.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
