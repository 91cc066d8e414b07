//! What statements change in databases that are not the trial's own.

use std::collections::BTreeSet;

use crate::history::{SqlValue, Vars};
use crate::sql::{Kind, ServerChange, Statement};

/// What a statement changes in the databases of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Elsewhere {
    /// Their names, the first one first.
    pub databases: Vec<String>,
    /// What it changes of the whole server, where it writes the server's own tables.
    pub server: ServerChange,
}

impl Elsewhere {
    /// Of a statement that runs while one of `current` is the session's database. `foreign` tells which databases are
    /// others'.
    pub fn of(
        statement: &Statement,
        current: &BTreeSet<String>,
        foreign: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let mut all = Self::default();
        for one in statement.written() {
            let databases: Vec<&String> = match &one.database {
                Some(name) => vec![name],
                None => current.iter().collect(),
            };
            for database in databases.into_iter().filter(|name| foreign(name)) {
                // The rows of the server's own tables are the whole server's, or those of a single job.
                if one.rows && database.eq_ignore_ascii_case("mysql") {
                    let table = one.name.as_deref().unwrap_or_default();
                    all.server = all.server.max(ServerChange::of_system_table(table));
                    continue;
                }
                if !all.databases.contains(database) {
                    all.databases.push(database.clone());
                }
            }
        }
        (all != Self::default()).then_some(all)
    }
}

/// The database of others that a statement changes something in, or goes to, with the names that a run knows.
pub(super) fn foreign_in_a_run(statement: &Statement, vars: &Vars) -> Option<String> {
    let text = |value: &SqlValue| match value {
        SqlValue::Text(text) => Some(text.to_ascii_lowercase()),
        _ => None,
    };
    let own = vars.get("database").and_then(text)?;
    let foreign = |name: &str| !name.to_ascii_lowercase().starts_with(&own);
    if let Kind::Use(name) = &statement.kind {
        // What stands there only tells of the server.
        let tells = ["information_schema", "performance_schema", "metrics_schema"];
        let harmless = tells.iter().any(|one| one.eq_ignore_ascii_case(name));
        return Some(name.clone()).filter(|name| foreign(name) && !harmless);
    }
    let found = Elsewhere::of(statement, &BTreeSet::new(), foreign)?;
    found.databases.first().cloned()
}
