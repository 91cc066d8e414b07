//! Rows of patterns against rows of a result, and the small table that shows where they differ.

use super::kind::all_of;
use super::value_pattern::ValuePattern;
use super::{Mismatch, Reading};
use crate::history::{Column, RowSet, SqlValue, Vars, columns_word, cut_long, cut_pair, rows_word, show};
use crate::source::{Diagnostic, Node, NodeKind, Span};

/// At most this many rows of a table are shown around a difference.
const ROWS_SHOWN: usize = 20;

/// One expected row: a list of values, or values by the names of columns.
#[derive(Debug, Clone)]
pub(crate) struct RowPattern {
    pub span: Span,
    cells: Cells,
}

#[derive(Debug, Clone)]
enum Cells {
    List(Vec<ValuePattern>),
    Named(Vec<(String, ValuePattern)>),
}

impl RowPattern {
    pub(crate) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let cells = match &node.kind {
            NodeKind::Seq(items) if !items.is_empty() => {
                let cells = items.iter().map(|item| ValuePattern::read(item, reading));
                Cells::List(all_of(cells)?)
            }
            NodeKind::Map(entries) if !entries.is_empty() => {
                let mut seen: Vec<String> = Vec::new();
                for entry in entries {
                    let name = entry.key.text().unwrap_or_default().to_lowercase();
                    if seen.contains(&name) {
                        let label = "column names are not case-sensitive";
                        reading.error(&entry.key, format!("the column `{name}` appears twice"), label);
                    }
                    seen.push(name);
                }
                let cells = entries.iter().map(|entry| {
                    let name = reading.plain_text(&entry.key, &entry.key.text()?, "a column's name");
                    let pattern = ValuePattern::read(&entry.value, reading);
                    Some((name?, pattern?))
                });
                Cells::Named(all_of(cells)?)
            }
            NodeKind::Seq(_) | NodeKind::Map(_) => {
                let label = "for no rows, write `[]`";
                reading.error(node, "a row has at least one value", label);
                return None;
            }
            _ => {
                let problem = format!("a row must be a list of values, not {}", node.describe());
                reading.error(node, problem, "write `[1, 70]`");
                return None;
            }
        };
        Some(Self {
            span: node.span,
            cells,
        })
    }

    fn len(&self) -> usize {
        match &self.cells {
            Cells::List(cells) => cells.len(),
            Cells::Named(cells) => cells.len(),
        }
    }

    /// The pattern of each column, or why the row cannot fit the columns.
    fn fit<'p>(&'p self, columns: &[Column]) -> Result<Vec<&'p ValuePattern>, Mismatch> {
        let misfit = |message: String| {
            let header = columns
                .iter()
                .map(|column| format!("{} {}", column.name, column.sql_type));
            let header = header.collect::<Vec<_>>().join(", ");
            Err(Mismatch::new(message)
                .at(self.span)
                .detail(format!("the columns are: {header}")))
        };
        match &self.cells {
            Cells::List(cells) if cells.len() == columns.len() => Ok(cells.iter().collect()),
            Cells::Named(cells) if cells.len() == columns.len() => {
                for (at, column) in columns.iter().enumerate() {
                    let name = &column.name;
                    if columns[..at]
                        .iter()
                        .any(|other| other.name.eq_ignore_ascii_case(name))
                    {
                        return misfit(format!(
                            "the result has `{name}` twice: write the expected row as a list"
                        ));
                    }
                }
                let lacks = |(name, _): &&(String, ValuePattern)| {
                    !columns
                        .iter()
                        .any(|column| column.name.eq_ignore_ascii_case(name))
                };
                if let Some((name, _)) = cells.iter().find(lacks) {
                    return misfit(format!("the result has no column `{name}`"));
                }
                let mut fitted = Vec::new();
                for column in columns {
                    let mut named = cells.iter();
                    match named.find(|(name, _)| name.eq_ignore_ascii_case(&column.name)) {
                        Some((_, pattern)) => fitted.push(pattern),
                        None => return misfit(format!("the expected row has no `{}`", column.name)),
                    }
                }
                Ok(fitted)
            }
            Cells::List(_) | Cells::Named(_) => {
                let wanted = columns_word(self.len());
                misfit(format!(
                    "the expected row has {wanted}, the result has {}",
                    columns_word(columns.len())
                ))
            }
        }
    }
}

