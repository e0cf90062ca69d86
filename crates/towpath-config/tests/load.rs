//! What `load` takes and what it refuses, and that no text can make it panic.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use towpath_config::options::{HostHeader, LogTarget};
use towpath_config::value::{Bind, Cap, FilePath, OneOrMany};
use towpath_config::{FILE_BYTES_MAX, Options, Spanned, load, parse, reference_markdown, schema};

/// A folder of its own for one test, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("towpath-config-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("a file in a temporary folder");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn nothing(_name: &str) -> Option<String> {
    None
}

fn options(text: &str) -> Options {
    let parsed = parse(text, Path::new("/etc/towpath/file.toml"), &nothing);
    assert!(!parsed.has_errors(), "{}", parsed.render());
    parsed.options
}

fn refused(path: &Path, expected: &str) {
    let parsed = load(path, &nothing);
    assert!(parsed.has_errors());
    let place = path.display().to_string();
    assert_eq!(parsed.render().replace(&place, "FILE"), expected);
}

#[test]
fn what_is_no_text_file_is_refused_with_the_reason() {
    let folder = Folder::new("kinds");
    refused(&folder.0.join("absent.toml"), "FILE: no such file\n");
    refused(&folder.0, "FILE: is a folder, not a file\n");
    refused(Path::new("/dev/null"), "FILE: is a device, not a file\n");

    let fifo = folder.0.join("fifo.toml");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo is part of coreutils").success());
    refused(&fifo, "FILE: is a FIFO, not a file\n");

    let socket = folder.0.join("socket.toml");
    let _listening = std::os::unix::net::UnixListener::bind(&socket).expect("a socket in a temporary folder");
    refused(&socket, "FILE: is a socket, not a file\n");

    let large = folder.write("large.toml", b"");
    let file = std::fs::File::options().write(true).open(&large).expect("the file just made");
    file.set_len(FILE_BYTES_MAX + 1).expect("a sparse file");
    refused(&large, "FILE: is larger than 50 MB\n");

    let latin1 = folder.write("latin1.toml", b"[listener.web]\nbind = \"\xfc\"\n");
    refused(
        &latin1,
        "FILE:2:9: not UTF-8 from here on: this is not a text file\n    bind = \"\u{fffd}\"\n            ^\n",
    );
}

#[test]
fn secrets_come_from_files_and_are_shown_nowhere() {
    let folder = Folder::new("secrets");
    folder.write("token", b"hunter2\n");
    let file = folder.write(
        "file.toml",
        b"[admin]\nlisten = \":9900\"\ntoken = \"${file:token}\"\n[route.a]\nrespond = { body = \"${file:token}\" }\n",
    );
    let parsed = load(&file, &nothing);
    assert!(!parsed.has_errors(), "{}", parsed.render());
    assert_eq!(parsed.secret_files, [folder.0.join("token"), folder.0.join("token")]);

    let admin = parsed.options.admin.as_ref().expect("[admin] was written");
    let token = admin.token.as_ref().expect("token was written");
    assert_eq!(token.expose(), "hunter2");
    let body = parsed.options.route["a"].respond.as_ref().and_then(|respond| respond.body.as_ref());
    assert_eq!(body.map(|body| body.value.as_str()), Some("hunter2"));
    assert!(!parsed.options.to_json().to_string().contains("hunter2"));
    assert!(!format!("{admin:?}").contains("hunter2"));
}

#[test]
fn a_secret_that_cannot_be_read_is_a_fault() {
    let folder = Folder::new("bad-secrets");
    folder.write("empty", b"\n");
    folder.write("binary", b"\xff\xfe");
    for (name, why) in
        [("empty", "the file is empty"), ("binary", "valid UTF-8"), (".", "not a regular file")]
    {
        let file = folder.write("file.toml", format!("[admin]\nlisten = \"${{file:{name}}}\"\n").as_bytes());
        let told = load(&file, &nothing).render();
        assert!(told.contains(why), "{name}: {told}");
    }
}

