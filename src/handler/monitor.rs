//! Handlers that follow import jobs and schema changes over their own connections.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use tokio::time::Instant;

use super::context::StateContext;
use super::error::{StateError, shown};
use super::state::{Next, StateHandler};
use super::with::{With, WithError};
use crate::history::{JobSeen, Outcome, SqlValue};
use crate::job::{self, NotShown};

/// How long a monitor waits between two looks, where nobody says otherwise.
const EVERY: Duration = Duration::from_millis(200);
/// How long it goes on.
const WITHIN: Duration = Duration::from_mins(10);

/// A handler that looks at import jobs over its own connection until they have ended, and tells the others of each
/// change: the events `import.STATUS` and `import.PHASE`, and in a program `import.N.STATUS` of job N besides. Rows so
/// far are appended to the series `import.N.rows`.
///
/// It fails where the job it watches failed or was cancelled, and where it has not ended in time.
#[derive(Debug, Clone)]
pub struct ImportMonitor {
    job: Option<i64>,
    jobs: usize,
    every: Duration,
    within: Duration,
}

/// A handler that looks at a schema change over its own connection until it has ended, and tells the others of each
/// change: the events `ddl.STATUS` and `ddl.PHASE`, such as `ddl.write_reorganization`, and in a program
/// `ddl.N.STATUS` of job N besides. Rows so far are appended to the series `ddl.N.rows`.
///
/// It fails where the schema change was rolled back or cancelled, and where it has not ended in time.
#[derive(Debug, Clone)]
pub struct DdlMonitor {
    of: DdlOf,
    every: Duration,
    within: Duration,
}

#[derive(Debug, Clone)]
enum DdlOf {
    Job(i64),
    Table(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ImportKeys {
    job: Option<i64>,
    jobs: Option<usize>,
    every_ms: Option<u64>,
    within_ms: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DdlKeys {
    job: Option<i64>,
    table: Option<String>,
    every_ms: Option<u64>,
    within_ms: Option<u64>,
}

impl ImportMonitor {
    /// Watches this job.
    #[must_use]
    pub fn of_job(job: i64) -> Self {
        Self {
            job: Some(job),
            ..Self::until_over(1)
        }
    }

    /// Watches all jobs, until so many have ended (at least one). How they ended is for others to judge.
    #[must_use]
    pub fn until_over(jobs: usize) -> Self {
        Self {
            job: None,
            jobs: jobs.max(1),
            every: EVERY,
            within: WITHIN,
        }
    }

    /// How long it waits between two looks; 200 ms otherwise.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// How long it goes on; 10 minutes otherwise.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// With `job` (a number) or `jobs` (how many must have ended), `every_ms` and `within_ms`.
    ///
    /// # Errors
    /// [`WithError`].
    pub fn from_with(with: &With) -> Result<Self, WithError> {
        let keys: ImportKeys = with.read()?;
        let monitor = match (keys.job, keys.jobs) {
            (Some(_), Some(_)) => return Err(WithError::at("jobs", "`job` and `jobs` exclude each other")),
            (Some(job), None) => Self::of_job(job),
            (None, jobs) => Self::until_over(jobs.unwrap_or(1)),
        };
        Ok(monitor
            .every(keys.every_ms.map_or(EVERY, Duration::from_millis))
            .within(keys.within_ms.map_or(WITHIN, Duration::from_millis)))
    }
}

impl DdlMonitor {
    /// Watches the schema change of this number.
    #[must_use]
    pub fn of_job(job: i64) -> Self {
        Self {
            of: DdlOf::Job(job),
            every: EVERY,
            within: WITHIN,
        }
    }

    /// Watches the first schema change of this table that has not ended when the monitor begins, or begins later.
    /// The table is one of the connection's database, or `database.table`.
    #[must_use]
    pub fn of_table(table: impl Into<String>) -> Self {
        Self {
            of: DdlOf::Table(table.into()),
            every: EVERY,
            within: WITHIN,
        }
    }

    /// How long it waits between two looks; 200 ms otherwise.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// How long it goes on; 10 minutes otherwise.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// With `job` (a number) or `table`, `every_ms` and `within_ms`.
    ///
    /// # Errors
    /// [`WithError`].
    pub fn from_with(with: &With) -> Result<Self, WithError> {
        let keys: DdlKeys = with.read()?;
        let monitor = match (keys.job, keys.table) {
            (Some(job), None) => Self::of_job(job),
            (None, Some(table)) => Self::of_table(table),
            (Some(_), Some(_)) => {
                return Err(WithError::at("table", "`job` and `table` exclude each other"));
            }
            (None, None) => return Err(WithError::at("", "`job` or `table` is missing")),
        };
        Ok(monitor
            .every(keys.every_ms.map_or(EVERY, Duration::from_millis))
            .within(keys.within_ms.map_or(WITHIN, Duration::from_millis)))
    }
}

#[async_trait]
impl StateHandler for ImportMonitor {
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
        let watch = match self.job {
            Some(job) => Watched::Import(job.into()),
            None => Watched::Imports,
        };
        let known = follow(&watch, self.jobs, self.every, self.within, context).await?;
        if self.job.is_some() {
            fail_unless(&known, "import job", "finished")?;
        }
        Ok(Next::End)
    }
}

#[async_trait]
impl StateHandler for DdlMonitor {
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
        let watch = match &self.of {
            DdlOf::Job(job) => Watched::Ddl((*job).into()),
            DdlOf::Table(table) => of_table(table, context).await?,
        };
        let known = follow(&watch, 1, self.every, self.within, context).await?;
        fail_unless(&known, "schema change", "synced")?;
        Ok(Next::End)
    }
}

/// What is looked at.
enum Watched {
    Import(i128),
    Imports,
    Ddl(i128),
    /// The first schema change of a table after the one that had ended last.
    DdlOf {
        schema: String,
        table: String,
        last: Option<(i128, String)>,
    },
}

async fn of_table(table: &str, context: &mut StateContext) -> Result<Watched, StateError> {
    let (schema, table) = match table.split_once('.') {
        Some((schema, table)) => (schema.to_owned(), table),
        None => match context.config().and_then(|config| config.database.clone()) {
            Some(database) => (database, table),
            None => (context.value_as("select database()").await?, table),
        },
    };
    let last = job::ended_schema_change(context, &schema, table)
        .await
        .map_err(of_not_shown)?;
    Ok(Watched::DdlOf {
        schema,
        table: table.to_owned(),
        last,
    })
}

impl Watched {
    async fn look(&self, context: &mut StateContext) -> Result<Vec<JobSeen>, StateError> {
        /// A job that is not there yet, or no more.
        const UNKNOWN_JOB: u16 = 8170;
        let look = match self {
            Self::Import(id) => job::import(context, *id).await,
            Self::Imports => job::imports(context, |_| true).await,
            Self::Ddl(id) => job::schema_change(context, *id).await,
            Self::DdlOf { schema, table, last } => {
                let after = last.as_ref().map_or(0, |(id, _)| *id);
                job::schema_change_after(context, schema, table, after).await
            }
        };
        match look {
            Ok(looked) => Ok(looked.jobs),
            Err(NotShown {
                outcome: Outcome::Refused(error),
                ..
            }) if error.code == UNKNOWN_JOB => Ok(Vec::new()),
            Err(other) => Err(of_not_shown(other)),
        }
    }

