//! The command line: what may be written, and what it means.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use towpath_control::LogStyle;

/// A network platform: reverse proxy, API gateway, edge.
#[derive(Debug, Parser)]
#[command(name = "towpath", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts what FILE describes; without FILE ./towpath.toml, else the built-in demo
    Run(Run),
    /// Reports every fault of FILE; exit 0 or 2
    Check {
        /// The file, or - for standard input
        file: PathBuf,
        /// What the file is, whatever its name says
        #[arg(long)]
        kind: Option<Kind>,
    },
    /// Shows which listener, route, policies, upstream and endpoint a request gets, and why
    Explain(Explain),
    /// A reverse proxy without a file
    Proxy(Proxy),
    /// A static file server
    Serve(Serve),
    /// Certificates for development, out of a CA of one's own
    #[command(subcommand)]
    Cert(Cert),
    /// Looks at TLS
    #[command(subcommand)]
    Tls(Tls),
    /// Prints the JSON Schema of the file
    Schema {
        /// Prints the reference page instead
        #[arg(long)]
        markdown: bool,
        /// Prints the page of reason codes instead
        #[arg(long, conflicts_with = "markdown")]
        reasons: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A .toml file, or - for standard input
    pub(crate) file: Option<PathBuf>,
    /// What the file is, whatever its name says
    #[arg(long)]
    pub(crate) kind: Option<Kind>,
    /// Reloads when the file or what it includes changes; SIGHUP and POST /reload do the same without it
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What a file can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A configuration
    Toml,
}

/// What is printed, and how.
#[derive(Debug, Default, Args)]
pub(crate) struct Output {
    /// Leaves out the start lines
    #[arg(long)]
    pub(crate) quiet: bool,
    /// How lines on standard error look; default is what [log] in the file says, else text
    #[arg(long, value_name = "STYLE")]
    pub(crate) log: Option<LogArg>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogArg {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

impl From<LogArg> for LogStyle {
    fn from(arg: LogArg) -> Self {
        match arg {
            LogArg::Text => Self::Text,
            LogArg::Json => Self::Json,
        }
    }
}

#[derive(Debug, Args)]
#[command(override_usage = "towpath explain [OPTIONS] FILE METHOD URL\n       \
    towpath explain [OPTIONS] FILE tcp://HOST:PORT, tls://NAME:PORT or udp://HOST:PORT\n       \
    towpath explain [OPTIONS] --admin ADDR METHOD URL")]
pub(crate) struct Explain {
    /// FILE METHOD URL, or METHOD URL for a running process
    #[arg(hide = true)]
    pub(crate) words: Vec<String>,
    /// A request header, 'name: value'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub(crate) headers: Vec<String>,
    /// What FILE is, whatever its name says
    #[arg(long)]
    pub(crate) kind: Option<Kind>,
    /// The protocols that a TLS client offers, the preferred first: h2,http/1.1
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) alpn: Vec<String>,
    /// The listener; without it the URL's port decides
    #[arg(long, value_name = "NAME")]
    pub(crate) listener: Option<String>,
    /// Asks the running process at this admin address; TOWPATH_ADMIN_TOKEN holds its token if it wants one
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<String>,
    /// Prints JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Proxy {
    /// Where to listen; ":8080" is every address
    #[arg(long, value_name = "ADDR")]
    pub(crate) from: String,
    /// The origin
    #[arg(long, value_name = "ADDR")]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The folder
    pub(crate) folder: PathBuf,
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) bind: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cert {
    /// Makes a certificate and key, signed by the CA in DIR, which is made if there is none
    Gen(CertGen),
}

#[derive(Debug, Args)]
pub(crate) struct CertGen {
    /// The folder for all files
    #[arg(long, value_name = "DIR", default_value = "certs")]
    pub(crate) dir: PathBuf,
    /// Host names, addresses and spiffe:// URIs of the server; default is localhost and its addresses
    #[arg(long = "name", value_name = "HOST", num_args = 1..)]
    pub(crate) names: Vec<String>,
    /// How long it is valid
    #[arg(long, value_name = "N", default_value = "365")]
    pub(crate) days: u32,
    /// Makes a certificate for this client, and one for a server only if --name is given too
    #[arg(long, value_name = "NAME")]
    pub(crate) client: Option<String>,
    /// Replaces certificates and keys that are there, and never the CA
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tls {
    /// Shows which suites an OpenSSL cipher string comes to, and which of them are not offered and why
    Ciphers {
        /// As in 'HIGH:!aNULL:!MD5'
        string: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
