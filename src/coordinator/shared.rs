//! What connections that run freely do with the shared state: they wait, signal, count and record.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use bigdecimal::BigDecimal;

use super::waits::{InVain, Waits, Wanted};
use super::{Coordinator, SharedState};
use crate::history::{EventRecord, JobRecord, JobSeen, SqlValue, Status, StepEnd, StepRecord, Vars, Went};

impl Coordinator {
    fn waits(&self) -> MutexGuard<'_, Waits> {
        // A panic while waits are changed is one of ours; the others shall still end in an orderly way.
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection enters a state of its own; `again` if another round follows this one.
    pub fn enter_state(&self, connection: usize, state: usize, name: &str, again: bool) {
        self.enter(connection, name);
        self.waits().enter(connection, state, again);
    }

    /// Waits until this has come.
    ///
    /// # Errors
    /// [`InVain`] at once when it can no longer come, and at the limit otherwise.
    pub async fn wait(&self, connection: usize, wanted: Wanted, limit: Duration) -> Result<(), InVain> {
        self.wait_or(connection, wanted, limit, false).await
    }

    /// The same for a connection that may go on though it waits in vain.
    ///
    /// # Errors
    /// As for [`Self::wait`].
    pub async fn wait_and_go_on(
        &self,
        connection: usize,
        wanted: Wanted,
        limit: Duration,
    ) -> Result<(), InVain> {
        self.wait_or(connection, wanted, limit, true).await
    }

    async fn wait_or(
        &self,
        connection: usize,
        wanted: Wanted,
        limit: Duration,
        goes_on: bool,
    ) -> Result<(), InVain> {
        let end = self.waits().wait(connection, wanted, goes_on);
        tokio::pin!(end);
        match tokio::time::timeout(limit, &mut end).await {
            Ok(Ok(ended)) => ended,
            // The coordinator lives as long as its connections, so it lets go of no waiter without a word.
            Ok(Err(_)) => Ok(()),
            Err(_) => {
                let gave_up = self.waits().give_up(connection);
                match gave_up {
                    Some(why) => Err(why),
                    // It ended in this very moment.
                    None => end.await.unwrap_or(Ok(())),
                }
            }
        }
    }

    /// An event comes.
    pub fn signal(&self, connection: usize, name: &str) {
        self.bring(connection, name, false);
    }

    fn bring(&self, connection: usize, name: &str, of_job: bool) {
        let at_us = self.now_us();
        tracing::debug!(event = name, "signals");
        self.lock().events.push(EventRecord {
            at_us,
            name: name.to_owned(),
            connection,
            of_job,
        });
        self.waits().signal(name);
    }

    /// A connection that runs freely has ended; `failed` says why, where it did not come to its end.
    pub fn end(&self, connection: usize, failed: Option<String>) {
        let status = if failed.is_some() {
            Status::Failed
        } else {
            Status::Completed
        };
        if let Some(record) = self.lock().connections.get_mut(connection) {
            // Where it was at the trial's limit says more than that it was ended there.
            if record.failure.is_none() {
                record.failure.clone_from(&failed);
            }
        }
        self.set_status(connection, status);
        self.waits().end(connection, failed);
    }

    /// Adds the record of a step that begins; returns its number.
    pub fn begin_step(&self, record: StepRecord) -> usize {
        let mut shared = self.lock();
        let number = shared.steps.len();
        shared.running.insert(record.connection, number);
        shared.steps.push(record);
        number
    }

    /// Changes the record of a step.
    pub fn change_step(&self, number: usize, change: impl FnOnce(&mut StepRecord)) {
        if let Some(record) = self.lock().steps.get_mut(number) {
            change(record);
        }
    }

    /// A step has ended, and its connection went there.
    pub fn end_step(&self, number: usize, end: StepEnd, went: Went) {
        let mut shared = self.lock();
        let Some(record) = shared.steps.get_mut(number) else {
            return;
        };
        record.end = Some(end);
        let retried = matches!(went, Went::Retry { .. });
        let connection = record.connection;
        record.went = went;
        shared.running.remove(&connection);
        if retried && let Some(record) = shared.connections.get_mut(connection) {
            record.retries += 1;
        }
    }

