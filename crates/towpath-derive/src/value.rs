//! `#[derive(CtxValue)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Result, Type};

use crate::attribute::Propagate;
use crate::state;

/// The impl.
///
/// # Errors
/// The type is none for a context, or its author has not said how far it goes; at the place to look at.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    if !input.generics.params.is_empty() {
        // The type is the key, so each instance would be another value with the same header.
        return Err(Error::new_spanned(
            &input.generics,
            "a value with parameters is many keys; derive a type without, or write the impl by hand",
        ));
    }
    state::refuse(input)?;
    let name = &input.ident;
    let propagate = Propagate::of(input)?;
    let (word, text) = match &propagate {
        Propagate::Local => (quote!(Local), None),
        Propagate::Inherit => (quote!(Inherit), None),
        Propagate::Wire { header, bytes_max } => {
            (quote!(Wire { header: #header, bytes_max: #bytes_max }), Some(text(input)))
        }
    };
    Ok(quote! {
        #[automatically_derived]
        impl ::towpath::ctx::CtxValue for #name {
            const PROPAGATE: ::towpath::ctx::Propagate = ::towpath::ctx::Propagate::#word;
            #text
        }
    })
}

/// To and from a header. A type around one other goes as that does; any other by its own `Display` and `FromStr`.
fn text(input: &DeriveInput) -> TokenStream {
    let (shown, parsed) = match inside(input) {
        Some(inside) => {
            let parsed = quote! {
                ::core::option::Option::Some(Self(<#inside as ::core::str::FromStr>::from_str(text).ok()?))
            };
            (quote!(self.0), parsed)
        }
        None => (quote!(*self), quote!(<Self as ::core::str::FromStr>::from_str(text).ok())),
    };
    quote! {
        fn encode(&self) -> ::core::option::Option<::std::string::String> {
            ::core::option::Option::Some(::std::string::ToString::to_string(&#shown))
        }

        fn decode(text: &str) -> ::core::option::Option<Self> {
            #parsed
        }
    }
}

/// The one field of a tuple struct.
fn inside(input: &DeriveInput) -> Option<&Type> {
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                fields.unnamed.first().map(|field| &field.ty)
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str) -> String {
        let input = syn::parse_str(text).expect("the test has written a type");
        match derive(&input) {
            Ok(tokens) => tokens.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[track_caller]
    fn check(text: &str, part: &str) {
        let outcome = outcome(text);
        assert!(outcome.contains(part), "{text}\n{outcome}");
    }

    #[test]
    fn each_word_is_what_the_value_says_r21() {
        check("#[ctx(propagate = \"local\")] struct A;", ":: Propagate :: Local ;");
        check(
            "#[ctx(propagate = \"inherit\")] enum A { B(u8), C { d: String } }",
            ":: Propagate :: Inherit ;",
        );
        let wire = "#[ctx(propagate = \"wire\", header = \"x-a\", bytes_max = 64)] struct A(String);";
        check(wire, ":: Propagate :: Wire { header : \"x-a\" , bytes_max : 64 } ;");
        check(wire, "to_string (& self . 0)");
        check(&wire.replace("(String);", "{ b: u8, c: u8 }"), "to_string (& * self)");
    }

    #[test]
    fn a_missing_or_wrong_word_is_an_error_that_says_what_is_right_r21_a4() {
        check("struct A;", "error: how far does it go?");
        check(
            "#[ctx(propagate = \"all\")] struct A;",
            "error: \"local\", \"inherit\" or \"wire\" would be right",
        );
        check(
            "#[ctx(far = \"all\")] struct A;",
            "error: `propagate`, `header` or `bytes_max` would be right",
        );
        let wire = |rest: &str| format!("#[ctx(propagate = \"wire\"{rest})] struct A(u8);");
        check(&wire(""), "error: \"wire\" needs a header and a limit");
        check(&wire(", header = \"x-a\""), "error: \"wire\" needs a header and a limit");
        check(&wire(", header = \"X-A\", bytes_max = 1"), "error: a header's name in lower case");
        check(&wire(", header = \"x a\", bytes_max = 1"), "error: a header's name in lower case");
        check(&wire(", header = \"x-a\", bytes_max = 0"), "error: 1 to 8192 bytes");
        check(&wire(", header = \"x-a\", bytes_max = 8193"), "error: 1 to 8192 bytes");
        let local = "#[ctx(propagate = \"local\", bytes_max = 1)] struct A;";
        check(local, "error: only what goes over the wire");
    }

    #[test]
    fn what_changes_is_no_fact_r20_a4() {
        for (ty, what) in [
            ("std::sync::Mutex<u8>", "Mutex"),
            ("Arc<RwLock<Vec<u8>>>", "RwLock"),
            ("[RefCell<u8>; 2]", "RefCell"),
            ("(u8, core::cell::Cell<u8>)", "Cell"),
            ("Option<Arc<AtomicU64>>", "AtomicU64"),
            ("towpath::chan::Sender<u8>", "Sender"),
            ("mpsc::UnboundedReceiver<u8>", "UnboundedReceiver"),
            ("*const u8", "a raw pointer"),
            ("Option<*mut u8>", "a raw pointer"),
        ] {
            let part = format!("error: a value of a context is a fact and does not change; {what} is state");
            check(&format!("#[ctx(propagate = \"local\")] struct A {{ b: u8, c: {ty} }}"), &part);
            check(&format!("#[ctx(propagate = \"local\")] enum A {{ B, C(u8, {ty}) }}"), &part);
        }
        check("#[ctx(propagate = \"local\")] union A { b: u8 }", "error: a union is no fact");
        check("#[ctx(propagate = \"local\")] struct A<T>(T);", "error: a value with parameters is many keys");
    }

    #[test]
    fn names_of_fields_and_variants_and_sizes_are_no_types() {
        let product = "#[ctx(propagate = \"local\")] struct A { Mutex: u8, b: [u8; 2 * N], c: Arc<str> }";
        check(product, ":: Local ;");
        check("#[ctx(propagate = \"local\")] enum A { Sender, Cell(u8) }", ":: Local ;");
    }
}
