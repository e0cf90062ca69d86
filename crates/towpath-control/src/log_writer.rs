//! The access log's way to its file: one thread that takes blocks of whole lines and writes them.
//!
//! Workers hand over blocks through a bounded channel and never wait for it. A disk that is full or broken therefore
//! costs log lines, which are counted, and nothing else; writing resumes by itself once it works again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::console::Console;

/// Blocks that may wait: at the 16 KiB a worker gathers this is 16 MiB, some seconds of a slow disk.
const BLOCKS_WAITING_MAX: usize = 1024;

/// A broken target is reported at most this often.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// A file that could not be opened is tried again at most this often.
const OPEN_INTERVAL: Duration = Duration::from_secs(1);

/// Where access-log lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogTarget {
    /// Nowhere; the workers make no lines either.
    #[default]
    Off,
    /// The standard output.
    Stdout,
    /// A file that is appended to, created with mode 0640.
    File(PathBuf),
}

/// The writing thread and the ways to reach it.
#[derive(Debug)]
pub(crate) struct LogWriter {
    sender: SyncSender<Vec<u8>>,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    /// What to write to next; `orders` tells the thread to look.
    target: Mutex<LogTarget>,
    orders: AtomicU64,
    lines_lost: AtomicU64,
    is_ending: AtomicBool,
}

impl LogWriter {
    /// Starts the thread. It writes nowhere until [`Self::direct`] says where.
    pub(crate) fn start(console: Console) -> io::Result<Self> {
        let (sender, blocks) = mpsc::sync_channel(BLOCKS_WAITING_MAX);
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new().name("towpath-log".into()).spawn({
            let shared = Arc::clone(&shared);
            move || write_blocks(&blocks, &shared, console)
        })?;
        Ok(Self { sender, shared, thread })
    }

    /// The end that workers hold. A block holds whole lines; sending must not wait (`try_send`).
    pub(crate) fn sender(&self) -> SyncSender<Vec<u8>> {
        self.sender.clone()
    }

    /// Writes to `target` from the next block on.
    pub(crate) fn direct(&self, target: LogTarget) {
        let mut current = self.shared.target.lock().unwrap_or_else(PoisonError::into_inner);
        if *current != target {
            *current = target;
            drop(current);
            self.reopen();
        }
    }

    /// Opens the file anew, after something else renamed it.
    pub(crate) fn reopen(&self) {
        self.shared.orders.fetch_add(1, Ordering::Release);
        self.wake();
    }

    /// An empty block wakes the thread. If the channel is full it is awake, and looks at its orders anyway.
    fn wake(&self) {
        let _ = self.sender.try_send(Vec::new());
    }

    /// Lines that were accepted from the workers and then could not be written.
    pub(crate) fn lines_lost(&self) -> u64 {
        self.shared.lines_lost.load(Ordering::Relaxed)
    }

    /// Writes what is waiting and ends the thread, giving up after `patience`: a pipe nobody reads must not keep the
    /// process. Call it when no worker sends any more.
    pub(crate) fn finish(&self, patience: Duration) {
        self.shared.is_ending.store(true, Ordering::Release);
        self.wake();
        let deadline = Instant::now() + patience;
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Whether `target` can be opened; start and reload ask before they promise anything.
pub(crate) fn check_target(target: &LogTarget) -> io::Result<()> {
    open(target).map(drop)
}

fn write_blocks(blocks: &Receiver<Vec<u8>>, shared: &Shared, console: Console) {
    let mut writing = Writing {
        shared,
        sink: Sink::default(),
        complaints: Complaints { console, last: None, is_open: false },
        orders_done: 0,
    };
    while let Ok(block) = blocks.recv() {
        writing.take(&block);
        if shared.is_ending.load(Ordering::Acquire) {
            blocks.try_iter().for_each(|block| writing.take(&block));
            return;
        }
    }
}

/// What the thread holds.
struct Writing<'s> {
    shared: &'s Shared,
    sink: Sink,
    complaints: Complaints,
    orders_done: u64,
}

impl Writing<'_> {
    fn take(&mut self, block: &[u8]) {
        let orders = self.shared.orders.load(Ordering::Acquire);
        if orders != self.orders_done {
            self.orders_done = orders;
            let target = self.shared.target.lock().unwrap_or_else(PoisonError::into_inner).clone();
            self.sink = Sink::new(target);
            let opened = self.sink.open_if_due();
            self.settle(opened, 0);
        }
        if !block.is_empty() {
            let written = self.sink.write_block(block);
            self.settle(written, count_lines(block));
        }
    }

    fn settle(&mut self, outcome: io::Result<()>, lines: u64) {
        match outcome {
            Ok(()) if lines > 0 => self.complaints.settled(),
            Ok(()) => {}
            Err(fault) => {
                let lost = self.shared.lines_lost.fetch_add(lines, Ordering::Relaxed) + lines;
                self.complaints.failed(&fault, lost);
            }
        }
    }
}

