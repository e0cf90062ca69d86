//! Why a start or a reload did not happen: what is printed, what the admin API says, and how the program ends.

use std::io;

use serde_json::{Value as Json, json};
use towpath_config::{Diagnostic, Sources};

use crate::admin::AdminAddress;
use crate::compile::BindAddress;
use crate::log_writer::LogTarget;
use crate::port_holder::holder_of;
use crate::run::Exit;

/// A refused start or reload. Nothing has changed.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// For people; may be several lines.
    pub(crate) text: String,
    /// For programs: one object per fault.
    pub(crate) faults: Vec<Json>,
    /// How a start ends for it.
    pub(crate) exit: Exit,
}

impl Refusal {
    /// The file is wrong.
    pub(crate) fn faults(faults: Vec<Diagnostic>, sources: &Sources) -> Self {
        Self {
            text: towpath_config::render(&faults, sources),
            faults: faults.iter().map(|fault| fault.to_json(sources)).collect(),
            exit: Exit::BadConfiguration,
        }
    }

    /// An address cannot be bound.
    pub(crate) fn bind(listener: &str, address: &BindAddress, fault: &io::Error) -> Self {
        let place = format!("listener {listener}");
        Self::address(&place, address, fault)
    }

    /// The admin address cannot be bound.
    pub(crate) fn admin(address: &AdminAddress, fault: &io::Error) -> Self {
        let address = match address {
            AdminAddress::Tcp(address) => BindAddress::Tcp(*address),
            AdminAddress::Unix(path) => BindAddress::Unix(path.as_path().into()),
        };
        Self::address("[admin]", &address, fault)
    }

    fn address(place: &str, address: &BindAddress, fault: &io::Error) -> Self {
        if fault.kind() == io::ErrorKind::AddrInUse {
            let message = format!("{place}: {address} is in use, {}", holder_of(address));
            return Self::simple("address_in_use", message, Exit::AddressInUse);
        }
        let hint = match fault.kind() {
            io::ErrorKind::PermissionDenied if address.ip().is_none() => {
                "; the folder must be writable for this account"
            }
            io::ErrorKind::NotFound if address.ip().is_none() => "; the folder must exist",
            io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE",
            io::ErrorKind::AddrNotAvailable => "; this machine does not have that address",
            _ => "",
        };
        Self::simple("bind_failed", format!("{place}: cannot bind {address}: {fault}{hint}"), Exit::Failed)
    }

    /// The access log cannot be opened.
    pub(crate) fn access_log(target: &LogTarget, fault: &io::Error) -> Self {
        let shown = match target {
            LogTarget::File(path) => path.display().to_string(),
            LogTarget::Stdout | LogTarget::Off => "stdout".to_owned(),
        };
        let message = format!("[access_log]: cannot open {shown}: {fault}");
        Self::simple("access_log_failed", message, Exit::BadConfiguration)
    }

    /// The system gives no more threads or memory.
    pub(crate) fn thread(fault: io::Error) -> Self {
        Self::simple("start_failed", format!("cannot start a thread: {fault}"), Exit::Failed)
    }

    /// Towpath itself is at fault.
    pub(crate) fn panicked() -> Self {
        let message = "the reload ended in a panic, which is a fault of towpath; the old plan serves on";
        Self::simple("internal", message.to_owned(), Exit::Failed)
    }

    fn simple(code: &str, message: String, exit: Exit) -> Self {
        let faults = vec![json!({ "severity": "error", "code": code, "message": message })];
        Self { text: format!("{message}\n"), faults, exit }
    }
}
