//! Whole requests against real folders: a request as text in, an answer as text out.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, mknodat, openat2};
use towpath_proto::message::{Field, Fields, Known, Span};

use super::*;

/// Sun, 06 Nov 1994 08:49:37 GMT, the modification time of every test file.
const MODIFIED: u64 = 784_111_777;

/// A folder of its own below the system's temporary one, removed at the end.
pub(super) struct Folder {
    outer: PathBuf,
    /// The folder that is served; there is one more around it.
    pub(super) root: PathBuf,
}

impl Folder {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let outer = std::env::temp_dir().join(format!("towpath-files-{}-{number}", std::process::id()));
        let root = outer.join("root");
        fs::create_dir_all(&root).unwrap();
        Self { outer, root }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(MODIFIED)).unwrap();
    }

    fn files(&self) -> Files {
        Files {
            root: self.root.clone(),
            index: vec!["index.html".to_string()],
            precompressed: Vec::new(),
            follow_symlinks: false,
            cache_control: None,
            strip_prefix: Box::default(),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.outer);
    }
}

/// `METHOD /path?query`, then header lines. Built by hand, so that no codec stands between the test and the files.
fn query_of(text: &str) -> FileQuery {
    let mut lines = text.lines().map(str::trim_start);
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let mut block = Vec::new();
    let mut fields = Fields::default();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let known = Known::of(name.as_bytes());
        let (name, value) = (append(&mut block, name), append(&mut block, value));
        fields.push(Field { name, value, known, never_index: false });
    }
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        "POST" => Method::Post,
        "CONNECT" => Method::Connect,
        other => Method::Extension(append(&mut block, other)),
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.as_bytes())),
        None => (target, None),
    };
    let now = UNIX_EPOCH + Duration::from_secs(MODIFIED + 3600);
    FileQuery::from_request(&FileRequest {
        method,
        fields: &fields,
        block: &block,
        path: path.as_bytes(),
        query,
        now,
    })
}

fn append(block: &mut Vec<u8>, text: &str) -> Span {
    let start = u32::try_from(block.len()).unwrap();
    block.extend_from_slice(text.as_bytes());
    Span::new(start, u32::try_from(block.len()).unwrap())
}

/// Status, reason and sorted-out header lines on a line each, then the body. Entity tags hold the inode, so only
/// their last part is shown.
fn shown(answer: &FileAnswer) -> String {
    let mut text = answer.status.to_string();
    if let Some(refusal) = answer.refusal {
        text = format!("{text} {}", refusal.code());
    }
    for line in std::str::from_utf8(&answer.head).unwrap().split_terminator("\r\n") {
        let line = match line.strip_prefix("etag: ") {
            Some(tag) => format!("etag: {}", tag_shape(tag)),
            None => line.to_string(),
        };
        text = format!("{text}\n{line}");
    }
    format!("{text}\n\n{}", String::from_utf8_lossy(&body_bytes(&answer.body)))
}

/// Keeps the constant part: `"<seconds>.<nanos>-<len>-*[-encoding]"`.
fn tag_shape(tag: &str) -> String {
    let mut pieces: Vec<&str> = tag.trim_matches('"').split('-').collect();
    pieces[2] = "*";
    pieces.join("-")
}

fn body_bytes(body: &FileBody) -> Vec<u8> {
    match body {
        FileBody::None => Vec::new(),
        FileBody::Bytes(bytes) => bytes.clone(),
        FileBody::File { file, offset, len } => slice_bytes(file, *offset, *len),
        FileBody::Parts(parts) => parts.iter().flat_map(part_bytes).collect(),
    }
}

fn part_bytes(part: &Part) -> Vec<u8> {
    match part {
        Part::Bytes(bytes) => bytes.clone(),
        Part::File { file, offset, len } => slice_bytes(file, *offset, *len),
    }
}

fn slice_bytes(file: &File, offset: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut bytes, offset).unwrap();
    bytes
}

/// The answer as text; the way that never waits must give the same, once the kernel has everything in memory.
fn ask(files: &Files, request: &str) -> String {
    let query = query_of(request);
    let patient = answer(files, &query);
    assert_eq!(patient.body.len(), body_bytes(&patient.body).len() as u64, "{request}");
    let text = shown(&patient);
    if let Some(cached) = answer_cached(files, &query)
        && !matches!(patient.body, FileBody::Parts(_))
    {
        assert_eq!(shown(&cached), text, "{request} without waiting");
    }
    text
}

