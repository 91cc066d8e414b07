//! The operations of a workload's transactions: each runs a statement and records what it did or saw.

use std::collections::BTreeMap;

use super::client::{Client, Stop, integer, unexpected, value};
use crate::history::{Outcome, SqlValue};
use crate::isolation::{Action, ReadLock, Value};

/// A query, with and without the session's timestamps.
#[derive(Debug)]
pub(super) struct Query {
    plain: String,
    stamped: String,
    locks: bool,
}

impl Query {
    /// `what` from `from`, as the workload reads.
    pub(super) fn new(what: &str, from: &str, lock: ReadLock) -> Self {
        let locks = lock == ReadLock::ForUpdate;
        let lock = match lock {
            ReadLock::Plain => "",
            ReadLock::ForUpdate => " for update",
        };
        Self {
            plain: format!("select {what} from {from}{lock}"),
            stamped: format!("select {what}, @@tidb_current_ts, @@tidb_last_txn_info from {from}{lock}"),
            locks,
        }
    }
}

impl Client {
    /// Runs a query of these many columns. The first one of a transaction brings the timestamps as well.
    async fn query(
        &mut self,
        query: &Query,
        params: &[SqlValue],
        columns: usize,
    ) -> Result<(Vec<Vec<SqlValue>>, (u64, u64)), Stop> {
        let stamped = self.shared.stamps && !self.stamped;
        let sql = if stamped { &query.stamped } else { &query.plain };
        let sent = self.now();
        let outcome = self.send(sql, params).await;
        let time = (sent, self.now());
        match outcome {
            Outcome::Rows(set) => {
                if stamped {
                    self.take_stamps(set.rows.first().and_then(|row| row.get(columns..)));
                }
                Ok((set.rows, time))
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Reads a register: the query has its value, or no row.
    pub(super) async fn read(&mut self, query: &Query, key: i64) -> Result<Option<i64>, Stop> {
        self.shared.contention.touch(&mut self.touched, key, false);
        let params = [SqlValue::Int(i128::from(key))];
        let (rows, time) = self.query(query, &params, 1).await?;
        let seen = integer(rows.first().and_then(|row| row.first()));
        self.note_read(
            query,
            Action::Read(value(key), seen.map_or(Value::NULL, value)),
            time,
        );
        Ok(seen)
    }

    /// Reads registers by one query of keys and values, for these keys: those without a row are absent.
    pub(super) async fn read_all(&mut self, query: &Query, keys: &[i64]) -> Result<BTreeMap<i64, i64>, Stop> {
        for key in keys {
            self.shared.contention.touch(&mut self.touched, *key, false);
        }
        let (rows, time) = self.query(query, &[], 2).await?;
        let seen: BTreeMap<i64, i64> = rows
            .iter()
            .filter_map(|row| Some((integer(row.first())?, integer(row.get(1))?)))
            .collect();
        for key in keys {
            let seen = seen.get(key).map_or(Value::NULL, |seen| value(*seen));
            self.note_read(query, Action::Read(value(*key), seen), time);
        }
        Ok(seen)
    }

    /// Reads a list: the query has its elements as text with `,` between them, or no row.
    pub(super) async fn read_list(&mut self, query: &Query, key: i64) -> Result<(), Stop> {
        self.shared.contention.touch(&mut self.touched, key, false);
        let params = [SqlValue::Int(i128::from(key))];
        let (rows, time) = self.query(query, &params, 1).await?;
        let text = match rows.first().and_then(|row| row.first()) {
            Some(SqlValue::Text(text)) => text.as_str(),
            Some(other) => {
                return Err(Stop::Unexpected(format!(
                    "a list is {}",
                    crate::history::show(other)
                )));
            }
            None => "",
        };
        let mut elements = Vec::new();
        for element in text.split(',').filter(|element| !element.is_empty()) {
            let Ok(element) = element.parse() else {
                return Err(Stop::Unexpected(format!("an element of a list is `{element}`")));
            };
            elements.push(value(element));
        }
        let operation = self.current.read_list(value(key), elements);
        operation.time = Some(time);
        operation.locking = query.locks;
        Ok(())
    }

    /// Reads the keys of a range, which are their own values.
    pub(super) async fn read_range(&mut self, query: &Query, from: i64, to: i64) -> Result<Vec<i64>, Stop> {
        // They would stand in each row.
        self.ask_stamps().await?;
        let params = [from, to].map(|bound| SqlValue::Int(i128::from(bound)));
        let (rows, time) = self.query(query, &params, 1).await?;
        let seen: Vec<i64> = rows.iter().filter_map(|row| integer(row.first())).collect();
        let pairs = seen.iter().map(|key| (value(*key), value(*key)));
        let operation = self.current.read_range(from, to, pairs);
        operation.time = Some(time);
        operation.locking = query.locks;
        Ok(seen)
    }

    fn note_read(&mut self, query: &Query, action: Action, time: (u64, u64)) {
        let operation = self.current.push(action);
        operation.time = Some(time);
        operation.locking = query.locks;
    }

    /// Writes: what is written stands in the history even if the statement fails, so that it is known who wrote it.
    pub(super) async fn write(&mut self, sql: &str, params: &[i64], action: Action) -> Result<(), Stop> {
        let (Action::Write(key, _) | Action::Append(key, _)) = action else {
            return Err(Stop::Unexpected("this is no write".to_owned()));
        };
        if let Some(key) = key.as_integer() {
            self.shared.contention.touch(&mut self.touched, key, true);
        }
        let sent = self.now();
        self.current.push(action).time = Some((sent, sent));
        let params: Vec<SqlValue> = params.iter().map(|one| SqlValue::Int(i128::from(*one))).collect();
        let outcome = self.send(sql, &params).await;
        let returned = self.now();
        if let Some(operation) = self.current.last_mut() {
            operation.time = Some((sent, returned));
        }
        match outcome {
            Outcome::Done(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Changes a register from one value to another by one statement, which changes no row if the register has another
    /// value; whether it did.
    pub(super) async fn change(
        &mut self,
        sql: &str,
        params: &[i64],
        key: i64,
        (old, new): (Option<i64>, i64),
    ) -> Result<bool, Stop> {
        self.shared.contention.touch(&mut self.touched, key, true);
        let sent = self.now();
        let params: Vec<SqlValue> = params.iter().map(|one| SqlValue::Int(i128::from(*one))).collect();
        let outcome = self.send(sql, &params).await;
        let time = Some((sent, self.now()));
        match outcome {
            Outcome::Done(done) if done.affected == 0 => Ok(false),
            Outcome::Done(_) => {
                let read = self
                    .current
                    .push(Action::Read(value(key), old.map_or(Value::NULL, value)));
                (read.time, read.locking) = (time, true);
                self.current.push(Action::Write(value(key), value(new))).time = time;
                Ok(true)
            }
            other => Err(unexpected(&other)),
        }
    }
}