#[test]
fn paths_start_at_the_folder_of_their_file() {
    let options = options(
        "[access_log]\npath = \"a.log\"\n[listener.web]\nbind = \"unix:web.sock\"\n[tls.site]\ncertificate = \"/s.crt\"\nprivate_key = \"../s.key\"\n",
    );
    let path =
        |written: &str, resolved: &str| FilePath { written: written.into(), resolved: resolved.into() };
    let log = options.access_log.expect("[access_log] was written").path.clone();
    assert_eq!(log, Some(Spanned::from(LogTarget::File(path("a.log", "/etc/towpath/a.log")))));
    let bind = options.listener["web"].bind.clone().expect("bind was written");
    assert_eq!(bind[0].value, Bind::Unix(path("web.sock", "/etc/towpath/web.sock")));
    let tls = &options.tls["site"];
    let one = |path| Some(Spanned::from(OneOrMany(vec![Spanned::from(path)])));
    assert_eq!(tls.certificate, one(path("/s.crt", "/s.crt")));
    assert_eq!(tls.private_key, one(path("../s.key", "/etc/towpath/../s.key")));
}

#[test]
fn values_arrive_typed() {
    let options = options(
        "[route.a]\nupstream = \"a\"\nhost = \"Shop.internal\"\ntimeout = \"5m\"\n[upstream.a]\nendpoints = [\"a:80\"]\npool.max_connections = \"unlimited\"\n",
    );
    let route = &options.route["a"];
    assert_eq!(route.timeout, Some(Spanned::from(Duration::from_secs(300))));
    assert_eq!(route.host, Some(Spanned::from(HostHeader::Literal("Shop.internal".to_owned()))));
    let pool = options.upstream["a"].pool.as_ref().expect("pool was written");
    assert_eq!(pool.max_connections, Some(Spanned::from(Cap::Unlimited)));
}

#[test]
fn an_object_that_only_moved_is_equal() {
    let text = "[upstream.a]\nendpoints = [\"a:80\"]\n";
    assert_eq!(options(text), options(&format!("# moved\n\n{text}")));
    assert_ne!(options(text), options(&text.replace("80", "81")));
}

#[test]
fn no_text_makes_it_panic() {
    let everything = include_str!("cases/everything.toml");
    let tell = |text: &str| {
        let parsed = parse(text, Path::new("f.toml"), &nothing);
        let _ = (parsed.render(), parsed.options.to_json());
        for fault in &parsed.faults {
            assert_ne!(parsed.sources.place(fault.span), "", "{fault:?}");
        }
    };
    let odd = ["\"", "=", "[", "]", "{", "\n", "-", "${", "ü", "\u{0}", "}"];
    for at in 0..everything.len() {
        tell(&everything[..at]);
        for odd in [odd[at % odd.len()], odd[(at + 5) % odd.len()]] {
            tell(&format!("{}{odd}{}", &everything[..at], &everything[at + 1..]));
        }
    }
}

#[test]
fn every_key_and_word_is_documented() {
    let schema = schema();
    let tables = schema["$defs"].as_object().expect("definitions");
    assert!(tables.len() > 20);
    for (name, table) in tables {
        assert_ne!(table["description"], "", "{name}");
        assert_eq!(table["additionalProperties"], false, "{name}");
        for (key, property) in table["properties"].as_object().expect("properties") {
            let doc = property["description"].as_str().unwrap_or_default();
            assert!(doc.ends_with('.') || doc.ends_with('`'), "{name}.{key}: {doc}");
        }
    }
}

#[test]
fn every_schema_reference_leads_somewhere() {
    let schema = schema();
    let text = schema.to_string();
    for part in text.split("\"#/$defs/").skip(1) {
        let name = part.split('"').next().unwrap_or_default();
        assert!(schema["$defs"][name].is_object(), "{name}");
    }
    assert!(text.contains("\"#/$defs/Pool\""));
}

#[test]
fn the_reference_has_a_section_for_each_table() {
    let page = reference_markdown();
    for line in [
        "## `[listener.NAME]`",
        "## `[listener.NAME.timeouts]`",
        "## `[upstream.NAME.pool]`",
        "## `[route.NAME.match]`",
        "## `[admin]`",
        "| `idle_timeout` | a time span such as \"30s\" | An idle connection is closed after this; `\"0s\"` turns reuse off. Default `\"300s\"`. |",
    ] {
        assert!(page.lines().any(|shown| shown == line), "{line}");
    }
    assert!(page.lines().filter(|line| line.starts_with('|')).all(|line| line.matches('|').count() == 4));
}
