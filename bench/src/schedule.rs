//! Open loop: work that falls due on a clock, whether or not earlier work was answered.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::Outcome;

/// Requests that fall due at equal distances.
#[derive(Debug)]
pub struct Schedule {
    /// Becomes readable when requests have fallen due.
    pub timer: OwnedFd,
    /// When it began.
    pub start: Instant,
    interval: Duration,
    /// Requests that have fallen due.
    pub due_count: u64,
    /// How many of them were sent.
    pub sent_count: u64,
}

impl Schedule {
    /// Begins now, with `rate` requests per second.
    ///
    /// # Errors
    /// The kernel refused a timer.
    pub fn start(rate: u32) -> Outcome<Schedule> {
        let interval = Duration::from_secs(1) / rate.max(1);
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let every = Timespec::try_from(interval)?;
        timerfd_settime(
            &timer,
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: every, it_value: every },
        )?;
        Ok(Schedule { timer, start: Instant::now(), interval, due_count: 0, sent_count: 0 })
    }

    /// Adds what has fallen due since the last tick.
    ///
    /// # Errors
    /// The timer cannot be read.
    pub fn tick(&mut self) -> io::Result<()> {
        let mut count = [0; 8];
        match rustix::io::read(&self.timer, &mut count) {
            Ok(_) => self.due_count += u64::from_ne_bytes(count),
            Err(rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// When the request with this number fell due.
    #[must_use]
    pub fn due_at(&self, index: u64) -> Instant {
        let nanos = self.interval.as_nanos() as u64;
        self.start + Duration::from_nanos(nanos.saturating_mul(index + 1))
    }
}
