//! Shows what became of connections, and prints it for those who ask for that.

use std::fmt;
use std::sync::Arc;

use crate::coordinator::Coordinator;
use crate::history::{ConnectionRecord, History, Status, Went, show, why_not_satisfied};
use crate::report;
use crate::sql::Product;

/// What became of a coordinator's connections, in the order in which they were added. It is shown as a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    history: History,
    /// The names of the states, by the numbers that steps have.
    states: Vec<String>,
    /// Texts that no output may show.
    secrets: Arc<[String]>,
}

impl Results {
    pub(super) fn of(coordinator: &Coordinator, secrets: Arc<[String]>) -> Self {
        let mut history = coordinator.history();
        let ends = history.connections.iter().filter_map(ConnectionRecord::ended_us);
        history.took_us = ends.max().unwrap_or_default();
        let mut versions = history
            .connections
            .iter()
            .filter_map(|one| one.server_version.clone());
        if let Some(version) = versions.next() {
            history.product = Product::of_version(&version);
            history.server = version;
        }
        Self {
            history,
            states: coordinator.state_names(),
            secrets,
        }
    }

    /// All that happened, as data. A step is a statement of a handler, or a wait that was not satisfied; its number is
    /// that of its state in [`Self::states`].
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// [`Self::history`], taken out.
    #[must_use]
    pub fn into_history(self) -> History {
        self.history
    }

    /// The names of the states, by the numbers that the history's steps have.
    #[must_use]
    pub fn states(&self) -> &[String] {
        &self.states
    }

    /// The connection of this name.
    #[must_use]
    pub fn connection(&self, id: &str) -> Option<&ConnectionRecord> {
        self.history.connections.iter().find(|one| one.name == id)
    }

    /// Whether all connections have completed.
    #[must_use]
    pub fn passed(&self) -> bool {
        let mut all = self.history.connections.iter();
        all.all(|connection| connection.status == Status::Completed)
    }

    /// What each connection did, one column each, with milliseconds. Passwords of the connections are not shown.
    #[must_use]
    pub fn timeline(&self) -> String {
        report::timeline_of_states(&self.states, &self.history, &self.secrets)
    }

    /// All of it as JSON: the verdict, the connections that failed, the states, the history. Passwords of the
    /// connections are not shown.
    #[must_use]
    pub fn json(&self) -> String {
        report::record_of_states(&self.states, &self.history, &self.secrets)
    }

    /// Prints it to standard output.
    pub fn print(&self) {
        println!("{self}");
    }

    /// The deadlock cycle in which a connection's last wait ended, drawn.
    fn deadlock(&self, connection: usize) -> Vec<String> {
        let last = self
            .history
            .steps
            .iter()
            .rfind(|step| step.connection == connection);
        match last.map(|step| &step.went) {
            Some(Went::Unsatisfied { reasons, cycle, .. }) if !cycle.is_empty() => {
                why_not_satisfied(reasons, cycle)
            }
            _ => Vec::new(),
        }
    }

    fn rows(&self) -> Vec<[String; 5]> {
        let mut rows = vec![["connection", "status", "server", "session", "time"].map(str::to_owned)];
        for connection in &self.history.connections {
            let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
            let took = connection.ended_us();
            rows.push([
                connection.name.clone(),
                connection.status.word().to_owned(),
                or_none(connection.server_version.clone()),
                or_none(connection.session().map(|session| session.to_string())),
                or_none(took.map(|took_us| format!("{:.1} ms", took_us as f64 / 1_000.0))),
            ]);
        }
        rows
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let widths: [usize; 5] = std::array::from_fn(width);
        let mut lines = rows.iter().map(|row| {
            let cells: Vec<String> = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            cells.join("  ").trim_end().to_owned()
        });
        if let Some(head) = lines.next() {
            writeln!(f, "{head}")?;
        }
        for (number, (connection, line)) in self.history.connections.iter().zip(lines).enumerate() {
            writeln!(f, "{line}")?;
            let states: Vec<&str> = connection
                .states
                .iter()
                .map(|(_, state)| state.as_str())
                .collect();
            if !states.is_empty() {
                writeln!(f, "    {}", states.join(" → "))?;
            }
            match connection.retries {
                0 => {}
                1 => writeln!(f, "    tried again once")?,
                retries => writeln!(f, "    tried again {retries} times")?,
            }
            if let Some(at_us) = connection.gone_us {
                writeln!(
                    f,
                    "    its session was found gone at {:.0} ms",
                    at_us as f64 / 1_000.0
                )?;
            }
            if let Some(failure) = &connection.failure {
                writeln!(f, "    failed: {failure}")?;
                for line in self.deadlock(number) {
                    writeln!(f, "    {line}")?;
                }
            }
        }
        for (name, value) in &self.history.vars {
            writeln!(f, "{name} = {}", show(value))?;
        }
        for job in &self.history.jobs {
            let rows = job
                .rows()
                .map_or_else(String::new, |rows| format!(", {rows} rows"));
            let (kind, id, table, status) = (job.kind.word(), job.id, job.table(), job.status());
            writeln!(f, "{kind} job {id}, table {table}: {status}{rows}")?;
        }
        let count = |wanted: Status| {
            let all = self.history.connections.iter();
            all.filter(|connection| connection.status == wanted).count()
        };
        let (all, completed, failed) = (
            self.history.connections.len(),
            count(Status::Completed),
            count(Status::Failed),
        );
        write!(f, "{completed} of {all} connections completed, {failed} failed")
    }
}
