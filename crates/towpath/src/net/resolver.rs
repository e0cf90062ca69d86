//! From names to addresses.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use super::error::{Error, Kind};
use crate::Ctx;

/// The future of a [`Resolve`].
pub type Lookup<'a> = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, Error>> + Send + 'a>>;

/// Finds the addresses of names.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `name`, best first, and never none: a name without an address is an error.
    fn resolve<'a>(&'a self, name: &'a str) -> Lookup<'a>;
}

/// Where names are looked up. A clone is the same one. With the feature `dns` there is `Resolver::dns`, which keeps answers.
#[derive(Clone)]
pub struct Resolver(Arc<dyn Resolve>);

impl Resolver {
    /// One of the program's own.
    pub fn new(resolve: impl Resolve) -> Self {
        Self(Arc::new(resolve))
    }

    /// What the system does: its files and its servers, in threads for what blocks. It keeps nothing, so each dial asks.
    pub fn system() -> Self {
        Self::new(System)
    }

    /// These names and no others, for tests.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), towpath::net::Error> {
    /// use towpath::Ctx;
    /// use towpath::net::Resolver;
    ///
    /// let (ctx, resolver) = (Ctx::background(), Resolver::fixed([("db", vec!["10.0.0.1".parse().unwrap()])]));
    /// assert_eq!(resolver.resolve(&ctx, "db").await?.len(), 1);
    /// assert!(resolver.resolve(&ctx, "other").await.unwrap_err().is_not_found());
    /// # Ok(())
    /// # }
    /// ```
    pub fn fixed<'n>(names: impl IntoIterator<Item = (&'n str, Vec<IpAddr>)>) -> Self {
        Self::new(Fixed(names.into_iter().map(|(name, addresses)| (name.to_owned(), addresses)).collect()))
    }

    /// The addresses of `name`; an address is its own. *Cancel-safe*.
    ///
    /// # Errors
    /// There is none, nobody can say, or `ctx` was done first.
    pub async fn resolve(&self, ctx: &Ctx, name: &str) -> Result<Vec<IpAddr>, Error> {
        ctx.run(self.look_up(name)).await?
    }

    /// [`resolve`](Self::resolve), without a limit of time.
    pub(super) async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, Error> {
        if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(vec![address]);
        }
        let addresses = self.0.resolve(name).await?;
        if addresses.is_empty() { Err(no_address(name, "the answer is empty")) } else { Ok(addresses) }
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

fn no_address(name: &str, why: &str) -> Error {
    Error::new(Kind::Name(name.to_owned(), why.to_owned(), false))
}

struct System;

impl Resolve for System {
    fn resolve<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await.map_err(|error| {
                let text = error.to_string();
                // The one difference the C library makes that matters here (EAI_AGAIN): it is only in the text.
                let is_temporary = text.contains("Temporary failure");
                Error::new(Kind::Name(name.to_owned(), text, is_temporary))
            })?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

struct Fixed(HashMap<String, Vec<IpAddr>>);

impl Resolve for Fixed {
    fn resolve<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        Box::pin(async move {
            self.0.get(name).cloned().ok_or_else(|| no_address(name, "it is not among those that are known"))
        })
    }
}
