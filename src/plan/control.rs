//! Which server a trial asks beside its connections, and the texts of the statements that its steps run.

use super::statement::Statement;
use super::{Action, ServerPlan, TrialPlan};

/// The name of the server that connections without `server` use.
pub(super) const MAIN: &str = "main";

/// A control connection: that of the run's server, or that of a server of the trial's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ControlId {
    /// The number of the server in [`TrialPlan::servers`]; `None` is the run's server.
    pub server: Option<usize>,
}

/// The number of the one that stands in for the run's server.
pub(super) fn main_server(servers: &[ServerPlan]) -> Option<usize> {
    servers.iter().position(|server| server.name == MAIN)
}

impl TrialPlan {
    /// The control connection of the main server: setup, final checks and `always` go through it.
    #[must_use]
    pub fn main_control(&self) -> ControlId {
        ControlId {
            server: self.main_server,
        }
    }

    /// The control connection of the server that a connection is on.
    #[must_use]
    pub fn control_of(&self, connection: usize) -> ControlId {
        let own = self.connections.get(connection);
        ControlId {
            server: own.map_or(self.main_server, |own| own.server),
        }
    }

    /// The statements of all steps, as the file writes them.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.steps.iter().flat_map(|step| step.action.statements())
    }
}

impl Action {
    /// The statements that it runs, in turn, before their variables are filled in; none for what runs no statement
    /// that the file writes.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        match self {
            Self::Sql(statements) => statements,
            Self::Prepared(statement, _) | Self::Load { statement, .. } => std::slice::from_ref(statement),
            Self::Sleep(_)
            | Self::Kill { .. }
            | Self::Disconnect
            | Self::Reconnect
            | Self::Set
            | Self::Nothing
            | Self::Watch(_)
            | Self::Handler(_) => &[],
        }
    }
}
