//! The one thing a route does.

use std::path::Path;
use std::sync::Arc;

use towpath_config::options;
use towpath_config::value::Map;
use towpath_config::{Diagnostic, Span, Spanned};
use towpath_gateway::plan::{Action, Files, Redirect, Respond, SplitUpstreams};
use towpath_traffic::route::{PathRule, Template};

use super::upstream::Upstreams;
use super::{Faults, coding, edits};

/// What `respond` sends unless it says otherwise.
const BODY_TYPE: &[u8] = b"text/plain; charset=utf-8";

/// The status of a fixed response and of a redirect that do not name one.
const RESPOND_STATUS: u16 = 200;
const REDIRECT_STATUS: u16 = 308;

/// What answers for a folder unless the route says otherwise.
const INDEX: &str = "index.html";

/// Reads the action. `None` when it has faults, or when there is not exactly one, which was found where it was read.
pub(super) fn read(
    route: &options::Route,
    path: &PathRule,
    upstreams: &Upstreams<'_>,
    workers: usize,
    faults: &mut Faults,
) -> Option<Action> {
    match (&route.upstream, &route.upstreams, &route.respond, &route.redirect, &route.files) {
        (Some(upstream), None, None, None, None) => upstreams.find(upstream, faults).map(Action::Upstream),
        (None, Some(split), None, None, None) => read_split(split, upstreams, workers, faults),
        (None, None, Some(respond), None, None) => read_respond(respond, faults).map(Action::Respond),
        (None, None, None, Some(redirect), None) => {
            read_redirect(redirect, path, faults).map(Action::Redirect)
        }
        (None, None, None, None, Some(files)) => {
            read_files(files, path, faults).map(|files| Action::Files(Arc::new(files)))
        }
        _ => None,
    }
}

fn read_split(
    split: &Spanned<Map<u32>>,
    upstreams: &Upstreams<'_>,
    workers: usize,
    faults: &mut Faults,
) -> Option<Action> {
    let shares: Vec<_> =
        split.iter().map(|(name, weight)| Some((upstreams.find(name, faults)?, weight.value))).collect();
    let shares = shares.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Action::Split(SplitUpstreams::new(shares, workers)))
}

fn read_respond(respond: &options::Respond, faults: &mut Faults) -> Option<Respond> {
    let before = faults.len();
    let status = respond.status.as_ref().map_or(RESPOND_STATUS, |status| status.value.0);
    let body: Arc<[u8]> = respond.body.as_ref().map_or("", |body| body.as_str()).as_bytes().into();
    if let (Some(given), Some(text)) = (&respond.status, &respond.body) {
        refuse_body(given.span, status, text, faults);
    }
    let mut headers = edits::fields(&respond.headers, faults);
    if !body.is_empty() && !headers.iter().any(|(name, _)| **name == *b"content-type") {
        headers.push((b"content-type".as_slice().into(), BODY_TYPE.into()));
    }
    (faults.len() == before).then_some(Respond { status, headers, body })
}

/// RFC 9110 §15.3.5, §15.3.6 and §15.4.5: these have no content.
fn refuse_body(place: Span, status: u16, body: &Spanned<String>, faults: &mut Faults) {
    if matches!(status, 204 | 205 | 304) && !body.is_empty() {
        let fault = Diagnostic::error(body.span, format!("a response with status {status} has no body"));
        faults.push(fault.also(place, "the status").hint("take the body out or choose another status"));
    }
}

/// A status that does not redirect, or a missing `to`, was found where it was read.
fn read_redirect(redirect: &options::Redirect, path: &PathRule, faults: &mut Faults) -> Option<Redirect> {
    let status = redirect.status.as_ref().map_or(REDIRECT_STATUS, |status| status.value.0);
    let to = redirect.to.as_ref()?;
    if !is_target(to) {
        let fault = Diagnostic::error(to.span, format!("\"{to}\" is not a place to redirect to"));
        faults.push(fault.hint("write a path such as \"/new\" or a URL such as \"https://example.com/\""));
        return None;
    }
    Some(Redirect { status, to: read_template(to, path, faults)? })
}

/// A path of this host or a URL; `//` would be a URL without scheme, which nobody means.
fn is_target(to: &str) -> bool {
    let begins =
        |scheme: &str| to.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    (to.starts_with('/') && !to.starts_with("//")) || begins("https://") || begins("http://")
}

/// A text with `{name}` for captures of the route's path.
pub(super) fn read_template(
    text: &Spanned<String>,
    path: &PathRule,
    faults: &mut Faults,
) -> Option<Template> {
    if let Some(bad) = text.chars().find(|c| !c.is_ascii_graphic()) {
        let fault = Diagnostic::error(text.span, format!("{bad:?} cannot stand in a URL"));
        faults.push(fault.hint("write it as an escape such as %20"));
        return None;
    }
    match Template::parse(text, path) {
        Ok(template) => Some(template),
        Err(why) => {
            faults.push(Diagnostic::error(text.span, format!("\"{text}\": {why}")).hint(captures_hint(path)));
            None
        }
    }
}

fn captures_hint(path: &PathRule) -> String {
    let names: Vec<String> = path.capture_names().map(|name| format!("{{{name}}}")).collect();
    match names.as_slice() {
        [] => format!("the path \"{path}\" captures nothing; write it as \"/old/{{name}}\""),
        names => format!("the path \"{path}\" captures {}", names.join(", ")),
    }
}

fn read_files(files: &options::Files, path: &PathRule, faults: &mut Faults) -> Option<Files> {
    let index = read_index(files, faults);
    let cache_control = match &files.cache_control {
        Some(value) => Some(edits::read_value("cache-control", value, faults)?),
        None => None,
    };
    // A missing root was found where it was read.
    let root = files.root.as_ref()?;
    let root = read_root(&root.resolved, &root.written, root.span, faults)?;
    let precompressed = files.precompressed.iter().flat_map(|list| list.iter());
    Some(Files {
        root,
        index: index?,
        precompressed: precompressed.map(|encoding| coding::read_encoding(encoding.value)).collect(),
        follow_symlinks: files.follow_symlinks.as_ref().is_some_and(|follow| follow.value),
        cache_control,
        strip_prefix: path.prefix().unwrap_or_default().as_bytes().into(),
    })
}

/// The folder as the system knows it, so that a link on the way to it is followed once and here.
fn read_root(resolved: &Path, written: &str, span: Span, faults: &mut Faults) -> Option<std::path::PathBuf> {
    let found = resolved.canonicalize();
    match found {
        Ok(folder) if folder.is_dir() => Some(folder),
        Ok(_) => {
            faults.push(
                Diagnostic::error(span, format!("\"{written}\" is not a folder"))
                    .hint("write a folder's path"),
            );
            None
        }
        Err(error) => {
            let fault =
                Diagnostic::error(span, format!("the folder \"{written}\" cannot be opened: {error}"));
            faults.push(fault.hint("paths are relative to the file they stand in"));
            None
        }
    }
}

fn read_index(files: &options::Files, faults: &mut Faults) -> Option<Vec<String>> {
    let Some(index) = &files.index else { return Some(vec![INDEX.to_owned()]) };
    let bad = |name: &str| matches!(name, "" | "." | "..") || name.contains(['/', '\0']);
    for name in index.iter().filter(|name| bad(name)) {
        let fault = Diagnostic::error(name.span, format!("\"{name}\" is not the name of a file"));
        faults.push(fault.hint("write a name without folders, such as \"index.html\""));
    }
    if index.iter().any(|name| bad(name)) {
        None
    } else {
        Some(index.iter().map(|name| name.value.clone()).collect())
    }
}
