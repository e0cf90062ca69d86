//! The command line: what may be written, and what it means.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

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
    /// Runs FILE while it is written: each change is followed, and the log is for people
    Dev(Dev),
    /// Reports every fault of FILE; exit 0 or 2
    Check(Check),
    /// Runs the tests of a program in Rust
    Test(Test),
    /// What was built of programs in Rust, and is kept
    #[command(subcommand)]
    Cache(Cache),
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
    /// A .toml or .rs file, a folder with a Cargo.toml, or - for standard input
    pub(crate) file: Option<PathBuf>,
    /// What the file is, whatever its name says
    #[arg(long)]
    pub(crate) kind: Option<Kind>,
    /// Reloads when the file or what it includes changes; SIGHUP and POST /reload do the same without it
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) build: Build,
    /// What a program in Rust is told
    #[arg(last = true)]
    pub(crate) arguments: Vec<OsString>,
}

/// What `run` takes, without what `dev` decides.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// A .toml or .rs file, or a folder with a Cargo.toml; without one ./towpath.toml
    pub(crate) file: Option<PathBuf>,
    /// What the file is, whatever its name says
    #[arg(long)]
    pub(crate) kind: Option<Kind>,
    #[command(flatten)]
    pub(crate) build: Build,
    /// What a program in Rust is told
    #[arg(last = true)]
    pub(crate) arguments: Vec<OsString>,
}

impl From<Dev> for Run {
    fn from(Dev { file, kind, build, arguments }: Dev) -> Self {
        let output = Output { quiet: false, log: Some(LogArg::Text) };
        Self { file, kind, watch: true, output, build, arguments }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The file or folder, or - for standard input
    pub(crate) file: PathBuf,
    /// What the file is, whatever its name says
    #[arg(long)]
    pub(crate) kind: Option<Kind>,
    #[command(flatten)]
    pub(crate) build: Build,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// A .rs file or a folder with a Cargo.toml, or - for standard input
    pub(crate) file: PathBuf,
    /// What the file is, whatever its name says
    #[arg(long)]
    pub(crate) kind: Option<Kind>,
    #[command(flatten)]
    pub(crate) build: Build,
    /// What the tests are told, as --nocapture or a name
    #[arg(last = true)]
    pub(crate) arguments: Vec<OsString>,
}

/// How a program in Rust is built.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Build {
    /// Asks no registry; .rs only
    #[arg(long)]
    pub(crate) offline: bool,
    /// Wants the lock file to be there and to fit; .rs only
    #[arg(long)]
    pub(crate) locked: bool,
    /// Builds without optimisation, which is sooner done; .rs only
    #[arg(long)]
    pub(crate) debug_build: bool,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Cache {
    /// Lists programs, the one that was used last first
    Ls,
    /// Removes everything but programs that are running
    Clean,
    /// Prints the folder
    Path,
}

/// What a file can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A configuration
    Toml,
    /// A program in Rust
    Rs,
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
    /// Shakes hands with a server and tells every message that really went over the wire
    Trace(TlsTrace),
    /// Shows which suites an OpenSSL cipher string comes to, and which of them are not offered and why
    Ciphers {
        /// As in 'HIGH:!aNULL:!MD5'
        string: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TlsTrace {
    /// HOST:PORT
    pub(crate) target: String,
    /// The name to ask for and to verify; default is HOST
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Option<String>,
    /// The one version to offer; default is both
    #[arg(long = "tls", value_name = "VERSION")]
    pub(crate) version: Option<TlsVersion>,
    /// The protocols to offer, the preferred first: h2,http/1.1
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) alpn: Vec<String>,
    /// The CAs to trust, in PEM; default are those of the system
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Goes on after a certificate that cannot be verified
    #[arg(long)]
    pub(crate) insecure: bool,
    /// For everything together, as 10s or 500ms
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub(crate) timeout: Duration,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TlsVersion {
    /// TLS 1.2
    #[value(name = "1.2", alias = "TLSv1.2")]
    Tls12,
    /// TLS 1.3
    #[value(name = "1.3", alias = "TLSv1.3")]
    Tls13,
}

/// A span of time with its unit, an hour at most.
fn time(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = [("ms", 1), ("s", 1_000), ("m", 60_000)].into_iter().find(|(name, _)| *name == unit);
    let milliseconds = unit.and_then(|(_, factor)| number.parse::<u64>().ok()?.checked_mul(factor));
    match milliseconds {
        Some(milliseconds @ 1..=3_600_000) => Ok(Duration::from_millis(milliseconds)),
        _ => Err("write a number and its unit, as 10s, 500ms or 2m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(time("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(
            (time("500ms"), time("2m")),
            (Ok(Duration::from_millis(500)), Ok(Duration::from_secs(120)))
        );
        for wrong in ["", "10", "s", "0s", "-1s", "1.5s", "61m", "99999999999999999999s", "10 s"] {
            assert!(time(wrong).unwrap_err().contains("10s"), "{wrong}");
        }
    }
}
