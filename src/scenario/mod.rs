//! What one YAML file says, names still names.
//!
//! Reading finds mistakes of form (unknown keys, wrong types). What names mean is settled by `plan`.

mod connections;
mod coordination;
pub mod keys;
mod orders;
mod read;
mod reader;
mod state;
mod step;
mod workload;

use std::time::Duration;

use crate::source::{Diagnostic, Node, SourceFile, Span};

pub use coordination::WantDecl;
pub use orders::{ChosenOrders, ListedOrder, OrdersDecl};
pub use read::read_scenario;
pub(crate) use reader::lost_comment;
pub use state::StateDecl;
pub use workload::{Distribution, WorkloadDecl, WorkloadKind};

/// Something with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// Where it stands.
    pub span: Span,
    /// What stands there.
    pub value: T,
}

/// One YAML document.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// `scenario:`, one line that says what it shows.
    pub title: Located<String>,
    /// Statements that make the tables, run by the control connection in the trial's database.
    pub setup: Vec<Located<String>>,
    /// Statements that run at the end, whatever happened.
    pub teardown: Vec<Located<String>>,
    /// Names for values.
    pub vars: Vec<(Located<String>, Node)>,
    /// In the order of the file.
    pub connections: Vec<ConnectionDecl>,
    /// The script, in order.
    pub steps: Vec<StepDecl>,
    /// Whether every step could be read, so that it can be told who waits when.
    pub steps_are_whole: bool,
    /// What must hold at the end; several where they depend on the variant.
    pub expect: Vec<FinalDecl>,
    /// The axes of variants.
    pub matrix: Vec<Axis>,
    /// Words for finding scenarios.
    pub tags: Vec<String>,
    /// What the server has to have.
    pub requires: Requires,
    /// Whether no other trial may run at the same time on the same server.
    pub serial: bool,
    /// The limit of the whole trial.
    pub timeout: Option<Duration>,
    /// The limit of one step.
    pub step_timeout: Option<Duration>,
    /// Servers of the scenario's own.
    pub servers: Vec<ServerDecl>,
    /// For what is left to chance.
    pub seed: Option<u64>,
    /// In which orders the steps are run, if not in that of the file.
    pub permutations: Option<OrdersDecl>,
    /// The transactions that all connections run, in place of steps and states.
    pub workload: Option<WorkloadDecl>,
    /// Whether the file has `workload`, right or wrong.
    pub is_workload: bool,
}

impl Scenario {
    /// The steps of the script and the states of all connections.
    pub fn all_steps(&self) -> impl Iterator<Item = &StepDecl> {
        let states = self.connections.iter().flat_map(|own| &own.states);
        self.steps.iter().chain(states.map(|state| &state.step))
    }

    /// Whether the connections have states of their own.
    #[must_use]
    pub fn has_states(&self) -> bool {
        self.connections.iter().any(|own| own.states_span.is_some())
    }

    /// Whether the connections run through states of their own, in no order but that of their waits.
    #[must_use]
    pub fn is_concurrent(&self) -> bool {
        self.has_states() && self.permutations.is_none()
    }
}

/// One connection, or `count` of them.
#[derive(Debug, Clone)]
pub struct ConnectionDecl {
    /// Its name.
    pub name: Located<String>,
    /// `repeatable read` or `read committed`.
    pub isolation: Option<Node>,
    /// `pessimistic` or `optimistic`.
    pub txn: Option<Node>,
    /// Session variables.
    pub vars: Vec<(Located<String>, Node)>,
    /// How many connections: `name.0`, `name.1`, …
    pub count: Option<Located<usize>>,
    /// Another user than the server's own.
    pub user: Option<Located<String>>,
    /// That user's password.
    pub password: Option<Located<String>>,
    /// A further database of the trial.
    pub database: Option<Located<String>>,
    /// Another server of the scenario.
    pub server: Option<Located<String>>,
    /// Where its states begin, if it has any.
    pub states_span: Option<Span>,
    /// The states that it runs through by itself.
    pub states: Vec<StateDecl>,
    /// How often it runs through them.
    pub rounds: Option<Located<u32>>,
}

