//! What a session has carried, and how much of an answer it may still be given (T30).

use towpath_net::udp::Run;

/// What every datagram costs beside its content: an IPv4 header without options (RFC 791 §3.1) and one of UDP (RFC
/// 768). An empty datagram is traffic too, at the victim's as at ours.
const HEADER_BYTES: u64 = 28;

/// Datagrams one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) datagrams: u64,
    /// Without headers.
    pub(crate) bytes: u64,
}

impl Traffic {
    /// The first `datagrams` of a run.
    pub(crate) fn of(run: Run<'_>, datagrams: usize) -> Self {
        let bytes = run.bytes().len().min(run.segment().saturating_mul(datagrams));
        Self { datagrams: datagrams as u64, bytes: bytes as u64 }
    }

    fn add(&mut self, more: Self) {
        self.datagrams += more.datagrams;
        self.bytes += more.bytes;
    }

    fn with_headers(self) -> u64 {
        self.bytes.saturating_add(self.datagrams.saturating_mul(HEADER_BYTES))
    }
}

/// The traffic of a session.
///
/// ```text
///   request      answer within the ratio       request
///  ---------> Asked -----------------> Answered ---------> Validated: answers have no limit any more
/// ```
///
/// Until a client has sent something *after* it was given an answer, it gets no more than `reply_ratio` bytes for each
/// byte it sent. One who forges the address of a victim gets no further than that by asking once, and where answers are
/// large not by asking often either: an answer that exceeds the ratio is not given, so what comes after it proves
/// nothing. It is a proof by plausibility, as without knowing the protocol there is no better one: who forges
/// enough requests to pay for a whole answer, and then another, passes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    pub(crate) requests: Traffic,
    pub(crate) answers: Traffic,
    /// An answer was given since the last request.
    is_answered: bool,
    is_validated: bool,
}

impl Account {
    pub(crate) fn on_request(&mut self, request: Traffic) {
        self.requests.add(request);
        self.is_validated |= self.is_answered;
        self.is_answered = false;
    }

    /// How many datagrams of an answer may pass, from the first. Without a `reply_ratio`, all.
    pub(crate) fn allows(&self, answer: Run<'_>, reply_ratio: Option<u32>) -> usize {
        let all = answer.len();
        let Some(reply_ratio) = reply_ratio.filter(|_| !self.is_validated) else { return all };
        let earned = self.requests.with_headers().saturating_mul(u64::from(reply_ratio));
        let left = earned.saturating_sub(self.answers.with_headers());
        if Traffic::of(answer, all).with_headers() <= left {
            return all;
        }
        let each = Traffic::of(answer, 1).with_headers();
        // All but the last are of one size, and not all fit.
        usize::try_from(left / each).unwrap_or(all).min(all - 1)
    }

    pub(crate) fn on_answer(&mut self, answer: Traffic) {
        self.answers.add(answer);
        self.is_answered |= answer.datagrams > 0;
    }

    /// Nothing was asked that has not been answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// The client has sent after it had got an answer.
    pub(crate) fn is_validated(&self) -> bool {
        self.is_validated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `>9` is a request of 9 bytes, `<9x4` an answer of four datagrams of 9 bytes each; the text is how many of each
    /// answer passed.
    fn check(script: &str, reply_ratio: impl Into<Option<u32>> + Copy, expected: &str) -> Account {
        let mut account = Account::default();
        let mut passed = Vec::new();
        for step in script.split(' ') {
            let (direction, size) = step.split_at(1);
            let (size, count) = size.split_once('x').unwrap_or((size, "1"));
            let (size, count): (usize, usize) = (size.parse().unwrap(), count.parse().unwrap());
            let bytes = vec![0; size * count];
            let run = Run::new(&bytes, size);
            if direction == ">" {
                account.on_request(Traffic::of(run, run.len()));
                continue;
            }
            let allowed = account.allows(run, reply_ratio.into());
            account.on_answer(Traffic::of(run, allowed));
            passed.push(allowed.to_string());
        }
        assert_eq!(passed.join(" "), expected, "{script}");
        account
    }

    #[test]
    fn answers_stay_within_the_ratio_headers_included_t30() {
        check(">72 <272", 3, "1");
        check(">72 <273", 3, "0");
        check(">72 <72x9", 3, "3");
        check(">72 >72 <72x9", 3, "6");
        check(">0 <56", 3, "1");
        check(">0 <57", 3, "0");
        check(">0 <0 <0 <0 <0", 3, "1 1 1 0");
        check("<1", 3, "0");
    }

    #[test]
    fn no_more_than_the_ratio_is_given_in_all_t30() {
        let account = check(">72 <100 <100 <100 <16 <0", 3, "1 1 0 1 0");
        assert_eq!(account.answers, Traffic { datagrams: 3, bytes: 216 });
    }

    #[test]
    fn a_client_that_goes_on_after_an_answer_has_no_limit() {
        let account = check(">72 <72 >1 <1400x64", 3, "1 64");
        assert!(account.is_validated());
        check(">72 >72 <1400", 3, "0");
    }

    #[test]
    fn an_answer_that_was_not_given_proves_nothing_t30() {
        let account = check(">72 <3000 >72 <3000 >72 <3000", 3, "0 0 0");
        assert!(!account.is_validated());
    }

    #[test]
    fn without_a_ratio_there_is_no_limit() {
        check(">1 <1400x40", None, "40");
    }
}
