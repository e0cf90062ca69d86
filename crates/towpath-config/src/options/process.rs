//! The tables about the process itself: admin, shutdown, workers and logs.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::Value as Json;

use crate::options::TotalCap;
use crate::reader::{Node, Reader};
use crate::shape::Shape;
use crate::table::options;
use crate::value::{Bind, FilePath, Opt, Secret, Text, Value, word_or, words};

options! {
    /// The admin address: health, metrics, plan, reload.
    pub struct Admin {
        /// Loopback, or a socket such as `"unix:/run/towpath/admin.sock"`; any other address needs `token`.
        pub listen: Opt<Bind>,
        /// What callers must send as `Authorization: Bearer …`; best written as `"${file:/run/secrets/admin}"`.
        /// Default: none.
        pub token: Opt<Secret>,
    }

    /// How a stop treats what is in flight.
    pub struct Shutdown {
        /// How long requests in flight may take to finish. Default `"30s"`.
        pub grace: Opt<Duration>,
        /// Over how long clients are told to leave, so that they do not all return at once. Default `"10s"`.
        pub spread: Opt<Duration>,
    }

    /// The threads that carry traffic. A change takes effect at the next start.
    pub struct Workers {
        /// How many, or `"auto"`: one for each core the process may use. Default `"auto"`.
        pub count: Opt<WorkerCount>,
        /// How sockets are read and written. Default `"auto"`.
        pub io: Opt<Io>,
        /// Ties each worker to one core. Default `true`.
        pub pin: Opt<bool>,
    }

    /// Bounds of the whole process. A change takes effect at the next start.
    pub struct Limits {
        /// Most client connections of all listeners together; at the bound new clients wait in the kernel's queue.
        /// `"auto"` is three quarters of the limit of open files, half where that is small. Default `"auto"`.
        pub max_connections: Opt<TotalCap>,
    }

    /// What Towpath says about itself, on standard error. A change takes effect at the next start.
    pub struct Log {
        /// The least important line still written. Default `"info"`.
        pub level: Opt<LogLevel>,
        /// Lines for people or for programs. Default `"text"`.
        pub format: Opt<LogFormat>,
    }

    /// One line for each request. Lines are written in blocks, at the latest after a second.
    pub struct AccessLog {
        /// A file, `"stdout"` or `"off"`. The file is opened again on SIGUSR1. Default `"off"`.
        pub path: Opt<LogTarget>,
        /// `"json"`, or a template such as `"$remote_addr $method $path $status"`. Default `"json"`.
        pub format: Opt<LogTemplate>,
    }
}

words! {
    /// How sockets are read and written.
    pub enum Io {
        /// The better of those that the kernel offers.
        Auto = "auto",
        /// Readiness by epoll.
        Epoll = "epoll",
        /// Sends of one turn together by io_uring.
        Uring = "uring",
    }

    /// How important a log line is.
    pub enum LogLevel {
        /// Something failed.
        Error = "error",
        /// Something will fail, or was refused.
        Warn = "warn",
        /// What an operator wants to have seen.
        Info = "info",
        /// What a developer wants to have seen.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }

    /// The form of Towpath's own log.
    pub enum LogFormat {
        /// Lines for people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

/// How many workers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorkerCount {
    /// One for each core the process may use.
    Auto,
    /// This many.
    Count(NonZeroU32),
}

/// Where access-log lines go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogTarget {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// Appended to this file.
    File(FilePath),
}

/// What an access-log line looks like.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogTemplate {
    /// One JSON object.
    Json,
    /// Text in which `$name` stands for a field of the request.
    Template(String),
}

impl Value for WorkerCount {
    fn shape() -> Shape {
        Shape::Either(vec![Shape::word("auto"), NonZeroU32::shape()])
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        word_or(node, reader, &[("auto", Self::Auto)], Self::Count)
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Auto => Json::from("auto"),
            Self::Count(count) => count.to_json(),
        }
    }
}

impl Value for LogTarget {
    fn shape() -> Shape {
        Shape::Either(vec![Shape::word("stdout"), Shape::word("off"), FilePath::shape()])
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        word_or(node, reader, &[("stdout", Self::Stdout), ("off", Self::Off)], Self::File)
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Off => Json::from("off"),
            Self::Stdout => Json::from("stdout"),
            Self::File(path) => Json::from(path.to_text()),
        }
    }
}

impl Value for LogTemplate {
    fn shape() -> Shape {
        Shape::Either(vec![Shape::word("json"), String::shape()])
    }

    fn read(node: Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        word_or(node, reader, &[("json", Self::Json)], Self::Template)
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Json => Json::from("json"),
            Self::Template(text) => Json::from(text.as_str()),
        }
    }
}
