//! The kit's derive macros; use them by the name that the crate `towpath` gives them.
//!
//! ```text
//!   tokens ── syn ──> attribute.rs: how far it goes ──┐
//!                └──> state.rs: no field that changes ┴──> value.rs: the impl, or one error at its place
//! ```
//!
//! Not here: anything that runs in a program. Each function is one from tokens to tokens, so that tests see the words of
//! an error.

mod attribute;
mod state;
mod value;

use proc_macro::TokenStream;

/// Implements `towpath::ctx::CtxValue`; documented there.
#[proc_macro_derive(CtxValue, attributes(ctx))]
pub fn ctx_value(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    value::derive(&input).unwrap_or_else(|fault| fault.into_compile_error()).into()
}