pub(crate) fn read_rows(node: &Node, reading: &mut Reading<'_>) -> Option<Vec<RowPattern>> {
    let NodeKind::Seq(items) = &node.kind else {
        let found = node.describe();
        reading.error(
            node,
            format!("rows must be a list of rows, not {found}"),
            "write `[[1, 70], [2, 100]]`",
        );
        return None;
    };
    // One row without its brackets, or rows of one value.
    let values: Option<Vec<_>> = items.iter().map(Node::text).collect();
    if let Some(values) = values.filter(|values| !values.is_empty()) {
        let each: Vec<String> = values.iter().map(|value| format!("[{value}]")).collect();
        let one = format!("write `[[{}]]` for one row", values.join(", "));
        let label = match each.len() {
            1 => one,
            count => format!("{one}, `[{}]` for {count} rows", each.join(", ")),
        };
        reading.error(
            node,
            "rows must be a list of rows, and this is a list of values",
            label,
        );
        return None;
    }
    let rows = all_of(items.iter().map(|item| RowPattern::read(item, reading)))?;
    if let [first, rest @ ..] = rows.as_slice() {
        for row in rest.iter().filter(|row| row.len() != first.len()) {
            let problem = Diagnostic::error(row.span, "all rows of a result have the same columns")
                .label(row.span, format!("{} here", values_word(row.len())))
                .label(first.span, format!("{} here", values_word(first.len())));
            reading.problems.push(problem);
        }
    }
    Some(rows)
}

fn values_word(count: usize) -> String {
    if count == 1 {
        "1 value".to_owned()
    } else {
        format!("{count} values")
    }
}

/// How many columns the rows have, if there are any.
pub(crate) fn width_of(rows: &[RowPattern]) -> Option<usize> {
    rows.first().map(RowPattern::len)
}

pub(crate) fn variables_of(rows: &[RowPattern]) -> Vec<(String, Span)> {
    let patterns = rows.iter().flat_map(|row| match &row.cells {
        Cells::List(cells) => cells.iter().collect::<Vec<_>>(),
        Cells::Named(cells) => cells.iter().map(|(_, pattern)| pattern).collect(),
    });
    patterns.flat_map(ValuePattern::variables).collect()
}

fn fit_all<'p>(rows: &'p [RowPattern], set: &RowSet) -> Result<Vec<Vec<&'p ValuePattern>>, Mismatch> {
    rows.iter().map(|row| row.fit(&set.columns)).collect()
}

fn same_row(wanted: &[&ValuePattern], actual: &[SqlValue], vars: &Vars) -> bool {
    wanted
        .iter()
        .zip(actual)
        .all(|(pattern, value)| pattern.matches(value, vars))
}

