//! One column for each connection, one line for each thing that happened, with milliseconds.

use super::redact::redact;
use crate::history::{History, Wait, Went, describe};
use crate::plan::{Action, TrialPlan};
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

struct Line {
    at_us: u64,
    connection: usize,
    text: String,
}

/// What each connection did, one column each, with milliseconds.
#[must_use]
pub fn timeline(plan: &TrialPlan, history: &History) -> String {
    redact(&draw(plan, history), &plan.secrets)
}

fn draw(plan: &TrialPlan, history: &History) -> String {
    let mut lines = Vec::new();
    for record in &history.steps {
        let line = plan
            .steps
            .get(record.step)
            .map_or(0, |step| plan.file.place(step.span.start).line);
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
                    Went::Unsatisfied { .. } => format!("✗ not satisfied ({took:.1} ms)"),
                    went => format!("→ {} ({took:.1} ms){}", describe(&end.outcome), then(went)),
                };
                let nothing = plan
                    .steps
                    .get(record.step)
                    .is_some_and(|step| matches!(step.action, Action::Nothing));
                if nothing && record.went == Went::On {
                    push(&mut lines, record.started_us, format!("{line}: {text}"));
                } else if plan.connections.len() > COLUMNS_MAX {
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
                        format!("  ⧗ blocked{}", blocked_by(plan, wait)),
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
                    None => push(&mut lines, u64::MAX, format!("  … line {line} had not returned")),
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
    let mut text = if plan.connections.len() <= COLUMNS_MAX {
        columns(plan, &lines)
    } else {
        list(plan, &lines)
    };
    if left_out > 0 {
        let after = text.len().saturating_sub(LINES_MAX) + LINES_MAX / 3;
        text.insert(after, format!("{:>10} │ … {left_out} lines are left out", ""));
    }
    for record in &history.steps {
        if let Some(wait) = &record.wait {
            let line = plan
                .steps
                .get(record.step)
                .map_or(0, |step| plan.file.place(step.span.start).line);
            text.push(format!("blocked at line {line}: {}", rule_in_words(wait.rule)));
        }
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

fn blocked_by(plan: &TrialPlan, wait: &Wait) -> String {
    let name = |number: &usize| plan.connections.get(*number).map_or("?", |own| own.name.as_str());
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

fn columns(plan: &TrialPlan, lines: &[Line]) -> Vec<String> {
    let widths: Vec<usize> = (0..plan.connections.len())
        .map(|number| {
            let own = lines
                .iter()
                .filter(|line| line.connection == number)
                .map(|line| line.text.chars().count());
            let name = plan
                .connections
                .get(number)
                .map_or(0, |own| own.name.chars().count());
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
    let mut text = vec![row(" ".repeat(10), &|number| {
        plan.connections[number].name.clone()
    })];
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

fn list(plan: &TrialPlan, lines: &[Line]) -> Vec<String> {
    let name = |number: usize| plan.connections.get(number).map_or("?", |own| own.name.as_str());
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
