//! Where the configuration comes from, and what was read from there.

use std::path::{Path, PathBuf};

use towpath_config::options::LogTarget as WrittenTarget;
use towpath_config::value::Bind;
use towpath_config::{Options, Parsed};

use crate::admin::{AdminAddress, AdminSettings};
use crate::log_writer::LogTarget;

/// Where the configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, read again at each reload.
    File(PathBuf),
    /// A text that a command wrote; its name stands where a file's path would.
    Text {
        /// What it is called in messages.
        name: String,
        /// The text.
        text: String,
    },
    /// The built-in demo.
    Demo,
}

impl Source {
    /// Reads it and says everything that is wrong with it. The demo has no text before its replicas run.
    pub(crate) fn read(&self) -> Parsed {
        let environment = |name: &str| std::env::var(name).ok();
        match self {
            Self::File(path) => towpath_config::load(path, &environment),
            Self::Text { name, text } => {
                towpath_config::parse(text, Path::new(&format!("<{name}>")), &environment)
            }
            Self::Demo => towpath_config::parse("", Path::new("<demo>"), &environment),
        }
    }

    /// The files whose change can change the configuration.
    pub(crate) fn files(&self, parsed: &Parsed) -> Vec<PathBuf> {
        match self {
            Self::File(path) => {
                let included = parsed.sources.files().iter().map(|file| file.path.clone());
                std::iter::once(path.clone()).chain(included).chain(parsed.secret_files.clone()).collect()
            }
            Self::Text { .. } | Self::Demo => parsed.secret_files.clone(),
        }
    }
}

/// What the file wants of the process, beside the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessSettings {
    pub(crate) admin: Option<AdminSettings>,
    pub(crate) access_log: LogTarget,
}

impl ProcessSettings {
    pub(crate) fn of(options: &Options) -> Self {
        Self { admin: admin(options), access_log: access_log(options) }
    }
}

fn admin(options: &Options) -> Option<AdminSettings> {
    let admin = options.admin.as_ref()?;
    let address = match &admin.listen.as_ref()?.value {
        Bind::Every(port) => AdminAddress::Tcp((std::net::Ipv6Addr::UNSPECIFIED, *port).into()),
        Bind::Ip(address) => AdminAddress::Tcp(*address),
        Bind::Unix(path) => AdminAddress::Unix(path.resolved.clone()),
    };
    Some(AdminSettings { address, token: admin.token.as_ref().map(|token| token.expose().to_owned()) })
}

fn access_log(options: &Options) -> LogTarget {
    let target = options.access_log.as_ref().and_then(|log| log.path.as_ref());
    match target.map(|target| &target.value) {
        None | Some(WrittenTarget::Off) => LogTarget::Off,
        Some(WrittenTarget::Stdout) => LogTarget::Stdout,
        Some(WrittenTarget::File(path)) => LogTarget::File(path.resolved.clone()),
    }
}
