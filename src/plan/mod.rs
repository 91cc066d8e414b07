//! A scenario with every name resolved and every mistake found, before anything connects.
//!
//! Architecture invariant: pure. No clock, no SQL is run, no environment is read; what the environment
//! has is handed in by [`PlanInput`].

mod chosen;
mod connections;
mod context;
mod control;
mod elsewhere;
mod file;
mod finals;
mod flow;
mod given;
mod handler;
mod jobs;
mod load;
mod machine;
mod matrix;
mod mode;
mod names;
mod orders;
mod outcomes;
mod pattern;
mod reach;
mod server_changes;
mod session;
mod shared;
mod statement;
mod states;
mod step_name;
mod steps;
mod transitions;
mod trial;
mod unused;
mod user_locks;
mod wants;
mod workload;
mod workload_expect;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::coordinator::Owners;
use crate::expect::{Check, Expectation, Needs, Template, ValuePattern};
use crate::handler::{Handlers, StateHandler};
use crate::history::{Outcome, SqlValue, Vars};
use crate::scenario::Requires;
use crate::source::{SourceFile, Span};

pub use chosen::ChosenOrder;
pub use connections::ConnectionPlan;
pub use context::label;
pub use control::ControlId;
pub use file::{Planned, plan};
pub use jobs::{JobFields, JobPattern, JobsWanted, WhichJobs};
pub use load::LoadContent;
pub use machine::{BarrierPlan, Coordination, Next, Repetition, Trigger, Watch, describe_action, is_there};
pub use mode::{ConcurrentPlan, ExploredPlan, Mode};
pub use orders::{OrderChoice, OrdersPlan, number_of_orders};
pub use outcomes::OutcomePlan;
pub use pattern::{BLOCKED, LIFECYCLE, StatePattern};
pub use server_changes::ServerChanges;
pub use shared::{EventsPattern, SeriesPattern};
pub use statement::{Statement, fill};
pub use step_name::step_name;
pub use user_locks::UserLocks;
pub use workload::{WorkloadLength, WorkloadPlan};

/// The default limit of one step.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// The default limit of a whole trial.
pub const TRIAL_TIMEOUT: Duration = Duration::from_secs(60);
/// At most this many variants of one file.
pub const VARIANTS_MAX: usize = 1_000;
/// At most this many steps and connections in all variants of one file together.
pub const PLAN_SIZE_MAX: usize = 200_000;

/// What planning needs beside the file.
#[derive(Debug, Clone, Default)]
pub struct PlanInput {
    /// The trial's name before its variant, such as `locking::second_writer_waits`.
    pub name: String,
    /// The environment, for `${env.NAME}`.
    pub env: BTreeMap<String, String>,
    /// Handlers that are written in Rust, by their names.
    pub handlers: Handlers,
    /// Whether the steps are to be run in every order, where the file does not say in which.
    pub every_order: bool,
    /// In place of the seed that the file has, or that is made of its names.
    pub seed: Option<u64>,
}

/// One trial: a scenario in one variant.
#[derive(Debug)]
pub struct TrialPlan {
    /// The whole name, variant included.
    pub name: String,
    /// The file that it stands in.
    pub file: Arc<SourceFile>,
    /// What it shows.
    pub title: String,
    /// The variant: each axis with its value's short form.
    pub variant: Vec<(String, String)>,
    /// Statements of the setup.
    pub setup: Vec<Statement>,
    /// Statements of the teardown.
    pub teardown: Vec<Statement>,
    /// Variables with their first values, the matrix's among them.
    pub vars: Vars,
    /// Whose the variables are.
    pub owners: Owners,
    /// The connections, in the order of the file.
    pub connections: Vec<ConnectionPlan>,
    /// Further databases, by the names that the file uses.
    pub databases: Vec<String>,
    /// The steps, in the order in which they start; of concurrent connections the states of one after those of
    /// another.
    pub steps: Vec<Step>,
    /// How they are run.
    pub mode: Mode,
    /// For everything that is left to chance.
    pub seed: u64,
    /// What must hold at the end.
    pub finals: Vec<Final>,
    /// What the server has to have.
    pub requires: Requires,
    /// The words of `tags`.
    pub tags: Vec<String>,
    /// Whether no other trial may run at the same time.
    pub serial: bool,
    /// What it changes of the run's server beyond its own databases.
    pub server_changes: ServerChanges,
    /// User-level locks that other trials may name as well.
    pub user_locks: UserLocks,
    /// The limit of the whole trial.
    pub timeout: Duration,
    /// Servers of the trial's own.
    pub servers: Vec<ServerPlan>,
    /// The number of the one of them that stands in for the run's server, if there is one.
    pub main_server: Option<usize>,
    /// Texts that no output may show.
    pub secrets: Vec<String>,
}