    /// What has not ended in time, in words.
    fn missing(&self, ended: usize, wanted: usize, known: &BTreeMap<i128, JobSeen>) -> String {
        match self {
            Self::Import(id) => format!("import job {id} was not over"),
            Self::Imports => format!("{ended} of {wanted} import jobs were over"),
            Self::Ddl(id) => format!("schema change {id} had not ended"),
            Self::DdlOf { table, last, .. } => match (known.keys().next(), last) {
                (Some(id), _) => format!("schema change {id} of `{table}` had not ended"),
                (None, None) => format!("`{table}` had no schema change"),
                (None, Some((id, state))) => {
                    format!("`{table}` had no schema change after {id}, which had ended before ({state}),")
                }
            },
        }
    }
}

/// Looks again and again, until so many jobs have ended.
async fn follow(
    watch: &Watched,
    wanted: usize,
    every: Duration,
    within: Duration,
    context: &mut StateContext,
) -> Result<BTreeMap<i128, JobSeen>, StateError> {
    let end = Instant::now() + within;
    let mut known: BTreeMap<i128, JobSeen> = BTreeMap::new();
    loop {
        for seen in watch.look(context).await? {
            let before = known.insert(seen.id, seen.clone());
            let rows = |seen: &JobSeen| job::int(seen.fields.get("rows"));
            if let Some(now) = rows(&seen).filter(|now| before.as_ref().and_then(rows) != Some(*now)) {
                context.record(&format!("{}.{}.rows", seen.kind.word(), seen.id), now);
            }
            context.saw_job(&seen);
        }
        let ended = known.values().filter(|seen| seen.ended).count();
        if ended >= wanted {
            return Ok(known);
        }
        if Instant::now() >= end {
            let what = watch.missing(ended, wanted, &known);
            let within = within.as_millis();
            return Err(StateError::failed(format!("{what} within {within} ms")));
        }
        tokio::time::sleep_until(end.min(Instant::now() + every)).await;
    }
}

fn fail_unless(known: &BTreeMap<i128, JobSeen>, what: &str, status: &str) -> Result<(), StateError> {
    match known.values().find(|seen| seen.status != status) {
        None => Ok(()),
        Some(seen) => {
            let JobSeen { id, status, .. } = seen;
            let message = match seen.fields.get("error") {
                Some(SqlValue::Text(message)) => format!(": {message}"),
                _ => String::new(),
            };
            Err(StateError::failed(format!("{what} {id} {status}{message}")))
        }
    }
}

fn of_not_shown(not_shown: NotShown) -> StateError {
    let NotShown { sql, outcome } = not_shown;
    match StateError::of_outcome(&sql, outcome) {
        Err(error) => error,
        Ok(other) => StateError::Result {
            sql: shown(&sql),
            wanted: "a result set",
            got: other.word(),
        },
    }
}
