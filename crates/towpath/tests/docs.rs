//! What holds for every public function of the kit, read off its source: it says what dropping it half-way does (R27), takes
//! a context if it can wait (R1), and no context is kept where nobody has thought about it (R22).

#![expect(clippy::unwrap_used, reason = "in a test a failed step is a failed test, in helpers too")]

use std::fs;
use std::path::{Path, PathBuf};

/// Functions that wait and take no context, by file and the beginning of their names, each with the reason.
const WITHOUT_CTX: &[(&str, &str, &str)] = &[
    ("chan/", "", "waits for this program's own tasks; `select!` and `Ctx::run` bound it"),
    ("ctx/", "", "is a context's own, or waits for what contexts are made of"),
    (
        "grpc/stream.rs",
        "send",
        "the call that it belongs to has the context of its request, and ends with it",
    ),
    (
        "http/body.rs",
        "",
        "the exchange that it belongs to has the context of its request and ends the body with it",
    ),
    (
        "http/request.rs",
        "",
        "the exchange that it belongs to has the context of its request and ends the body with it",
    ),
    (
        "http/response.rs",
        "",
        "the exchange that it belongs to has the context of its request and ends the body with it",
    ),
    ("http/sse.rs", "", "a body's: ends when the client has gone, which the server sees to"),
    ("pool.rs", "", "the gateway's: takes its deadline as a number, as it has no context to give"),
    ("supervise.rs", "told_to_leave", "waits for the end of the process's parent, whatever a request does"),
    ("test.rs", "respond", "makes the context of the request that it tests"),
];

/// Structs that keep a context, by file and name, each with the reason.
const KEEP_CTX: &[(&str, &str, &str)] = &[
    ("ctx/done.rs", "Done", "is the wait for it"),
    ("ctx/guard.rs", "Canceler", "is the right to end it"),
    ("ctx/task.rs", "Child", "a task's own"),
    ("ctx/task.rs", "Job", "a task's own"),
    ("ctx/wire.rs", "Accepted", "hands a new one out"),
    ("http/server/connection.rs", "Taken", "hands a new one over with a connection"),
    ("http/server/site.rs", "Site", "the root of a worker, as old as it"),
    ("net/ctx_io.rs", "CtxIo", "is what R24 asks for: for the time that it is lent to a library"),
    ("pool/pools.rs", "Party", "compared, and never asked whether to stop (P18)"),
    ("serving.rs", "Life", "the root of a server, as old as it"),
];

/// The two words. The first also as a sentence's beginning.
const WORDS: [&str; 3] = ["cancel-safe", "Cancel-safe", "iscard-on-cancel"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// Public methods that can be awaited and whose documentation has neither word.
fn silent(text: &str) -> Vec<String> {
    let (mut silent, mut doc) = (Vec::new(), String::new());
    for line in text.lines().map(str::trim) {
        match line {
            _ if line.starts_with("///") => doc.push_str(line),
            _ if line.starts_with("#[") => {}
            _ => {
                let can_wait = line.starts_with("pub async fn");
                if can_wait && !WORDS.iter().any(|word| doc.contains(word)) {
                    silent.push(line.to_owned());
                }
                doc.clear();
            }
        }
    }
    silent
}

/// The files of the kit, each with its path in `src`.
fn kit() -> Vec<(String, String)> {
    let (folder, mut files) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), Vec::new());
    sources(&folder, &mut files);
    let named = |path: PathBuf| {
        let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap())
    };
    files.into_iter().map(named).collect()
}

/// The name behind `word`, if a line begins with it.
fn name_after<'t>(line: &'t str, word: &str) -> Option<&'t str> {
    line.trim().strip_prefix(word)?.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()
}

/// Public functions that can be awaited and take no context.
fn without_ctx(text: &str) -> Vec<String> {
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let is_async = name_after(line, "pub async fn ");
        let Some(name) = is_async.or_else(|| name_after(line, "pub fn ")) else { continue };
        let mut head = line.to_owned();
        while !head.contains(['{', ';'])
            && let Some(more) = lines.next()
        {
            head.push_str(more);
        }
        if (is_async.is_some() || head.contains("-> impl Future")) && !head.contains("Ctx") {
            found.push(name.to_owned());
        }
    }
    found
}

