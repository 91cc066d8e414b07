//! What is said of a trial that is held: its sessions, what each does, and what it holds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::control::{Control, Controls};
use super::database::databases;
use super::driver::Driver;
use super::held::{Held, HeldConnection, Hold};
use crate::history::{History, Outcome, SqlValue};
use crate::machine::Command;
use crate::plan::{ControlId, TrialPlan};
use crate::sql::Product;

impl Driver<'_> {
    /// What has failed so far, if that is to be held.
    pub(super) fn failure_to_hold(&self, hold: &Hold, product: Product) -> Option<String> {
        let history = History {
            product,
            skipped: self.skipped.clone(),
            stopped: self.stopped.clone(),
            ..self.coordinator.history()
        };
        hold.0.failure(&self.plan, &history, false)
    }

    /// The trial as it is now.
    pub(super) async fn held(&mut self, failure: String, database: &str) -> Held {
        let plan = Arc::clone(&self.plan);
        let mut connections = Vec::new();
        let mut open = BTreeMap::new();
        for control in self.controls.ids() {
            let sessions = self.sessions_on(control);
            open.extend(open_transactions(&mut self.controls[control], &sessions).await);
        }
        for (number, own) in plan.connections.iter().enumerate() {
            let session = self.coordinator.session(number);
            connections.push(HeldConnection {
                name: own.name.clone(),
                session,
                doing: self.doing(number).await,
                holds: self.holds(number, session.and_then(|session| open.get(&session))),
            });
        }
        of_trial(&plan, self.controls, database, failure, connections).await
    }

    fn sessions_on(&self, control: ControlId) -> Vec<u64> {
        let numbers = (0..self.sessions.len()).filter(|number| self.sessions[*number].control == control);
        numbers
            .filter_map(|number| self.coordinator.session(number))
            .collect()
    }

    async fn doing(&mut self, number: usize) -> String {
        let line = |record: usize| self.plan.file.place(self.step_of(record).span.start).line;
        let Some(record) = self.sessions[number].running else {
            let last = (0..self.started_count())
                .rev()
                .find(|record| self.connection_of(*record) == number);
            return match (self.coordinator.session(number), last) {
                (None, _) => "it has no session".to_owned(),
                (Some(_), Some(last)) => format!("idle after line {}", line(last)),
                (Some(_), None) => "idle".to_owned(),
            };
        };
        let running = format!("runs line {}: {}", line(record), self.text_of(record));
        match self.is_blocked(record).await {
            Ok(Some(blocked)) => {
                let holders: Vec<&str> = blocked
                    .holders
                    .iter()
                    .map(|holder| self.plan.connections[*holder].name.as_str())
                    .collect();
                let by = match holders.as_slice() {
                    [] => {
                        "by a session outside of this trial, or one that the server does not name".to_owned()
                    }
                    names => format!("by {}", names.join(", ")),
                };
                let key = blocked.key.map(|key| format!(" ({key})")).unwrap_or_default();
                format!("{running}\n  blocked {by}{key}")
            }
            Ok(None) => format!("{running}\n  the server does not show that it is blocked"),
            Err(_) => format!("{running}\n  the server does not answer who is blocked"),
        }
    }

    fn holds(&self, number: usize, open: Option<&String>) -> Vec<String> {
        let transaction = &self.sessions[number].transaction;
        let mut holds: Vec<String> = open.cloned().into_iter().collect();
        if open.is_none() && self.sessions[number].running.is_none() && transaction.is_open() {
            holds.push("a transaction may be open: its statements say so, the server shows none".to_owned());
        }
        let names = RefCell::new(Vec::new());
        transaction.has_user_lock(|name| {
            names.borrow_mut().push(format!("the user-level lock '{name}'"));
            false
        });
        holds.extend(names.into_inner());
        holds
    }

    /// Closes the sessions of connections that have failed, which was put off for the hold.
    pub(super) fn close_failed(&mut self) {
        for connection in self.take_unclosed() {
            let slot = &mut self.sessions[connection];
            // A task that has ended has closed its session.
            let _ = slot.commands.send(Command::Fail);
            slot.transaction.in_no_session();
        }
    }
}

/// What is said of a trial that is held.
pub(super) async fn of_trial(
    plan: &TrialPlan,
    controls: &mut Controls,
    database: &str,
    failure: String,
    connections: Vec<HeldConnection>,
) -> Held {
    let main = plan.main_control();
    let mut servers = Vec::new();
    let others = controls.ids().filter(|control| *control != main);
    // The run's server has nothing of a trial that has a main one of its own, but connections may use it.
    for control in std::iter::once(main).chain(others) {
        let name = control.server.and_then(|number| plan.servers.get(number));
        servers.push((name.map(|own| own.name.clone()), controls[control].config.clone()));
    }
    let control = &mut controls[main];
    let lock_wait_seconds = match control.execute("select @@global.innodb_lock_wait_timeout").await {
        Outcome::Rows(set) => match set.rows.first().and_then(|row| row.first()) {
            Some(SqlValue::Int(seconds)) => Some(seconds.to_string()),
            Some(SqlValue::Text(seconds)) => Some(seconds.clone()),
            _ => None,
        },
        _ => None,
    };
    Held {
        failure,
        databases: databases(plan, database),
        servers,
        connections,
        lock_wait_seconds,
    }
}

/// The open transactions of these sessions, in words; nothing where the server does not tell.
async fn open_transactions(control: &mut Control, sessions: &[u64]) -> BTreeMap<u64, String> {
    let ids: Vec<String> = sessions.iter().map(u64::to_string).collect();
    if ids.is_empty() || control.connection.product() != Product::TiDb {
        return BTreeMap::new();
    }
    let sql = format!(
        "select session_id, mem_buffer_keys, (select group_concat(concat(table_schema, '.', table_name) order by 1 separator \
         ', ') from information_schema.tables where find_in_set(tidb_table_id, related_table_ids)) \
         from information_schema.tidb_trx where session_id in ({})",
        ids.join(",")
    );
    let Outcome::Rows(set) = control.execute(&sql).await else {
        return BTreeMap::new();
    };
    let row = |row: &Vec<SqlValue>| {
        let [SqlValue::Int(session), SqlValue::Int(keys), tables] = row.as_slice() else {
            return None;
        };
        let tables = match tables {
            SqlValue::Text(tables) => format!("; it has used {tables}"),
            _ => String::new(),
        };
        let keys = match keys {
            1 => "1 key".to_owned(),
            more => format!("{more} keys"),
        };
        let text = format!("an open transaction: {keys} changed or locked{tables}");
        Some((u64::try_from(*session).ok()?, text))
    };
    set.rows.iter().filter_map(row).collect()
}
