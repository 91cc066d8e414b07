//! What each connection did, in the order of time: one column for each connection, or a list where there is no room.

use std::collections::BTreeMap;

use super::layout::{Entry, Line, layout};
use crate::history::{History, Outcome, RowSet, SqlValue, StepRecord, Wait, Went, describe, show};
use crate::plan::{Action, Step, TrialPlan};
use crate::sql::{classify, redact};
use crate::verdict::rule_in_words;

/// How wide a timeline is where nobody says how much room there is.
const WIDTH: usize = 100;
/// At most this many rows of a result are shown.
const ROWS_MAX: usize = 5;
/// A longer cell is cut.
const CELL_MAX: usize = 200;
/// So many repetitions are shown one by one; more are folded.
const REPEATED_MAX: usize = 4;
/// A shorter wait before a state is not worth a word.
const WAIT_SHOWN_US: u64 = 1_000;

/// How a timeline is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineShow {
    /// How many columns of a terminal it may take.
    pub width: usize,
    /// Only these connections, if any are named: `worker` is also `worker.0` and the like.
    pub only: Vec<String>,
}

impl Default for TimelineShow {
    fn default() -> Self {
        Self {
            width: WIDTH,
            only: Vec::new(),
        }
    }
}

impl TimelineShow {
    /// The connections that are shown, by their numbers: all of a trial that has none of those that are named.
    fn shown(&self, history: &History) -> Vec<usize> {
        let all = history.connections.iter().enumerate();
        let named: Vec<usize> = all
            .filter(|(_, own)| self.only.iter().any(|name| is_named(&own.name, name)))
            .map(|(number, _)| number)
            .collect();
        if named.is_empty() {
            (0..history.connections.len()).collect()
        } else {
            named
        }
    }
}

