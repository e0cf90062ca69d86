//! `towpath explain`: asks the file, or the process that runs.

use std::path::PathBuf;

use towpath_control::{Console, Exit};

use crate::args::Explain;
use crate::{ask, kind, refuse};

/// Holds the token of the admin listener; on the command line every account of the machine could read it.
const TOKEN_VARIABLE: &str = "TOWPATH_ADMIN_TOKEN";

/// Explains and prints.
pub(crate) fn explain(words: &Explain) -> Exit {
    let question = match question(words) {
        Ok(question) => question,
        Err(message) => return refuse(&message),
    };
    match (&words.admin, words.words.as_slice()) {
        (Some(address), [_, _]) => ask_live(address, &question, words.json),
        (Some(address), [url]) if has_no_method(url) => ask_live(address, &question, words.json),
        (None, [file, _, _]) => ask_file(PathBuf::from(file), &question, words),
        (None, [file, url]) if has_no_method(url) => ask_file(PathBuf::from(file), &question, words),
        (Some(_), _) => {
            refuse("with --admin the process knows its file: towpath explain --admin ADDR METHOD URL")
        }
        (None, _) => refuse("towpath explain FILE METHOD URL, or towpath explain --admin ADDR METHOD URL"),
    }
}

/// Whether a URL is of a connection or session, in which no requests are read.
fn has_no_method(url: &str) -> bool {
    ["tcp://", "tls://", "udp://"].iter().any(|scheme| url.starts_with(scheme))
}

/// The question as the admin API takes it.
fn question(words: &Explain) -> Result<String, String> {
    let mut headers = serde_json::Map::new();
    for header in &words.headers {
        let (name, value) =
            header.split_once(':').ok_or_else(|| format!("-H {header:?}: write 'name: value'"))?;
        headers.insert(name.trim().to_owned(), value.trim().into());
    }
    let url = words.words.last().map(String::as_str).unwrap_or_default();
    let method = words.words.iter().rev().nth(1).map(String::as_str).filter(|_| !has_no_method(url));
    let question = serde_json::json!({
        "listener": words.listener,
        "method": method.unwrap_or("GET"),
        "url": url,
        "headers": headers,
        "alpn": words.alpn,
    });
    Ok(question.to_string())
}

fn ask_file(file: PathBuf, question: &str, words: &Explain) -> Exit {
    let source = match kind::configuration(file, words.kind) {
        Ok(source) => source,
        Err(message) => return refuse(&message),
    };
    match towpath_control::explain(&source, question) {
        Ok(explained) => print(&explained, words.json),
        Err(exit) => exit,
    }
}

fn ask_live(address: &str, question: &str, json: bool) -> Exit {
    let token = std::env::var(TOKEN_VARIABLE).ok();
    match ask::post(address, "/explain", question, token.as_deref()) {
        Ok((200, body)) => match serde_json::from_str(&body) {
            Ok(explained) => print(&explained, json),
            Err(fault) => fail(&format!("{address}: the answer is not JSON: {fault}")),
        },
        Ok((status, body)) => fail(&format!("{address} answered {status}: {body}")),
        Err(fault) => fail(&format!("{address}: {fault}")),
    }
}

fn fail(message: &str) -> Exit {
    Console::default().error("explain_failed", message);
    Exit::Failed
}

/// The document holds the text for people too, so that a live process of another version tells it its own way.
fn print(explained: &serde_json::Value, json: bool) -> Exit {
    let text = match (json, explained["text"].as_str()) {
        (false, Some(text)) => text.to_owned(),
        _ => format!("{explained:#}\n"),
    };
    Console::default().say(&text);
    Exit::Clean
}
