//! A scenario before it is written: what a format's file says, in the words of this project's language.

use super::origin::Origin;
use crate::sql::{Kind, ServerChange, classify};

/// How a scenario names the database of its trial.
pub(super) const OWN: &str = "${database}";

/// A scenario, as a file of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// The file's name without its extension.
    pub name: String,
    /// One line: what the scenario shows.
    pub title: String,
    /// Lines of the comment at the top, after the one that says where the scenario comes from.
    pub comments: Vec<String>,
    /// Statements that make the tables.
    pub setup: Vec<Statement>,
    /// The connections, in their order.
    pub connections: Vec<Connection>,
    /// The script; empty where the connections have states.
    pub steps: Vec<Step>,
    /// In which orders the states are run.
    pub orders: Option<Orders>,
    /// What the orders come to.
    pub outcomes: Vec<Outcome>,
    /// Lines of a comment at the end.
    pub trailer: Vec<String>,
}

/// What a scenario must not share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alone {
    /// Others may run beside it.
    No,
    /// It changes what others use, and that is set back after it.
    Serial,
    /// It changes its server for good.
    OwnServer,
}

impl Draft {
    /// What may not be shared with other trials: they run beside it, on the same server.
    #[must_use]
    pub fn alone(&self) -> Alone {
        let setup = self.setup.iter().map(|statement| &statement.text);
        let states = self.connections.iter().flat_map(|own| &own.states);
        let steps = self.steps.iter().chain(states).flat_map(Step::statements);
        let mut elsewhere = false;
        let one = |sql: &String| {
            // The trial's own database is nobody else's.
            let sql = sql.replace(&format!("{OWN}."), "");
            let statement = classify(&sql);
            elsewhere |= !sql.contains(OWN) && matches!(statement.kind, Kind::Use(_));
            let written = statement.written();
            let others = written.iter().any(|one| one.database.is_some())
                || elsewhere && !written.is_empty()
                || statement.kills_by_number();
            match statement.server_change() {
                ServerChange::Lasting => Alone::OwnServer,
                ServerChange::None if !others => Alone::No,
                _ => Alone::Serial,
            }
        };
        setup.chain(steps).map(one).max().unwrap_or(Alone::No)
    }
}

/// A statement of the setup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statement {
    /// Lines of the comment before it.
    pub comments: Vec<String>,
    /// Its SQL without `;`; empty where only the comment is left.
    pub text: String,
}

/// A connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// Lines of the comment before it.
    pub comments: Vec<String>,
    /// Its level of isolation, where that is not the server's own.
    pub isolation: Option<&'static str>,
    /// Another user than the server's own.
    pub user: Option<String>,
    /// That user's password.
    pub password: Option<String>,
    /// What it runs through, where the scenario is no script.
    pub states: Vec<Step>,
}

/// A step of the script, or a state of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Lines of the comment before it.
    pub comments: Vec<String>,
    /// Whose it is.
    pub connection: String,
    /// The state's name, where that is not the statement's verb.
    pub name: Option<String>,
    /// What it does.
    pub action: Action,
    /// Values that it keeps: the variable, and what of the result.
    pub save: Vec<(String, String)>,
    /// Its limit, where that is not the scenario's.
    pub timeout: Option<String>,
    /// What is expected of it, in this order.
    pub expect: Vec<(&'static str, Value)>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Statements, one after another. With none, nothing is left of the step but its comment.
    Sql(Vec<String>),
    /// Waits for so many milliseconds.
    Sleep(u64),
    /// Ends the statement of another connection, or its whole session.
    Kill {
        /// The other connection.
        target: String,
        /// Its whole session.
        whole: bool,
    },
    /// Closes the session.
    Disconnect,
    /// Opens another session.
    Reconnect,
}

impl Default for Action {
    fn default() -> Self {
        Self::Sql(Vec::new())
    }
}

/// In which orders the states are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Orders {
    /// Every one.
    All,
    /// These.
    List(Vec<Order>),
}

/// One order of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Lines of the comment before it.
    pub comments: Vec<String>,
    /// The connections, each once for each of its states.
    pub picks: Vec<String>,
    /// Where the file has it.
    pub origin: Origin,
    /// The same order in the words of the file that it comes from.
    pub words: String,
    /// The outcome that it must come to.
    pub outcome: Option<String>,
}

/// What orders come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// Lines of the comment before it.
    pub comments: Vec<String>,
    /// What holds then, such as `saw` and `blocked`.
    pub holds: Vec<(&'static str, Value)>,
}

/// A value as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing: SQL NULL.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A number, in the digits that the file had.
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A mapping.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A mapping with one key.
    pub fn one(key: &str, value: Self) -> Self {
        Self::Map(vec![(key.to_owned(), value)])
    }

    /// A matcher that any value fits.
    pub fn any() -> Self {
        Self::one("any", Self::Flag(true))
    }
}

impl Step {
    /// A step that runs these statements.
    pub fn sql(connection: impl Into<String>, statements: Vec<String>) -> Self {
        Self {
            connection: connection.into(),
            action: Action::Sql(statements),
            ..Self::default()
        }
    }

    /// Whether it does nothing, so that only its comment is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.action, Action::Sql(statements) if statements.is_empty())
    }

    /// Its statements.
    #[must_use]
    pub fn statements(&self) -> &[String] {
        match &self.action {
            Action::Sql(statements) => statements,
            Action::Sleep(_) | Action::Kill { .. } | Action::Disconnect | Action::Reconnect => &[],
        }
    }

    /// What is expected under this key.
    #[must_use]
    pub fn expected(&self, key: &str) -> Option<&Value> {
        self.expect
            .iter()
            .find(|(known, _)| *known == key)
            .map(|(_, value)| value)
    }
}
