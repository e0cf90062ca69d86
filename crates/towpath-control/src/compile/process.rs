//! What concerns the process as a whole.

use std::sync::Arc;

use towpath_config::options::{Io, LogTarget, LogTemplate};
use towpath_config::{Diagnostic, Options};
use towpath_gateway::plan::{Plan, Shutdown};
use towpath_telemetry::accesslog;

use super::Faults;
use super::name::within;

/// Faults of tables that do not become part of the plan.
pub(super) fn check(options: &Options, faults: &mut Faults) {
    let io = options.workers.as_ref().and_then(|workers| workers.io.as_ref());
    if let Some(io) = io.filter(|io| io.value == Io::Uring) {
        let fault = Diagnostic::error(io.span, "\"uring\" is not in this release");
        faults.push(fault.hint("write \"auto\" or \"epoll\", or take it out").within("workers"));
    }
}

/// How a drain runs.
pub(super) fn shutdown(options: &Options) -> Shutdown {
    let defaults = Shutdown::default();
    let Some(shutdown) = &options.shutdown else { return defaults };
    let grace = shutdown.grace.as_ref().map_or(defaults.grace, |grace| grace.value);
    // A short grace shortens the default spread with it; a written spread was compared where it was read.
    let spread = shutdown.spread.as_ref().map_or(defaults.spread, |spread| spread.value).min(grace);
    Shutdown { grace, spread }
}

/// How an access-log line looks; the same object as before while it looks the same.
pub(super) fn access_log(
    options: &Options,
    previous: Option<&Plan>,
    faults: &mut Faults,
) -> Option<Arc<accesslog::Format>> {
    let log = options.access_log.as_ref()?;
    let format = within("access_log", faults, |faults| read_format(log, faults))?;
    match &log.path {
        None => return None,
        Some(path) if path.value == LogTarget::Off => return None,
        Some(_) => {}
    }
    let before = previous.and_then(|plan| plan.access_log.as_ref()).filter(|before| ***before == format);
    Some(before.cloned().unwrap_or_else(|| Arc::new(format)))
}

fn read_format(log: &towpath_config::options::AccessLog, faults: &mut Faults) -> Option<accesslog::Format> {
    let Some(written) = &log.format else { return Some(accesslog::Format::JSON) };
    let LogTemplate::Template(text) = &written.value else { return Some(accesslog::Format::JSON) };
    if !text.contains('$') {
        let fault = Diagnostic::error(
            written.span,
            format!("\"{text}\" names no variable, so every line would be the same"),
        );
        faults
            .push(fault.hint("write \"json\", or a template such as \"$remote_addr $method $path $status\""));
        return None;
    }
    match accesslog::Format::parse(text) {
        Ok(format) => Some(format),
        Err(found) => {
            faults.extend(found.iter().map(|fault| Diagnostic::error(written.span, fault.to_string())));
            None
        }
    }
}
