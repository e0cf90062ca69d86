//! Values are facts, not state (R20): types in fields that change behind a shared reference.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Data, DeriveInput, Error, Field, Result, Type};

/// Names of types that are locks, cells and channels, in std, tokio, the kit and the usual crates.
///
/// A name is all that a macro sees. What hides behind an alias passes, unless it is not `Sync`, which the trait refuses.
const STATEFUL: &[&str] = &[
    "Mutex",
    "FairMutex",
    "ReentrantMutex",
    "ReentrantLock",
    "RwLock",
    "Cell",
    "RefCell",
    "UnsafeCell",
    "SyncUnsafeCell",
    "OnceCell",
    "OnceLock",
    "ArcSwap",
    "ArcSwapAny",
    "ArcSwapOption",
    "Sender",
    "SyncSender",
    "UnboundedSender",
    "WeakSender",
    "Receiver",
    "UnboundedReceiver",
    "RendezvousSender",
    "RendezvousReceiver",
    "Broadcaster",
    "NonNull",
];

/// Looks through every field of a type.
///
/// # Errors
/// One has a type that changes.
pub(crate) fn refuse(input: &DeriveInput) -> Result<()> {
    match &input.data {
        Data::Struct(data) => data.fields.iter().try_for_each(refuse_field),
        Data::Enum(data) => {
            data.variants.iter().flat_map(|variant| &variant.fields).try_for_each(refuse_field)
        }
        Data::Union(data) => {
            Err(Error::new(data.union_token.span, "a union is no fact; a struct or an enum is"))
        }
    }
}

fn refuse_field(field: &Field) -> Result<()> {
    match find(field.ty.to_token_stream()) {
        Some(at) => Err(fault(&field.ty, &at)),
        None => Ok(()),
    }
}

fn fault(ty: &Type, at: &TokenTree) -> Error {
    let ty = ty.to_token_stream();
    let what = match at {
        TokenTree::Ident(name) => name.to_string(),
        _ => "a raw pointer".to_owned(),
    };
    Error::new_spanned(
        ty,
        format!(
            "a value of a context is a fact and does not change; {what} is state, which a service keeps elsewhere"
        ),
    )
}

/// The first token that names something which changes: a type's name, or the star of a raw pointer.
fn find(tokens: TokenStream) -> Option<TokenTree> {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Group(group) => {
                if let Some(found) = find(group.stream()) {
                    return Some(found);
                }
            }
            TokenTree::Ident(name) if is_stateful(name) => return Some(token),
            // In a type a star begins a raw pointer, but for a product in the length of an array.
            TokenTree::Punct(star) if star.as_char() == '*' => match tokens.peek() {
                Some(TokenTree::Ident(word)) if word == "const" || word == "mut" => return Some(token),
                _ => {}
            },
            _ => {}
        }
    }
    None
}

fn is_stateful(name: &Ident) -> bool {
    let name = name.to_string();
    STATEFUL.contains(&name.as_str()) || name.strip_prefix("Atomic").is_some_and(|rest| !rest.is_empty())
}