/// Compares row by row, in order.
pub(crate) fn compare_table(rows: &[RowPattern], set: &RowSet, vars: &Vars) -> Result<(), Mismatch> {
    if rows.is_empty() && set.rows.is_empty() {
        return Ok(());
    }
    let fitted = fit_all(rows, set)?;
    let same = |wanted: &Vec<&ValuePattern>, actual: &Vec<SqlValue>| same_row(wanted, actual, vars);
    let all_same = fitted.len() == set.rows.len() && fitted.iter().zip(&set.rows).all(|(w, a)| same(w, a));
    if all_same {
        return Ok(());
    }
    let mut drawing = Drawing::new(&set.columns);
    let mut first = None;
    for index in 0..fitted.len().max(set.rows.len()) {
        match (fitted.get(index), set.rows.get(index)) {
            (Some(wanted), Some(actual)) if same(wanted, actual) => drawing.equal(actual),
            (Some(wanted), Some(actual)) => {
                let differing = wanted.iter().zip(actual).position(|(w, a)| !w.matches(a, vars));
                first = first.or(differing
                    .and_then(|at| wanted.get(at))
                    .map(|pattern| pattern.span));
                drawing.differing(wanted, actual, vars);
            }
            (Some(wanted), None) => {
                first = first.or(rows.get(index).map(|row| row.span));
                drawing.missing(wanted, vars);
            }
            (None, Some(actual)) => drawing.extra(actual),
            (None, None) => {}
        }
    }
    let message = if rows.len() == set.rows.len() {
        let count = fitted.iter().zip(&set.rows).filter(|(w, a)| !same(w, a)).count();
        format!(
            "expected {}, got {}, {count} of which differ{}",
            rows_word(rows.len()),
            rows_word(set.rows.len()),
            if count == 1 { "s" } else { "" }
        )
    } else {
        format!(
            "expected {}, got {}",
            rows_word(rows.len()),
            rows_word(set.rows.len())
        )
    };
    let mut drawn = drawing.finish();
    let pairs = fitted.iter().zip(&set.rows).flat_map(|(w, a)| w.iter().zip(a));
    let mut doubts = pairs.map(|(wanted, actual)| wanted.doubt(actual, vars));
    if let Some(doubt) = doubts.find(|doubt| !doubt.is_empty()) {
        drawn.push_str(&format!("\n   {doubt}"));
    }
    let mismatch = Mismatch::new(message).detail(drawn);
    Err(match first {
        Some(span) => mismatch.at(span),
        None => mismatch,
    })
}

/// Compares without regard to order; `exactly` means that no other row may be there.
pub(crate) fn compare_any_order(
    rows: &[RowPattern],
    set: &RowSet,
    vars: &Vars,
    exactly: bool,
) -> Result<(), Mismatch> {
    if rows.is_empty() && set.rows.is_empty() {
        return Ok(());
    }
    let fitted = fit_all(rows, set)?;
    let partner = pair(&fitted, &set.rows, vars);
    let missing: Vec<usize> = (0..fitted.len())
        .filter(|index| !partner.contains(&Some(*index)))
        .collect();
    let extra = partner.iter().filter(|partner| partner.is_none()).count();
    if missing.is_empty() && (extra == 0 || !exactly) {
        return Ok(());
    }
    let mut drawing = Drawing::new(&set.columns);
    for (actual, partner) in set.rows.iter().zip(&partner) {
        match partner {
            Some(_) => drawing.equal(actual),
            None if exactly => drawing.extra(actual),
            None => drawing.equal(actual),
        }
    }
    for index in &missing {
        if let Some(wanted) = fitted.get(*index) {
            drawing.missing(wanted, vars);
        }
    }
    let message = if exactly {
        difference(missing.len(), extra)
    } else {
        let (these, them) = match rows.len() {
            1 => ("this row", "it"),
            _ => ("these rows", "them"),
        };
        match (missing.len(), rows.len()) {
            (1, 1) => format!("expected at least {these}; {them} is missing"),
            (1, _) => format!("expected at least {these}; 1 of {them} is missing"),
            (number, all) if number == all => format!("expected at least {these}; all of {them} are missing"),
            (number, _) => format!("expected at least {these}; {number} of {them} are missing"),
        }
    };
    let mismatch = Mismatch::new(message).detail(drawing.finish());
    Err(match missing.first().and_then(|index| rows.get(*index)) {
        Some(row) => mismatch.at(row.span),
        None => mismatch,
    })
}

/// What differs between the expected rows and those that are there.
fn difference(missing: usize, extra: usize) -> String {
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what} row is"),
        more => format!("{more} {what} rows are"),
    };
    let missing = (missing > 0).then(|| format!("{} missing", count(missing, "expected")));
    let extra = (extra > 0).then(|| format!("{} there", count(extra, "other")));
    missing
        .into_iter()
        .chain(extra)
        .collect::<Vec<_>>()
        .join(", and ")
}

