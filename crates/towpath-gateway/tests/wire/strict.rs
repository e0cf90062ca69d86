//! An origin that reads requests strictly and by its own lights, and names everything that another reader could read
//! otherwise. It shares no code with the gateway.

/// A request as it came, with what is suspicious about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) hazards: Vec<&'static str>,
}

impl Request {
    /// The values of a field.
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| &value[..]).collect()
    }
}

/// Takes the first whole request out of `input`; `None` when more has to come.
pub(crate) fn take_request(input: &mut Vec<u8>) -> Option<Request> {
    let head_end = find(input, b"\r\n\r\n")? + 4;
    let head = &input[..head_end];
    let mut request = read_head(head);
    let (body, total) = read_body(&mut request, &input[head_end..])?;
    request.body = body;
    input.drain(..head_end + total);
    Some(request)
}

fn read_head(head: &[u8]) -> Request {
    let mut request = Request::default();
    let flags = [
        ("NUL", head.contains(&0)),
        ("bareLF", (0..head.len()).any(|at| head[at] == b'\n' && (at == 0 || head[at - 1] != b'\r'))),
        ("bareCR", (0..head.len()).any(|at| head[at] == b'\r' && head.get(at + 1) != Some(&b'\n'))),
        ("obs-fold", find(head, b"\r\n ").is_some() || find(head, b"\r\n\t").is_some()),
    ];
    request.hazards.extend(flags.iter().filter(|(_, is)| *is).map(|(name, _)| *name));
    let text = String::from_utf8_lossy(head).into_owned();
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    match words[..] {
        [method, target, "HTTP/1.1"] => (request.method, request.target) = (method.into(), target.into()),
        _ => request.hazards.push("bad-request-line"),
    }
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name.is_empty() || !name.bytes().all(is_token) || !line.contains(':') {
            request.hazards.push("bad-name");
        }
        request.fields.push((name.to_ascii_lowercase(), value.trim().as_bytes().to_vec()));
    }
    judge_fields(&mut request);
    request
}

fn judge_fields(request: &mut Request) {
    let lengths = request.values("content-length");
    let codings = request.values("transfer-encoding");
    let is_lookalike = |name: &str| {
        let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        letters == "transferencoding" && name != "transfer-encoding"
    };
    let flags = [
        ("host!=1", request.values("host").len() != 1),
        ("CL+TE", !lengths.is_empty() && !codings.is_empty()),
        ("2xCL", lengths.len() > 1),
        ("odd-CL", lengths.iter().any(|length| length.is_empty() || !length.iter().all(u8::is_ascii_digit))),
        ("odd-TE", codings.iter().any(|coding| *coding != b"chunked") || codings.len() > 1),
        ("te-lookalike", request.fields.iter().any(|(name, _)| is_lookalike(name))),
    ];
    let found: Vec<&str> = flags.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
    request.hazards.extend(found);
}

/// The body and how many bytes it takes; `None` when more has to come.
fn read_body(request: &mut Request, rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    if !request.values("transfer-encoding").is_empty() {
        return read_chunks(request, rest);
    }
    let length = request.values("content-length").first().map_or(0, |length| {
        std::str::from_utf8(length).ok().and_then(|length| length.parse::<usize>().ok()).unwrap_or(0)
    });
    rest.get(..length).map(|body| (body.to_vec(), length))
}

fn read_chunks(request: &mut Request, rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line_end = at + find(&rest[at..], b"\r\n")?;
        let line = std::str::from_utf8(&rest[at..line_end]).unwrap_or_default();
        let Some(size) =
            usize::from_str_radix(line, 16).ok().filter(|_| line.bytes().all(|b| b.is_ascii_hexdigit()))
        else {
            request.hazards.push("odd-chunk");
            return Some((body, rest.len()));
        };
        at = line_end + 2;
        if size == 0 {
            // The trailer section ends in an empty line.
            let end = if rest[at..].starts_with(b"\r\n") { 2 } else { find(&rest[at..], b"\r\n\r\n")? + 4 };
            rest.get(..at + end)?;
            return Some((body, at + end));
        }
        body.extend_from_slice(rest.get(at..at + size)?);
        if rest.get(at + size..at + size + 2)? != b"\r\n" {
            request.hazards.push("odd-chunk");
        }
        at += size + 2;
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