#[track_caller]
fn check(files: &Files, request: &str, expected: &str) {
    let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
    let found = ask(files, request);
    let found: Vec<&str> = found.trim_end().lines().map(str::trim).collect();
    assert_eq!(found.join("\n"), expected.join("\n"), "{request}");
}

/// Status and reason alone.
#[track_caller]
fn check_status(files: &Files, request: &str, expected: &str) {
    assert_eq!(ask(files, request).lines().next().unwrap(), expected, "{request}");
}

#[test]
fn a_file_with_its_metadata() {
    let folder = Folder::new();
    folder.write("a.txt", b"hello\n");
    let files = Files { cache_control: Some(b"max-age=60".as_slice().into()), ..folder.files() };
    let head = "200
        content-type: text/plain; charset=utf-8
        content-length: 6
        last-modified: Sun, 06 Nov 1994 08:49:37 GMT
        etag: 2ebc98a1.0-6-*
        accept-ranges: bytes
        cache-control: max-age=60";
    check(&files, "GET /a.txt", &format!("{head}\n\nhello"));
    check(&files, "GET /a.txt?v=2", &format!("{head}\n\nhello"));
    check(&files, "HEAD /a.txt", head);
}

#[test]
fn methods_rfc9110_9_3() {
    let folder = Folder::new();
    folder.write("a.txt", b"hello\n");
    let files = folder.files();
    check(&files, "OPTIONS /a.txt", "204\nallow: GET, HEAD, OPTIONS");
    check(&files, "OPTIONS *", "204\nallow: GET, HEAD, OPTIONS");
    for method in ["POST", "CONNECT", "BREW", "get"] {
        let refused = "405 method_not_allowed
            content-type: text/plain; charset=utf-8
            content-length: 23
            allow: GET, HEAD, OPTIONS

            405 method_not_allowed";
        check(&files, &format!("{method} /a.txt"), refused);
    }
}

#[test]
fn odd_targets_get_an_answer_t44() {
    let folder = Folder::new();
    folder.write("a.txt", b"hello\n");
    let files = folder.files();
    check_status(&files, "GET *", "400 bad_path");
    check_status(&files, "GET ", "400 bad_path");
    check_status(&files, "CONNECT ", "405 method_not_allowed");
    check_status(&files, &format!("GET /{}", "a".repeat(300)), "404 file_not_found");
    check_status(&files, &format!("GET {}", "/a".repeat(5000)), "404 file_not_found");
    check_status(&files, "GET /a.txt/", "404 file_not_found");
    check_status(&files, "GET /a.txt/b", "404 file_not_found");
    check(
        &files,
        "HEAD /none",
        "404 file_not_found
        content-type: text/plain; charset=utf-8
        content-length: 19",
    );
}

#[test]
fn folders() {
    let folder = Folder::new();
    folder.write("in/index.html", b"<p>in\n");
    folder.write("bare/a.txt", b"a");
    fs::create_dir_all(folder.path("odd/index.html")).unwrap();
    let files = folder.files();
    check(&files, "GET /in?x=%20", "301\nlocation: /in/?x=%20\ncontent-length: 0");
    check(&files, "HEAD /in", "301\nlocation: /in/\ncontent-length: 0");
    assert!(ask(&files, "GET /in/").ends_with("\n\n<p>in\n"));
    check_status(&files, "GET /bare/", "403 file_forbidden");
    check_status(&files, "GET /odd/", "403 file_forbidden");
    check_status(&files, "GET /none/", "404 file_not_found");
    check_status(&files, "GET /", "403 file_forbidden");
    let several = Files { index: vec!["index.htm".to_string(), "a.txt".to_string()], ..folder.files() };
    assert!(ask(&several, "GET /bare/").ends_with("\n\na"));
}