fn count_lines(block: &[u8]) -> u64 {
    block.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// An open target, or the memory of why there is none.
#[derive(Debug, Default)]
struct Sink {
    target: LogTarget,
    file: Option<File>,
    /// When a file that is not open may be tried again.
    open_due: Option<Instant>,
    /// Whether the last write ended inside a line, so that the next one must not continue it (T59).
    is_torn: bool,
}

impl Sink {
    fn new(target: LogTarget) -> Self {
        Self { target, ..Self::default() }
    }

    fn open_if_due(&mut self) -> io::Result<()> {
        if self.file.is_some() || self.target == LogTarget::Off {
            return Ok(());
        }
        if self.open_due.is_some_and(|due| Instant::now() < due) {
            return Err(io::Error::other("the file is not open"));
        }
        self.open_due = Some(Instant::now() + OPEN_INTERVAL);
        self.file = open(&self.target)?;
        Ok(())
    }

    fn write_block(&mut self, block: &[u8]) -> io::Result<()> {
        self.open_if_due()?;
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.is_torn {
            file.write_all(b"\n")?;
            self.is_torn = false;
        }
        let mut written = 0;
        while written < block.len() {
            match file.write(&block[written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => {
                    self.is_torn = written > 0 && block[written - 1] != b'\n';
                    return Err(fault);
                }
            }
        }
        Ok(())
    }
}

fn open(target: &LogTarget) -> io::Result<Option<File>> {
    match target {
        LogTarget::Off => Ok(None),
        // The descriptor itself: std's own buffer would hold back or split lines.
        LogTarget::Stdout => io::stdout().as_fd().try_clone_to_owned().map(|fd| Some(File::from(fd))),
        LogTarget::File(path) => OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o640)
            // A FIFO without a reader must fail here instead of stopping the thread for ever.
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
            .open(path)
            .map(Some),
    }
}

/// Says that the log is broken, and that it works again, without flooding stderr.
#[derive(Debug)]
struct Complaints {
    console: Console,
    /// When the last complaint was made.
    last: Option<Instant>,
    /// Whether it still stands.
    is_open: bool,
}

impl Complaints {
    fn failed(&mut self, fault: &io::Error, lost: u64) {
        if self.last.is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL) {
            self.last = Some(Instant::now());
            self.is_open = true;
            let message = format!("access log: {fault}; serving goes on, {lost} lines lost so far");
            self.console.warn("access_log_failed", &message);
        }
    }

    fn settled(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.console.info("access_log_recovered", "access log: writing again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("towpath-log-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder.join("access.log")
    }

    fn quiet() -> Console {
        Console { quiet: true, ..Console::default() }
    }

    #[test]
    fn blocks_arrive_in_order_and_a_renamed_file_is_left_after_reopen() {
        let path = scratch("rotate");
        let renamed = path.with_extension("1");
        let writer = LogWriter::start(quiet()).unwrap();
        let sender = writer.sender();
        writer.direct(LogTarget::File(path.clone()));
        sender.send(b"one\ntwo\n".to_vec()).unwrap();
        while std::fs::read(&path).unwrap_or_default() != b"one\ntwo\n" {
            std::thread::yield_now();
        }
        std::fs::rename(&path, &renamed).unwrap();
        writer.reopen();
        sender.send(b"three\n".to_vec()).unwrap();
        writer.finish(Duration::from_secs(10));
        assert_eq!(std::fs::read(&renamed).unwrap(), b"one\ntwo\n");
        assert_eq!(std::fs::read(&path).unwrap(), b"three\n");
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_full_disk_loses_lines_and_counts_them() {
        let writer = LogWriter::start(quiet()).unwrap();
        let sender = writer.sender();
        writer.direct(LogTarget::File("/dev/full".into()));
        sender.send(b"one\ntwo\n".to_vec()).unwrap();
        sender.send(b"three\n".to_vec()).unwrap();
        writer.finish(Duration::from_secs(10));
        assert_eq!(writer.lines_lost(), 3);
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next_t59() {
        let path = scratch("torn");
        let mut sink = Sink::new(LogTarget::File(path.clone()));
        sink.write_block(b"half").unwrap();
        sink.is_torn = true;
        sink.write_block(b"whole\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"half\nwhole\n");
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_folder_and_a_fifo_without_reader_are_refused_at_once() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let fifo = scratch("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(check_target(&LogTarget::File(fifo.clone())).is_err());
        std::fs::remove_dir_all(fifo.parent().unwrap()).unwrap();
        assert!(check_target(&LogTarget::File(std::env::temp_dir())).is_err());
        assert!(check_target(&LogTarget::Off).is_ok());
    }
}
