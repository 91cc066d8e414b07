//! One connection's state machine: handlers by state, and the loop that runs them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::shared::Shared;
use crate::connection::{ConnectionConfig, ConnectionOptions};
use crate::handler::{
    ConnectedHandler, ConnectingHandler, ContextEvent, Coordination, GettingVersionHandler, InitialHandler,
    Next, State, StateContext, StateError, StateHandler, TestingConnectionHandler, VerifyingDatabaseHandler,
    run_handler,
};

/// How long a state may go on after a shutdown was asked for.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);
/// How long a machine may run, unless it is told otherwise.
const RUN_MAX: Duration = Duration::from_mins(10);

/// One connection's machine: it runs the handler of each state that it comes to, until one says that all is done
/// or fails.
///
/// ```no_run
/// use tidb_scenarios::handler::{ConnectingHandler, InitialHandler};
/// use tidb_scenarios::{ConnectionConfig, ConnectionOptions, State, StateMachine};
///
/// # async fn example(config: ConnectionConfig, own: Box<dyn tidb_scenarios::StateHandler>) {
/// let mut state_machine = StateMachine::new();
/// state_machine.connect_to(config, ConnectionOptions::default());
/// state_machine.register_handler(State::Initial, Box::new(InitialHandler));
/// state_machine.register_handler(State::Connecting, Box::new(ConnectingHandler));
/// state_machine.register_handler(State::Connected, own);
/// let handle = tokio::spawn(async move { state_machine.run().await });
/// # drop(handle);
/// # }
/// ```
pub struct StateMachine {
    id: String,
    handlers: BTreeMap<State, Arc<dyn StateHandler>>,
    target: Option<(ConnectionConfig, ConnectionOptions)>,
    coordination: Option<Arc<dyn Coordination>>,
    run_max: Duration,
    observer: Option<Observer>,
    stop: Option<watch::Receiver<bool>>,
}

/// What a machine tells its coordinator.
#[derive(Debug)]
pub(super) enum MachineEvent<'e> {
    Entered(&'e State),
    Context(&'e ContextEvent),
}

type Observer = Arc<dyn Fn(MachineEvent<'_>) + Send + Sync>;

impl fmt::Debug for StateMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateMachine")
            .field("id", &self.id)
            .field("states", &self.handlers.keys())
            .finish_non_exhaustive()
    }
}

impl Default for StateMachine {
    fn default() -> Self {
        Self::new()
    }
}

/// What a machine that has come to its end did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineReport {
    /// The connection's name.
    pub id: String,
    /// States in the order in which they were entered.
    pub states: Vec<State>,
    /// What the server said of its version, if a session was opened.
    pub server_version: Option<String>,
    /// From the start to the end, the session closed.
    pub took: Duration,
}

/// A machine that did not come to its end.
#[derive(Debug, thiserror::Error)]
#[error("connection `{}`{}: {failure}", .report.id, in_state(.report))]
pub struct MachineError {
    /// Why.
    #[source]
    pub failure: MachineFailure,
    /// What it did until then; the last state is the one that failed.
    pub report: MachineReport,
}

fn in_state(report: &MachineReport) -> String {
    let last = report.states.last();
    last.map_or_else(String::new, |state| format!(" in state `{state}`"))
}

/// Why a machine did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineFailure {
    /// A state has no handler. Where handlers say where they lead, that is known before anything runs.
    #[error("no handler is registered for state `{state}`{}; registered are: {registered}", needed(.from.as_ref()))]
    NoHandler {
        /// The state.
        state: State,
        /// The state that leads there; none for the first one.
        from: Option<State>,
        /// The states that have one.
        registered: String,
    },
    /// Its handler failed or panicked.
    #[error(transparent)]
    Handler(#[from] StateError),
    /// It ran for too long.
    #[error("it ran over its limit of {limit_ms} ms")]
    OverTime {
        /// The limit in milliseconds.
        limit_ms: u128,
    },
    /// The coordinator shut down before its end.
    #[error("the coordinator shut down before its end")]
    ShutDown,
}

fn needed(from: Option<&State>) -> String {
    from.map_or_else(
        || ", where the machine begins".to_owned(),
        |from| format!(", to which `{from}` leads"),
    )
}

