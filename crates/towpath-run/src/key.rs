//! Names for content: the digest by which programs are found again.

use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};

/// A digest under way. Every part has a name and a length, so that two parts cannot be mistaken for one.
pub(crate) struct Key(Context);

impl Key {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// With another part.
    pub(crate) fn with(mut self, name: &str, part: impl AsRef<[u8]>) -> Self {
        self.add(name, part);
        self
    }

    /// Adds a part.
    pub(crate) fn add(&mut self, name: &str, part: impl AsRef<[u8]>) {
        let part = part.as_ref();
        self.0.update(format!("{name} {}\n", part.len()).as_bytes());
        self.0.update(part);
    }

    /// Adds what a file holds now. A file that is away is a content of its own.
    pub(crate) fn add_file(&mut self, name: &str, path: &Path) {
        match std::fs::read(path) {
            Ok(content) => self.add(name, content),
            Err(_) => self.add(name, "away"),
        }
    }

    /// The digest as 32 letters: 128 bits are more than anyone could make collide by chance.
    pub(crate) fn finish(self) -> String {
        const BYTES: usize = 16;
        self.0.finish().as_ref().iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        let keys = [
            Key::new().with("a", "xy").with("b", "z"),
            Key::new().with("a", "x").with("b", "yz"),
            Key::new().with("b", "xy").with("a", "z"),
            Key::new().with("a", "xyb 1\nz"),
        ];
        let mut keys: Vec<String> = keys.into_iter().map(Key::finish).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 4);
        assert!(keys.iter().all(|key| key.len() == 32));
        assert_eq!(Key::new().with("a", "xy").finish(), Key::new().with("a", "xy").finish());
    }

    #[test]
    fn a_file_that_is_away_is_another_content() {
        let mut here = Key::new();
        here.add_file("x", Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml").as_path());
        let mut away = Key::new();
        away.add_file("x", Path::new("/no/such/file"));
        assert_ne!(here.finish(), away.finish());
    }
}
