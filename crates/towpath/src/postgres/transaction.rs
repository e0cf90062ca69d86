//! Several statements that happen together or not at all.

use std::fmt;

use tokio::time::Instant;
use tokio_postgres::Row;

use super::{Database, Error, Kind, Sessions, Statements, ToSql};
use crate::Ctx;
use crate::pool::Loan;

/// Ends the transaction. In one that the server has aborted, because a statement failed, the first of the two fails, where
/// COMMIT alone would roll back and say nothing of it.
const COMMIT: &str = "select; commit";

/// A transaction, for the function that [`Database::transaction`] runs.
#[derive(Clone, Copy)]
pub struct Transaction<'a>(Statements<'a>);

impl Database {
    /// Runs `body` in a transaction. What it does is committed when it returns a value, and rolled back when it returns an
    /// error, when this is dropped, and when `ctx` is done before the end. *Discard-on-cancel*: only once the commit has
    /// begun it goes on, for 30 s at the most (R16), and whoever has dropped this does not hear of it.
    ///
    /// A statement that fails aborts the transaction at the server: those after it fail too, and so does the commit, unless a
    /// savepoint is gone back to.
    ///
    /// ```no_run
    /// # use towpath::Ctx;
    /// # use towpath::postgres::{Database, Error};
    /// async fn pay(ctx: &Ctx, db: &Database, cents: i64) -> Result<(), Error> {
    ///     db.transaction(ctx, async |tx| {
    ///         tx.execute(ctx, "update accounts set cents = cents - $1 where id = 1", &[&cents]).await?;
    ///         tx.execute(ctx, "update accounts set cents = cents + $1 where id = 2", &[&cents]).await?;
    ///         Ok(())
    ///     })
    ///     .await
    /// }
    /// ```
    ///
    /// # Errors
    /// What `body` returns; there is no session, the server cannot begin or commit, or `ctx` was done first.
    pub async fn transaction<T, E: From<Error>>(
        &self,
        ctx: &Ctx,
        body: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // Wherever this ends before the commit, the session ends with it, and with the session its transaction.
        let mut session = self.session(ctx).await?;
        let statements = self.on(&session);
        statements.run(ctx, statements.client.batch_execute("begin")).await?;
        let transaction = Transaction(statements);
        let outcome = ctx.run(body(&transaction)).await;
        match outcome {
            Err(cause) => Err(Error(Kind::Done(cause)).into()),
            Ok(Err(error)) => {
                if statements.run(ctx, statements.client.batch_execute("rollback")).await.is_ok() {
                    session.mark_clean(Instant::now());
                }
                Err(error)
            }
            Ok(Ok(value)) => {
                commit(ctx, session).await?;
                Ok(value)
            }
        }
    }
}

/// A commit must not stop half-way (R16).
async fn commit(ctx: &Ctx, mut session: Loan<Sessions>) -> Result<(), Error> {
    ctx.check().map_err(Kind::Done)?;
    let step = ctx.shield(async move {
        session.client.batch_execute(COMMIT).await.map_err(Kind::Query)?;
        session.mark_clean(Instant::now());
        Ok::<_, Error>(())
    });
    step.await.map_err(Kind::Commit)?
}

impl Transaction<'_> {
    /// As [`Database::query`]. *Discard-on-cancel*.
    ///
    /// # Errors
    /// The server refuses the statement, or `ctx` was done first.
    pub async fn query(
        &self,
        ctx: &Ctx,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        self.0.query(ctx, sql, params).await
    }

    /// As [`Database::query_opt`]. *Discard-on-cancel*.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn query_opt(
        &self,
        ctx: &Ctx,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        Ok(self.query(ctx, sql, params).await?.into_iter().next())
    }

    /// As [`Database::execute`]. *Discard-on-cancel*.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn execute(&self, ctx: &Ctx, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        self.0.execute(ctx, sql, params).await
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}
