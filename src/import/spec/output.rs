//! What isolationtester prints, and what is kept as its expected output.

use super::model::{Spec, SpecStep};

/// A permutation that was run.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    /// The names of the steps in their order, with a space between: a name may have spaces itself.
    pub steps: String,
    /// What each of them came to.
    pub seen: Vec<SeenStep>,
    /// Whether the tool gave it up.
    pub invalid: bool,
}

/// What one step came to.
#[derive(Debug, Default, Clone)]
pub(crate) struct SeenStep {
    pub name: String,
    pub waited: bool,
    /// Its results, one after another.
    pub tables: Vec<Table>,
    /// The text of its error.
    pub error: Option<String>,
}

/// A result.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub columns: usize,
    pub rows: Vec<Vec<String>>,
}

/// Reads the expected output of a spec.
pub(crate) fn read_output(text: &str, spec: &Spec) -> Vec<Ran> {
    let steps: Vec<&SpecStep> = spec.sessions.iter().flat_map(|session| &session.steps).collect();
    let lines: Vec<&str> = text.lines().collect();
    let mut found: Vec<Ran> = Vec::new();
    // The step that what comes next belongs to.
    let mut current: Option<usize> = None;
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += 1;
        if let Some(names) = line.strip_prefix("starting permutation:") {
            current = None;
            found.push(Ran {
                steps: names.split_whitespace().collect::<Vec<_>>().join(" "),
                ..Ran::default()
            });
            continue;
        }
        let Some(ran) = found.last_mut() else { continue };
        if line.starts_with("invalid permutation detected") {
            ran.invalid = true;
        } else if let Some((step, rest)) = named(line, &steps) {
            if rest.starts_with("<... completed>") {
                current = ran.seen.iter().rposition(|seen| seen.name == step.name);
                continue;
            }
            // The statement may have several lines; the last one says whether the step waits.
            let more = step.block.text.matches('\n').count();
            let last = if more == 0 {
                Some(line)
            } else {
                lines.get(at + more - 1)
            };
            ran.seen.push(SeenStep {
                name: step.name.clone(),
                waited: last.is_some_and(|line| line.ends_with("<waiting ...>")),
                ..SeenStep::default()
            });
            current = Some(ran.seen.len() - 1);
            at += more;
        } else if let Some(seen) = current.and_then(|at| ran.seen.get_mut(at)) {
            if let Some(error) = line.split_once("ERROR:").map(|(_, error)| error.trim()) {
                seen.error.get_or_insert(error.to_owned());
            } else if let Some((table, used)) = table(&lines[at - 1..]) {
                seen.tables.push(table);
                at += used - 1;
            }
        }
    }
    found
}

/// `step NAME: …`, with what follows.
fn named<'l, 's>(line: &'l str, steps: &[&'s SpecStep]) -> Option<(&'s SpecStep, &'l str)> {
    let rest = line.strip_prefix("step ")?;
    steps.iter().find_map(|step| {
        let quoted = rest
            .strip_prefix('"')
            .and_then(|rest| rest.strip_prefix(&step.name));
        let rest = match quoted {
            Some(rest) => rest.strip_prefix("\":")?,
            None => rest.strip_prefix(&step.name)?.strip_prefix(':')?,
        };
        Some((*step, rest.trim_start()))
    })
}

/// A table: names, dashes, rows, and how many there are; with the number of its lines.
fn table(lines: &[&str]) -> Option<(Table, usize)> {
    let rule = lines.get(1)?;
    let is_rule = !rule.is_empty() && rule.chars().all(|c| c == '-' || c == '+');
    if !is_rule {
        return None;
    }
    let columns = rule.matches('+').count() + 1;
    let mut rows = Vec::new();
    for (number, line) in lines.iter().enumerate().skip(2) {
        let counted = line.strip_prefix('(').and_then(|line| line.split_once(" row"));
        if counted.is_some_and(|(count, _)| count.parse::<usize>().ok() == Some(rows.len())) {
            return Some((Table { columns, rows }, number + 1));
        }
        let cells: Vec<String> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        if cells.len() != columns {
            // A text with a line break or a `|` in it: where its cells end is not known.
            return None;
        }
        rows.push(cells);
    }
    None
}
