//! One transaction on its way into a history.

use super::history::Status;
use super::value::Value;

/// One operation of a [`Transaction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// What it did.
    pub action: Action,
    /// The timestamp that it read at (a plain read its snapshot, a locking read or DML its for_update_ts).
    pub read_ts: Option<u64>,
    /// Whether it read with a lock (FOR UPDATE).
    pub locking: bool,
    /// When it was sent and when it returned, in ns of the history's clock.
    pub time: Option<(u64, u64)>,
    /// Where it stands, as `file.yaml:12`: a text of the builder's names.
    pub place: Option<Value>,
}

impl From<Action> for Operation {
    fn from(action: Action) -> Self {
        Self {
            action,
            read_ts: None,
            locking: false,
            time: None,
            place: None,
        }
    }
}

/// What an operation did. Lists and rows stand in the transaction's own buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Appended a value to a list.
    Append(Value, Value),
    /// Set a register; null deletes it.
    Write(Value, Value),
    /// Read a register; null where there was none. Of a list, null is the empty list.
    Read(Value, Value),
    /// Read a list: where it begins and ends in the buffer.
    ReadList(Value, (u32, u32)),
    /// Read all rows with `from <= key < to`: where they begin and end in the buffer.
    Range(i64, i64, (u32, u32)),
    /// Counted the rows with `from <= key < to`.
    Count(i64, i64, u64),
}

/// One transaction on its way into a history. It is filled, added, cleared, and filled again, so that none of its
/// buffers is made twice.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// The connection that ran it: an integer or a name.
    pub process: Value,
    /// When its first statement was sent, in ns of one monotonic clock.
    pub invoke: Option<u64>,
    /// When its last statement (COMMIT, ROLLBACK) returned. Of an unknown outcome it says nothing.
    pub returned: Option<u64>,
    /// What became of it.
    pub status: Status,
    /// TiDB's start_ts.
    pub start_ts: Option<u64>,
    /// TiDB's for_update_ts of the last statement.
    pub for_update_ts: Option<u64>,
    /// TiDB's commit_ts.
    pub commit_ts: Option<u64>,
    /// Where it stands, as `file.yaml:12`: a text of the builder's names.
    pub place: Option<Value>,
    /// Its line in the file that it was read from.
    pub line: Option<u32>,
    operations: Vec<Operation>,
    values: Vec<Value>,
    rows: Vec<(Value, Value)>,
}

impl Default for Transaction {
    fn default() -> Self {
        Self {
            process: Value::NULL,
            invoke: None,
            returned: None,
            status: Status::Ok,
            start_ts: None,
            for_update_ts: None,
            commit_ts: None,
            place: None,
            line: None,
            operations: Vec::new(),
            values: Vec::new(),
            rows: Vec::new(),
        }
    }
}

impl Transaction {
    /// Empties it, its buffers kept.
    pub fn clear(&mut self) {
        let mut empty = Self {
            operations: std::mem::take(&mut self.operations),
            values: std::mem::take(&mut self.values),
            rows: std::mem::take(&mut self.rows),
            ..Self::default()
        };
        empty.operations.clear();
        empty.values.clear();
        empty.rows.clear();
        *self = empty;
    }

    /// Adds an operation; more of it can be said by what is returned.
    pub fn push(&mut self, action: Action) -> &mut Operation {
        self.operations.push(action.into());
        self.operations.last_mut().expect("just pushed")
    }

    /// Its last operation, of which more can be said.
    pub fn last_mut(&mut self) -> Option<&mut Operation> {
        self.operations.last_mut()
    }

    /// Adds the read of a list.
    pub fn read_list(&mut self, key: Value, values: impl IntoIterator<Item = Value>) -> &mut Operation {
        let from = index(self.values.len());
        self.values.extend(values);
        let to = index(self.values.len());
        self.push(Action::ReadList(key, (from, to)))
    }

    /// Adds the read of all rows with `from <= key < to`.
    pub fn read_range(
        &mut self,
        from: i64,
        to: i64,
        rows: impl IntoIterator<Item = (Value, Value)>,
    ) -> &mut Operation {
        let first = index(self.rows.len());
        self.rows.extend(rows);
        let last = index(self.rows.len());
        self.push(Action::Range(from, to, (first, last)))
    }

    /// Its operations, in their order.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The values of a list that was read.
    #[must_use]
    pub fn values(&self, at: (u32, u32)) -> &[Value] {
        &self.values[at.0 as usize..at.1 as usize]
    }

    /// The rows of a range that was read.
    #[must_use]
    pub fn rows(&self, at: (u32, u32)) -> &[(Value, Value)] {
        &self.rows[at.0 as usize..at.1 as usize]
    }
}

pub(super) fn index(value: usize) -> u32 {
    u32::try_from(value).expect("a transaction has fewer than 2^32 values")
}
