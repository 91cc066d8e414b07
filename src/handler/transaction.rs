//! Transactions that are run again when another one was in their way.

use futures::future::BoxFuture;

use super::context::StateContext;
use super::error::StateError;
use crate::history::Outcome;
use crate::policy::RetryClass;
use crate::sql::{QUERY_INTERRUPTED, retry_class};

impl StateContext {
    /// Runs `work` between BEGIN and COMMIT, and all of it again, from BEGIN, where the options' retry policy says
    /// so ([`crate::policy::RetryPolicy`] has the table): deadlocks, write conflicts and the like, and sessions
    /// that were lost before COMMIT was sent. A COMMIT whose answer was lost is not sent again, since it may have
    /// taken effect: that is [`StateError::CommitUnknown`].
    ///
    /// ```
    /// # use tidb_scenarios::{StateContext, StateError};
    /// # async fn example(context: &mut StateContext) -> Result<(), StateError> {
    /// let changed = context
    ///     .transaction(|context| {
    ///         Box::pin(async move {
    ///             let done = context.run("update account set balance = balance - 10 where id = 1").await?;
    ///             context.run("update account set balance = balance + 10 where id = 2").await?;
    ///             Ok(done.affected)
    ///         })
    ///     })
    ///     .await?;
    /// # drop(changed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// `work` leaves by `?` with the errors of [`Self::run`] and its like; then the transaction is rolled back.
    /// What it keeps outside of the database it must be ready to do more than once.
    ///
    /// # Errors
    /// The error of the last try.
    // An AsyncFnMut would read better, but the compiler can't yet tell that its future is Send where the closure
    // captures something.
    pub async fn transaction<T: Send>(
        &mut self,
        mut work: impl for<'c> FnMut(&'c mut Self) -> BoxFuture<'c, Result<T, StateError>> + Send,
    ) -> Result<T, StateError> {
        let mut backoff = self.options.retry.backoff(self.id());
        loop {
            let error = match self.transaction_once(&mut work).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(wait) = backoff.after(error.retry_class()) else {
                return Err(error);
            };
            let reason = error.to_string();
            tracing::debug!(connection = self.id(), reason, ?wait, "a transaction runs again");
            self.handle.retried(wait);
            tokio::time::sleep(wait).await;
            if !self.is_connected() {
                self.connect().await?;
            }
        }
    }

    async fn transaction_once<T: Send>(
        &mut self,
        work: &mut (impl for<'c> FnMut(&'c mut Self) -> BoxFuture<'c, Result<T, StateError>> + Send),
    ) -> Result<T, StateError> {
        self.run("begin").await?;
        match work(self).await {
            Ok(value) => {
                self.commit().await?;
                Ok(value)
            }
            Err(error) => {
                // Where it fails the session is lost, and the transaction with it.
                if self.is_connected() {
                    self.execute("rollback").await?;
                }
                Err(error)
            }
        }
    }

    async fn commit(&mut self) -> Result<(), StateError> {
        let message = match self.execute("commit").await? {
            Outcome::Lost { message, .. } => message,
            Outcome::TimedOut { limit_ms, .. } => format!("no answer within {limit_ms} ms"),
            Outcome::Refused(error)
                if error.code == QUERY_INTERRUPTED
                    || retry_class(error.code, &error.sqlstate) == RetryClass::Reconnect =>
            {
                error.message
            }
            outcome => return StateError::of_outcome("commit", outcome).map(drop),
        };
        Err(StateError::CommitUnknown { message })
    }
}
