//! Shows what became of connections, and prints it for those who ask for that.

use std::fmt;

use super::SharedTestState;
use crate::history::Status;
use crate::history::show;

/// What became of a coordinator's connections, in the order in which they were added. It is shown as a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    state: SharedTestState,
}

impl Results {
    pub(super) fn new(state: SharedTestState) -> Self {
        Self { state }
    }

    /// The state behind it.
    #[must_use]
    pub fn state(&self) -> &SharedTestState {
        &self.state
    }

    /// Prints it to standard output.
    pub fn print(&self) {
        println!("{self}");
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![["connection", "status", "server", "session", "time"].map(str::to_owned)];
        for connection in &self.state.connections {
            let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
            let took = connection.has_ended().then(|| {
                let millis = connection.took.as_secs_f64() * 1_000.0;
                format!("{millis:.1} ms")
            });
            rows.push([
                connection.id.clone(),
                connection.status.word().to_owned(),
                or_none(connection.server_version.clone()),
                or_none(connection.session.map(|session| session.to_string())),
                or_none(took),
            ]);
        }
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
        for (connection, line) in self.state.connections.iter().zip(lines) {
            writeln!(f, "{line}")?;
            if !connection.states.is_empty() {
                writeln!(f, "    {}", connection.states.join(" → "))?;
            }
            match connection.retries {
                0 => {}
                1 => writeln!(f, "    tried again once")?,
                retries => writeln!(f, "    tried again {retries} times")?,
            }
            if let Some(failure) = &connection.failure {
                writeln!(f, "    failed: {failure}")?;
            }
        }
        for (name, value) in &self.state.vars {
            writeln!(f, "{name} = {}", show(value))?;
        }
        for job in self.state.import_jobs.values() {
            let rows = job
                .imported_rows
                .map_or_else(String::new, |rows| format!(", {rows} rows"));
            writeln!(
                f,
                "import job {} into {}: {}{rows}",
                job.id, job.table, job.status
            )?;
        }
        let count = |wanted: Status| {
            let all = self.state.connections.iter();
            all.filter(|connection| connection.status == wanted).count()
        };
        let (all, completed, failed) = (
            self.state.connections.len(),
            count(Status::Completed),
            count(Status::Failed),
        );
        write!(f, "{completed} of {all} connections completed, {failed} failed")
    }
}