/// Whether a connection is meant by this name: `worker` is also `worker.0` and the like.
#[must_use]
pub fn is_named(connection: &str, name: &str) -> bool {
    let rest = connection.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// How the timeline calls a step.
#[derive(Debug, Clone)]
struct StepLabel {
    /// Before what it did, such as its line.
    short: String,
    /// In a sentence, such as `line 12`.
    long: String,
    /// Whether it does nothing but wait, so that its outcome says nothing.
    silent: bool,
    /// Whether it may wait for others before it acts, so that there is room for how long.
    waits: bool,
}

/// What each connection did, one column each, with milliseconds.
#[must_use]
pub fn timeline(plan: &TrialPlan, history: &History) -> String {
    timeline_shown(plan, history, &TimelineShow::default())
}

/// The same, shown as is asked for.
#[must_use]
pub fn timeline_shown(plan: &TrialPlan, history: &History, how: &TimelineShow) -> String {
    let label = |step: &Step| {
        let line = plan.file.place(step.span.start).line;
        StepLabel {
            short: line.to_string(),
            long: format!("line {line}"),
            silent: matches!(step.action, Action::Nothing),
            waits: step.coordination.barrier.is_some() || !step.coordination.wait_for.is_empty(),
        }
    };
    let labels: Vec<StepLabel> = plan.steps.iter().map(label).collect();
    let mut text = draw(&labels, history, how, &plan.secrets);
    for line in always(plan, history) {
        text.push('\n');
        text.push_str(&line);
    }
    redact(&text, &plan.secrets)
}

/// How often `always` was asked while connections ran.
fn always(plan: &TrialPlan, history: &History) -> impl Iterator<Item = String> {
    history.always.iter().map(|one| {
        let (number, index) = one.check;
        let query = plan.finals.get(number).and_then(|of| of.always.get(index));
        let line = query.map_or(0, |query| plan.file.place(query.span.start).line);
        let mut text = format!(
            "`always` at line {line}: checked {} between statements",
            times(one.asked)
        );
        if one.missed > 0 {
            text.push_str(&format!(
                ", skipped {} because a statement was running",
                times(one.missed)
            ));
        }
        text
    })
}

fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

/// The same of a program's connections, whose steps have the numbers of these states.
#[must_use]
pub fn timeline_of_states(states: &[String], history: &History, secrets: &[String]) -> String {
    let label = |state: &String| StepLabel {
        short: state.clone(),
        long: format!("state `{state}`"),
        silent: false,
        waits: false,
    };
    let labels: Vec<StepLabel> = states.iter().map(label).collect();
    redact(
        &draw(&labels, history, &TimelineShow::default(), secrets),
        secrets,
    )
}

/// Draws the timeline; the labels are those of the steps, by their numbers.
fn draw(labels: &[StepLabel], history: &History, how: &TimelineShow, secrets: &[String]) -> String {
    let unknown = StepLabel {
        short: "?".to_owned(),
        long: "an unknown step".to_owned(),
        silent: false,
        waits: false,
    };
    let label_of = |step: usize| labels.get(step).unwrap_or(&unknown);
    let shown = how.shown(history);
    let folds = Folds::of(history);
    let mut entries = Vec::new();
    for (number, record) in history.steps.iter().enumerate() {
        if !shown.contains(&record.connection) {
            continue;
        }
        match folds.0.get(&number) {
            None => entries.extend(of_step(record, label_of(record.step), history)),
            Some(0) => {}
            Some(more) => entries.push(Entry::new(
                record.started_us,
                record.connection,
                Line::plain(format!("  … {more} more like this")),
            )),
        }
    }
    for line in entries.iter_mut().flat_map(|entry| &mut entry.lines) {
        // Before anything is cut: half of a password is still one.
        line.text = redact(&line.text, secrets);
    }
    entries.sort_by_key(|entry| entry.at_us);
    let names: Vec<(usize, &str)> = shown
        .iter()
        .map(|number| (*number, name(history, *number)))
        .collect();
    let mut text = layout(&names, &entries, how.width);
    for record in history
        .steps
        .iter()
        .filter(|record| shown.contains(&record.connection))
    {
        if let Some(wait) = &record.wait {
            let label = &label_of(record.step).long;
            text.push(format!("blocked at {label}: {}", rule_in_words(wait.rule)));
        }
    }
    if history.unrecorded > 0 {
        text.push(format!(
            "{} more statements were not recorded",
            history.unrecorded
        ));
    }
    text.join("\n")
}

/// Steps that are not shown one by one, since their connection has done the same many times in a row: 0, or with the first
/// of them how many there are.
struct Folds(BTreeMap<usize, usize>);

impl Folds {
    fn of(history: &History) -> Self {
        let mut folds = BTreeMap::new();
        let mut last: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut close = |same: &[usize]| {
            // The first and the last one are shown.
            if let [_, inner @ .., _] = same
                && same.len() > REPEATED_MAX
            {
                folds.extend(inner.iter().map(|number| (*number, 0)));
                folds.extend(inner.first().map(|first| (*first, inner.len())));
            }
        };
        for (number, record) in history.steps.iter().enumerate() {
            let same = last.entry(record.connection).or_default();
            let before = same.last().and_then(|before| history.steps.get(*before));
            if !before.is_some_and(|before| is_like(before, record)) {
                close(same);
                same.clear();
            }
            same.push(number);
        }
        last.values().for_each(|same| close(same));
        Self(folds)
    }
}

/// Whether two steps did the same, with the same outcome.
fn is_like(one: &StepRecord, other: &StepRecord) -> bool {
    let outcome = |record: &'_ StepRecord| record.end.as_ref().map(|end| end.outcome.clone());
    let alike = one.step == other.step && one.text == other.text && one.went == other.went;
    alike && one.wait.is_none() && other.wait.is_none() && outcome(one) == outcome(other)
}

/// What is to be said of one step: at its beginning, at its wait and at its end.
fn of_step(record: &StepRecord, label: &StepLabel, history: &History) -> Vec<Entry> {
    let line = &label.short;
    let mut text = record.text.split_whitespace().collect::<Vec<_>>().join(" ");
    if record.iteration > 0 {
        text = format!("#{} {text}", record.iteration);
    }
    let mut sent = Line::plain(format!("{line}: {text}"));
    if label.waits || record.waited_us >= WAIT_SHOWN_US {
        let waited = format!(" (waited {:.1} ms)", ms(record.waited_us));
        sent = sent.with_time(if record.waited_us >= WAIT_SHOWN_US {
            waited
        } else {
            String::new()
        });
    }
    let entry = |at_us: u64, line: Line| Entry::new(at_us, record.connection, line);
    let mut begin = entry(record.started_us, sent);
    match &record.end {
        Some(end) if record.wait.is_none() => {
            if !(label.silent && record.went == Went::On) {
                begin.lines.extend(match &record.went {
                    Went::Unsatisfied { failure, .. } => {
                        let failed = Line::plain(format!("  ✗ {}", failure.word()));
                        vec![failed.with_time(format!(" ({:.1} ms)", ms(end.took_us)))]
                    }
                    went => outcome(
                        "  → ",
                        record,
                        &end.outcome,
                        format!(" ({:.1} ms)", ms(end.took_us)),
                        then(went),
                    ),
                });
            }
            vec![begin]
        }
        end => {
            let mut entries = vec![begin];
            if let Some(wait) = &record.wait {
                let blocked = format!("  ⧗ blocked{}", blocked_by(history, wait));
                entries.push(entry(wait.seen_us, Line::plain(blocked)));
            }
            match end {
                Some(end) => {
                    let before = format!("  → {line}: ");
                    let took = format!(" (after {:.1} ms)", ms(end.took_us));
                    let lines = outcome(&before, record, &end.outcome, took, then(&record.went));
                    entries.push(Entry {
                        at_us: end.at_us,
                        connection: record.connection,
                        lines,
                    });
                }
                None => {
                    let open = Line::plain(format!("  … {} had not returned", label.long));
                    entries.push(entry(u64::MAX, open));
                }
            }
            entries
        }
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

/// The outcome, with the rows of a result.
fn outcome(before: &str, record: &StepRecord, outcome: &Outcome, took: String, then: String) -> Vec<Line> {
    let head = |text: String| Line::plain(format!("{before}{text}")).with_time(took).then(then);
    match outcome {
        Outcome::Rows(set) => match set.rows.as_slice() {
            [] => vec![head("no rows".to_owned())],
            [row] => vec![head(cells(set, row))],
            rows => {
                let mut lines = vec![head(format!("{} rows", rows.len()))];
                let shown = rows.iter().take(ROWS_MAX);
                lines.extend(shown.map(|row| Line::plain(format!("    {}", cells(set, row)))));
                if rows.len() > ROWS_MAX {
                    lines.push(Line::plain(format!("    … {} more rows", rows.len() - ROWS_MAX)));
                }
                lines
            }
        },
        Outcome::Done(done) => vec![head(match done.affected {
            0 if !classify(&record.text).last().is_dml() => "done".to_owned(),
            1 => "1 row affected".to_owned(),
            rows => format!("{rows} rows affected"),
        })],
        other => vec![head(describe(other))],
    }
}

/// A row with the names of its columns: `id=1 balance=90`.
fn cells(set: &RowSet, row: &[SqlValue]) -> String {
    let cell = |(number, value): (usize, &SqlValue)| {
        let text = show(value);
        let text = match text.char_indices().nth(CELL_MAX) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text,
        };
        match set.columns.get(number) {
            Some(column) => format!("{}={text}", column.name),
            None => text,
        }
    };
    row.iter().enumerate().map(cell).collect::<Vec<_>>().join(" ")
}

/// Where the connection went then, if not on.
fn then(went: &Went) -> String {
    match went {
        Went::On | Went::Elsewhere | Went::Unsatisfied { .. } => String::new(),
        Went::Retry { number, pause_us } => {
            format!(", retry {number} after {:.1} ms", ms(*pause_us))
        }
        Went::RetriesUsedUp { .. } => ", no more retries".to_owned(),
        Went::NeverSeen { looks } => format!(", not there after {looks} polls"),
    }
}

fn name(history: &History, connection: usize) -> &str {
    let record = history.connections.get(connection);
    record.map_or("?", |record| record.name.as_str())
}

fn blocked_by(history: &History, wait: &Wait) -> String {
    let name = |number: &usize| name(history, *number);
    let holders = wait.holders.iter().map(name).collect::<Vec<_>>().join(", ");
    let key = wait
        .key
        .as_ref()
        .map(|key| format!(" ({key})"))
        .unwrap_or_default();
    if holders.is_empty() {
        key
    } else {
        format!(" by {holders}{key}")
    }
}
