//! The invariants of ARCHITECTURE.md that can be read off the source: names that may not occur in a folder.

use super::Source;

/// Where a name may not occur, and what to do instead.
struct Absence {
    /// Folders, or one of their files.
    folders: &'static [&'static str],
    names: &'static [&'static str],
    instead: &'static str,
}

const ABSENCES: &[Absence] = &[
    Absence {
        folders: &["crates/towpath-proto/src/", "crates/towpath-traffic/src/"],
        names: &["Instant::now", "SystemTime::now", ".elapsed()"],
        instead: "`now` is an argument",
    },
    Absence {
        folders: &["crates/towpath-proto/src/", "crates/towpath-traffic/src/"],
        names: &["std::net", "TcpStream", "TcpListener", "UdpSocket"],
        instead: "sockets are towpath-net's; plain addresses are in core::net",
    },
    Absence {
        folders: &["crates/towpath-proto/src/", "crates/towpath-traffic/src/"],
        names: &[
            "tokio",
            "async fn",
            ".await",
            "std::thread",
            "std::fs",
            "std::env",
            "std::process",
            "thread_local",
        ],
        instead: "this crate is pure; the driver is above it",
    },
    Absence {
        folders: &["crates/towpath-proto/src/", "crates/towpath-traffic/src/"],
        names: &["static mut", "OnceLock", "LazyLock", "RandomState"],
        instead: "no globals and no chance: state and seed are arguments",
    },
    Absence {
        folders: &["crates/towpath-telemetry/src/"],
        names: &["TcpStream", "TcpListener", "thread::spawn", "std::fs", "tokio", "OnceLock", "LazyLock"],
        instead: "telemetry opens nothing, starts nothing and holds no global; control sends its bytes",
    },
    Absence {
        folders: &["crates/towpath-gateway/src/"],
        names: &["toml::", "serde_json", "env::var", "towpath_config"],
        instead: "the gateway runs a plan; control reads files and the environment",
    },
    Absence {
        folders: &["crates/towpath-config/src/"],
        names: &["tokio", "std::net::Tcp", "thread::spawn"],
        instead: "options have no behaviour",
    },
];

/// Only these may hold `unsafe`, each block with its proof.
const UNSAFE_FOLDERS: &[&str] = &["crates/towpath-net/", "crates/towpath-base/"];
const UNSAFE_FORMS: &[&str] = &["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait"];

/// The names that may not occur in `source` and do, outside comments.
pub(super) fn check(source: &Source) -> Vec<String> {
    // This file spells every forbidden name out.
    if !source.path.ends_with(".rs") || source.path.starts_with("xtask/src/tidy/") {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let code = code_of(line);
        faults.extend(
            faults_of(&source.path, code).map(|fault| format!("{}:{}: {fault}", source.path, index + 1)),
        );
    }
    faults
}

fn faults_of(path: &str, code: &str) -> impl Iterator<Item = String> {
    let here =
        ABSENCES.iter().filter(|absence| absence.folders.iter().any(|folder| path.starts_with(folder)));
    let named = here.flat_map(|absence| absence.names.iter().map(move |name| (*name, absence.instead)));
    let is_unsafe_place = UNSAFE_FOLDERS.iter().any(|folder| path.starts_with(folder));
    let unsafes = UNSAFE_FORMS.iter().filter(move |_| !is_unsafe_place);
    let unsafes = unsafes.map(|form| (*form, "unsafe lives in towpath-net and towpath-base only"));
    named
        .chain(unsafes)
        .filter(|(name, _)| names(code, name))
        .map(|(name, instead)| format!("names `{name}`: {instead}"))
        .collect::<Vec<_>>()
        .into_iter()
}

/// Whether `name` occurs in `code` as a word of its own and not as a part of a longer one.
fn names(code: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(is_word) && name.starts_with(is_word);
        let after = code[at + name.len()..].chars().next().is_some_and(is_word) && name.ends_with(is_word);
        !before && !after
    })
}

/// A line without its comment. A string that holds `//` is cut too, which hides a name at worst.
fn code_of(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> String {
        check(&Source { path: path.to_owned(), text: text.to_owned() }).join("\n")
    }

    #[test]
    fn a_clock_a_socket_or_a_runtime_in_a_pure_crate_is_found() {
        for code in [
            "let now = Instant::now();",
            "use std::net::TcpStream;",
            "use tokio::time;",
            "async fn read() {}",
        ] {
            for folder in ["crates/towpath-proto/src/h1.rs", "crates/towpath-traffic/src/balance.rs"] {
                assert!(faults(folder, code).contains("names `"), "{folder}: {code}");
            }
            assert_eq!(faults("crates/towpath-net/src/listener.rs", code), "");
        }
    }

    #[test]
    fn unsafe_outside_net_and_base_is_found() {
        assert!(faults("crates/towpath/src/pool.rs", "unsafe { f() }").contains("towpath-base only"));
        assert_eq!(faults("crates/towpath-net/src/fd.rs", "unsafe { f() }"), "");
    }

    #[test]
    fn comments_and_longer_words_are_not_names() {
        assert_eq!(faults("crates/towpath-proto/src/h1.rs", "// unlike tokio\nlet tokio_like = 1;"), "");
        assert!(
            faults("crates/towpath-gateway/src/plan.rs", "\nuse toml::Value;")
                .starts_with("crates/towpath-gateway/src/plan.rs:2:")
        );
    }
}