/// Pairs each actual row with a pattern that it matches, as many as can be (augmenting paths), since a
/// matcher may fit several rows.
fn pair(fitted: &[Vec<&ValuePattern>], rows: &[Vec<SqlValue>], vars: &Vars) -> Vec<Option<usize>> {
    fn place(wanted: usize, fits: &[Vec<usize>], seen: &mut [bool], partner: &mut [Option<usize>]) -> bool {
        for &row in &fits[wanted] {
            if std::mem::replace(&mut seen[row], true) {
                continue;
            }
            if partner[row].is_none_or(|other| place(other, fits, seen, partner)) {
                partner[row] = Some(wanted);
                return true;
            }
        }
        false
    }
    let fits: Vec<Vec<usize>> = fitted
        .iter()
        .map(|wanted| {
            (0..rows.len())
                .filter(|row| same_row(wanted, &rows[*row], vars))
                .collect()
        })
        .collect();
    let mut partner = vec![None; rows.len()];
    for wanted in 0..fitted.len() {
        place(wanted, &fits, &mut vec![false; rows.len()], &mut partner);
    }
    partner
}

/// Draws rows with a sign before each: ` ` as expected, `-` expected and not there, `+` there and not
/// expected; cells that differ stand in `[ ]`.
struct Drawing {
    lines: Vec<(char, Vec<String>)>,
}

impl Drawing {
    fn new(columns: &[Column]) -> Self {
        let header = columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.sql_type))
            .collect();
        Self {
            lines: vec![(' ', header)],
        }
    }

    fn equal(&mut self, row: &[SqlValue]) {
        self.lines
            .push((' ', row.iter().map(|value| cut_long(&show(value))).collect()));
    }

    fn extra(&mut self, row: &[SqlValue]) {
        self.lines
            .push(('+', row.iter().map(|value| cut_long(&show(value))).collect()));
    }

    fn missing(&mut self, row: &[&ValuePattern], vars: &Vars) {
        self.lines.push((
            '-',
            row.iter()
                .map(|pattern| cut_long(&pattern.shown_with(vars)))
                .collect(),
        ));
    }

    fn differing(&mut self, wanted: &[&ValuePattern], actual: &[SqlValue], vars: &Vars) {
        let mark = |differs: bool, text: String| if differs { format!("[{text}]") } else { text };
        let differs: Vec<bool> = wanted
            .iter()
            .zip(actual)
            .map(|(w, a)| !w.matches(a, vars))
            .collect();
        let cells = wanted.iter().zip(actual).zip(&differs).map(|((w, a), differs)| {
            let (wanted, actual) = cut_pair(&w.shown_with(vars), &show(a));
            (mark(*differs, wanted), mark(*differs, actual))
        });
        let (wanted, actual) = cells.unzip();
        self.lines.push(('-', wanted));
        self.lines.push(('+', actual));
    }

    fn finish(self) -> String {
        let interesting: Vec<usize> = (0..self.lines.len())
            .filter(|index| self.lines[*index].0 != ' ')
            .collect();
        let near =
            |index: usize| interesting.is_empty() || interesting.iter().any(|at| at.abs_diff(index) <= 2);
        let shown: Vec<usize> = (0..self.lines.len())
            .filter(|index| *index == 0 || near(*index))
            .take(ROWS_SHOWN + 1)
            .collect();
        let width = |column: usize| {
            shown
                .iter()
                .filter_map(|index| self.lines[*index].1.get(column))
                .map(|cell| cell.chars().count())
                .max()
        };
        let columns = self.lines[0].1.len();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = Vec::new();
        let mut last = 0;
        for index in &shown {
            if *index > last + 1 {
                text.push(format!("    … {} as expected", rows_word(index - last - 1)));
            }
            last = *index;
            let (sign, cells) = &self.lines[*index];
            let cells = cells
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            text.push(
                format!("  {sign} {}", cells.collect::<Vec<_>>().join(" │ "))
                    .trim_end()
                    .to_owned(),
            );
        }
        if last + 1 < self.lines.len() {
            text.push(format!("    … {} more", rows_word(self.lines.len() - last - 1)));
        }
        text.join("\n")
    }
}
