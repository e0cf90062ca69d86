//! The page of reason codes, from the enum that the data path answers by.

use std::fmt::Write as _;

use towpath_gateway::Reason;
use towpath_gateway::error::Side;

/// What stands above the tables.
const INTRODUCTION: &str = "\
# Reason codes

When Towpath answers a request for itself, it says why with one stable code. The same code stands in the response's
`Proxy-Status` field (RFC 9209) as `details`, in the access log as `reason`, in the metrics as the label `reason`, and in
what `towpath explain` prints. Codes are never renamed. *Error* is the type of RFC 9209 section 2.3 in `Proxy-Status`.
A status is what the client gets if its response has not begun; 499 stands in the log when nobody was left to answer, and
0 where a connection ends before or without HTTP.
`T…` are rows of the threat table in SECURITY.md.
";

/// Every [`Reason`] as a Markdown page, by side.
#[must_use]
pub fn reasons_markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    let sides = [
        (Side::Downstream, "The client's side", "The client's message or behaviour is at fault."),
        (Side::Gateway, "Towpath itself", "The configuration, a limit or the state of this process decided."),
        (Side::Upstream, "The origin's side", "The origin, or the way to it, failed."),
    ];
    for (side, title, meaning) in sides {
        let _ = write!(
            page,
            "\n## {title}\n\n{meaning}\n\n| Code | Status | Error | Meaning |\n|---|---|---|---|\n"
        );
        for reason in Reason::ALL.iter().filter(|reason| reason.side() == side) {
            let _ = writeln!(
                page,
                "| `{}` | {} | `{}` | {} |",
                reason.code(),
                reason.status(),
                reason.proxy_error(),
                reason.meaning().replace('|', "\\|"),
            );
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_one_row_with_a_meaning() {
        let page = reasons_markdown();
        for reason in Reason::ALL {
            let start =
                format!("| `{}` | {} | `{}` | ", reason.code(), reason.status(), reason.proxy_error());
            let rows: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(&start)).collect();
            assert!(matches!(rows.as_slice(), [meaning] if meaning.ends_with(". |")), "{reason}: {rows:?}");
        }
    }
}
