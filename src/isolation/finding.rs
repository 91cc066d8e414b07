//! What is told of an anomaly: plain data, from which text and drawings are made.

use super::anomaly::Anomaly;
use super::history::{History, Kind, NEVER, Status};
use super::models::Model;
use super::value::Value;

/// An anomaly with its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub anomaly: Anomaly,
    /// What else it is called, such as write skew.
    pub also: Vec<Anomaly>,
    /// The weakest models that it refutes; none where it says nothing of models.
    pub weakest: Vec<Model>,
    /// The stronger models that are refuted with them.
    pub stronger: Vec<Model>,
    /// How many of its kind were found; of cycles, one is looked for.
    pub count: usize,
    /// Of a cycle: whether there is no shorter one of its kind.
    pub shortest: Option<bool>,
    /// The transactions that it has to do with.
    pub transactions: Vec<ShownTransaction>,
    /// How they lead to each other.
    pub edges: Vec<ShownEdge>,
    /// What happened, where it is no cycle.
    pub story: String,
}

/// A transaction, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownTransaction {
    /// `T3` for the third transaction of the history.
    pub name: String,
    /// The connection.
    pub process: String,
    /// What became of it.
    pub status: Status,
    /// When it began, in ns.
    pub invoke: Option<u64>,
    /// When it was known to be over, in ns.
    pub returned: Option<u64>,
    /// TiDB's timestamps, where they are known.
    pub start_ts: Option<u64>,
    /// The for_update_ts of its last statement.
    pub for_update_ts: Option<u64>,
    /// When it was committed.
    pub commit_ts: Option<u64>,
    /// Where it stands: in the YAML, else in the file of the history.
    pub place: Option<String>,
    /// Its operations, such as `read key 5: [1 2]`, each with its own timestamp and place if it has them.
    pub operations: Vec<String>,
}

/// An edge of a cycle, or what else joins two transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownEdge {
    /// The place of a transaction in the finding's.
    pub from: usize,
    /// The same of where it leads.
    pub to: usize,
    /// `ww`, `wr`, `rw`, `process`, `realtime`, …
    pub kind: &'static str,
    /// Why it is there: `T3 read [1 2] of key 5; T7 appended 3 next`.
    pub why: String,
}

/// So many operations of a transaction are shown.
const OPERATIONS_SHOWN: usize = 12;
/// So many elements of a list are shown, the last ones.
const ELEMENTS_SHOWN: usize = 8;

/// The name of a transaction.
pub(super) fn name(transaction: u32) -> String {
    format!("T{}", u64::from(transaction) + 1)
}

/// A list, or its end if it is a long one.
pub(super) fn list(history: &History, values: &[Value]) -> String {
    let skipped = values.len().saturating_sub(ELEMENTS_SHOWN);
    let shown = values[skipped..]
        .iter()
        .map(|value| history.names.show(*value).into_owned());
    let more = (skipped > 0).then(|| "…".to_owned());
    let parts: Vec<String> = more.into_iter().chain(shown).collect();
    format!("[{}]", parts.join(" "))
}

/// What the read of a list saw.
pub(super) fn list_read(history: &History, operation: u32) -> String {
    let read = history.list_read(operation);
    let values = &history.branches[read.branch as usize].values;
    list(history, &values[..read.length as usize])
}

/// An operation in words.
pub(super) fn operation(history: &History, at: u32) -> String {
    let key = || history.key_name(history.key_of(at));
    let value = || history.names.show(history.value_of(at)).into_owned();
    match history.kind_of(at) {
        Kind::Append => format!("append {} to key {}", value(), key()),
        Kind::Write if history.value_of(at).is_null() => format!("delete key {}", key()),
        Kind::Write => format!("write {} to key {}", value(), key()),
        Kind::Read => format!("read key {}: {}", key(), value()),
        Kind::ReadList => format!("read key {}: {}", key(), list_read(history, at)),
        Kind::Range => {
            let range = history.range_of(at);
            let rows = history.rows_of(range).iter();
            let shown: Vec<String> = rows
                .map(|(key, value)| format!("{}: {}", history.key_name(*key), history.names.show(*value)))
                .collect();
            format!(
                "read range {} to {}: {{{}}}",
                range.from,
                range.to,
                shown.join(", ")
            )
        }
        Kind::Count => {
            let range = history.range_of(at);
            format!("count range {} to {}: {}", range.from, range.to, range.count)
        }
    }
}

fn operation_with_details(history: &History, at: u32) -> String {
    let mut text = operation(history, at);
    if history.locking.get(at) {
        text.push_str(" for update");
    }
    if let Some(ts) = history.read_ts.given(at) {
        text.push_str(&format!(" at ts {ts}"));
    }
    if let Some((sent, returned)) = history.operation_time.given(at) {
        text.push_str(&format!(" ({} … {})", time(sent), time(returned)));
    }
    if let Some(place) = history.operation_place.given(at) {
        text.push_str(&format!(" — {}", history.places[place as usize]));
    }
    text
}

/// Nanoseconds, as `12.345 ms`.
pub(super) fn time(ns: u64) -> String {
    if ns == NEVER {
        return "…".to_owned();
    }
    let micros = ns / 1_000;
    if micros >= 10_000_000 {
        format!("{}.{:03} s", micros / 1_000_000, micros / 1_000 % 1_000)
    } else if micros == 0 && ns > 0 {
        format!("{ns} ns")
    } else {
        format!("{}.{:03} ms", micros / 1_000, micros % 1_000)
    }
}

/// A transaction as it is shown.
pub(super) fn shown(history: &History, transaction: u32) -> ShownTransaction {
    let at = transaction as usize;
    let timed = |time: u64| Some(time).filter(|time| history.timed && *time != NEVER);
    let operations = history.operations_of(transaction);
    let skipped = operations.len().saturating_sub(OPERATIONS_SHOWN);
    let mut texts: Vec<String> = operations
        .take(OPERATIONS_SHOWN)
        .map(|operation| operation_with_details(history, operation))
        .collect();
    if skipped > 0 {
        texts.push(format!("… {skipped} more"));
    }
    let line = history.line.given(transaction).map(|line| format!("line {line}"));
    let place = history
        .place
        .given(transaction)
        .map(|place| history.places[place as usize].to_string());
    ShownTransaction {
        name: name(transaction),
        process: history.process_name(transaction),
        status: history.status[at],
        invoke: timed(history.invoke[at]),
        returned: timed(history.returned[at]),
        start_ts: history.start_ts.given(transaction),
        for_update_ts: history.for_update_ts.given(transaction),
        commit_ts: history.commit_ts.given(transaction),
        place: match (place, line) {
            (Some(place), Some(line)) => Some(format!("{place}, {line}")),
            (place, line) => place.or(line),
        },
        operations: texts,
    }
}