    /// Adds a number to a variable, and returns the sum.
    ///
    /// # Errors
    /// A line on what is no number.
    pub fn add(&self, name: &str, number: &SqlValue) -> Result<SqlValue, String> {
        let mut shared = self.lock();
        let before = shared.vars.get(name).cloned().unwrap_or(SqlValue::Null);
        let sum = sum(&before, number).ok_or_else(|| {
            format!(
                "`{name}`: {} cannot be added to {}",
                crate::history::show(number),
                crate::history::show(&before)
            )
        })?;
        shared.vars.insert(name.to_owned(), sum.clone());
        Ok(sum)
    }

    /// Appends a value to a series.
    pub fn record(&self, series: &str, value: SqlValue) {
        let at_us = self.now_us();
        let mut shared = self.lock();
        shared
            .series
            .entry(series.to_owned())
            .or_default()
            .push((at_us, value));
    }

    /// One look at a job; what has changed since the look before, whoever looked, comes as events.
    pub fn saw_job(&self, connection: usize, seen: &JobSeen) {
        let at_us = self.now_us();
        let mut come: Vec<&str> = Vec::new();
        {
            let mut shared = self.lock();
            let known = shared
                .jobs
                .iter()
                .position(|job| job.kind == seen.kind && job.id == seen.id);
            let number = known.unwrap_or_else(|| {
                shared.jobs.push(JobRecord {
                    kind: seen.kind,
                    id: seen.id,
                    watchers: Vec::new(),
                    phases: Vec::new(),
                    fields: Vars::new(),
                    ended: false,
                });
                shared.jobs.len() - 1
            });
            let Some(job) = shared.jobs.get_mut(number) else {
                return;
            };
            if !job.watchers.contains(&connection) {
                job.watchers.push(connection);
            }
            // An older look may come in later than a newer one of another connection.
            let both = format!("{} {}", seen.status, seen.phase);
            let both = both.trim().to_owned();
            let last = job.phases.last().is_some_and(|(_, last)| *last == both);
            let known = job.phases.iter().any(|(_, earlier)| *earlier == both);
            if job.ended || (known && !last && !seen.ended) {
                return;
            }
            let changed = |field: &str, now: &str| !matches!(job.fields.get(field), Some(SqlValue::Text(before)) if before == now);
            if changed("status", &seen.status) {
                come.push(&seen.status);
            }
            if changed("phase", &seen.phase) && !seen.phase.is_empty() {
                come.push(&seen.phase);
            }
            if !last {
                job.phases.push((at_us, both));
            }
            job.fields.clone_from(&seen.fields);
            job.ended = seen.ended;
        }
        if seen.ended {
            come.push("ended");
        }
        for what in come {
            let what = what.replace([' ', '-'], "_");
            self.bring(connection, &format!("{}.{what}", seen.kind.word()), true);
        }
    }

    /// The connections of which the server says that their statements wait.
    pub fn set_blocked(&self, blocked: BTreeSet<usize>) {
        self.lock().blocked = blocked;
    }

    /// Connections with a statement that has run for so long, each with the number of its record.
    #[must_use]
    pub fn slow(&self, at_least: Duration) -> BTreeMap<usize, usize> {
        let now_us = self.now_us();
        let shared = self.lock();
        let slow = shared.running.iter().filter(|(_, number)| {
            let record = shared.steps.get(**number);
            let for_us = record.map_or(0, |record| now_us.saturating_sub(record.started_us));
            u128::from(for_us) >= at_least.as_micros()
        });
        slow.map(|(connection, number)| (*connection, *number)).collect()
    }

    /// Looks at what is shared and changes it, in one go.
    pub fn look_and_change<T>(&self, change: impl FnOnce(&mut SharedState) -> T) -> T {
        change(&mut self.lock())
    }

    /// Connections that have a session and run no statement.
    #[must_use]
    pub fn resting(&self) -> Vec<usize> {
        let shared = self.lock();
        let resting = shared.connections.iter().enumerate().filter(|(number, own)| {
            own.status == Status::Testing && own.gone_us.is_none() && !shared.running.contains_key(number)
        });
        resting.map(|(number, _)| number).collect()
    }

