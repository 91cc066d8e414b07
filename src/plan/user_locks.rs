//! The user-level locks that a trial has to do with: they are the whole server's, so that trials that name the same
//! one take turns.

use std::collections::BTreeSet;

use super::Value;
use super::server_changes::{OnServer, Parts, is_own, is_unknown};
use crate::history::SqlValue;
use crate::sql::{Statement, UserLockFunction, UserLockName, classify};

/// The user-level locks of a trial that others may name as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserLocks {
    /// Their names, in lower case: the server takes `A` and `a` for the same lock.
    pub names: BTreeSet<String>,
    /// Whether there is one whose name only a run knows.
    pub unknown: bool,
}

impl UserLocks {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.unknown
    }

    pub(super) fn of(parts: &Parts<'_>) -> Self {
        let mut found = Self::default();
        for one in parts.statements() {
            let statement = classify(&one.text);
            let mut inner = Some(&statement);
            while let Some(statement) = inner {
                found.add(&one, statement);
                inner = statement.prepared();
            }
        }
        found
    }

    fn add(&mut self, one: &OnServer<'_>, statement: &Statement) {
        for call in statement.user_locks() {
            if call.function == UserLockFunction::ReleaseAll {
                continue;
            }
            let name = match &call.name {
                UserLockName::Literal(name) => Some(name.clone()),
                // No other trial has a database of this name.
                UserLockName::OfDatabase(_) => continue,
                UserLockName::Parameter(number) => match one.params.get(*number) {
                    Some(Value::Plain(SqlValue::Text(name))) => Some(name.to_lowercase()),
                    Some(Value::Plain(SqlValue::Int(number))) => Some(number.to_string()),
                    Some(_) | None => None,
                },
                UserLockName::Unknown => None,
            };
            match name {
                Some(name) if is_own(&name) => {}
                Some(name) if !is_unknown(&name) => drop(self.names.insert(name)),
                Some(_) | None => self.unknown = true,
            }
        }
    }
}