#[test]
fn a_prefix_is_taken_off_and_kept_in_redirects() {
    let folder = Folder::new();
    folder.write("index.html", b"root");
    folder.write("in/index.html", b"in");
    let files = Files { strip_prefix: b"/static".as_slice().into(), ..folder.files() };
    check(&files, "GET /static", "301\nlocation: /static/\ncontent-length: 0");
    check(&files, "GET /static/in", "301\nlocation: /static/in/\ncontent-length: 0");
    assert!(ask(&files, "GET /static/").ends_with("\n\nroot"));
    assert!(ask(&files, "GET /static/in/").ends_with("\n\nin"));
    check_status(&files, "GET /staticin/", "404 file_not_found");
}

#[test]
fn names_are_bytes() {
    let folder = Folder::new();
    for name in ["a b.txt", "grün.txt", "100%.txt", "a?b.txt", "a;b.txt", "a\\b.txt", "-", "..."] {
        folder.write(name, name.as_bytes());
    }
    let files = folder.files();
    for (path, name) in [
        ("/a%20b.txt", "a b.txt"),
        ("/gr%C3%BCn.txt", "grün.txt"),
        ("/100%25.txt", "100%.txt"),
        ("/a%3Fb.txt", "a?b.txt"),
        ("/a;b.txt", "a;b.txt"),
        ("/a%5Cb.txt", "a\\b.txt"),
        ("/-", "-"),
        ("/...", "..."),
    ] {
        assert!(ask(&files, &format!("GET {path}")).ends_with(&format!("\n\n{name}")), "{path}");
    }
}

#[test]
fn nothing_outside_the_root_is_reached_t40() {
    let folder = Folder::new();
    folder.write("in/a.txt", b"a");
    folder.write("../secret.txt", b"secret");
    folder.write("../rootsecret/a.txt", b"secret");
    let files = folder.files();
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/in/../../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
    ] {
        check_status(&files, &format!("GET {path}"), "400 bad_path");
    }
    check_status(&files, "GET //etc/passwd", "404 file_not_found");
    check_status(&files, "GET /..secret.txt", "404 file_not_found");
    let through_index = Files { index: vec!["../secret.txt".to_string()], ..folder.files() };
    check_status(&through_index, "GET /", "403 file_forbidden");
}

#[test]
fn links_are_refused_unless_followed_and_never_leave_the_root_t40() {
    let folder = Folder::new();
    folder.write("a.txt", b"a");
    folder.write("in/b.txt", b"b");
    folder.write("../secret.txt", b"secret");
    let links = [
        ("inside", Path::new("a.txt").to_path_buf()),
        ("in/up", Path::new("../a.txt").to_path_buf()),
        ("folder", Path::new("in").to_path_buf()),
        ("absolute", folder.path("../secret.txt")),
        ("absolute-inside", folder.path("a.txt")),
        ("relative", Path::new("../secret.txt").to_path_buf()),
        ("parent", Path::new("..").to_path_buf()),
        ("chain", Path::new("relative").to_path_buf()),
        ("proc", Path::new("/proc/self/root").to_path_buf()),
        ("self", Path::new("self").to_path_buf()),
        ("dangling", Path::new("none").to_path_buf()),
    ];
    for (link, target) in &links {
        symlink(target, folder.path(link)).unwrap();
    }
    let strict = folder.files();
    let follows = Files { follow_symlinks: true, ..folder.files() };
    for (path, strictly, following) in [
        ("/a.txt", "200", "200"),
        ("/inside", "403 file_forbidden", "200"),
        ("/in/up", "403 file_forbidden", "200"),
        ("/folder", "403 file_forbidden", "301"),
        ("/folder/b.txt", "403 file_forbidden", "200"),
        ("/absolute", "403 file_forbidden", "403 file_forbidden"),
        ("/absolute-inside", "403 file_forbidden", "403 file_forbidden"),
        ("/relative", "403 file_forbidden", "403 file_forbidden"),
        ("/parent/secret.txt", "403 file_forbidden", "403 file_forbidden"),
        ("/parent/root/a.txt", "403 file_forbidden", "403 file_forbidden"),
        ("/chain", "403 file_forbidden", "403 file_forbidden"),
        ("/proc/etc/passwd", "403 file_forbidden", "403 file_forbidden"),
        ("/self", "403 file_forbidden", "403 file_forbidden"),
        ("/dangling", "403 file_forbidden", "404 file_not_found"),
    ] {
        check_status(&strict, &format!("GET {path}"), strictly);
        // Where the kernel cannot resolve beneath a root, no link is followed.
        let following = if kernel_resolves_beneath() { following } else { strictly };
        check_status(&follows, &format!("GET {path}"), following);
    }
}

