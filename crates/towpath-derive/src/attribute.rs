//! `#[ctx(propagate = "…")]`: how far a value goes, as its author wrote it.

use proc_macro2::Span;
use syn::{Attribute, DeriveInput, Error, LitInt, LitStr, Result};

/// The largest limit of a header: what baggage has, and more than servers take in one line.
const BYTES_MAX: usize = 8_192;

/// How far a value goes.
pub(crate) enum Propagate {
    Local,
    Inherit,
    Wire { header: LitStr, bytes_max: LitInt },
}

/// What the attributes say, before it is known whether it fits together.
#[derive(Default)]
struct Said {
    propagate: Option<LitStr>,
    header: Option<LitStr>,
    bytes_max: Option<LitInt>,
}

impl Propagate {
    /// Reads the attributes of a type.
    ///
    /// # Errors
    /// The word is missing or none of the three, or what `wire` needs is missing, or said of another word.
    pub(crate) fn of(input: &DeriveInput) -> Result<Self> {
        let mut said = Said::default();
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("ctx")) {
            said.read(attribute)?;
        }
        let Some(word) = said.propagate.take() else {
            return Err(Error::new(
                input.ident.span(),
                "how far does it go? #[ctx(propagate = \"local\")]: this request only; \"inherit\": also spawned and \
                 detached work; \"wire\": also in a header to others",
            ));
        };
        match word.value().as_str() {
            "local" => said.nothing_for_the_wire().map(|()| Self::Local),
            "inherit" => said.nothing_for_the_wire().map(|()| Self::Inherit),
            "wire" => said.wire(word.span()),
            _ => Err(Error::new(word.span(), "\"local\", \"inherit\" or \"wire\" would be right")),
        }
    }
}

impl Said {
    fn read(&mut self, attribute: &Attribute) -> Result<()> {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("propagate") {
                self.propagate = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("header") {
                self.header = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("bytes_max") {
                self.bytes_max = Some(meta.value()?.parse()?);
            } else {
                return Err(meta.error("`propagate`, `header` or `bytes_max` would be right"));
            }
            Ok(())
        })
    }

    fn nothing_for_the_wire(&self) -> Result<()> {
        let header = self.header.as_ref().map(LitStr::span);
        match header.or_else(|| self.bytes_max.as_ref().map(LitInt::span)) {
            None => Ok(()),
            Some(at) => Err(Error::new(at, "only what goes over the wire has a header and a limit")),
        }
    }

    fn wire(self, word: Span) -> Result<Propagate> {
        let (Some(header), Some(bytes_max)) = (self.header, self.bytes_max) else {
            return Err(Error::new(
                word,
                "\"wire\" needs a header and a limit: header = \"x-tenant\", bytes_max = 64",
            ));
        };
        // RFC 9110 §5.1: a token. In lower case, as HTTP/2 has it.
        let is_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        if header.value().is_empty() || !header.value().bytes().all(is_name) {
            return Err(Error::new(
                header.span(),
                "a header's name in lower case would be right: \"x-tenant\"",
            ));
        }
        if !(1..=BYTES_MAX).contains(&bytes_max.base10_parse()?) {
            return Err(Error::new(bytes_max.span(), "1 to 8192 bytes would be right"));
        }
        Ok(Propagate::Wire { header, bytes_max })
    }
}
