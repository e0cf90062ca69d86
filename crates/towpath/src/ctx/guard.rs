//! Who may end a context.

use super::Ctx;
use super::cause::Cause;

/// Cancels its context when dropped (R6), as `defer cancel()` does elsewhere.
///
/// Forgetting it leaves the deadline in force.
///
/// ```
/// use towpath::ctx::Ctx;
///
/// let ctx = {
///     let (ctx, _guard) = Ctx::background().with_cancel();
///     assert!(ctx.check().is_ok());
///     ctx
/// };
/// assert_eq!(ctx.err().map(|cause| cause.to_string()).as_deref(), Some("canceled: guard dropped"));
/// ```
#[derive(Debug)]
#[must_use = "the context is canceled when its guard is dropped"]
pub struct CancelGuard(Option<Canceler>);

impl CancelGuard {
    pub(super) fn new(ctx: Ctx) -> Self {
        Self(Some(Canceler(ctx)))
    }

    /// Ends the context and all below it. The first cause stays; a second call does nothing.
    ///
    /// ```
    /// use towpath::ctx::{Cause, Ctx};
    ///
    /// let (ctx, guard) = Ctx::background().with_cancel();
    /// guard.cancel(Cause::Shutdown);
    /// guard.cancel("too late to matter");
    /// assert!(matches!(ctx.err(), Some(Cause::Shutdown)));
    /// ```
    pub fn cancel(&self, cause: impl Into<Cause>) {
        if let Some(canceler) = &self.0 {
            canceler.cancel(cause);
        }
    }

    /// Hands the decision to another owner: dropping the guard no longer cancels.
    ///
    /// ```
    /// use towpath::ctx::Ctx;
    ///
    /// let (ctx, guard) = Ctx::background().with_cancel();
    /// let canceler = guard.disarm();
    /// assert!(ctx.check().is_ok());
    /// canceler.cancel("by another hand");
    /// assert!(ctx.check().is_err());
    /// ```
    pub fn disarm(mut self) -> Canceler {
        self.0.take().expect("only this method, which consumes the guard, takes it out")
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        self.cancel("guard dropped");
    }
}

/// May end a context, and does not do so when dropped. Cloned for as many places as may decide.
///
/// ```
/// use towpath::ctx::{Cause, Ctx};
///
/// let (ctx, guard) = Ctx::background().with_cancel();
/// let canceler = guard.disarm();
/// canceler.clone().cancel(Cause::ClientGone);
/// assert!(ctx.check().is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Canceler(Ctx);

impl Canceler {
    /// Ends the context and all below it. The first cause stays.
    ///
    /// ```
    /// let (ctx, guard) = towpath::ctx::Ctx::background().with_cancel();
    /// guard.disarm().cancel("done");
    /// assert!(ctx.check().is_err());
    /// ```
    pub fn cancel(&self, cause: impl Into<Cause>) {
        self.0.0.cell.record(cause.into());
    }
}