/// One step of the script.
#[derive(Debug, Clone)]
pub struct StepDecl {
    /// The whole step.
    pub span: Span,
    /// Who.
    pub connection: Located<String>,
    /// What.
    pub action: ActionDecl,
    /// `as:`, the state's name.
    pub name: Option<Located<String>>,
    /// Variants that have this step; all without it.
    pub when: Option<When>,
    /// What is expected, at the step itself and in its `expect`.
    pub expects: Vec<ExpectDecl>,
    /// Values to keep from the result, as the connection's own.
    pub save: Vec<(Located<String>, Located<String>)>,
    /// Values to keep from the result for all connections.
    pub shared: Vec<(Located<String>, Located<String>)>,
    /// Values to keep as they stand.
    pub set: Vec<(Located<String>, Node)>,
    /// A limit of its own.
    pub timeout: Option<Duration>,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum ActionDecl {
    /// Statements, run in turn; with parameters the only one is prepared.
    Sql {
        /// The statements.
        statements: Vec<Located<String>>,
        /// The values for `?`.
        params: Option<Vec<Node>>,
    },
    /// `LOAD DATA LOCAL` of rows in the file or of a file beside it.
    Load(LoadDecl),
    /// Waits.
    Sleep(Duration),
    /// `KILL QUERY` or `KILL CONNECTION` of another connection's session.
    Kill {
        /// Whose session.
        target: Located<String>,
        /// The whole session, not its statement only.
        connection: bool,
    },
    /// Closes the session.
    Disconnect,
    /// Closes the session if it is open, and opens another.
    Reconnect,
    /// Only `set`.
    Set,
    /// Only what a state does beside: it waits, or brings an event.
    Nothing,
    /// Runs a handler that is written in Rust.
    Handler {
        /// The name that it is registered under.
        name: Located<String>,
        /// Its parameters.
        with: Option<Node>,
    },
    /// Follows an import job, or all of them, to its end.
    WatchImport(Node),
    /// Follows a schema change to its end.
    WatchDdl(WatchDdl),
}

/// Which schema change is followed.
#[derive(Debug, Clone)]
pub enum WatchDdl {
    /// The one of this number.
    Job(Node),
    /// The newest of this table.
    Table(Located<String>),
}

impl ActionDecl {
    /// Whether it is a statement that gives a result.
    #[must_use]
    pub fn is_statement(&self) -> bool {
        match self {
            Self::Sql { .. } | Self::Load(_) | Self::WatchImport(_) | Self::WatchDdl(_) => true,
            Self::Sleep(_)
            | Self::Kill { .. }
            | Self::Disconnect
            | Self::Reconnect
            | Self::Set
            | Self::Nothing
            | Self::Handler { .. } => false,
        }
    }
}

/// What `load` says.
#[derive(Debug, Clone)]
pub struct LoadDecl {
    /// The table.
    pub table: Located<String>,
    /// Its columns, in the order of the rows; all without it.
    pub columns: Vec<Located<String>>,
    /// Rows in the file.
    pub rows: Option<Node>,
    /// A CSV file, by a path from the scenario's folder.
    pub file: Option<Located<String>>,
    /// What becomes of a row whose key is there.
    pub duplicates: Duplicates,
}

/// What `LOAD DATA` does with a row whose key is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// Leaves it out with a warning, as `LOCAL` does by itself.
    #[default]
    Ignore,
    /// Puts it in the place of the old one.
    Replace,
}

/// Expectations of one step, for some or all variants.
#[derive(Debug, Clone, Default)]
pub struct ExpectDecl {
    /// The variants; all without it.
    pub when: Option<When>,
    /// Keys and values of kinds of expectation.
    pub entries: Vec<(Node, Node)>,
    /// `blocked: true` or `not_blocked: true`.
    pub blocked: Option<Located<bool>>,
    /// Who must hold what the statement waits for.
    pub blocked_by: Vec<Located<String>>,
    /// Whose wait must end with this step.
    pub unblocks: Vec<Located<String>>,
}

/// Which variants: each name must have one of its values.
#[derive(Debug, Clone)]
pub struct When {
    /// Where it stands.
    pub span: Span,
    /// Axis and values.
    pub conditions: Vec<(Located<String>, Vec<Node>)>,
}

/// What must hold at the end.
#[derive(Debug, Clone)]
pub struct FinalDecl {
    /// The variants; all without it.
    pub when: Option<When>,
    /// Keys of [`keys::FINAL`] and their values.
    pub entries: Vec<(Node, Node)>,
}

/// One axis of the matrix.
#[derive(Debug, Clone)]
pub struct Axis {
    /// `isolation`, `txn`, or the name of a variable.
    pub name: Located<String>,
    /// At least one.
    pub values: Vec<Node>,
}

/// What the server has to have.
#[derive(Debug, Clone, Default)]
pub struct Requires {
    /// A range of TiDB's versions.
    pub tidb: Option<Located<semver::VersionReq>>,
    /// `tikv` or `unistore`.
    pub store: Option<Located<String>>,
    /// Whether a container engine must answer.
    pub docker: bool,
    /// Global variables and their values.
    pub vars: Vec<(Located<String>, Node)>,
}

/// A server of the scenario's own.
#[derive(Debug, Clone)]
pub struct ServerDecl {
    /// Its name; `main` is the one that connections without `server` use.
    pub name: Located<String>,
    /// Whether its store outlives its process.
    pub persistent: bool,
    /// Flags of tidb-server.
    pub flags: Vec<(Located<String>, Node)>,
    /// Global variables.
    pub vars: Vec<(Located<String>, Node)>,
    /// Statements that make its tables.
    pub setup: Vec<Located<String>>,
}

/// What reading gave.
#[derive(Debug)]
pub struct ReadScenario {
    /// `None` where nothing could be made of the file.
    pub scenario: Option<Scenario>,
    /// Mistakes and warnings.
    pub problems: Vec<Diagnostic>,
}

/// Reads a file.
#[must_use]
pub fn read(file: &SourceFile) -> ReadScenario {
    let parsed = crate::source::parse(file);
    let mut problems = parsed.problems;
    let scenario = parsed
        .root
        .and_then(|root| read_scenario(file, &root, &mut problems));
    ReadScenario { scenario, problems }
}
