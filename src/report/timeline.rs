//! One column for each connection, one line for each thing that happened, with milliseconds.

use super::redact::redact;
use crate::history::{History, Wait, Went, describe};
use crate::plan::{Action, Step, TrialPlan};
use crate::verdict::rule_in_words;

/// A column is at most this wide.
const WIDTH_MAX: usize = 44;
/// At most this many columns stand side by side; more connections are shown in one, with their names.
const COLUMNS_MAX: usize = 4;

/// In one column a statement is at most this wide, since its outcome stands behind it.
const STATEMENT_MAX: usize = 70;
/// At most this many lines; the middle of a longer story is left out.
const LINES_MAX: usize = 150;
/// A shorter wait before a state is not worth a word.
const WAIT_SHOWN_US: u64 = 1_000;

/// How the timeline calls a step.
#[derive(Debug, Clone)]
struct StepLabel {
    /// Before what it did, such as its line.
    short: String,
    /// In a sentence, such as `line 12`.
    long: String,
    /// Whether it does nothing but wait, so that its outcome says nothing.
    silent: bool,
}

struct Line {
    at_us: u64,
    connection: usize,
    text: String,
}

/// What each connection did, one column each, with milliseconds.
#[must_use]
pub fn timeline(plan: &TrialPlan, history: &History) -> String {
    let label = |step: &Step| {
        let line = plan.file.place(step.span.start).line;
        StepLabel {
            short: line.to_string(),
            long: format!("line {line}"),
            silent: matches!(step.action, Action::Nothing),
        }
    };
    let labels: Vec<StepLabel> = plan.steps.iter().map(label).collect();
    let mut text = draw(&labels, history);
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
    };
    let labels: Vec<StepLabel> = states.iter().map(label).collect();
    redact(&draw(&labels, history), secrets)
}

/// Draws the timeline; the labels are those of the steps, by their numbers.
fn draw(labels: &[StepLabel], history: &History) -> String {
    let unknown = StepLabel {
        short: "?".to_owned(),
        long: "an unknown step".to_owned(),
        silent: false,
    };
    let label_of = |step: usize| labels.get(step).unwrap_or(&unknown);
    let mut lines = Vec::new();
    for record in &history.steps {
        let label = label_of(record.step);
        let line = &label.short;
        let mut text = record.text.split_whitespace().collect::<Vec<_>>().join(" ");
        if record.iteration > 0 {
            text = format!("#{} {text}", record.iteration);
        }
        if record.waited_us >= WAIT_SHOWN_US {
            text.push_str(&format!(" (waited {:.1} ms)", record.waited_us as f64 / 1_000.0));
        }
        let push = |lines: &mut Vec<Line>, at_us: u64, text: String| {
            lines.push(Line {
                at_us,
                connection: record.connection,
                text,
            });
        };
        let quick = record.wait.is_none();
        match &record.end {
            Some(end) if quick => {
                let took = end.took_us as f64 / 1_000.0;
                let outcome = match &record.went {
                    Went::Unsatisfied { failure, .. } => format!("✗ {} ({took:.1} ms)", failure.word()),
                    went => format!("→ {} ({took:.1} ms){}", describe(&end.outcome), then(went)),
                };
                if label.silent && record.went == Went::On {
                    push(&mut lines, record.started_us, format!("{line}: {text}"));
                } else if history.connections.len() > COLUMNS_MAX {
                    let text = cut(&text, STATEMENT_MAX);
                    push(&mut lines, record.started_us, format!("{line}: {text} {outcome}"));
                } else {
                    push(&mut lines, record.started_us, format!("{line}: {text}"));
                    push(&mut lines, record.started_us, format!("  {outcome}"));
                }
            }
            end => {
                push(&mut lines, record.started_us, format!("{line}: {text}"));
                if let Some(wait) = &record.wait {
                    push(
                        &mut lines,
                        wait.seen_us,
                        format!("  ⧗ blocked{}", blocked_by(history, wait)),
                    );
                }
                match end {
                    Some(end) => {
                        let took = end.took_us as f64 / 1_000.0;
                        let outcome = describe(&end.outcome);
                        push(
                            &mut lines,
                            end.at_us,
                            format!("  → {line}: {outcome} (after {took:.1} ms){}", then(&record.went)),
                        );
                    }
                    None => push(
                        &mut lines,
                        u64::MAX,
                        format!("  … {} had not returned", label.long),
                    ),
                }
            }
        }
    }
    lines.sort_by_key(|line| line.at_us);
    let left_out = lines.len().saturating_sub(LINES_MAX);
    if left_out > 0 {
        // What went wrong is most often near the end; how it began says how it was meant.
        let begin = LINES_MAX / 3;
        lines.drain(begin..begin + left_out);
    }
    let mut text = if history.connections.len() <= COLUMNS_MAX {
        columns(history, &lines)
    } else {
        list(history, &lines)
    };
    if left_out > 0 {
        let after = text.len().saturating_sub(LINES_MAX) + LINES_MAX / 3;
        text.insert(after, format!("{:>10} │ … {left_out} lines are left out", ""));
    }
    for record in &history.steps {
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

/// Where the connection went then, if not on.
fn then(went: &Went) -> String {
    match went {
        Went::On | Went::Elsewhere | Went::Unsatisfied { .. } => String::new(),
        Went::Retry { number, pause_us } => {
            format!(", retry {number} after {:.1} ms", *pause_us as f64 / 1_000.0)
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

fn time(at_us: u64) -> String {
    if at_us == u64::MAX {
        format!("{:>10}", "end")
    } else {
        format!("{:>7.1} ms", at_us as f64 / 1_000.0)
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn columns(history: &History, lines: &[Line]) -> Vec<String> {
    let widths: Vec<usize> = (0..history.connections.len())
        .map(|number| {
            let own = lines
                .iter()
                .filter(|line| line.connection == number)
                .map(|line| line.text.chars().count());
            let name = name(history, number).chars().count();
            own.chain([name]).max().unwrap_or(0).min(WIDTH_MAX)
        })
        .collect();
    let row = |time: String, cell: &dyn Fn(usize) -> String| {
        let cells = widths
            .iter()
            .enumerate()
            .map(|(number, width)| format!("{:<width$}", cut(&cell(number), *width)));
        format!("{time} │ {}", cells.collect::<Vec<_>>().join(" │ "))
            .trim_end()
            .trim_end_matches('│')
            .trim_end()
            .to_owned()
    };
    let mut text = vec![row(" ".repeat(10), &|number| name(history, number).to_owned())];
    for line in lines {
        let cell = |number: usize| {
            if number == line.connection {
                line.text.clone()
            } else {
                String::new()
            }
        };
        text.push(row(time(line.at_us), &cell));
    }
    text
}

fn list(history: &History, lines: &[Line]) -> Vec<String> {
    let name = |number: usize| name(history, number);
    let width = lines
        .iter()
        .map(|line| name(line.connection).chars().count())
        .max()
        .unwrap_or(0);
    let row = |line: &Line| {
        let name = name(line.connection);
        format!(
            "{} │ {name:<width$} │ {}",
            time(line.at_us),
            cut(&line.text, STATEMENT_MAX * 2)
        )
        .trim_end()
        .to_owned()
    };
    lines.iter().map(row).collect()
}
