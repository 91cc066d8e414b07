//! Traces reads of registers whose values are written more than once: by timestamps, where there are any.

use super::builder::Unusable;
use super::history::{History, Kind, NONE};
use super::value::Value;
use super::versions::{INITIAL, Versions};

impl Versions {
    /// Reads of values that were written more than once: by timestamps, where there are any.
    pub(super) fn trace_repeated(&mut self, history: &History) -> Result<(), Unusable> {
        for transaction in 0..history.count_u32() {
            if self.source.is_empty() || !self.is_committed(transaction) {
                continue;
            }
            for operation in history.operations_of(transaction) {
                let ts = || history.read_timestamp(transaction, operation);
                match history.kind_of(operation) {
                    Kind::Read if self.source[operation as usize] == NONE => {
                        let (key, value) = (history.key_of(operation), history.value_of(operation));
                        self.source[operation as usize] =
                            self.by_timestamp(history, operation, key, value, ts())?;
                    }
                    Kind::Range => {
                        let (from, to) = history.range_of(operation).rows;
                        for row in from..to {
                            if self.row_source[row as usize] == NONE {
                                let (key, value) = history.rows[row as usize];
                                self.row_source[row as usize] =
                                    self.by_timestamp(history, operation, key, value, ts())?;
                            }
                        }
                        self.untraced += self.untold_absences(history, operation, ts());
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// How many rows a range did not show of which it isn't known whether they were deleted or not there yet.
    fn untold_absences(&self, history: &History, operation: u32, ts: Option<u64>) -> usize {
        let range = history.range_of(operation);
        let rows = history.rows_of(range);
        let is_absent = |key: &&u32| rows.binary_search_by_key(*key, |(key, _)| *key).is_err();
        let keys = self.keys_within(range.from, range.to).iter().filter(is_absent);
        keys.filter(|key| self.absent(history, **key, ts) == NONE).count()
    }

    fn by_timestamp(
        &mut self,
        history: &History,
        read: u32,
        key: u32,
        value: Value,
        ts: Option<u64>,
    ) -> Result<u32, Unusable> {
        // A transaction reads its own write, whatever its timestamp.
        let own = history.operations_of(self.transaction_of(read)).start..read;
        let own = own
            .rev()
            .find(|at| history.kind_of(*at) == Kind::Write && history.key_of(*at) == key);
        if let Some(own) = own.filter(|own| history.value_of(*own) == value) {
            return Ok(own);
        }
        if let Some(found) = self.newest_at(history, key, ts) {
            let same = match found {
                INITIAL => value.is_null(),
                write => history.value_of(write) == value,
            };
            // Where they differ, the timestamp check says so.
            if same {
                return Ok(found);
            }
        } else if !value.is_null() {
            let same = |write: &&u32| history.value_of(**write) == value;
            let twice: Vec<u32> = self.writes.of(key).iter().filter(same).copied().collect();
            return Err(self.written_twice(history, twice[0], twice[1]));
        }
        self.untraced += 1;
        Ok(NONE)
    }

    /// The newest version at a timestamp, where all versions have one.
    pub(super) fn newest_at(&self, history: &History, key: u32, ts: Option<u64>) -> Option<u32> {
        let order = self.register_order.of(key);
        if history.is_list(key) || !self.is_total(key) {
            return None;
        }
        let ts = ts?;
        let commit_ts = |write: &u32| history.commit_ts.get(self.transaction_of(*write));
        if order.iter().any(|write| commit_ts(write) == 0) {
            return None;
        }
        let count = order.partition_point(|write| commit_ts(write) <= ts);
        Some(count.checked_sub(1).map_or(INITIAL, |at| order[at]))
    }

    /// Whether the row of a key that a range didn't show is known to be one version: that before any write.
    pub(super) fn absent(&self, history: &History, key: u32, ts: Option<u64>) -> u32 {
        if !self.deleted[key as usize] {
            return INITIAL;
        }
        let newest = self.newest_at(history, key, ts);
        newest
            .filter(|write| *write == INITIAL || history.value_of(*write).is_null())
            .unwrap_or(NONE)
    }
}