/// Structs with a field of a context's type.
fn keep_ctx(text: &str) -> Vec<String> {
    let (mut within, mut found) = (None, Vec::new());
    for line in text.lines() {
        let line = line
            .trim_start_matches("pub ")
            .trim_start_matches("pub(crate) ")
            .trim_start_matches("pub(super) ");
        if let Some(name) = name_after(line, "struct ") {
            within = Some(name);
        }
        let ty = line.split_once(": ").map(|(_, ty)| ty.trim_end_matches(','));
        let in_tuple = line.starts_with("struct ") && line.contains("(Ctx");
        let is_field =
            matches!(ty, Some("Ctx" | "crate::Ctx" | "Option<Ctx>" | "Arc<Ctx>")) && line.starts_with("    ");
        if let (Some(name), true) = (within, is_field || in_tuple) {
            found.push(name.to_owned());
        }
        if line == "}" || line.ends_with(';') {
            within = None;
        }
    }
    found
}

#[test]
fn what_can_wait_takes_a_context_or_is_on_the_list_r01_a5() {
    let mut unused: Vec<_> = WITHOUT_CTX.to_vec();
    for (file, text) in kit() {
        for name in without_ctx(&text) {
            let listed =
                |(path, start, _): &(&str, &str, &str)| file.starts_with(path) && name.starts_with(start);
            assert!(WITHOUT_CTX.iter().any(listed), "{file}: `{name}` can wait and takes no context");
            unused.retain(|entry| !listed(entry));
        }
    }
    assert_eq!(unused, [], "on the list, and not in the source");
}

#[test]
fn whoever_keeps_a_context_is_on_the_list_r22() {
    let mut unused: Vec<_> = KEEP_CTX.to_vec();
    for (file, text) in kit() {
        for name in keep_ctx(&text) {
            let listed = |(path, struct_name, _): &(&str, &str, &str)| {
                (file.as_str(), name.as_str()) == (*path, *struct_name)
            };
            assert!(KEEP_CTX.iter().any(listed), "{file}: `{name}` keeps a context");
            unused.retain(|entry| !listed(entry));
        }
    }
    assert_eq!(unused, [], "on the list, and not in the source");
}

#[test]
fn every_public_async_method_says_whether_it_is_cancel_safe_r27() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut count = 0;
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        count += text.matches("pub async fn").count();
        assert_eq!(silent(&text), Vec::<String>::new(), "{}", file.display());
    }
    assert!(count > 10, "the scan found {count} methods in {} files", files.len());
}

#[test]
fn a_silent_method_is_found() {
    assert_eq!(silent("/// Waits.\npub async fn wait() {}").len(), 1);
    assert_eq!(silent("/// Waits. *Cancel-safe*.\n#[inline]\npub async fn wait() {}").len(), 0);
    assert_eq!(silent("/// Cancel-safe.\nfn other() {}\npub async fn wait() {}").len(), 1);
}

#[test]
fn what_waits_without_a_context_and_who_keeps_one_is_found() {
    assert_eq!(without_ctx("pub async fn wait() {}\npub fn now() {}"), ["wait"]);
    assert_eq!(without_ctx("pub async fn wait(ctx: &Ctx) {}"), Vec::<String>::new());
    let several = "    pub fn get<'a>(\n        &'a self,\n    ) -> impl Future<Output = ()> + 'a {";
    assert_eq!(without_ctx(several), ["get"]);
    assert_eq!(keep_ctx("pub struct A {\n    pub(crate) ctx: Ctx,\n}\nfn f(\n    ctx: Ctx,\n) {}"), ["A"]);
    assert_eq!(keep_ctx("struct B(Ctx);\nstruct C {\n    ctx: Option<Ctx>,\n}"), ["B", "C"]);
}
