//! What Towpath says to the person who runs it: start lines on stdout, everything else on stderr.
//!
//! Nothing here can fail: whoever closed the other end of a pipe does not want to read it, and that is no reason to
//! stop serving.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// How lines on stderr look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogStyle {
    /// `towpath: message`, for people.
    #[default]
    Text,
    /// One JSON object per line with `time`, `level`, `event` and `message`.
    Json,
}

/// How much a line on stderr matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something ends the program or refuses an order.
    Error,
    /// Something went wrong while the service goes on.
    Warn,
    /// Something happened as it should.
    #[default]
    Info,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
        }
    }
}

/// The two streams and how to use them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Console {
    /// How lines on stderr look. Default text.
    pub style: LogStyle,
    /// The least that is still written. Default everything.
    pub level: Level,
    /// Whether start lines are left out. Default no.
    pub quiet: bool,
}

impl Console {
    /// The start line of a listener, with the address that was really bound.
    pub fn listening(&self, name: &str, url: &str) {
        if !self.quiet {
            self.say(&format!("listening {name} {url}\n"));
        }
    }

    /// Text for stdout, as it is.
    pub fn say(&self, text: &str) {
        let mut out = io::stdout().lock();
        // A closed stdout is not an error: see the module.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Something that happened as it should.
    pub fn info(&self, event: &str, message: &str) {
        self.log(Level::Info, event, message);
    }

    /// Something that did not, while the service goes on.
    pub fn warn(&self, event: &str, message: &str) {
        self.log(Level::Warn, event, message);
    }

    /// Something that ends the program or refuses an order.
    pub fn error(&self, event: &str, message: &str) {
        self.log(Level::Error, event, message);
    }

    /// Faults that already say where they are: as they stand for people, one line for programs.
    pub fn faults(&self, level: Level, event: &str, rendered: &str) {
        match self.style {
            LogStyle::Text if level > self.level => {}
            LogStyle::Text => drop(io::stderr().lock().write_all(rendered.as_bytes())),
            LogStyle::Json => self.log(level, event, rendered),
        }
    }

    fn log(&self, level: Level, event: &str, message: &str) {
        if level > self.level {
            return;
        }
        let line = match self.style {
            LogStyle::Text => text_line(message),
            LogStyle::Json => json_line(SystemTime::now(), level, event, message),
        };
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

fn text_line(message: &str) -> String {
    format!("towpath: {}\n", message.trim_end())
}

fn json_line(now: SystemTime, level: Level, event: &str, message: &str) -> String {
    let time = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let line = serde_json::json!({
        "time": time.as_millis() as f64 / 1000.0,
        "level": level.name(),
        "event": event,
        "message": message.trim_end(),
    });
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_json_line_is_one_line_whatever_the_message_holds_t59() {
        let now = UNIX_EPOCH + Duration::from_millis(1_500);
        let line = json_line(now, Level::Warn, "reload_refused", "two\nlines \"quoted\"\u{1b}[0m\n");
        assert_eq!(line.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["time"], 1.5);
        assert_eq!(value["message"], "two\nlines \"quoted\"\u{1b}[0m");
    }

    #[test]
    fn a_text_line_ends_once() {
        assert_eq!(text_line("stopped\n"), "towpath: stopped\n");
    }
}
