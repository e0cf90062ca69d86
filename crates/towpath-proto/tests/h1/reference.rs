//! A request parser written for plainness alone: one byte at a time, nothing shared with the codec. What it
//! and the codec say of any input has to be the same.

/// What `input` amounts to: one line for each start line, field, trailer and body, then `closed`, `truncated`
/// or `refused`.
pub(crate) fn outline(input: &[u8]) -> String {
    let mut parser = Parser::default();
    for &byte in input {
        if parser.take(byte).is_none() {
            parser.flush_data();
            parser.out.push_str("refused\n");
            return parser.out;
        }
    }
    parser.flush_data();
    // A CR alone is the first half of the empty line that may precede a request: nothing of a request has
    // come.
    let is_nothing = parser.lines.is_empty() && (parser.line.is_empty() || parser.line == b"\r");
    let is_between = matches!(parser.state, State::Head) && is_nothing;
    parser.out.push_str(if is_between { "closed\n" } else { "truncated\n" });
    parser.out
}

#[derive(Default)]
struct Parser {
    state: State,
    /// An empty line has preceded this request.
    has_skipped: bool,
    line: Vec<u8>,
    lines: Vec<Vec<u8>>,
    data: Vec<u8>,
    out: String,
}

#[derive(Default)]
enum State {
    #[default]
    Head,
    Length(u64),
    ChunkLine,
    Chunk(u64),
    ChunkCr,
    ChunkLf,
    Trailers,
}

impl Parser {
    /// `None` refuses the connection.
    fn take(&mut self, byte: u8) -> Option<()> {
        match self.state {
            State::Head => self.take_head(byte),
            State::Length(left) => {
                self.data.push(byte);
                self.state = State::Length(left - 1);
                if left == 1 {
                    self.end();
                }
                Some(())
            }
            State::ChunkLine => self.take_chunk_line(byte),
            State::Chunk(left) => {
                self.data.push(byte);
                self.state = if left == 1 { State::ChunkCr } else { State::Chunk(left - 1) };
                Some(())
            }
            State::ChunkCr => {
                self.state = State::ChunkLf;
                (byte == b'\r').then_some(())
            }
            State::ChunkLf => {
                self.state = State::ChunkLine;
                (byte == b'\n').then_some(())
            }
            State::Trailers => self.take_trailers(byte),
        }
    }

    fn take_head(&mut self, byte: u8) -> Option<()> {
        let is_start = self.lines.is_empty() && self.line.is_empty();
        if is_start && !is_tchar(byte) && (byte != b'\r' || self.has_skipped) {
            return None;
        }
        if self.lines.is_empty() && self.line == b"\r" && byte != b'\n' {
            return None;
        }
        if !self.take_line(byte)? {
            return Some(());
        }
        if self.lines.len() == 1 && self.lines[0].is_empty() {
            self.lines.clear();
            self.has_skipped = true;
            return Some(());
        }
        if self.lines.last().is_some_and(|line| !line.is_empty()) {
            return Some(());
        }
        self.lines.pop();
        let lines = std::mem::take(&mut self.lines);
        self.has_skipped = false;
        self.judge_head(&lines)
    }

    fn take_chunk_line(&mut self, byte: u8) -> Option<()> {
        if !self.take_line(byte)? {
            return Some(());
        }
        let line = self.lines.pop()?;
        let (digits, extension) = match line.iter().position(|&byte| byte == b';') {
            Some(at) => line.split_at(at),
            None => (&line[..], &b""[..]),
        };
        let digits = std::str::from_utf8(digits).ok()?;
        let is_hexadecimal = !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_hexdigit());
        if !is_hexadecimal || digits.len() > 16 || extension.len() > 256 || !extension.iter().all(is_text) {
            return None;
        }
        self.state = match u64::from_str_radix(digits, 16).ok()? {
            0 => State::Trailers,
            size => State::Chunk(size),
        };
        Some(())
    }

    fn take_trailers(&mut self, byte: u8) -> Option<()> {
        if !self.take_line(byte)? || self.lines.last().is_some_and(|line| !line.is_empty()) {
            return Some(());
        }
        self.lines.pop();
        let lines = std::mem::take(&mut self.lines);
        self.flush_data();
        let mut kept = Vec::new();
        for line in &lines {
            let (name, value) = split_field(line)?;
            match trailer_verdict(&name) {
                'k' => kept.push(format!("  {name}: {value}\n")),
                'd' => {}
                _ => return None,
            }
        }
        if !kept.is_empty() {
            self.out += &format!("trailers\n{}", kept.concat());
        }
        self.end();
        Some(())
    }

    /// Adds a byte to the line; `true` once the line is complete, which is then in `lines` without its end.
    fn take_line(&mut self, byte: u8) -> Option<bool> {
        if byte != b'\n' {
            self.line.push(byte);
            return Some(false);
        }
        (self.line.pop()? == b'\r').then_some(())?;
        self.lines.push(std::mem::take(&mut self.line));
        Some(true)
    }

    fn end(&mut self) {
        self.flush_data();
        self.out.push_str("end\n");
        self.state = State::Head;
    }

    fn flush_data(&mut self) {
        if !self.data.is_empty() {
            self.out += &format!("data {}\n", self.data.escape_ascii());
            self.data.clear();
        }
    }

    fn judge_head(&mut self, lines: &[Vec<u8>]) -> Option<()> {
        let (start, lines) = lines.split_first()?;
        let start = std::str::from_utf8(start).ok()?;
        let [method, target, version] = start.split(' ').collect::<Vec<_>>()[..] else { return None };
        let is_old = match version {
            "HTTP/1.1" => false,
            "HTTP/1.0" => true,
            _ => return None,
        };
        if method.is_empty() || !method.bytes().all(is_tchar) {
            return None;
        }
        let target_authority = judge_target(method, target)?;
        let mut fields = Vec::new();
        for line in lines {
            fields.push(split_field(line)?);
        }
        let values = |name: &str| -> Vec<&str> {
            let of_name = fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
            of_name.map(|(_, value)| value.as_str()).collect()
        };
        judge_host(&values("host"), target_authority, is_old)?;
        let length = match values("content-length")[..] {
            [] => None,
            [digits] if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                Some(digits.parse::<u64>().ok()?)
            }
            _ => return None,
        };
        let is_chunked = match values("transfer-encoding")[..] {
            [] => false,
            [coding] => {
                if !coding.eq_ignore_ascii_case("chunked") || is_old || length.is_some() {
                    return None;
                }
                true
            }
            _ => return None,
        };
        let has_content = is_chunked || length.is_some_and(|length| length > 0);
        let asks_upgrade = values("connection")
            .iter()
            .flat_map(|value| value.split(','))
            .any(|option| option.trim().eq_ignore_ascii_case("upgrade"));
        if asks_upgrade && !is_old {
            let is_safe = ["GET", "HEAD", "OPTIONS", "TRACE"].contains(&method);
            match values("upgrade")[..] {
                [] => {}
                [protocols] if !(protocols.is_empty() || is_safe && has_content) => {}
                _ => return None,
            }
        }
        if method == "CONNECT" && has_content {
            return None;
        }
        match values("expect")[..] {
            [] => {}
            [expectation] if expectation.eq_ignore_ascii_case("100-continue") => {}
            _ => return None,
        }
        self.out += &format!("head {}\n", start.as_bytes().escape_ascii());
        for (name, value) in &fields {
            self.out += &format!("  {name}: {value}\n");
        }
        match length {
            _ if is_chunked => self.state = State::ChunkLine,
            None | Some(0) => self.end(),
            Some(length) => self.state = State::Length(length),
        }
        Some(())
    }
}