    /// The session of a connection that rests is no longer there.
    pub fn note_gone(&self, connection: usize, session: u64) {
        let at_us = self.now_us();
        let mut shared = self.lock();
        let busy = shared.running.contains_key(&connection);
        if let Some(record) = shared.connections.get_mut(connection) {
            // It may have ended, or opened another session, while the server was asked.
            let same = record.sessions.last() == Some(&session) && record.status == Status::Testing;
            if same && !busy {
                tracing::warn!(connection = record.name, session, "its session is gone");
                record.gone_us = Some(at_us);
            }
        }
    }

    /// Looks at what is shared, as it is now.
    pub fn look<T>(&self, look: impl FnOnce(&SharedState) -> T) -> T {
        look(&self.lock())
    }

    /// Writes down where each connection is that has not ended: the trial ends here.
    pub fn note_whereabouts(&self) {
        let whereabouts = self.waits().all_whereabouts();
        let mut shared = self.lock();
        for (connection, whereabouts) in whereabouts {
            if let Some(record) = shared.connections.get_mut(connection) {
                record.failure = Some(whereabouts);
            }
        }
    }

    /// Ends all waits: the trial ends here.
    pub fn end_all_waits(&self) {
        self.waits().end_all();
    }
}

fn sum(before: &SqlValue, number: &SqlValue) -> Option<SqlValue> {
    if let (SqlValue::Int(one), SqlValue::Int(other)) = (before, number) {
        return one.checked_add(*other).map(SqlValue::Int);
    }
    if matches!(before, SqlValue::Float(_)) || matches!(number, SqlValue::Float(_)) {
        return Some(SqlValue::Float(float(before)? + float(number)?));
    }
    let sum = decimal(before)? + decimal(number)?;
    Some(SqlValue::Decimal(sum.to_plain_string()))
}

fn float(value: &SqlValue) -> Option<f64> {
    match value {
        SqlValue::Float(number) => Some(*number),
        other => decimal(other)?.to_string().parse().ok(),
    }
}

fn decimal(value: &SqlValue) -> Option<BigDecimal> {
    match value {
        SqlValue::Int(number) => Some(BigDecimal::from(*number)),
        SqlValue::Decimal(text) => BigDecimal::from_str(text).ok(),
        SqlValue::Null
        | SqlValue::Float(_)
        | SqlValue::Text(_)
        | SqlValue::Bytes(_)
        | SqlValue::Time(_)
        | SqlValue::Json(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::JobKind;

    #[test]
    fn an_older_look_that_comes_in_late_brings_no_event_twice() {
        let coordinator = Coordinator::new(["a", "b"], Vars::new());
        let seen = |status: &str, phase: &str| JobSeen {
            kind: JobKind::Import,
            id: 7,
            status: status.to_owned(),
            phase: phase.to_owned(),
            fields: Vars::from([
                ("status".to_owned(), SqlValue::Text(status.to_owned())),
                ("phase".to_owned(), SqlValue::Text(phase.to_owned())),
            ]),
            ended: status == "finished",
        };
        for (who, status, phase) in [
            (0, "pending", ""),
            (0, "running", "importing"),
            (1, "pending", ""),
            (1, "running", "importing"),
            (0, "running", "validating"),
            (1, "running", "importing"),
            (0, "finished", ""),
            (1, "running", "validating"),
        ] {
            coordinator.saw_job(who, &seen(status, phase));
        }
        let events = coordinator.look(|shared| {
            let names = shared.events.iter().map(|event| event.name.clone());
            names.collect::<Vec<_>>()
        });
        let wanted = [
            "pending",
            "running",
            "importing",
            "validating",
            "finished",
            "ended",
        ];
        assert_eq!(events, wanted.map(|word| format!("import.{word}")));
    }

    #[test]
    fn numbers_of_any_type_are_added_and_nothing_else() {
        let decimal = |text: &str| SqlValue::Decimal(text.to_owned());
        for (before, number, wanted) in [
            (SqlValue::Int(1), SqlValue::Int(-3), Some(SqlValue::Int(-2))),
            (SqlValue::Int(1), decimal("0.10"), Some(decimal("1.10"))),
            (SqlValue::Float(0.5), SqlValue::Int(1), Some(SqlValue::Float(1.5))),
            (SqlValue::Text("1".to_owned()), SqlValue::Int(1), None),
            (SqlValue::Null, SqlValue::Int(1), None),
            (SqlValue::Int(i128::MAX), SqlValue::Int(1), None),
        ] {
            assert_eq!(sum(&before, &number), wanted, "{before:?} + {number:?}");
        }
    }
}
