//! What the kit makes while a program is compiled: the Rust of a `.proto` file, without a build script and without `protoc`.
//!
//! Programs name it as `towpath::grpc::proto!`, and never this crate. `proto` turns files into text; here is only what
//! concerns the compiler: where the caller's file lies, what its build depends on, and how names of the kit are reached.

mod proto;

use std::path::{Path, PathBuf};

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// The messages and services of a `.proto` file; documented where programs find it, at `towpath::grpc::proto!`.
#[proc_macro]
pub fn proto(input: TokenStream) -> TokenStream {
    let generated = path_of(input).and_then(|path| proto::generate(&near_caller(&path)));
    let generated = generated.and_then(|generated| match generated.code.parse::<TokenStream>() {
        Ok(code) => Ok((code, generated)),
        Err(fault) => Err(format!("the generated code cannot be read: {fault}")),
    });
    match generated {
        Ok((code, generated)) => {
            let mut all = by_the_kit(code);
            all.extend(descriptors(&generated.descriptors));
            all.extend(generated.files.iter().flat_map(|file| depends_on(file)));
            all
        }
        Err(fault) => call("compile_error", Literal::string(&fault)).collect(),
    }
}

/// The one argument: a path in plain quotes.
fn path_of(input: TokenStream) -> Result<String, String> {
    let tokens: Vec<TokenTree> = input.into_iter().collect();
    let text = match tokens.as_slice() {
        [TokenTree::Literal(literal)] => literal.to_string(),
        _ => String::new(),
    };
    let path = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match path {
        Some(path) if !path.is_empty() && !path.contains('\\') => Ok(path.to_owned()),
        _ => {
            Err("proto! takes the path of a .proto file in quotes, such as proto!(\"user.proto\")".to_owned())
        }
    }
}

/// A path relative to the file that has the call, as with `include_str!`.
fn near_caller(path: &str) -> PathBuf {
    let caller = Span::call_site().local_file();
    let folder = caller.as_deref().and_then(Path::parent).map(Path::to_owned);
    // Some tools expand macros without saying where; the package's folder is the best guess.
    let folder = folder.or_else(|| std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from));
    folder.unwrap_or_default().join(path)
}

/// Makes the compiler look at `file` again when it has changed.
fn depends_on(file: &Path) -> impl Iterator<Item = TokenTree> {
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let include = call("include_bytes", Literal::string(&path.to_string_lossy()));
    let start: TokenStream = "const _: &[u8] =".parse().expect("it is Rust");
    start.into_iter().chain(include)
}

/// `name!(literal);`
fn call(name: &str, literal: Literal) -> impl Iterator<Item = TokenTree> {
    let arguments = Group::new(Delimiter::Parenthesis, TokenTree::from(literal).into());
    [
        TokenTree::from(Ident::new(name, Span::call_site())),
        Punct::new('!', Spacing::Alone).into(),
        arguments.into(),
        Punct::new(';', Spacing::Alone).into(),
    ]
    .into_iter()
}

fn descriptors(bytes: &[u8]) -> TokenStream {
    let start = "/// The file and what it imports, for `grpc::ReflectionBuilder`.\n\
                 pub const FILE_DESCRIPTOR_SET: &[u8] =";
    let start: TokenStream = start.parse().expect("it is Rust");
    let end = [Literal::byte_string(bytes).into(), TokenTree::from(Punct::new(';', Spacing::Alone))];
    start.into_iter().chain(end).collect()
}

/// The code with every path that begins with `tonic` beginning at the kit, which is the one dependency that the caller has.
/// The generator has options for the other paths.
fn by_the_kit(code: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = code.into_iter().collect();
    let mut all = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        let (before, after) = (&tokens[..at], &tokens[at + 1..]);
        match token {
            TokenTree::Ident(name)
                if name.to_string() == "tonic"
                    && !is_separator(before.last_chunk())
                    && is_separator(after.first_chunk()) =>
            {
                let path: TokenStream = "::towpath::grpc::tonic".parse().expect("it is Rust");
                all.extend(path);
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), by_the_kit(group.stream()));
                inner.set_span(group.span());
                all.push(inner.into());
            }
            other => all.push(other.clone()),
        }
    }
    all.into_iter().collect()
}

/// Whether these are the `::` of a path, and not two colons apart, as in `T: ::a`.
fn is_separator(tokens: Option<&[TokenTree; 2]>) -> bool {
    matches!(
        tokens,
        Some([TokenTree::Punct(first), TokenTree::Punct(second)])
            if first.as_char() == ':' && first.spacing() == Spacing::Joint && second.as_char() == ':'
    )
}