/// The authority in the target with its default port, if the target has one; `None` refuses it.
fn judge_target<'a>(method: &str, target: &'a str) -> Option<Option<(&'a str, &'static str)>> {
    if target.is_empty() || !target.bytes().all(|byte| byte.is_ascii_graphic()) || target.contains('#') {
        return None;
    }
    if method == "CONNECT" {
        split_host(target)?.1?;
        return Some(Some((target, "")));
    }
    if target.starts_with('/') {
        return judge_path(target).then_some(None);
    }
    if target == "*" {
        return (method == "OPTIONS").then_some(None);
    }
    let (scheme, rest) = target.split_once("://")?;
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => "80",
        "https" => "443",
        _ => return None,
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    split_host(authority)?;
    let is_whole = if path.is_empty() { method != "OPTIONS" } else { judge_path(path) };
    is_whole.then_some(Some((authority, default_port)))
}

fn judge_path(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let digits = rest.get(at + 1..at + 3).unwrap_or_default();
        if digits.len() != 2 || !digits.chars().all(|digit| digit.is_ascii_hexdigit()) {
            return false;
        }
        rest = &rest[at + 3..];
    }
    !path.contains(['"', '<', '>', '\\'])
}

fn judge_host(hosts: &[&str], target: Option<(&str, &str)>, is_old: bool) -> Option<()> {
    let host = match hosts[..] {
        [] => return is_old.then_some(()),
        [host] => split_host(host)?,
        _ => return None,
    };
    let Some((authority, default_port)) = target else { return Some(()) };
    let authority = split_host(authority)?;
    let port_of = |port: Option<&str>| port.unwrap_or(default_port).trim_start_matches('0').to_owned();
    let is_same_port = port_of(host.1).is_empty() || port_of(host.1) == port_of(authority.1);
    (host.0.eq_ignore_ascii_case(authority.0) && is_same_port).then_some(())
}

fn split_host(text: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = match text.rfind(':') {
        Some(at) if !text.ends_with(']') => (&text[..at], Some(&text[at + 1..])),
        _ => (text, None),
    };
    if let Some(port) = port {
        let is_port = !port.is_empty() && port.len() <= 5 && port.bytes().all(|digit| digit.is_ascii_digit());
        if !is_port || !(1..=65535).contains(&port.parse::<u32>().ok()?) {
            return None;
        }
    }
    let is_literal = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name = !host.is_empty()
        && host.len() <= 255
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        && !host.starts_with('.')
        && !host.contains("..");
    (is_literal || is_name).then_some((host, port))
}

/// Name and value, escaped as the outline shows them.
fn split_field(line: &[u8]) -> Option<(String, String)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().copied().all(is_tchar) || !value.iter().all(is_text) {
        return None;
    }
    let is_blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    Some((name.escape_ascii().to_string(), value[start..end].escape_ascii().to_string()))
}

/// Kept, dropped or refused.
fn trailer_verdict(name: &str) -> char {
    const REFUSED: &str = " connection content-length expect host te trailer transfer-encoding upgrade ";
    const DROPPED: &str = " accept-encoding content-type date forwarded keep-alive proxy-authenticate \
        proxy-authorization proxy-connection proxy-status referer server user-agent via x-forwarded-for \
        x-forwarded-host x-forwarded-proto x-forwarded-port x-real-ip x-request-id age authorization cache-control \
        content-encoding content-range cookie location max-forwards pragma range retry-after set-cookie vary \
        www-authenticate ";
    let word = format!(" {} ", name.to_ascii_lowercase());
    if REFUSED.contains(&word) {
        'r'
    } else if DROPPED.contains(&word) {
        'd'
    } else {
        'k'
    }
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_text(byte: &u8) -> bool {
    *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)
}
