//! References by name, and faults that know which table they belong to.

use towpath_config::{Diagnostic, Spanned, nearest};

use super::Faults;

/// A reference to something that is not there, with the nearest name that is.
pub(super) fn unknown<'n>(
    kind: &str,
    name: &Spanned<String>,
    known: impl IntoIterator<Item = &'n str>,
) -> Diagnostic {
    let hint = match nearest(name, known) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("define [{kind}.{name}]"),
    };
    Diagnostic::error(name.span, format!("no {kind} is named \"{name}\"")).hint(hint)
}

/// The names of a map of tables.
pub(super) fn names<T>(map: &towpath_config::value::Map<T>) -> impl Iterator<Item = &str> {
    map.keys().map(|name| name.value.as_str())
}

/// Runs `check` and says of every fault it adds which table it belongs to.
pub(super) fn within<T>(table: &str, faults: &mut Faults, check: impl FnOnce(&mut Faults) -> T) -> T {
    let before = faults.len();
    let result = check(faults);
    for fault in faults.iter_mut().skip(before).filter(|fault| fault.table.is_empty()) {
        table.clone_into(&mut fault.table);
    }
    result
}
