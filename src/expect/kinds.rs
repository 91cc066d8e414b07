//! All kinds of expectation.
//!
//! To add one: a file with a `read` function, its `mod` line, and one row of [`KINDS`].

use super::kind::{Kind, Reading};
use super::{
    affected, columns, contains, count, duration, error, last_insert_id, one_of, plan, row, rows, unordered,
    value, warnings,
};
use crate::scenario::keys::Form;
use crate::source::{Diagnostic, SourceFile};

/// All kinds of expectation that a result can have, in the order of the reference.
pub const KINDS: &[Kind] = &[
    Kind {
        key: "rows",
        about: "exactly these rows, in this order",
        group: "rows",
        excludes: &["rows", "error", "affected", "last_insert_id"],
        form: Form::Rows,
        read: rows::read,
    },
    Kind {
        key: "unordered",
        about: "exactly these rows, in any order",
        group: "rows",
        excludes: &["rows", "error", "affected", "last_insert_id"],
        form: Form::Rows,
        read: unordered::read,
    },
    Kind {
        key: "row",
        about: "exactly this one row",
        group: "rows",
        excludes: &["rows", "error", "affected", "last_insert_id"],
        form: Form::Row,
        read: row::read,
    },
    Kind {
        key: "value",
        about: "one row of one column with this value",
        group: "rows",
        excludes: &["rows", "error", "affected", "last_insert_id"],
        form: Form::Value,
        read: value::read,
    },
    Kind {
        key: "count",
        about: "the number of rows",
        group: "count",
        excludes: &["error", "affected", "last_insert_id"],
        form: Form::Count,
        read: count::read,
    },
    Kind {
        key: "columns",
        about: "the names of the columns",
        group: "columns",
        excludes: &["error", "affected", "last_insert_id"],
        form: Form::List(0, &Form::Single),
        read: columns::read,
    },
    Kind {
        key: "contains",
        about: "at least these rows, in any order",
        group: "contains",
        excludes: &["error", "affected", "last_insert_id"],
        form: Form::Rows,
        read: contains::read,
    },
    Kind {
        key: "affected",
        about: "the number of affected rows",
        group: "affected",
        excludes: &["error"],
        form: Form::Count,
        read: affected::read,
    },
    Kind {
        key: "last_insert_id",
        about: "the first generated AUTO_INCREMENT value",
        group: "last_insert_id",
        excludes: &["error"],
        form: Form::Count,
        read: last_insert_id::read,
    },
    Kind {
        key: "warnings",
        about: "the number of warnings, or the warnings themselves",
        group: "warnings",
        excludes: &["error"],
        form: Form::Either(&[Form::Count, Form::List(0, &Form::Error)]),
        read: warnings::read,
    },
    Kind {
        key: "error",
        about: "the error with which the statement must fail",
        group: "error",
        excludes: &[],
        form: Form::Error,
        read: error::read,
    },
    Kind {
        key: "one_of",
        about: "one of these sets of expectations must hold",
        group: "one_of",
        excludes: &[],
        form: Form::List(2, &Form::Expectations),
        read: one_of::read,
    },
    Kind {
        key: "within",
        about: "the longest time until the answer",
        group: "within",
        excludes: &[],
        form: Form::Duration,
        read: duration::read_within,
    },
    Kind {
        key: "at_least",
        about: "the shortest time until the answer",
        group: "at_least",
        excludes: &[],
        form: Form::Duration,
        read: duration::read_at_least,
    },
    Kind {
        key: "plan",
        about: "what the execution plan must use or avoid, such as an index",
        group: "plan",
        excludes: &["error"],
        form: Form::Object(plan::KEYS, &[]),
        read: plan::read,
    },
];

impl<'a> Reading<'a> {
    /// Reads expectations of this file; mistakes are added to the list.
    pub fn new(file: &'a SourceFile, problems: &'a mut Vec<Diagnostic>) -> Self {
        Self {
            file,
            problems,
            kinds: KINDS,
        }
    }
}
