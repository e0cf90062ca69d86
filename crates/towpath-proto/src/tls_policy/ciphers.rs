//! OpenSSL's cipher string: how it is divided, and what each part does.

use std::fmt;

use super::list::List;
use super::suites::{Row, Row13, SUITES13};
use super::words::{self, Word};
use super::{CIPHERS_BYTES_MAX, CipherList, Suite, Version};

/// The highest level of `@SECLEVEL` that OpenSSL defines.
const SECURITY_LEVEL_MAX: u8 = 5;

/// Why a cipher string cannot be obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CiphersError {
    /// Longer than [`CIPHERS_BYTES_MAX`].
    TooLong,
    /// OpenSSL has no such word. It would ignore it, and with it what somebody wanted to forbid.
    UnknownWord(String),
    /// `!`, `-` or `+` with nothing behind it.
    Dangling(char),
    /// An `@` command that does not exist, or a level out of range.
    BadCommand(String),
    /// `DEFAULT` stands for the start of a list and works only there.
    DefaultNotFirst,
    /// A profile that also chooses groups and signatures, which a list of suites cannot do.
    SuiteB(String),
    /// No safe suite is left. Names what the string does admit.
    NothingLeft(Vec<Suite>),
}

/// What the sign before a word says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Add,
    MoveLast,
    Remove,
    Forbid,
}

/// What the string has said so far.
struct Reader {
    list: List,
    tls13: Vec<&'static Row13>,
    forbidden13: Vec<&'static Row13>,
    is_13_named: bool,
    obsolete: Vec<&'static str>,
    security_level: Option<u8>,
}

pub(super) fn parse(text: &str) -> Result<CipherList, CiphersError> {
    if text.len() > CIPHERS_BYTES_MAX {
        return Err(CiphersError::TooLong);
    }
    let mut reader = Reader::new();
    for (index, item) in items(text).enumerate() {
        match item {
            "DEFAULT" if index == 0 => reader.start_with_default(),
            "DEFAULT" => return Err(CiphersError::DefaultNotFirst),
            _ => reader.handle_item(item)?,
        }
    }
    reader.finish()
}

/// The parts between separators. A command needs none before it: `HIGH@STRENGTH`.
fn items(text: &str) -> impl Iterator<Item = &str> {
    let is_separator = |c: char| matches!(c, ':' | ',' | ';') || c.is_ascii_whitespace();
    text.split(is_separator).flat_map(split_before_commands).filter(|item| !item.is_empty())
}

