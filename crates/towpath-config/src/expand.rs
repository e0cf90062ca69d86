//! `${NAME}`, `${NAME:-default}` and `${file:PATH}` inside strings.
//!
//! What they stand for is not looked at again, so that the content of a variable cannot refer to another. `$${` is a
//! plain `${`, and a `$` before anything else is a plain `$`.

/// What stands between `${` and `}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference<'a> {
    /// `${NAME}` or `${NAME:-default}`.
    Variable { name: &'a str, default: Option<&'a str> },
    /// `${file:PATH}`.
    File { path: &'a str },
}

/// A reference without a value: its text, as found in the string, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unresolved {
    pub(crate) reference: String,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// `text` with every reference replaced by what `look_up` says, or everything that could not be.
pub(crate) fn expand(
    text: &str,
    mut look_up: impl FnMut(Reference<'_>) -> Result<String, (String, String)>,
) -> Result<String, Vec<Unresolved>> {
    let mut out = String::with_capacity(text.len());
    let mut unresolved = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let Some(length) = rest[at..].find('}') else {
            unresolved.push(malformed(&rest[at..]));
            return Err(unresolved);
        };
        let whole = &rest[at..=at + length];
        match parse(&whole[2..whole.len() - 1]).map(&mut look_up) {
            Some(Ok(value)) => out.push_str(&value),
            Some(Err((message, hint))) => {
                unresolved.push(Unresolved { reference: whole.to_owned(), message, hint })
            }
            None => unresolved.push(malformed(whole)),
        }
        rest = &rest[at + length + 1..];
    }
    out.push_str(rest);
    if unresolved.is_empty() { Ok(out) } else { Err(unresolved) }
}

fn parse(inside: &str) -> Option<Reference<'_>> {
    if let Some(path) = inside.strip_prefix("file:") {
        return (!path.is_empty()).then_some(Reference::File { path });
    }
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    is_name(name).then_some(Reference::Variable { name, default })
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn malformed(reference: &str) -> Unresolved {
    Unresolved {
        reference: reference.to_owned(),
        message: match reference.ends_with('}') {
            true => format!("{reference} is no reference"),
            false => "this ${ has no }".to_owned(),
        },
        hint: "write ${NAME}, ${NAME:-default} or ${file:PATH}; a plain ${ is written $${".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let result = expand(text, |reference| match reference {
            Reference::Variable { name: "HOME", .. } => Ok("/root/${X}".to_owned()),
            Reference::Variable { default: Some(default), .. } => Ok(default.to_owned()),
            Reference::File { path } => Ok(format!("<{path}>")),
            Reference::Variable { name, .. } => Err((format!("no {name}"), String::new())),
        });
        let shown = result.unwrap_or_else(|faults| {
            faults
                .iter()
                .map(|fault| format!("{}: {}", fault.reference, fault.message))
                .collect::<Vec<_>>()
                .join("; ")
        });
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn references_are_replaced_once() {
        check("a ${HOME} b", "a /root/${X} b");
        check("${X:-1}${Y:-}", "1");
        check("${file:/run/s}", "</run/s>");
        check("${file:/run/s:-x}", "</run/s:-x>");
    }

    #[test]
    fn dollars_without_a_brace_are_plain() {
        check("$remote_addr $status $", "$remote_addr $status $");
        check("$${HOME}", "${HOME}");
    }

    #[test]
    fn every_missing_reference_is_named() {
        check("${A} ${B}", "${A}: no A; ${B}: no B");
        check("${A", "${A: this ${ has no }");
        check("${}", "${}: ${} is no reference");
        check("${1A} ${a b}", "${1A}: ${1A} is no reference; ${a b}: ${a b} is no reference");
        check("${file:}", "${file:}: ${file:} is no reference");
    }
}
