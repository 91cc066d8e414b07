//! Handlers for the way from the start to the test.
//!
//! ```text
//! Initial ─ Connecting ─ Connected ─ VerifyingDatabase ─ GettingVersion ─ Testing ─ end
//! ```

use async_trait::async_trait;

use super::context::StateContext;
use super::error::StateError;
use super::state::{Next, State, StateHandler};
use crate::history::{SqlValue, show};

/// For [`State::Initial`]: on to [`State::Connecting`].
#[derive(Debug, Clone, Copy, Default)]
pub struct InitialHandler;

#[async_trait]
impl StateHandler for InitialHandler {
    async fn execute(&self, _: &mut StateContext) -> Result<Next, StateError> {
        Ok(Next::State(State::Connecting))
    }

    fn leads_to(&self) -> Vec<State> {
        vec![State::Connecting]
    }
}

/// For [`State::Connecting`]: opens the session, as often as the options' retry policy says; on to
/// [`State::Connected`].
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectingHandler;

#[async_trait]
impl StateHandler for ConnectingHandler {
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
        context.connect().await?;
        Ok(Next::State(State::Connected))
    }

    fn leads_to(&self) -> Vec<State> {
        vec![State::Connected]
    }
}

/// For [`State::Connected`]: on to [`State::VerifyingDatabase`].
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectedHandler;

#[async_trait]
impl StateHandler for ConnectedHandler {
    async fn execute(&self, _: &mut StateContext) -> Result<Next, StateError> {
        Ok(Next::State(State::VerifyingDatabase))
    }

    fn leads_to(&self) -> Vec<State> {
        vec![State::VerifyingDatabase]
    }
}

/// For [`State::VerifyingDatabase`]: the session's database is the one that was asked for; on to
/// [`State::GettingVersion`].
#[derive(Debug, Clone, Copy, Default)]
pub struct VerifyingDatabaseHandler;

#[async_trait]
impl StateHandler for VerifyingDatabaseHandler {
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
        let asked = context.config().and_then(|config| config.database.clone());
        let is = context.value("select database()").await?;
        let same = match (&asked, &is) {
            (Some(asked), SqlValue::Text(is)) => asked.eq_ignore_ascii_case(is),
            (None, _) => true,
            (Some(_), _) => false,
        };
        if !same {
            let asked = asked.unwrap_or_default();
            return Err(StateError::failed(format!(
                "the session's database is {}, not `{asked}`",
                show(&is)
            )));
        }
        Ok(Next::State(State::GettingVersion))
    }

    fn leads_to(&self) -> Vec<State> {
        vec![State::GettingVersion]
    }
}

/// For [`State::GettingVersion`]: asks for the server's version and keeps it; on to [`State::Testing`].
#[derive(Debug, Clone, Copy, Default)]
pub struct GettingVersionHandler;

#[async_trait]
impl StateHandler for GettingVersionHandler {
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
        ask_version(context).await?;
        Ok(Next::State(State::Testing))
    }

    fn leads_to(&self) -> Vec<State> {
        vec![State::Testing]
    }
}

/// For [`State::Testing`], where a test has no handler of its own: `select version()` must answer; then the end.
#[derive(Debug, Clone, Copy, Default)]
pub struct TestingConnectionHandler;

#[async_trait]
impl StateHandler for TestingConnectionHandler {
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
        ask_version(context).await?;
        Ok(Next::End)
    }
}

async fn ask_version(context: &mut StateContext) -> Result<(), StateError> {
    let sql = "select version()";
    match context.value(sql).await? {
        SqlValue::Text(version) => {
            context.set_server_version(version);
            Ok(())
        }
        other => Err(StateError::Result {
            sql: sql.to_owned(),
            wanted: "text",
            got: show(&other),
        }),
    }
}
