//! One connection's state machine: handlers by state, and the loop that runs them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::member::Member;
use super::report::{MachineError, MachineFailure, MachineReport};
use crate::connection::{ConnectionConfig, ConnectionOptions};
use crate::coordinator::CoordinationHandle;
use crate::handler::{
    ConnectedHandler, ConnectingHandler, GettingVersionHandler, InitialHandler, Next, State, StateContext,
    StateHandler, TestingConnectionHandler, VerifyingDatabaseHandler, run_handler,
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
    /// Its place among the connections of a coordinator; by itself it makes one when it is needed.
    handle: Option<CoordinationHandle>,
    run_max: Duration,
}

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

impl StateMachine {
    /// A machine without handlers. It begins at [`State::Initial`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            id: "connection".to_owned(),
            handlers: BTreeMap::new(),
            target: None,
            handle: None,
            run_max: RUN_MAX,
        }
    }

    /// Registers the handler of a state, in place of the one that it had.
    pub fn register_handler(&mut self, state: State, handler: Box<dyn StateHandler>) -> &mut Self {
        self.handlers.insert(state, Arc::from(handler));
        self
    }

    pub(super) fn register_shared(&mut self, state: State, handler: Arc<dyn StateHandler>) {
        self.handlers.insert(state, handler);
    }

    /// Says where [`ConnectingHandler`] connects, and with which limits and policies; the connection's name is that
    /// of `config`.
    pub fn connect_to(&mut self, config: ConnectionConfig, options: ConnectionOptions) -> &mut Self {
        self.id.clone_from(&config.id);
        self.target = Some((config, options));
        self
    }

    pub(super) fn coordinate_by(&mut self, handle: CoordinationHandle) {
        self.handle = Some(handle);
    }

    /// Says how long it may run in all; 10 minutes otherwise.
    pub fn within(&mut self, run_max: Duration) -> &mut Self {
        self.run_max = run_max;
        self
    }

    /// Somebody outside who sees what the machine does while it runs, and what it has done
    /// ([`Member::results`]), and may signal and send to it. Ask for it after [`Self::connect_to`].
    #[must_use]
    pub fn member(&mut self, name: impl Into<String>) -> Member {
        let id = &self.id;
        let handle = self.handle.get_or_insert_with(|| CoordinationHandle::alone(id));
        let secrets = self.target.iter().map(|(config, _)| config.password.clone());
        Member::new(name, Arc::clone(handle.coordinator()), secrets.collect())
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
        let handle = self.handle.clone();
        let handle = handle.unwrap_or_else(|| CoordinationHandle::alone(&self.id));
        let stop = handle.coordinator().stop_signal();
        let mut context = StateContext::with_handle(&self.id, handle.clone());
        if let Some((config, options)) = self.target.clone() {
            context = context.target(config, options);
        }
        let ended = tokio::select! {
            ended = tokio::time::timeout(self.run_max, self.go(&mut context, &stop, &mut report)) => ended,
            () = shut_down_for_long(stop.clone()) => Ok(Err(MachineFailure::ShutDown)),
        };
        context.disconnect().await;
        report.server_version = context.server_version().map(str::to_owned);
        report.took = began.elapsed();
        let failure = match ended {
            Ok(Ok(())) => {
                handle.end(None, None);
                return Ok(report);
            }
            Ok(Err(failure)) => failure,
            Err(_) => MachineFailure::OverTime {
                limit_ms: self.run_max.as_millis(),
            },
        };
        handle.end(Some(failure.to_string()), Some(failure.own_part()));
        Err(MachineError { failure, report })
    }

    async fn go(
        &self,
        context: &mut StateContext,
        stop: &watch::Receiver<bool>,
        report: &mut MachineReport,
    ) -> Result<(), MachineFailure> {
        self.check()?;
        let mut state = State::Initial;
        let mut from = None;
        loop {
            let handler = self.handler(&state, from.as_ref())?;
            if *stop.borrow() {
                return Err(MachineFailure::ShutDown);
            }
            report.states.push(state.clone());
            context.enter(state.name(), is_test(&state));
            let next = run_handler(&**handler, context).await?;
            match next {
                Next::End => return Ok(()),
                Next::State(next) => from = Some(std::mem::replace(&mut state, next)),
            }
        }
    }
}

/// Whether a state is a part of the test, not of the way there.
fn is_test(state: &State) -> bool {
    match state {
        State::Testing | State::Custom(_) => true,
        State::Initial
        | State::Connecting
        | State::Connected
        | State::VerifyingDatabase
        | State::GettingVersion => false,
    }
}

/// Returns when a shutdown was asked for and the state under way had its time to end.
async fn shut_down_for_long(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_ok() {
        tokio::time::sleep(SHUTDOWN_MAX).await;
    } else {
        std::future::pending::<()>().await;
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
