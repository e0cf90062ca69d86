//! The binary `towpath`: reads the command line and hands the work to `towpath-control`, or `towpath-run` for programs.

mod args;
mod ask;
mod cert;
mod explain;
mod kind;
mod program;
mod shortcut;
mod tls;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use towpath_control::{Console, Exit, LogStyle, RunOptions, Source};

use args::{Cert, Check, Command, CommandLine, Output, Run, Tls};
use kind::App;

/// tokio aligns what it keeps per connection to 128 bytes. The C library pays for each of these with up to as many
/// bytes of rest: 1,717 bytes for an idle relay instead of 1,171. Without `no_thp` it takes huge pages, and 16 MiB for a
/// process that does nothing.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // clap prints help and faults itself; bad arguments end with code 2.
    let exit = match CommandLine::parse().command {
        Command::Run(run) => start(run),
        Command::Dev(words) => {
            Console::default().info("dev", "dev: watches and tells; profiles are not in this release");
            start(words.into())
        }
        Command::Check(words) => check(words),
        Command::Test(words) => program::test(words),
        Command::Cache(order) => program::cache(order),
        Command::Explain(words) => explain::explain(&words),
        Command::Proxy(proxy) => {
            run_text("proxy", shortcut::proxy_file(&proxy.from, &proxy.to), &proxy.output)
        }
        Command::Serve(serve) => match shortcut::serve_file(&serve.folder, &serve.bind) {
            Ok(text) => run_text("serve", text, &serve.output),
            Err(message) => refuse(&message),
        },
        Command::Cert(Cert::Gen(words)) => cert::generate(words),
        Command::Tls(Tls::Trace(words)) => tls::trace(words),
        Command::Tls(Tls::Ciphers { string }) => towpath_control::explain_ciphers(&string),
        Command::Schema { markdown, reasons } => schema(markdown, reasons),
    };
    ExitCode::from(exit.code())
}

fn start(run: Run) -> Exit {
    let default = Path::new("towpath.toml");
    let file = run.file.or_else(|| default.exists().then(|| default.to_path_buf()));
    let app = match file {
        Some(file) => kind::app(file, run.kind),
        None => Ok(App::Gateway(Source::Demo)),
    };
    match app {
        Ok(App::Program(source)) => program::run(source, run.watch, run.build, run.arguments, &run.output),
        Ok(App::Gateway(source)) => match program::only_for_programs(run.build, &run.arguments) {
            None => towpath_control::run(RunOptions { watch: run.watch, ..options(source, &run.output) }),
            Some(message) => refuse(&message),
        },
        Err(message) => refuse(&message),
    }
}

fn run_text(name: &str, text: String, output: &Output) -> Exit {
    towpath_control::run(options(Source::Text { name: name.to_owned(), text }, output))
}

fn options(source: Source, output: &Output) -> RunOptions {
    RunOptions { source, watch: false, quiet: output.quiet, log: output.log.map(LogStyle::from) }
}

fn check(words: Check) -> Exit {
    match kind::app(words.file, words.kind) {
        Ok(App::Program(source)) => program::check(source, words.build),
        Ok(App::Gateway(source)) => match program::only_for_programs(words.build, &[]) {
            None => towpath_control::check(&source),
            Some(message) => refuse(&message),
        },
        Err(message) => refuse(&message),
    }
}

fn schema(markdown: bool, reasons: bool) -> Exit {
    let text = match (markdown, reasons) {
        (_, true) => towpath_control::reasons_markdown(),
        (true, _) => towpath_config::reference_markdown(),
        _ => format!("{:#}\n", towpath_config::schema()),
    };
    Console::default().say(&text);
    Exit::Clean
}

/// A fault of the command line that clap cannot see.
pub(crate) fn refuse(message: &str) -> Exit {
    Console::default().error("bad_arguments", message);
    Exit::BadConfiguration
}