#[test]
fn the_root_itself_may_be_a_link_and_may_change() {
    let folder = Folder::new();
    folder.write("one/a.txt", b"one");
    folder.write("two/a.txt", b"two");
    symlink("one", folder.path("current")).unwrap();
    let files = Files { root: folder.path("current"), ..folder.files() };
    assert!(ask(&files, "GET /a.txt").ends_with("\n\none"));
    symlink("two", folder.path("next")).unwrap();
    fs::rename(folder.path("next"), folder.path("current")).unwrap();
    assert!(ask(&files, "GET /a.txt").ends_with("\n\ntwo"));
    fs::remove_file(folder.path("current")).unwrap();
    check_status(&files, "GET /a.txt", "404 file_not_found");
}

#[test]
fn only_regular_files_are_served() {
    let folder = Folder::new();
    mknodat(CWD, folder.path("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _socket = UnixListener::bind(folder.path("socket")).unwrap();
    fs::create_dir(folder.path("in")).unwrap();
    mknodat(CWD, folder.path("in/index.html"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let files = folder.files();
    check_status(&files, "GET /fifo", "403 file_not_regular");
    check_status(&files, "GET /socket", "403 file_not_regular");
    check_status(&files, "GET /in/", "403 file_not_regular");
    // Of a folder of devices every system has one.
    let devices = Files { root: PathBuf::from("/dev"), ..folder.files() };
    check_status(&devices, "GET /null", "403 file_not_regular");
    check_status(&devices, "GET /zero", "403 file_not_regular");
    let followed = Files { follow_symlinks: true, ..folder.files() };
    symlink("/dev/zero", folder.path("zero")).unwrap();
    check_status(&followed, "GET /zero", "403 file_forbidden");
}

#[test]
fn what_may_not_be_read_is_forbidden() {
    let folder = Folder::new();
    folder.write("a.txt", b"a");
    fs::set_permissions(folder.path("a.txt"), fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser reads everything, so what is expected is asked from the system first.
    let expected = match File::open(folder.path("a.txt")) {
        Ok(_) => "200",
        Err(_) => "403 file_forbidden",
    };
    check_status(&folder.files(), "GET /a.txt", expected);
    assert_eq!(Refusal::from(rustix::io::Errno::ACCESS), Refusal::Forbidden);
}

#[test]
fn a_folder_may_be_passed_without_the_right_to_list_it() {
    let folder = Folder::new();
    folder.write("in/index.html", b"in");
    folder.write("bare/a.txt", b"a");
    for name in ["in", "bare"] {
        fs::set_permissions(folder.path(name), fs::Permissions::from_mode(0o311)).unwrap();
    }
    let files = folder.files();
    check_status(&files, "GET /in", "301");
    check_status(&files, "GET /in/", "200");
    check_status(&files, "GET /bare/", "403 file_forbidden");
    check_status(&files, "GET /bare/a.txt", "200");
    for name in ["in", "bare"] {
        fs::set_permissions(folder.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn conditions_rfc9110_13() {
    let folder = Folder::new();
    folder.write("a.txt", b"hello\n");
    let files = Files { cache_control: Some(b"no-cache".as_slice().into()), ..folder.files() };
    let tag = etag(&files, "GET /a.txt");
    check(
        &files,
        &format!("GET /a.txt\nif-none-match: \"x\"\nif-none-match: {tag}"),
        "304
        etag: 2ebc98a1.0-6-*
        cache-control: no-cache",
    );
    check_status(&files, "HEAD /a.txt\nif-modified-since: Sun, 06 Nov 1994 08:49:37 GMT", "304");
    check_status(&files, "GET /a.txt\nif-modified-since: Sun, 06 Nov 1994 08:49:36 GMT", "200");
    check(&files, "GET /a.txt\nif-match: \"x\"", "412\ncontent-length: 0");
    check_status(&files, &format!("GET /a.txt\nif-match: {tag}\nrange: bytes=0-0"), "206");
    check_status(&files, &format!("GET /a.txt\nif-none-match: {tag}\nrange: bytes=9-"), "304");
    check_status(&files, "GET /a.txt\nif-match: \"x\"\nrange: bytes=9-", "412");
    // §13.2.1: a condition says nothing about what is not there.
    check_status(&files, "GET /none\nif-match: *", "404 file_not_found");
}

#[test]
fn a_tag_changes_with_content_time_and_file() {
    let folder = Folder::new();
    let files = folder.files();
    folder.write("a.txt", b"hello");
    let first = etag(&files, "GET /a.txt");
    assert_eq!(etag(&files, "GET /a.txt"), first);
    folder.write("a.txt", b"hello!");
    assert_ne!(etag(&files, "GET /a.txt"), first);
    folder.write("new.txt", b"hello");
    fs::rename(folder.path("new.txt"), folder.path("a.txt")).unwrap();
    assert_ne!(etag(&files, "GET /a.txt"), first);
}

#[test]
fn a_time_in_the_future_is_not_sent_rfc9110_8_8_2_1() {
    let folder = Folder::new();
    folder.write("a.txt", b"hello");
    let file = File::options().write(true).open(folder.path("a.txt")).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX))).unwrap();
    assert!(ask(&folder.files(), "GET /a.txt").contains("last-modified: Sun, 06 Nov 1994 09:49:37 GMT\n"));
    file.set_modified(UNIX_EPOCH - Duration::from_secs(1)).unwrap();
    assert!(ask(&folder.files(), "GET /a.txt").contains("last-modified: Thu, 01 Jan 1970 00:00:00 GMT\n"));
}

#[test]
fn ranges_rfc9110_14() {
    let folder = Folder::new();
    folder.write("a.txt", b"0123456789");
    folder.write("empty.txt", b"");
    let files = folder.files();
    check(
        &files,
        "GET /a.txt\nrange: bytes=2-4",
        "206
        content-type: text/plain; charset=utf-8
        content-length: 3
        content-range: bytes 2-4/10
        last-modified: Sun, 06 Nov 1994 08:49:37 GMT
        etag: 2ebc98a1.0-a-*
        accept-ranges: bytes

        234",
    );
    check(
        &files,
        "GET /a.txt\nrange: bytes=10-",
        "416 range_not_satisfiable
        content-type: text/plain; charset=utf-8
        content-length: 26
        content-range: bytes */10

        416 range_not_satisfiable",
    );
    check_status(&files, "HEAD /a.txt\nrange: bytes=2-4", "200");
    check_status(&files, "GET /empty.txt\nrange: bytes=0-", "200");
    check_status(&files, "GET /a.txt\nrange: bytes=0-1\nrange: bytes=3-4", "200");
    check_status(&files, "GET /a.txt\nrange: bytes=2-4\nif-range: \"x\"", "200");
    let tag = etag(&files, "GET /a.txt");
    check_status(&files, &format!("GET /a.txt\nrange: bytes=2-4\nif-range: {tag}"), "206");
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    check_status(&files, &format!("GET /a.txt\nrange: bytes=2-4\nif-range: {date}"), "206");
}

#[test]
fn several_ranges_are_parts_rfc9110_14_6() {
    let folder = Folder::new();
    folder.write("a.txt", b"0123456789");
    let found = ask(&folder.files(), "GET /a.txt\nrange: bytes=7-8,0-1,-1");
    let (_, boundary) = found.split_once("boundary=").unwrap();
    let boundary = boundary.lines().next().unwrap().to_string();
    let found = found.replace(&boundary, "BOUNDARY").replace("\r\n", "\n");
    let expected = "206
content-type: multipart/byteranges; boundary=BOUNDARY
content-length: 373
last-modified: Sun, 06 Nov 1994 08:49:37 GMT
etag: 2ebc98a1.0-a-*
accept-ranges: bytes

--BOUNDARY
content-type: text/plain; charset=utf-8
content-range: bytes 7-8/10

78
--BOUNDARY
content-type: text/plain; charset=utf-8
content-range: bytes 0-1/10

01
--BOUNDARY
content-type: text/plain; charset=utf-8
content-range: bytes 9-9/10

9
--BOUNDARY--
";
    assert_eq!(found, expected);
}

#[test]
fn siblings_by_accept_encoding_rfc9110_12_5_3() {
    let folder = Folder::new();
    folder.write("a.css", b"plain");
    folder.write("a.css.br", b"brotli");
    folder.write("a.css.gz", b"gzip");
    folder.write("b.css", b"plain");
    fs::create_dir(folder.path("b.css.br")).unwrap();
    symlink("a.css.gz", folder.path("b.css.gz")).unwrap();
    folder.write("orphan.css.gz", b"gzip");
    let files = Files { precompressed: vec![Coding::Zstd, Coding::Brotli, Coding::Gzip], ..folder.files() };
    check(
        &files,
        "GET /a.css\naccept-encoding: gzip, br, zstd",
        "200
        content-type: text/css; charset=utf-8
        content-length: 6
        content-encoding: br
        last-modified: Sun, 06 Nov 1994 08:49:37 GMT
        etag: 2ebc98a1.0-6-*-br
        accept-ranges: bytes
        vary: accept-encoding

        brotli",
    );
    for (accept, body) in [
        ("accept-encoding: gzip", "gzip"),
        ("accept-encoding: gzip;q=0.9, br;q=0.8", "gzip"),
        ("accept-encoding: br;q=0\naccept-encoding: gzip", "gzip"),
        ("accept-encoding: identity", "plain"),
        ("accept-encoding: gzip;q=0", "plain"),
        ("accept: x", "plain"),
    ] {
        let found = ask(&files, &format!("GET /a.css\n{accept}"));
        assert!(found.ends_with(&format!("vary: accept-encoding\n\n{body}")), "{accept}: {found}");
    }
    // What is no regular file, or only reached by a link, takes nothing from the original.
    assert!(ask(&files, "GET /b.css\naccept-encoding: br, gzip").ends_with("\n\nplain"));
    check_status(&files, "GET /orphan.css\naccept-encoding: gzip", "404 file_not_found");
    let off = folder.files();
    assert!(!ask(&off, "GET /a.css\naccept-encoding: br").contains("vary"));
}

#[test]
fn each_encoding_has_its_own_state_rfc9110_8_8_3_3() {
    let folder = Folder::new();
    folder.write("a.css", b"plain");
    folder.write("a.css.gz", b"gzip");
    let files = Files { precompressed: vec![Coding::Gzip], ..folder.files() };
    let plain = etag(&files, "GET /a.css");
    let gzip = etag(&files, "GET /a.css\naccept-encoding: gzip");
    assert_ne!(plain, gzip);
    check_status(&files, &format!("GET /a.css\naccept-encoding: gzip\nif-none-match: {plain}"), "200");
    check(
        &files,
        &format!("GET /a.css\naccept-encoding: gzip\nif-none-match: {gzip}"),
        "304
        etag: 2ebc98a1.0-4-*-gzip
        vary: accept-encoding",
    );
    assert!(ask(&files, "GET /a.css\naccept-encoding: gzip\nrange: bytes=1-2").ends_with("\n\nzi"));
}

#[test]
fn small_files_are_read_and_large_ones_are_not() {
    let folder = Folder::new();
    folder.write("small", &[b'a'; 16 * 1024]);
    folder.write("large", &[b'a'; 16 * 1024 + 1]);
    let files = folder.files();
    let body = |request: &str| answer(&files, &query_of(request)).body;
    assert!(matches!(body("GET /small"), FileBody::Bytes(_)));
    assert!(matches!(body("GET /large"), FileBody::File { offset: 0, len: 16_385, .. }));
    assert!(matches!(body("GET /large\nrange: bytes=1-2"), FileBody::Bytes(_)));
    assert!(matches!(body("HEAD /large"), FileBody::None));
}

#[test]
fn a_query_can_leave_its_thread() {
    fn needs_send<T: Send + 'static>() {}
    needs_send::<FileQuery>();
    needs_send::<FileAnswer>();
}

fn kernel_resolves_beneath() -> bool {
    openat2(CWD, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::BENEATH).is_ok()
}

fn etag(files: &Files, request: &str) -> String {
    let answer = answer(files, &query_of(request));
    let head = String::from_utf8(answer.head).unwrap();
    head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_string()
}
