//! What an action has given.

use crate::history::{Outcome, RowSet, SessionFlags};
use crate::transaction::Transaction;

/// A statement that was run.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub sql: String,
    pub outcome: Outcome,
    /// What the answer said of the session.
    pub flags: Option<SessionFlags>,
}

/// What an action has given.
#[derive(Debug)]
pub(super) struct Acted {
    pub outcome: Outcome,
    /// The number of the statement that gave the outcome.
    pub statement: usize,
    pub ran: Vec<Answer>,
    /// Whether the session may be another than before it.
    pub asked_server: bool,
    /// The state that a handler leads to.
    pub next: Option<String>,
    /// Whether all jobs that are watched have ended.
    pub job_ended: bool,
}

impl Acted {
    /// Of an action that runs no statement.
    pub(super) fn single(outcome: Outcome) -> Self {
        Self {
            outcome,
            statement: 0,
            ran: Vec::new(),
            asked_server: false,
            next: None,
            job_ended: false,
        }
    }

    /// Of one statement.
    pub(super) fn ran(sql: String, outcome: Outcome, flags: Option<SessionFlags>) -> Self {
        let answer = Answer {
            sql,
            outcome: without_rows(&outcome),
            flags,
        };
        Self {
            ran: vec![answer],
            asked_server: true,
            ..Self::single(outcome)
        }
    }

    /// Takes note of what it means for the session's transaction; `flags` is what the server says after all of it.
    /// Returns the number of the transaction that the last statement was part of.
    pub(super) fn note(&self, transaction: &mut Transaction, flags: Option<SessionFlags>) -> Option<u32> {
        let mut txn = None;
        for (number, one) in self.ran.iter().enumerate() {
            let last = number + 1 == self.ran.len();
            let flags = one.flags.or(flags.filter(|_| last));
            txn = transaction.note(&one.sql, &one.outcome, flags);
        }
        match flags {
            // A handler's statements are not known one by one.
            Some(flags) if self.ran.is_empty() => transaction.observe(flags),
            Some(_) | None => {}
        }
        txn
    }
}

/// The transaction's state needs the outcome, not thousands of rows.
fn without_rows(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Rows(set) if set.rows.len() > 1 => Outcome::Rows(RowSet::default()),
        other => other.clone(),
    }
}
