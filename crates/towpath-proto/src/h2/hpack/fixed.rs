//! The fixed table (RFC 7541 appendix A).

/// Names and values of the entries 1 to 61, in order.
pub(super) const ENTRIES: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// The longest name in the table.
const NAME_BYTES_MAX: usize = 27;

/// Indices of the entries, by the length of their names and in order among equals: a name is compared with the few
/// that are as long as it is.
const BY_LENGTH: [u8; ENTRIES.len()] = {
    let mut sorted = [0; ENTRIES.len()];
    let (mut place, mut length) = (0, 0);
    while length <= NAME_BYTES_MAX {
        let mut at = 0;
        while at < ENTRIES.len() {
            if ENTRIES[at].0.len() == length {
                sorted[place] = at as u8 + 1;
                place += 1;
            }
            at += 1;
        }
        length += 1;
    }
    assert!(place == ENTRIES.len(), "a name is longer than the longest");
    sorted
};

/// Where the names of a length begin in [`BY_LENGTH`]; they end where those of the next begin.
const STARTS: [u8; NAME_BYTES_MAX + 2] = {
    let mut starts = [0; NAME_BYTES_MAX + 2];
    let mut at = 0;
    while at < ENTRIES.len() {
        let mut longer = ENTRIES[at].0.len() + 1;
        while longer < starts.len() {
            starts[longer] += 1;
            longer += 1;
        }
        at += 1;
    }
    starts
};

/// What the table has of a field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// This entry is the line.
    Whole(usize),
    /// This entry has the name.
    Name(usize),
    None,
}

/// The entry at this index, which counts from one.
pub(super) fn entry(index: usize) -> Option<(&'static [u8], &'static [u8])> {
    let (name, value) = ENTRIES.get(index.checked_sub(1)?)?;
    Some((name.as_bytes(), value.as_bytes()))
}

/// The best entry for a field whose name is in lower case.
pub(super) fn find(name: &[u8], value: &[u8]) -> Match {
    let mut best = Match::None;
    for &index in of_length(name.len()) {
        let index = usize::from(index);
        match entry(index) {
            Some((found, known)) if found == name && known == value => return Match::Whole(index),
            Some((found, _)) if found == name && best == Match::None => best = Match::Name(index),
            _ => {}
        }
    }
    best
}

fn of_length(length: usize) -> &'static [u8] {
    match (STARTS.get(length), STARTS.get(length + 1)) {
        (Some(&start), Some(&end)) => &BY_LENGTH[usize::from(start)..usize::from(end)],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found_and_nothing_else() {
        for index in 1..=ENTRIES.len() {
            let (name, value) = entry(index).expect("in range");
            assert_eq!(find(name, value), Match::Whole(index));
            let first = (1..).find(|&at| entry(at).is_some_and(|(other, _)| other == name)).expect("itself");
            assert_eq!(find(name, b"something else"), Match::Name(first));
        }
        for name in ["", "x", "acceptor", ":protocol", "a-name-that-is-longer-than-the-longest-of-them-all"] {
            assert_eq!(find(name.as_bytes(), b""), Match::None, "{name}");
        }
        assert_eq!((entry(0), entry(62)), (None, None));
    }
}
