//! The known word nearest to an unknown one.

/// Words that differ in more than a third of their letters are no help to anyone.
const LETTERS_PER_MISTAKE: usize = 3;

/// Longer words are not compared: the cost grows with the square of the length, and nobody wrote such a key by mistake.
const WORD_CHARS_MAX: usize = 64;

/// A shorter word abbreviates too much.
const ABBREVIATION_CHARS_MIN: usize = 4;

/// The candidate a person most likely meant by `word`, if any is close enough.
///
/// Closeness counts letters added, left out, replaced or swapped with their neighbour; capitals and the choice between
/// `-` and `_` do not count. When nothing is close, a word that abbreviates one candidate and no other will do.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = plain(word);
    let mistakes_max = (plain.len() / LETTERS_PER_MISTAKE).max(1);
    let candidates: Vec<&str> = candidates.into_iter().collect();
    candidates
        .iter()
        .map(|candidate| (distance(&plain, &self::plain(candidate)), candidate))
        .filter(|(mistakes, _)| *mistakes <= mistakes_max)
        .min()
        .map(|(_, candidate)| *candidate)
        .or_else(|| abbreviated(&plain, &candidates))
}

/// The one candidate that begins like `word` and has all its letters in order, as `max_conns` for `max_connections`.
fn abbreviated<'a>(word: &[char], candidates: &[&'a str]) -> Option<&'a str> {
    if word.len() < ABBREVIATION_CHARS_MIN {
        return None;
    }
    let is_meant = |candidate: &&&str| {
        let long = plain(candidate);
        let mut rest = long.iter();
        long.first() == word.first() && word.iter().all(|c| rest.any(|other| other == c))
    };
    let mut found = candidates.iter().filter(is_meant);
    match (found.next(), found.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

fn plain(word: &str) -> Vec<char> {
    word.chars()
        .take(WORD_CHARS_MAX)
        .flat_map(char::to_lowercase)
        .map(|c| if c == '-' { '_' } else { c })
        .collect()
}

/// The number of single mistakes between two words (Damerau-Levenshtein, each place touched once).
fn distance(left: &[char], right: &[char]) -> usize {
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
                let swapped = if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1]
                {
                    rows[i - 2][j - 2] + 1
                } else {
                    usize::MAX
                };
                replaced.min(swapped).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1)
            };
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 4] = ["max_connections", "max_idle", "min_idle", "on"];

    #[test]
    fn the_nearest_key_is_found() {
        assert_eq!(nearest("max_conections", KEYS), Some("max_connections"));
        assert_eq!(nearest("Max-Idle", KEYS), Some("max_idle"));
        assert_eq!(nearest("mni_idle", KEYS), Some("min_idle"));
        assert_eq!(nearest("no", KEYS), Some("on"));
    }

    #[test]
    fn an_abbreviation_of_one_key_is_understood() {
        assert_eq!(nearest("max_conns", KEYS), Some("max_connections"));
        assert_eq!(nearest("maxc", KEYS), Some("max_connections"));
        assert_eq!(nearest("m_id", KEYS), None, "two keys would do");
    }

    #[test]
    fn a_distant_word_has_no_nearest_key() {
        assert_eq!(nearest("keepalive", KEYS), None);
        assert_eq!(nearest("", KEYS), None);
    }
}
