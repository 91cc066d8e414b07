//! Import jobs, and a handler that follows them.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Next, StateContext, StateError, StateHandler, With, WithError};
use crate::history::{Outcome, RowSet, SqlValue};

/// An import job as SHOW IMPORT JOBS tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportJob {
    /// Its number.
    pub id: i64,
    /// Where the data comes from.
    pub source: String,
    /// The table, such as `` `shop`.`orders` ``.
    pub table: String,
    /// `pending`, `running`, `finished`, `failed` or `cancelled`.
    pub status: String,
    /// What a running job does: empty, `global-sorting`, `importing` or `validating`.
    pub phase: String,
    /// The size of the source as the server writes it, such as `1.2GiB`.
    pub source_size: String,
    /// Rows so far; none before the server says.
    pub imported_rows: Option<i64>,
    /// What the server says at the end, above all why it failed.
    pub message: String,
}

impl ImportJob {
    /// Whether it will not change any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "finished" | "failed" | "cancelled")
    }

    /// The jobs of an answer of SHOW IMPORT JOB or SHOW IMPORT JOBS. Columns are found by their names, since
    /// versions of TiDB have different ones.
    #[must_use]
    pub fn of_rows(set: &RowSet) -> Vec<Self> {
        let column = |name: &str| {
            set.columns
                .iter()
                .position(|column| column.name.eq_ignore_ascii_case(name))
        };
        let text = |row: &[SqlValue], name: &str| match column(name).and_then(|at| row.get(at)) {
            Some(SqlValue::Text(text) | SqlValue::Decimal(text) | SqlValue::Time(text)) => text.clone(),
            Some(SqlValue::Int(number)) => number.to_string(),
            _ => String::new(),
        };
        let number = |row: &[SqlValue], name: &str| match column(name).and_then(|at| row.get(at)) {
            Some(SqlValue::Int(number)) => i64::try_from(*number).ok(),
            _ => None,
        };
        set.rows
            .iter()
            .filter_map(|row| {
                Some(Self {
                    id: number(row, "job_id")?,
                    source: text(row, "data_source"),
                    table: text(row, "target_table"),
                    status: text(row, "status"),
                    phase: text(row, "phase"),
                    source_size: text(row, "source_file_size"),
                    imported_rows: number(row, "imported_rows"),
                    message: text(row, "result_message"),
                })
            })
            .collect()
    }
}

/// A handler that asks for import jobs over its own connection until they are over, and tells the others of each
/// change ([`super::Coordination::import_job`]). Rows so far are appended to the series `import.N.rows`. The
/// coordinators signal each new status of job N as the event `import.N.STATUS`.
///
/// It fails where the job it watches failed or was cancelled, and where it is not over in time.
#[derive(Debug, Clone)]
pub struct ImportMonitor {
    job: Option<i64>,
    jobs: usize,
    every: Duration,
    within: Duration,
}

impl Default for ImportMonitor {
    fn default() -> Self {
        Self {
            job: None,
            jobs: 1,
            every: Duration::from_millis(200),
            within: Duration::from_mins(10),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    job: Option<i64>,
    jobs: Option<usize>,
    every_ms: Option<u64>,
    within_ms: Option<u64>,
}

impl ImportMonitor {
    /// Watches this job.
    #[must_use]
    pub fn of_job(job: i64) -> Self {
        Self {
            job: Some(job),
            ..Self::default()
        }
    }

    /// Watches all jobs, until so many are over (at least one). How they ended is for others to judge.
    #[must_use]
    pub fn until_over(jobs: usize) -> Self {
        Self {
            jobs: jobs.max(1),
            ..Self::default()
        }
    }

    /// How long it waits between two questions.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// How long it goes on.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// With `job` (a number) or `jobs` (how many must be over), `every_ms` and `within_ms`.
    ///
    /// # Errors
    /// [`WithError`].
    pub fn from_with(with: &With) -> Result<Self, WithError> {
        let keys: Keys = with.read()?;
        let monitor = match (keys.job, keys.jobs) {
            (Some(_), Some(_)) => return Err(WithError::at("jobs", "`job` and `jobs` exclude each other")),
            (Some(job), None) => Self::of_job(job),
            (None, jobs) => Self::until_over(jobs.unwrap_or(1)),
        };
        let default = Self::default();
        Ok(monitor
            .every(keys.every_ms.map_or(default.every, Duration::from_millis))
            .within(keys.within_ms.map_or(default.within, Duration::from_millis)))
    }

    async fn ask(&self, context: &mut StateContext) -> Result<Vec<ImportJob>, StateError> {
        /// A job that is not there yet, or no more.
        const UNKNOWN_JOB: u16 = 8170;
        let sql = match self.job {
            Some(job) => format!("show import job {job}"),
            None => "show import jobs".to_owned(),
        };
        match context.execute(&sql).await? {
            Outcome::Refused(error) if error.code == UNKNOWN_JOB => Ok(Vec::new()),
            outcome => match StateError::of_outcome(&sql, outcome)? {
                Outcome::Rows(set) => Ok(ImportJob::of_rows(&set)),
                other => Err(StateError::Result {
                    sql,
                    wanted: "a result set",
                    got: other.word(),
                }),
            },
        }
    }
}

#[async_trait]
impl StateHandler for ImportMonitor {
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
        let end = Instant::now() + self.within;
        let mut known: BTreeMap<i64, ImportJob> = BTreeMap::new();
        loop {
            for job in self.ask(context).await? {
                let before = known.insert(job.id, job.clone());
                if before.as_ref() == Some(&job) {
                    continue;
                }
                let rows = before.and_then(|before| before.imported_rows);
                if let Some(now) = job.imported_rows.filter(|now| rows != Some(*now)) {
                    context.record(&format!("import.{}.rows", job.id), now);
                }
                context.coordination().import_job(&job);
            }
            let over = known.values().filter(|job| job.is_over()).count();
            if over >= self.jobs {
                break;
            }
            if Instant::now() >= end {
                let within = self.within.as_millis();
                let what = match self.job {
                    Some(job) => format!("import job {job} was not over"),
                    None => format!("{over} of {} import jobs were over", self.jobs),
                };
                return Err(StateError::failed(format!("{what} within {within} ms")));
            }
            tokio::time::sleep_until(end.min(Instant::now() + self.every)).await;
        }
        let watched = self.job.and_then(|job| known.get(&job));
        if let Some(job) = watched.filter(|job| job.status != "finished") {
            let (id, status, message) = (job.id, &job.status, &job.message);
            return Err(StateError::failed(format!("import job {id} {status}: {message}")));
        }
        Ok(Next::End)
    }
}