/// A server of the trial's own.
#[derive(Debug, Clone)]
pub struct ServerPlan {
    /// Its name; `main` is the one that connections without `server` use.
    pub name: String,
    /// Whether its store outlives its process.
    pub persistent: bool,
    /// Flags of tidb-server.
    pub flags: Vec<(String, String)>,
    /// Global variables, as SQL literals.
    pub vars: Vec<(String, String)>,
    /// Statements that make its tables.
    pub setup: Vec<Statement>,
}

/// One step.
#[derive(Debug)]
pub struct Step {
    /// Where it begins: the connection's name.
    pub span: Span,
    /// The number of its connection.
    pub connection: usize,
    /// The state's name.
    pub state: String,
    /// What it does.
    pub action: Action,
    /// What its outcome must be.
    pub expectations: Vec<Expectation>,
    /// Whether it must wait; `None`: it must not.
    pub blocked: Option<Blocked>,
    /// Connections whose wait must end with it.
    pub unblocks: Vec<(usize, Span)>,
    /// Values to keep from the result.
    pub save: Vec<Save>,
    /// Values to keep as they stand.
    pub set: Vec<(String, Value)>,
    /// Its limit.
    pub timeout: Duration,
    /// What it has to do with other states.
    pub coordination: Coordination,
}

impl Step {
    /// Whether an error is among the outcomes that are expected.
    #[must_use]
    pub fn wants_error(&self) -> bool {
        self.expectations
            .iter()
            .any(|expectation| expectation.check.wants_error())
    }

    /// Whether this error may be the one that is expected, by its number and its kind.
    #[must_use]
    pub fn expects_error(&self, outcome: &Outcome) -> bool {
        self.expectations
            .iter()
            .any(|expectation| expectation.check.expects_error(outcome))
    }

    /// Whether the connection has failed with this outcome: with an error that is not expected, or since the server was
    /// not even asked.
    #[must_use]
    pub fn fails(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Rows(_) | Outcome::Done(_) => false,
            Outcome::Refused(_) | Outcome::TimedOut { .. } | Outcome::Lost { .. } => !self.wants_error(),
            Outcome::Unanswered { .. } => true,
        }
    }

    /// What the expectations have to have asked of the server.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.expectations
            .iter()
            .fold(Needs::default(), |needs, one| needs.and(one.check.needs()))
    }
}

/// That a step must wait.
#[derive(Debug, Clone)]
pub struct Blocked {
    /// Where the file says so.
    pub span: Span,
    /// Who must hold what it waits for, where the file says so.
    pub by: Vec<(usize, Span)>,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Statements in turn.
    Sql(Vec<Statement>),
    /// One prepared statement.
    Prepared(Statement, Vec<Value>),
    /// `LOAD DATA LOCAL`.
    Load {
        /// The statement.
        statement: Statement,
        /// What the server reads in place of a file.
        content: LoadContent,
    },
    /// Waits.
    Sleep(Duration),
    /// Ends another connection's statement or session.
    Kill {
        /// The connection's number.
        target: usize,
        /// The whole session.
        connection: bool,
    },
    /// Closes the session.
    Disconnect,
    /// Opens a new session.
    Reconnect,
    /// Nothing but `set`.
    Set,
    /// Nothing but what stands beside it.
    Nothing,
    /// Follows a job to its end.
    Watch(Watch),
    /// Runs a handler that is written in Rust.
    Handler(HandlerPlan),
}

