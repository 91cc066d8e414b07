//! Runs handlers that are written in Rust on a machine's connection.

use std::sync::Arc;

use super::acted::Acted;
use super::worker::Worker;
use crate::coordinator::CoordinationHandle;
use crate::handler::{Next, StateContext, StateError, run_handler};
use crate::history::{Done, Outcome};
use crate::plan::HandlerPlan;

impl Worker {
    /// Lends the connection to a handler; the state that it leads to, where it names one, comes with what it
    /// came to.
    pub(super) async fn handle(&mut self, own: &HandlerPlan) -> Acted {
        let handle = CoordinationHandle::new(Arc::clone(&self.coordinator), self.number);
        let mut context = StateContext::with_handle(self.config.id.clone(), handle)
            .target(self.config.clone(), self.options.clone())
            .with_parameters(own.with.clone());
        if let Some(connection) = self.connection.take() {
            context.lend(connection);
        }
        let pass = self.pass().await;
        let ended = run_handler(&*own.handler, &mut context).await;
        drop(pass);
        if let Some((connection, interrupted)) = context.take() {
            self.interrupted |= interrupted;
            // One that the handler opened by itself and lent.
            if self.coordinator.session(self.number) != Some(connection.session_id()) {
                self.coordinator.add_session(self.number, connection.session_id());
            }
            self.connection = Some(connection);
        }
        let (outcome, next) = match ended {
            Ok(Next::End) => (Outcome::Done(Done::default()), None),
            Ok(Next::State(state)) => (Outcome::Done(Done::default()), Some(state.name().to_owned())),
            Err(error) => (outcome_of(error), None),
        };
        Acted {
            next,
            asked_server: true,
            ..Acted::single(outcome)
        }
    }
}

/// A handler's error as a statement's would be, so that `on` and `error` know it.
fn outcome_of(error: StateError) -> Outcome {
    match error {
        StateError::Refused { error, .. } => Outcome::Refused(error),
        StateError::TimedOut { limit_ms, .. } => Outcome::TimedOut {
            limit_ms,
            starved: false,
        },
        StateError::Lost { message, .. } | StateError::CommitUnknown { message } => Outcome::Lost {
            message,
            unsent: false,
        },
        other => match other.sql_error() {
            Some(error) => Outcome::Refused(error.clone()),
            None => Outcome::Unanswered {
                reason: other.to_string(),
            },
        },
    }
}
