//! The user-level locks that a session holds, or may hold, as far as its own statements tell.

use crate::history::{Outcome, RowSet, SqlValue};
use crate::sql::{Kind, Statement, UserLockCall, UserLockFunction};

/// The locks of one session. One that is got twice is released twice, as the server has it.
#[derive(Debug, Clone, Default)]
pub(super) struct UserLocks {
    /// For each time that one was got, or may have been.
    held: Vec<Held>,
}

#[derive(Debug, Clone)]
struct Held {
    /// As [`UserLockName::told`](crate::sql::UserLockName::told) tells it, where the text does.
    name: Option<String>,
    /// Whether its call returned 1.
    certain: bool,
}

impl UserLocks {
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether one of which this is so is held, or may be: one whose name is not known may be any.
    pub fn may_hold(&self, is: impl Fn(&str) -> bool) -> bool {
        self.held.iter().any(|held| held.name.as_deref().is_none_or(&is))
    }

    /// Whether one of which this is so is held for certain.
    pub fn has(&self, is: impl Fn(&str) -> bool) -> bool {
        let certain = self.held.iter().filter(|held| held.certain);
        certain.filter_map(|held| held.name.as_deref()).any(is)
    }

    /// Takes note of a statement and what came of it. `known` tells that it is what the server ran, and no EXECUTE of
    /// something else.
    pub fn note(&mut self, statement: &Statement, known: bool, outcome: &Outcome) {
        let (rows, complete) = match outcome {
            Outcome::Rows(rows) => (Some(rows), true),
            Outcome::Done(_) => (None, true),
            Outcome::Lost { .. } => {
                *self = Self::default();
                return;
            }
            Outcome::Refused(_) if is_single(statement) => return,
            Outcome::Unanswered { .. } => return,
            // It was ended after some of its calls, or before. A KILL does not end GET_LOCK.
            Outcome::Refused(_) | Outcome::TimedOut { .. } => (None, false),
        };
        if !known {
            self.held.push(Held {
                name: None,
                certain: false,
            });
        }
        for call in statement.user_locks() {
            self.note_call(call, rows, complete);
        }
    }

    fn note_call(&mut self, call: &UserLockCall, rows: Option<&RowSet>, complete: bool) {
        // What the call returned, where the result has just that.
        let returned = rows.zip(call.column).and_then(|(rows, column)| {
            let [row] = rows.rows.as_slice() else { return None };
            row.get(column)
        });
        if returned.is_some_and(|value| *value != SqlValue::Int(1))
            && call.function != UserLockFunction::ReleaseAll
        {
            // Not got, or nothing to release.
            return;
        }
        let name = call.name.told().map(str::to_owned);
        match call.function {
            UserLockFunction::Get => {
                let certain = returned == Some(&SqlValue::Int(1));
                self.held.push(Held { name, certain });
            }
            UserLockFunction::Look => {}
            _ if !complete => {}
            UserLockFunction::ReleaseAll => *self = Self::default(),
            UserLockFunction::Release => {
                if name.is_none() {
                    self.held.iter_mut().for_each(|held| held.certain = false);
                }
                // Of several of one name one is released. Where the name is not known, any may be.
                let at = self.held.iter().rposition(|held| held.name == name);
                if let Some(at) = at.filter(|_| name.is_some() || self.held.len() == 1) {
                    self.held.remove(at);
                }
            }
        }
    }
}

/// Whether the statement does nothing but one call, so that its failure is the call's.
fn is_single(statement: &Statement) -> bool {
    let [call] = statement.user_locks() else {
        return false;
    };
    let only = matches!(statement.kind, Kind::GetLock { .. } | Kind::ReleaseLock { .. });
    only && (call.column == Some(0) || call.column.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Done, SqlError};

    /// One row with these values.
    fn row(values: &[i128]) -> Outcome {
        Outcome::Rows(RowSet {
            rows: vec![values.iter().map(|value| SqlValue::Int(*value)).collect()],
            ..RowSet::default()
        })
    }

    fn done() -> Outcome {
        Outcome::Done(Done::default())
    }

    fn error() -> Outcome {
        Outcome::Refused(SqlError {
            code: 3058,
            sqlstate: "HY000".to_owned(),
            message: String::new(),
        })
    }

    /// What may be held after these statements.
    fn held(statements: &[(&str, Outcome)]) -> Vec<String> {
        let mut transaction = crate::transaction::Transaction::default();
        for (sql, outcome) in statements {
            transaction.note(sql, outcome, None);
        }
        let names = transaction.user_locks.held.into_iter();
        names
            .map(|held| held.name.unwrap_or_else(|| "?".to_owned()))
            .collect()
    }

    #[test]
    fn locks_are_held_from_the_call_to_the_release() {
        type Ran<'a> = &'a [(&'a str, Outcome)];
        let cases: &[(Ran<'_>, &[&str])] = &[
            (&[("select get_lock('X', 1)", row(&[1]))], &["x"]),
            (&[("select get_lock('x', 1)", row(&[0]))], &[]),
            (&[("select 1, get_lock('x', 0)", row(&[1, 0]))], &[]),
            (
                &[("select get_lock('x', 0), get_lock('y', 0)", row(&[0, 1]))],
                &["y"],
            ),
            (&[("select get_lock('x', 1)", error())], &[]),
            (&[("do get_lock('x', 1)", done())], &["x"]),
            (&[("do get_lock('x', 1)", error())], &[]),
            (&[("set @a = get_lock('x', 1)", done())], &["x"]),
            (&[("select if(1, get_lock('x', 1), 0)", row(&[0]))], &["x"]),
            (&[("insert into t values (get_lock('x', 1))", done())], &["x"]),
            (&[("insert into t values (get_lock('x', 1))", error())], &["x"]),
            (&[("select get_lock(n, 1) from t", row(&[1]))], &["?"]),
            (&[("select get_lock(?, 1)", row(&[1]))], &["?"]),
            (
                &[
                    ("select get_lock('x', 1)", row(&[1])),
                    ("select get_lock('x', 1)", row(&[1])),
                    ("do release_lock('X')", done()),
                ],
                &["x"],
            ),
            (
                &[
                    ("select get_lock('x', 1)", row(&[1])),
                    ("select release_lock('y')", row(&[0])),
                    ("select release_lock('x')", row(&[1])),
                ],
                &[],
            ),
            (
                &[
                    ("do get_lock('x', 1)", done()),
                    ("do get_lock('y', 1)", done()),
                    ("select release_all_locks()", row(&[2])),
                ],
                &[],
            ),
            (
                &[
                    ("prepare p from 'select get_lock(''x'', 1)'", done()),
                    ("execute p", row(&[1])),
                ],
                &["x"],
            ),
            (
                &[
                    ("prepare p from 'select get_lock(''x'', 1)'", done()),
                    ("execute p", row(&[0])),
                ],
                &[],
            ),
            (
                &[
                    ("prepare p from 'select n from t'", done()),
                    ("execute p", row(&[0])),
                ],
                &[],
            ),
            (&[("execute p", row(&[1]))], &["?"]),
            (
                &[
                    ("set @text = 'do get_lock(\\'x\\', 1)'", done()),
                    ("prepare p from @text", done()),
                    ("execute p", done()),
                    ("rollback", done()),
                ],
                &["x"],
            ),
            (&[("begin; do get_lock('x', 1)", done())], &["x"]),
        ];
        for (statements, want) in cases {
            assert_eq!(held(statements), *want, "{statements:?}");
        }
    }
}
