//! Handlers by name, for `handler: name` in scenario files.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::monitor::{DdlMonitor, ImportMonitor};
use super::ready::TestingConnectionHandler;
use super::state::StateHandler;
use super::suggest::suggestion;
use super::with::{With, WithError};

type Constructor = Arc<dyn Fn(&With) -> Result<Box<dyn StateHandler>, WithError> + Send + Sync>;

/// Handlers by name.
///
/// What makes a handler checks its parameters, before anything connects: a mistake is then told with its place
/// in the file.
///
/// ```
/// use tidb_scenarios::handler::{Handlers, Next, StateContext, StateError, StateHandler};
///
/// struct Deposit {
///     amount: u32,
/// }
///
/// #[tidb_scenarios::async_trait]
/// impl StateHandler for Deposit {
///     async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
///         let amount = self.amount;
///         context.run(&format!("update account set balance = balance + {amount}")).await?;
///         Ok(Next::End)
///     }
/// }
///
/// let handlers = Handlers::new().with("deposit", |with| {
///     with.only(&["amount"])?;
///     Ok(Box::new(Deposit { amount: with.get("amount")? }))
/// });
/// let error = handlers.check("deposit", &serde_json::json!({"amont": 5})).unwrap_err();
/// assert_eq!(error.to_string(), "with.amont: unknown key; did you mean `amount`?");
/// ```
#[derive(Clone)]
pub struct Handlers {
    by_name: BTreeMap<String, Constructor>,
}

impl Default for Handlers {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Why a handler can't be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandlerError {
    /// No handler has this name.
    #[error("no handler is registered as `{name}`; {suggestion}")]
    Unknown {
        /// The name.
        name: String,
        /// The nearest name, or all of them.
        suggestion: String,
    },
    /// Its parameters are wrong.
    #[error(transparent)]
    With(#[from] WithError),
}

impl Handlers {
    /// The ready-made ones: `testing_connection` ([`TestingConnectionHandler`]), `import_monitor` ([`ImportMonitor`],
    /// with `job` or `jobs`, `every_ms` and `within_ms`) and `ddl_monitor` ([`DdlMonitor`], with `job` or `table`,
    /// `every_ms` and `within_ms`).
    #[must_use]
    pub fn new() -> Self {
        Self {
            by_name: BTreeMap::new(),
        }
        .with("testing_connection", |with| {
            with.only(&[])?;
            Ok(Box::new(TestingConnectionHandler))
        })
        .with("import_monitor", |with| {
            Ok(Box::new(ImportMonitor::from_with(with)?))
        })
        .with("ddl_monitor", |with| Ok(Box::new(DdlMonitor::from_with(with)?)))
    }

    /// Adds a handler, or puts another in its place; what is given makes one from its parameters.
    #[must_use]
    pub fn with(
        mut self,
        name: impl Into<String>,
        make: impl Fn(&With) -> Result<Box<dyn StateHandler>, WithError> + Send + Sync + 'static,
    ) -> Self {
        self.by_name.insert(name.into(), Arc::new(make));
        self
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.by_name.keys().map(String::as_str)
    }

    /// Makes a handler.
    ///
    /// # Errors
    /// [`HandlerError`].
    pub fn build(&self, name: &str, with: &serde_json::Value) -> Result<Box<dyn StateHandler>, HandlerError> {
        let make = self.by_name.get(name).ok_or_else(|| HandlerError::Unknown {
            name: name.to_owned(),
            suggestion: suggestion(name, self.names()),
        })?;
        Ok(make(&With::new(with.clone()))?)
    }

    /// Whether a handler can be made, without making use of it.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn check(&self, name: &str, with: &serde_json::Value) -> Result<(), HandlerError> {
        self.build(name, with).map(drop)
    }
}