fn split_before_commands(item: &str) -> impl Iterator<Item = &str> {
    let mut rest = item;
    std::iter::from_fn(move || {
        let end = rest.char_indices().skip(1).find(|(_, c)| *c == '@').map_or(rest.len(), |(at, _)| at);
        let (part, after) = rest.split_at_checked(end)?;
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

impl Reader {
    fn new() -> Self {
        Self {
            list: List::new(),
            tls13: SUITES13.iter().filter(|row| row.is_safe()).collect(),
            forbidden13: Vec::new(),
            is_13_named: false,
            obsolete: Vec::new(),
            security_level: None,
        }
    }

    /// `DEFAULT` is `ALL:!COMPLEMENTOFDEFAULT:!eNULL`.
    fn start_with_default(&mut self) {
        self.list.add(|row| !row.is_null());
        self.list.forbid(|row| row.is_beyond_default() || row.is_null());
    }

    fn handle_item(&mut self, item: &str) -> Result<(), CiphersError> {
        if let Some(command) = item.strip_prefix('@') {
            return self.handle_command(command);
        }
        let (action, words) = action(item);
        if words.is_empty() {
            return Err(CiphersError::Dangling(item.chars().next().unwrap_or_default()));
        }
        let mut meant = Vec::new();
        for word in words.split('+') {
            meant.push(find(word)?);
        }
        self.handle_words(action, &meant);
        Ok(())
    }

    fn handle_command(&mut self, command: &str) -> Result<(), CiphersError> {
        let bad = || CiphersError::BadCommand(format!("@{command}"));
        if command == "STRENGTH" {
            self.list.sort_by_strength();
            return Ok(());
        }
        let level = command.strip_prefix("SECLEVEL=").and_then(|level| level.parse().ok()).ok_or_else(bad)?;
        if level > SECURITY_LEVEL_MAX {
            return Err(bad());
        }
        self.security_level = Some(level);
        Ok(())
    }

    /// Words joined by `+` mean the suites that all of them mean.
    fn handle_words(&mut self, action: Action, words: &[Word]) {
        match words {
            [Word::Suite13(row)] => self.handle_suite13(action, row),
            _ if words.iter().any(|word| matches!(word, Word::Removed(_) | Word::Suite13(_))) => {
                self.note_obsolete(action, words);
            }
            _ => {
                let holds = |row: &Row| words.iter().all(|word| word.means(row));
                match action {
                    Action::Add => self.list.add(holds),
                    Action::MoveLast => self.list.move_last(holds),
                    Action::Remove => self.list.remove(holds),
                    Action::Forbid => self.list.forbid(holds),
                }
            }
        }
    }

    /// To forbid what is gone is no news.
    fn note_obsolete(&mut self, action: Action, words: &[Word]) {
        let names =
            words.iter().filter_map(|word| if let Word::Removed(name) = word { Some(*name) } else { None });
        if action == Action::Add {
            self.obsolete.extend(names);
        }
    }

    /// The first one that is added says that the string chooses, and no longer we.
    fn handle_suite13(&mut self, action: Action, row: &'static Row13) {
        if action == Action::Add && !std::mem::replace(&mut self.is_13_named, true) {
            self.tls13.clear();
        }
        if action == Action::Forbid {
            self.forbidden13.push(row);
        }
        let is_in = self.tls13.iter().any(|other| other.iana == row.iana);
        let is_wanted = match action {
            Action::Add if is_in => return,
            Action::Add => !self.forbidden13.iter().any(|other| other.iana == row.iana),
            Action::MoveLast => is_in,
            Action::Remove | Action::Forbid => false,
        };
        self.tls13.retain(|other| other.iana != row.iana);
        self.tls13.extend(is_wanted.then_some(row));
    }

    fn finish(self) -> Result<CipherList, CiphersError> {
        let admitted =
            self.tls13.iter().map(|row| Suite::tls13(row)).chain(self.list.suites().map(Suite::tls12));
        let (safe, dropped): (Vec<Suite>, Vec<Suite>) = admitted.partition(|suite| suite.is_safe());
        let bits = self.security_level.map_or(0, bits_min);
        let (tls13, tls12): (Vec<Suite>, Vec<Suite>) = safe
            .into_iter()
            .filter(|suite| suite.bits() >= bits)
            .partition(|suite| suite.version() == Version::Tls13);
        if tls12.is_empty() && (tls13.is_empty() || !self.is_13_named) {
            return Err(CiphersError::NothingLeft(dropped));
        }
        Ok(CipherList { tls12, tls13, dropped, obsolete: self.obsolete, security_level: self.security_level })
    }
}

/// SSL_CTX_set_security_level(3): 80, 112, 128, 192 and 256 bits. Every safe suite has the first three.
fn bits_min(level: u8) -> u16 {
    match level {
        5 => 256,
        4 => 192,
        _ => 0,
    }
}

fn action(item: &str) -> (Action, &str) {
    match item.split_at_checked(1) {
        Some(("!", words)) => (Action::Forbid, words),
        Some(("-", words)) => (Action::Remove, words),
        Some(("+", words)) => (Action::MoveLast, words),
        _ => (Action::Add, item),
    }
}

fn find(word: &str) -> Result<Word, CiphersError> {
    match word {
        "SUITEB128" | "SUITEB128ONLY" | "SUITEB128C2" | "SUITEB192" => {
            Err(CiphersError::SuiteB(word.to_owned()))
        }
        "DEFAULT" => Err(CiphersError::DefaultNotFirst),
        _ => words::find(word).ok_or_else(|| CiphersError::UnknownWord(word.to_owned())),
    }
}

impl Word {
    fn means(&self, row: &Row) -> bool {
        match self {
            Self::Keyword(holds) => holds(row),
            Self::Suite(suite) => suite.iana == row.iana,
            Self::Suite13(_) | Self::Removed(_) => false,
        }
    }
}

impl fmt::Display for CiphersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "a cipher string has {CIPHERS_BYTES_MAX} bytes at most"),
            Self::UnknownWord(word) => write!(f, "{word:?} is neither a suite nor a keyword of OpenSSL"),
            Self::Dangling(sign) => {
                write!(f, "nothing stands behind {sign:?}; write it before a suite or a keyword")
            }
            Self::BadCommand(command) => {
                write!(f, "{command:?} is no command; there are @STRENGTH and @SECLEVEL=0 to @SECLEVEL=5")
            }
            Self::DefaultNotFirst => {
                write!(
                    f,
                    "DEFAULT works only at the start of the string, without a sign, as DEFAULT:!CAMELLIA"
                )
            }
            Self::SuiteB(word) => write!(
                f,
                "{word} also chooses groups and signatures; name its suites instead: \
                 ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
            ),
            Self::NothingLeft(dropped) => nothing_left(f, dropped),
        }
    }
}

fn nothing_left(f: &mut fmt::Formatter<'_>, dropped: &[Suite]) -> fmt::Result {
    match dropped.first() {
        None => write!(f, "no suite is left")?,
        Some(first) => {
            let more = dropped.len().saturating_sub(1);
            write!(
                f,
                "no safe suite is left; what the string admits is {first} ({})",
                first.weakness_text()
            )?;
            if more > 0 {
                write!(f, " and {more} more")?;
            }
        }
    }
    write!(f, "; HIGH:!aNULL:!MD5 admits every safe suite")
}

impl std::error::Error for CiphersError {}
