//! `--key value` arguments: the bench needs no more than that.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::Outcome;

/// The arguments of one bench program, taken out one by one so that a misspelt one is noticed at the end.
#[derive(Debug)]
pub struct Args {
    values: BTreeMap<String, String>,
}

impl Args {
    /// Reads the arguments of this process.
    ///
    /// # Errors
    /// A word that is not `--key`, or a key without its value.
    pub fn from_env() -> Outcome<Args> {
        Args::parse(std::env::args().skip(1))
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Args> {
        let mut values = BTreeMap::new();
        while let Some(word) = words.next() {
            let key =
                word.strip_prefix("--").ok_or_else(|| format!("expected --key value, found {word:?}"))?;
            let value = words.next().ok_or_else(|| format!("--{key} has no value"))?;
            values.insert(key.to_owned(), value);
        }
        Ok(Args { values })
    }

    /// The value of `--key`, or nothing when it was not given.
    ///
    /// # Errors
    /// The value is there and is not a `T`.
    pub fn take<T: FromStr>(&mut self, key: &str) -> Outcome<Option<T>> {
        let Some(text) = self.values.remove(key) else { return Ok(None) };
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(format!("--{key} {text:?} is not a {}", std::any::type_name::<T>()).into()),
        }
    }

    /// The comma-separated values of `--key`, or `default`.
    ///
    /// # Errors
    /// One of the values is not a `T`.
    pub fn take_list<T: FromStr + Clone>(&mut self, key: &str, default: &[T]) -> Outcome<Vec<T>> {
        let Some(text) = self.values.remove(key) else { return Ok(default.to_vec()) };
        text.split(',')
            .map(|item| item.parse().map_err(|_| format!("--{key}: {item:?} is not understood").into()))
            .collect()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Names the arguments nobody took.
    pub fn finish(self) -> Outcome<()> {
        if self.values.is_empty() {
            return Ok(());
        }
        let unknown: Vec<String> = self.values.keys().map(|key| format!("--{key}")).collect();
        Err(format!("unknown: {}", unknown.join(" ")).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Outcome<Args> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_value_is_taken_once_and_the_rest_is_refused_by_name() {
        let mut args = parse("--rounds 3 --bogus 1").unwrap();
        assert_eq!(args.take::<u32>("rounds").unwrap(), Some(3));
        assert_eq!(args.take::<u32>("rounds").unwrap(), None);
        assert_eq!(args.finish().unwrap_err().to_string(), "unknown: --bogus");
    }

    #[test]
    fn a_key_without_a_value_and_a_bare_word_are_refused() {
        assert!(parse("--rounds").is_err());
        assert!(parse("rounds 3").is_err());
        assert!(parse("--rounds x").unwrap().take::<u32>("rounds").is_err());
    }
}