impl StateMachine {
    /// A machine without handlers. It begins at [`State::Initial`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            id: "connection".to_owned(),
            handlers: BTreeMap::new(),
            target: None,
            coordination: None,
            run_max: RUN_MAX,
            observer: None,
            stop: None,
        }
    }

    /// A machine with the ready-made handlers: it connects, looks at the database and the version, and ends at
    /// [`State::Testing`], where a handler of one's own goes in place of the ready-made one.
    #[must_use]
    pub fn with_ready_handlers() -> Self {
        let mut machine = Self::new();
        machine.handlers = ready_handlers();
        machine
    }

    /// Registers the handler of a state, in place of the one that it had.
    pub fn register_handler(&mut self, state: State, handler: Box<dyn StateHandler>) -> &mut Self {
        self.handlers.insert(state, Arc::from(handler));
        self
    }

    pub(super) fn register_shared(&mut self, state: State, handler: Arc<dyn StateHandler>) {
        self.handlers.insert(state, handler);
    }

    /// Says where [`ConnectingHandler`] connects; the machine has the connection's name.
    pub fn connect_to(&mut self, config: ConnectionConfig, options: ConnectionOptions) -> &mut Self {
        self.id.clone_from(&config.id);
        self.target = Some((config, options));
        self
    }

    /// Says through what it reaches others. Without it a machine has variables and events of its own.
    pub fn coordinate_by(&mut self, coordination: Arc<dyn Coordination>) -> &mut Self {
        self.coordination = Some(coordination);
        self
    }

    /// Says how long it may run in all; 10 minutes otherwise.
    pub fn within(&mut self, run_max: Duration) -> &mut Self {
        self.run_max = run_max;
        self
    }

    pub(super) fn observe(&mut self, observer: impl Fn(MachineEvent<'_>) + Send + Sync + 'static) {
        self.observer = Some(Arc::new(observer));
    }

    pub(super) fn stop_by(&mut self, stop: watch::Receiver<bool>) {
        self.stop = Some(stop);
    }

    /// Whether every state that is known to be reached has a handler.
    ///
    /// # Errors
    /// [`MachineFailure::NoHandler`].
    pub fn check(&self) -> Result<(), MachineFailure> {
        self.handler(&State::Initial, None)?;
        for (from, handler) in &self.handlers {
            for state in handler.leads_to() {
                self.handler(&state, Some(from))?;
            }
        }
        Ok(())
    }

    fn handler(&self, state: &State, from: Option<&State>) -> Result<&Arc<dyn StateHandler>, MachineFailure> {
        self.handlers.get(state).ok_or_else(|| {
            let registered: Vec<String> = self.handlers.keys().map(|state| format!("`{state}`")).collect();
            MachineFailure::NoHandler {
                state: state.clone(),
                from: from.cloned(),
                registered: if registered.is_empty() {
                    "none".to_owned()
                } else {
                    registered.join(", ")
                },
            }
        })
    }

    /// Runs until a handler says that all is done, or fails. The session is closed at the end, whatever the end
    /// was.
    ///
    /// # Errors
    /// [`MachineError`]; a handler's panic is one, too.
    ///
    /// # Cancellation
    /// Dropping the future drops the session, and the server rolls back its transaction.
    pub async fn run(self) -> Result<MachineReport, MachineError> {
        let began = Instant::now();
        let mut report = MachineReport {
            id: self.id.clone(),
            ..MachineReport::default()
        };
        let coordination = self
            .coordination
            .clone()
            .unwrap_or_else(|| Shared::alone(&self.id));
        let mut context = StateContext::new(&self.id, coordination);
        if let Some((config, options)) = self.target.clone() {
            context = context.target(config, options);
        }
        if let Some(observer) = self.observer.clone() {
            context = context.listener(move |event| observer(MachineEvent::Context(event)));
        }
        let ended = tokio::select! {
            ended = tokio::time::timeout(self.run_max, self.go(&mut context, &mut report)) => ended,
            () = self.shut_down_for_long() => Ok(Err(MachineFailure::ShutDown)),
        };
        context.disconnect().await;
        report.server_version = context.server_version().map(str::to_owned);
        report.took = began.elapsed();
        let failure = match ended {
            Ok(Ok(())) => return Ok(report),
            Ok(Err(failure)) => failure,
            Err(_) => MachineFailure::OverTime {
                limit_ms: self.run_max.as_millis(),
            },
        };
        Err(MachineError { failure, report })
    }

    async fn go(&self, context: &mut StateContext, report: &mut MachineReport) -> Result<(), MachineFailure> {
        self.check()?;
        let mut state = State::Initial;
        let mut from = None;
        loop {
            let handler = self.handler(&state, from.as_ref())?;
            if self.is_stopped() {
                return Err(MachineFailure::ShutDown);
            }
            tracing::debug!(connection = %self.id, %state, "enters");
            report.states.push(state.clone());
            if let Some(observer) = &self.observer {
                observer(MachineEvent::Entered(&state));
            }
            let next = run_handler(&**handler, context).await?;
            match next {
                Next::End => return Ok(()),
                Next::State(next) => from = Some(std::mem::replace(&mut state, next)),
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| *stop.borrow())
    }

    /// Returns when a shutdown was asked for and the state under way had its time to end.
    async fn shut_down_for_long(&self) {
        let stopped = match self.stop.clone() {
            Some(mut stop) => stop.wait_for(|stop| *stop).await.is_ok(),
            None => false,
        };
        if stopped {
            tokio::time::sleep(SHUTDOWN_MAX).await;
        } else {
            std::future::pending::<()>().await;
        }
    }
}

pub(super) fn ready_handlers() -> BTreeMap<State, Arc<dyn StateHandler>> {
    let handlers: [(State, Arc<dyn StateHandler>); 6] = [
        (State::Initial, Arc::new(InitialHandler)),
        (State::Connecting, Arc::new(ConnectingHandler)),
        (State::Connected, Arc::new(ConnectedHandler)),
        (State::VerifyingDatabase, Arc::new(VerifyingDatabaseHandler)),
        (State::GettingVersion, Arc::new(GettingVersionHandler)),
        (State::Testing, Arc::new(TestingConnectionHandler)),
    ];
    handlers.into()
}