/// A handler with its parameters, made and so known to be right before anything runs.
#[derive(Clone)]
pub struct HandlerPlan {
    /// The name that it is registered under.
    pub name: String,
    /// The handler itself.
    pub handler: Arc<dyn StateHandler>,
    /// Its parameters.
    pub with: serde_json::Value,
}

impl std::fmt::Debug for HandlerPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandlerPlan")
            .field("name", &self.name)
            .field("with", &self.with)
            .finish_non_exhaustive()
    }
}

/// A value: as it stands, or with variables in it.
#[derive(Debug, Clone)]
pub enum Value {
    /// As it stands.
    Plain(SqlValue),
    /// With variables.
    Template(Template),
}

/// A value to keep from a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Save {
    /// The variable.
    pub name: String,
    /// What is kept.
    pub source: SaveSource,
    /// Where the file says so.
    pub span: Span,
    /// For all connections, rather than for its own.
    pub shared: bool,
}

/// Where a saved value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveSource {
    /// This column of the first row.
    Column(String),
    /// This cell: row and column, from 0.
    Cell(usize, usize),
    /// The first value that AUTO_INCREMENT gave.
    LastInsertId,
    /// Rows that were changed.
    Affected,
}

/// What must hold at the end.
#[derive(Debug, Default)]
pub struct Final {
    /// The states of connections.
    pub states: Vec<(usize, Span, StatePattern)>,
    /// Tables and what they must hold.
    pub tables: Vec<Query>,
    /// Queries and what they must give.
    pub queries: Vec<Query>,
    /// SQL that must hold whenever no statement runs.
    pub always: Vec<Query>,
    /// Variables of the shared state.
    pub vars: Vec<(String, Span, ValuePattern)>,
    /// Events of the shared state.
    pub events: Option<EventsPattern>,
    /// Series of the shared state.
    pub series: Vec<SeriesPattern>,
    /// How often connections must have gone back after an error.
    pub retries: Vec<(usize, Span, ValuePattern)>,
    /// What jobs must have come to.
    pub jobs: Vec<JobPattern>,
    /// How connections must have ended.
    pub status: Vec<(usize, Span, crate::history::Status)>,
    /// How many of an error, over all connections; `None` as the number means any.
    pub errors: Vec<(Option<u16>, Span, ValuePattern)>,
    /// `errors: {}`: none at all.
    pub no_errors: Option<Span>,
}

impl TrialPlan {
    /// What must hold at the end, and after it what holds in each outcome: checks name them by their numbers.
    pub fn all_finals(&self) -> impl Iterator<Item = &Final> {
        let outcomes = self.outcomes().iter().map(|outcome| &outcome.holds);
        self.finals.iter().chain(outcomes)
    }
}

/// A query of the control connection and what it must give.
#[derive(Debug)]
pub struct Query {
    /// Where it stands.
    pub span: Span,
    /// How reports call it.
    pub label: String,
    /// The statement.
    pub sql: Template,
    /// What it must give.
    pub expectations: Vec<Expectation>,
    /// Of `always`: how often it is asked with concurrent connections, rather than after each statement that may have
    /// changed something.
    pub every: Option<Duration>,
}

/// Truth in SQL: a single value that is neither NULL nor zero.
#[derive(Debug)]
struct IsTrue;

impl Check for IsTrue {
    fn check(&self, seen: &crate::expect::Seen<'_>) -> Result<(), crate::expect::Mismatch> {
        use crate::history::Outcome;
        let Outcome::Rows(set) = seen.outcome else {
            let got = crate::history::describe(seen.outcome);
            return Err(crate::expect::Mismatch::new(format!(
                "expected one true value, got {got}"
            )));
        };
        match set.rows.as_slice() {
            [row] => match row.as_slice() {
                [value] if crate::expect::is_true(value) => Ok(()),
                [value] => {
                    let got = crate::history::show(value);
                    Err(crate::expect::Mismatch::new(format!(
                        "expected a true value, got {got}"
                    )))
                }
                _ => Err(crate::expect::Mismatch::new("expected one column")),
            },
            rows => Err(crate::expect::Mismatch::new(format!(
                "expected one row, got {}",
                rows.len()
            ))),
        }
    }
}
