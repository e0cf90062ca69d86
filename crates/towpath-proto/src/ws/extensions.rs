//! The syntax of `Sec-WebSocket-Extensions` (§9.1).

use super::HandshakeError;
use crate::field::is_token_byte;

/// Reads one field value from left to right: [`Scanner::next_extension`], then [`Scanner::next_parameter`] until
/// there is none, and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanner<'a> {
    rest: &'a [u8],
}

/// A parameter and perhaps its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: Option<Value<'a>>,
}

/// A parameter's value. Both spellings mean the same (§9.1).
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Token(&'a [u8]),
    /// What stands between the quotes, with its backslashes.
    Quoted(&'a [u8]),
}

impl<'a> Scanner<'a> {
    pub(super) fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }

    /// The name of the next extension; `None` at the end. Empty elements are passed over (RFC 9110 §5.6.1.2).
    pub(super) fn next_extension(&mut self) -> Result<Option<&'a [u8]>, HandshakeError> {
        while self.eats(b',') {}
        if self.rest.is_empty() { Ok(None) } else { self.token().map(Some) }
    }

    /// The next parameter of the extension; `None` behind its last one.
    pub(super) fn next_parameter(&mut self) -> Result<Option<Parameter<'a>>, HandshakeError> {
        if self.eats(b';') {
            let name = self.token()?;
            let value = if self.eats(b'=') { Some(self.value()?) } else { None };
            return Ok(Some(Parameter { name, value }));
        }
        self.skip_blanks();
        match self.rest.first() {
            None | Some(b',') => Ok(None),
            Some(_) => Err(HandshakeError::ExtensionSyntax),
        }
    }

    fn value(&mut self) -> Result<Value<'a>, HandshakeError> {
        if self.eats(b'"') { self.quoted().map(Value::Quoted) } else { self.token().map(Value::Token) }
    }

    /// §9.1: what is quoted has to be a token, too, once its backslashes are gone.
    fn quoted(&mut self) -> Result<&'a [u8], HandshakeError> {
        let mut is_escaped = false;
        for (at, &byte) in self.rest.iter().enumerate() {
            match byte {
                b'"' if !is_escaped && at > 0 => {
                    let (value, rest) = self.rest.split_at(at);
                    self.rest = rest.get(1..).unwrap_or_default();
                    return Ok(value);
                }
                b'\\' if !is_escaped => is_escaped = true,
                byte if is_token_byte(byte) => is_escaped = false,
                _ => break,
            }
        }
        Err(HandshakeError::ExtensionSyntax)
    }

    fn token(&mut self) -> Result<&'a [u8], HandshakeError> {
        self.skip_blanks();
        let count = self.rest.iter().take_while(|&&byte| is_token_byte(byte)).count();
        let (token, rest) = self.rest.split_at(count);
        self.rest = rest;
        if token.is_empty() { Err(HandshakeError::ExtensionSyntax) } else { Ok(token) }
    }

    fn eats(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }
}

impl<'a> Value<'a> {
    /// The number, if the value is one of at most two digits without a leading zero.
    pub(super) fn small_number(self) -> Option<u8> {
        let (bytes, skipped) = match self {
            Self::Token(bytes) => (bytes, None),
            Self::Quoted(bytes) => (bytes, Some(b'\\')),
        };
        let mut digits = bytes.iter().copied().filter(|byte| Some(*byte) != skipped);
        let first = digits.next().filter(|byte| matches!(byte, b'1'..=b'9'))? - b'0';
        match (digits.next(), digits.next()) {
            (None, _) => Some(first),
            (Some(second @ b'0'..=b'9'), None) => Some(first * 10 + (second - b'0')),
            _ => None,
        }
    }
}
