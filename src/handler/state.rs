//! States, the handlers that do their work, and where they lead.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::panic::AssertUnwindSafe;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::context::StateContext;
use super::error::StateError;

/// A state of one connection. Completed and failed are no states but ends ([`Next::End`], an error): an end can't
/// lack a handler.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Where a machine begins.
    Initial,
    /// The session is being opened.
    Connecting,
    /// The session is open.
    Connected,
    /// The default database is being looked at.
    VerifyingDatabase,
    /// The server's version is being asked for.
    GettingVersion,
    /// The test's own work.
    Testing,
    /// A state of one's own.
    Custom(Cow<'static, str>),
}

impl State {
    /// A state of one's own. A name of one of the others is that one.
    #[must_use]
    pub fn named(name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        Self::KNOWN
            .into_iter()
            .find(|state| state.name() == name)
            .unwrap_or(Self::Custom(name))
    }

    const KNOWN: [Self; 6] = [
        Self::Initial,
        Self::Connecting,
        Self::Connected,
        Self::VerifyingDatabase,
        Self::GettingVersion,
        Self::Testing,
    ];

    /// Its name in reports, such as `getting_version`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Initial => "initial",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::VerifyingDatabase => "verifying_database",
            Self::GettingVersion => "getting_version",
            Self::Testing => "testing",
            Self::Custom(name) => name,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a state leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// On to this state; it may be the same one.
    State(State),
    /// All is done. In a scenario file: on as the file says.
    End,
}

/// Does the work of one state.
///
/// One handler may serve many connections at once, so what belongs to one connection is kept in its
/// [`StateContext`], not in the handler.
///
/// ```
/// use tidb_scenarios::handler::{Next, StateContext, StateError, StateHandler};
///
/// struct Deposit;
///
/// #[tidb_scenarios::async_trait]
/// impl StateHandler for Deposit {
///     async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
///         let done = context.run("update account set balance = balance + 1 where id = 1").await?;
///         context.set("changed", done.affected);
///         Ok(Next::End)
///     }
/// }
/// ```
#[async_trait]
pub trait StateHandler: Send + Sync {
    /// Runs before [`Self::execute`]. Where it fails, nothing else of this state runs.
    ///
    /// # Errors
    /// Ends the machine: its connection has failed.
    async fn enter(&self, context: &mut StateContext) -> Result<(), StateError> {
        let _ = context;
        Ok(())
    }

    /// The state's work, and where it leads.
    ///
    /// # Errors
    /// Ends the machine: its connection has failed.
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError>;

    /// Runs after [`Self::execute`], also where that failed (but not after a panic). The first error counts.
    ///
    /// # Errors
    /// Ends the machine: its connection has failed.
    async fn exit(&self, context: &mut StateContext) -> Result<(), StateError> {
        let _ = context;
        Ok(())
    }

    /// The states to which it may lead, as far as that is known before it runs: one without a handler is then an
    /// error at the start.
    fn leads_to(&self) -> Vec<State> {
        Vec::new()
    }
}

/// Runs a handler as every machine does: [`StateHandler::enter`], [`StateHandler::execute`],
/// [`StateHandler::exit`]. A panic is an error, too, so that it ends no more than its own machine.
///
/// # Errors
/// The handler's first one; [`StateError::Panicked`].
///
/// # Cancellation
/// Dropping the future in the middle of a statement loses the session.
pub async fn run_handler(handler: &dyn StateHandler, context: &mut StateContext) -> Result<Next, StateError> {
    let run = async {
        handler.enter(context).await?;
        let next = handler.execute(context).await;
        let left = handler.exit(context).await;
        let next = next?;
        left?;
        Ok(next)
    };
    // What the panic leaves half done is the handler's own; a session in the middle of an answer knows it.
    AssertUnwindSafe(run)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            Err(StateError::Panicked {
                message: panic_message(&*panic),
            })
        })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

/// A handler out of a closure, where its own type would say no more.
///
/// ```
/// use tidb_scenarios::handler::{Next, handler_fn};
///
/// let handler = handler_fn(|context| {
///     Box::pin(async move {
///         context.run("update account set balance = balance + 1 where id = 1").await?;
///         Ok(Next::End)
///     })
/// });
/// # drop(handler);
/// ```
pub fn handler_fn<F>(execute: F) -> Box<dyn StateHandler>
where
    F: for<'c> Fn(&'c mut StateContext) -> BoxFuture<'c, Result<Next, StateError>> + Send + Sync + 'static,
{
    Box::new(Closure(execute))
}

struct Closure<F>(F);

#[async_trait]
impl<F> StateHandler for Closure<F>
where
    F: for<'c> Fn(&'c mut StateContext) -> BoxFuture<'c, Result<Next, StateError>> + Send + Sync,
{
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
        (self.0)(context).await
    }
}
