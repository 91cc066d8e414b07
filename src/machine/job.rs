//! Looks at import jobs and schema changes that another connection, or anybody, has started.

use async_trait::async_trait;

use super::acted::Acted;
use super::action::{closed, unknown_variable};
use super::worker::Worker;
use crate::connection::Connection;
use crate::history::Outcome;
use crate::job::{self, Ask, Look, Looked, NotShown};
use crate::plan::Watch;

#[async_trait]
impl Ask for Worker {
    async fn ask(&mut self, sql: &str) -> Outcome {
        match self.connection.as_mut() {
            Some(connection) => connection.execute(sql).await,
            None => closed(),
        }
    }
}

impl Worker {
    /// One look. The outcome has a row for each job that is watched; whether all of them have ended comes
    /// with it.
    pub(super) async fn look_at_job(&mut self, watch: &Watch) -> Acted {
        let look = match self.look(watch).await {
            Ok(look) => look,
            Err(outcome) => return Acted::single(outcome),
        };
        let flags = self.connection.as_ref().and_then(Connection::flags);
        let (sql, jobs) = match look {
            Ok(Looked { sql, jobs }) => (sql, jobs),
            Err(NotShown { sql, outcome }) => return Acted::ran(sql, outcome, flags),
        };
        for job in &jobs {
            self.coordinator.saw_job(self.number, job);
        }
        let ended = !jobs.is_empty() && jobs.iter().all(|job| job.ended);
        if ended && let (Watch::DdlOf(_), Some(job)) = (watch, jobs.last()) {
            self.followed_ddl = Some(job.id);
        }
        Acted {
            job_ended: ended,
            ..Acted::ran(sql, Outcome::Rows(job::rows(&jobs)), flags)
        }
    }

    /// The outcome is that of a variable without a value.
    async fn look(&mut self, watch: &Watch) -> Result<Look, Outcome> {
        let own = self.config.database.clone().unwrap_or_default();
        Ok(match watch {
            Watch::Import(id) => {
                let id = self.value(id)?;
                match job::int(Some(&id)) {
                    Some(id) => job::import(self, id).await,
                    None => self.imports_of_trial(&own).await,
                }
            }
            Watch::AllImports => self.imports_of_trial(&own).await,
            Watch::Ddl(id) => {
                let id = self.value(id)?;
                job::schema_change(self, job::int(Some(&id)).unwrap_or_default()).await
            }
            Watch::DdlOf(table) => {
                let table = table.fill(&self.vars()).map_err(unknown_variable)?;
                let (schema, name) = table.split_once('.').unwrap_or((&own, &table));
                let after = self.followed_ddl.unwrap_or_default();
                job::schema_change_after(self, schema, name, after).await
            }
        })
    }

    async fn imports_of_trial(&mut self, own: &str) -> Look {
        // Further databases of the trial begin with the name of its first one.
        let further = format!("{own}_");
        job::imports(self, |schema| schema == own || schema.starts_with(&further)).await
    }
}
