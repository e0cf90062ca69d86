//! One process of the program, what it asks for and how it ends.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::{ExitStatus, Stdio};
use std::rc::Rc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::spawn_local;
use tokio::time::Instant;
use towpath_net::handover::{self, Waiting};

use super::listeners::{Listeners, Name};
use crate::cache::Stored;

/// The variable by which the kit finds us: `towpath::supervise::VARIABLE`.
const VARIABLE: &str = "TOWPATH_SUPERVISOR";

/// How long a program drains that does not say it, as the kit's servers do.
const GRACE: Duration = Duration::from_secs(30);

/// What a program that has drained may take to end.
const GRACE_REST: Duration = Duration::from_secs(5);

/// Nobody edits a program while a drain of a day goes on.
const GRACE_MAX: Duration = Duration::from_secs(86_400);

/// What has happened to a generation.
#[derive(Debug)]
pub(crate) enum Event {
    /// All its listeners are granted, and it accepts.
    Ready,
    /// It is no more.
    Ended(ExitStatus),
}

/// A process of the program.
#[derive(Debug)]
pub(crate) struct Generation {
    /// From 1.
    pub(crate) number: u64,
    pub(crate) program: Stored,
    pub(crate) started: Instant,
    pub(crate) is_ready: bool,
    /// When it is cut off; `None` while it may run.
    pub(crate) until: Option<Instant>,
    granted: Rc<RefCell<Vec<Name>>>,
    grace: Rc<Cell<Duration>>,
    process: Option<Pid>,
}

/// How the program is started.
pub(crate) struct Start<'a> {
    pub(crate) name: String,
    pub(crate) arguments: &'a [OsString],
    pub(crate) listeners: &'a Rc<RefCell<Listeners>>,
    pub(crate) events: &'a UnboundedSender<(u64, Event)>,
}

impl Generation {
    /// Starts `program`.
    ///
    /// # Errors
    /// Those of fork(2) and execve(2).
    pub(crate) fn start(number: u64, program: Stored, start: Start<'_>) -> io::Result<Self> {
        let (own, other) = handover::pair()?;
        let own = Waiting::new(own)?;
        let mut command = Command::new(&program.path);
        // Ctrl-C on a terminal is for us; we pass it on once, and two of them would mean: at once. Two generations
        // cannot share an input.
        command.arg0(start.name).args(start.arguments).stdin(Stdio::null()).process_group(0);
        command.env(VARIABLE, handover::bequeath(other.as_fd())?);
        let child = command.spawn()?;
        drop(other);
        let process = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let granted = Rc::new(RefCell::new(Vec::new()));
        let grace = Rc::new(Cell::new(GRACE));
        let asked = Asked {
            number,
            granted: Rc::clone(&granted),
            grace: Rc::clone(&grace),
            listeners: Rc::clone(start.listeners),
        };
        spawn_local(attend(child, own, asked, start.events.clone()));
        let started = Instant::now();
        Ok(Self { number, program, started, is_ready: false, until: None, granted, grace, process })
    }

    /// How long it drains, and then has a little time to end by itself.
    pub(crate) fn grace(&self) -> Duration {
        self.grace.get() + GRACE_REST
    }

    /// The sockets it has.
    pub(crate) fn granted(&self) -> Vec<Name> {
        self.granted.borrow().clone()
    }

    /// Whether it accepts from sockets of ours.
    pub(crate) fn listens(&self) -> bool {
        !self.granted.borrow().is_empty()
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        if let Some(process) = self.process {
            let _ = kill_process(process, Signal::TERM);
        }
    }

    /// Ends it and whatever it has started.
    pub(crate) fn kill(&self) {
        if let Some(process) = self.process {
            let _ = kill_process_group(process, Signal::KILL);
        }
    }
}

/// What a generation has asked for so far.
struct Asked {
    number: u64,
    granted: Rc<RefCell<Vec<Name>>>,
    grace: Rc<Cell<Duration>>,
    listeners: Rc<RefCell<Listeners>>,
}

async fn attend(mut child: Child, end: Waiting, asked: Asked, events: UnboundedSender<(u64, Event)>) {
    let mut is_open = true;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            message = end.receive(), if is_open => match message {
                Ok((message, _)) if message == "ready" => drop(events.send((asked.number, Event::Ready))),
                Ok((message, _)) if message.starts_with("grace ") => asked.drains_for(&message),
                Ok((message, _)) if !message.is_empty() => asked.answer(&message, &end),
                // It has closed its end, and may go on for whatever it does without us.
                _ => is_open = false,
            },
        }
    };
    // An error says that somebody else has collected it, which is an end, too.
    let _ = events.send((asked.number, Event::Ended(status.unwrap_or_default())));
}

impl Asked {
    /// Takes the time that a server of the program's drains, where that is longer than usual.
    fn drains_for(&self, message: &str) {
        let millis = message.strip_prefix("grace ").and_then(|millis| millis.parse::<u64>().ok());
        let Some(grace) = millis.map(Duration::from_millis) else { return };
        self.grace.set(self.grace.get().max(grace).min(GRACE_MAX));
    }

    fn answer(&self, message: &str, end: &Waiting) {
        let sent = match self.grant(message) {
            Ok(name) => {
                let mut listeners = self.listeners.borrow_mut();
                match listeners.grant(name) {
                    Ok(socket) => end.send("ok", Some(socket)).map(|()| self.granted.borrow_mut().push(name)),
                    Err(fault) => {
                        end.send(&format!("error {}", fault.raw_os_error().unwrap_or_default()), None)
                    }
                }
            }
            Err(why) => end.send(why, None),
        };
        // Whoever has gone needs no answer.
        drop(sent);
    }

    fn grant(&self, message: &str) -> Result<Name, &'static str> {
        let address = message.strip_prefix("listen ").and_then(|address| address.parse::<SocketAddr>().ok());
        let address = address.ok_or("this supervisor knows no such question")?;
        let count = self.granted.borrow().iter().filter(|(own, _)| *own == address).count();
        Ok((address, count))
    }
}
