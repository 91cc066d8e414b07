//! `plan: {uses: …}`: what the plan of the statement that ran has: an operator, a table, an index or a partition.

use super::template::Template;
use super::{Check, Mismatch, Needs, Reading, Seen};
use crate::history::{RowSet, SqlValue, Vars};
use crate::scenario::keys::{self, Form, Key};
use crate::source::{MapReader, Node, NodeKind, Span};

/// The keys of a `plan` mapping.
pub(super) const KEYS: &[Key] = &[
    (
        "uses",
        "an index, table, partition or operator that the plan must have; `index:name` means only an index",
        Form::OneOrMany(&Form::Words),
    ),
    (
        "avoids",
        "the same, that the plan must not have",
        Form::OneOrMany(&Form::Words),
    ),
];

/// What may stand before a name, to say what it is the name of.
const PARTS: &[&str] = &["operator", "table", "index", "partition"];

#[derive(Debug)]
struct Plan {
    uses: Vec<(Template, Span)>,
    avoids: Vec<(Template, Span)>,
}

pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    let map = MapReader::new(node, "`plan`", &keys::names(KEYS), reading.problems)?;
    let (uses, avoids) = (map.get("uses"), map.get("avoids"));
    let before = reading.problems.len();
    let mut words = |node: Option<&Node>| match node.map(|node| (node, &node.kind)) {
        None => Vec::new(),
        Some((_, NodeKind::Seq(items))) => items.iter().filter_map(|item| word(item, reading)).collect(),
        Some((node, _)) => word(node, reading).into_iter().collect(),
    };
    let plan = Plan {
        uses: words(uses),
        avoids: words(avoids),
    };
    let both = plan.uses.iter().map(|(used, _)| used.source()).find(|used| {
        let mut avoided = plan.avoids.iter();
        avoided.any(|(avoided, _)| avoided.source().eq_ignore_ascii_case(used))
    });
    if let Some(both) = both {
        let label = format!("it must name `{both}` and must not");
        reading.error(node, "`uses` and `avoids` exclude each other", label);
    }
    let told = reading.problems.len() > before;
    if plan.uses.is_empty() && plan.avoids.is_empty() && !told {
        reading.error(
            node,
            "`plan` needs `uses` or `avoids`",
            "write `plan: {uses: index_name}`",
        );
        return None;
    }
    Some(Box::new(plan))
}

fn word(node: &Node, reading: &mut Reading<'_>) -> Option<(Template, Span)> {
    let word = node.as_str().filter(|word| !word.trim().is_empty());
    let Some(word) = word else {
        let label = "the name of an index or an operator, such as `TableFullScan`";
        reading.error(node, "a part of a plan must be text", label);
        return None;
    };
    Some((reading.template(node, word)?, node.span))
}

/// A name that the plan has, and what it is the name of.
struct Named {
    part: &'static str,
    name: String,
}

/// The names in a plan: what EXPLAIN has in the columns `id` and `access object`. Conditions and the like, in which any
/// column's name may stand, count for nothing.
fn named(plan: &RowSet) -> Vec<Named> {
    let column = |name: &str| {
        let mut columns = plan.columns.iter();
        columns.position(|column| column.name.eq_ignore_ascii_case(name))
    };
    let (id, object) = (column("id"), column("access object"));
    let mut all = Vec::new();
    for row in &plan.rows {
        let cell = |at: Option<usize>| match at.and_then(|at| row.get(at)) {
            Some(SqlValue::Text(text)) => text.as_str(),
            _ => "",
        };
        // `├─IndexRangeScan_5(Build)`
        let operator = cell(id).trim_start_matches(|c: char| !c.is_alphanumeric());
        let operator = operator.split('(').next().unwrap_or_default();
        let plain = operator.trim_end_matches(|c: char| c.is_ascii_digit());
        for name in [operator, plain.strip_suffix('_').unwrap_or(operator)] {
            all.push(Named {
                part: "operator",
                name: name.to_owned(),
            });
        }
        all.extend(objects(cell(object)));
    }
    all
}

/// The parts of `table:t, partition:p0,p1, index:i1(a, b)`.
fn objects(text: &str) -> Vec<Named> {
    let mut all = Vec::new();
    let mut depth = 0_usize;
    let ends = |c: char| {
        depth = match c {
            '(' => depth + 1,
            ')' => depth.saturating_sub(1),
            _ => depth,
        };
        c == ',' && depth == 0
    };
    let mut part = "";
    for piece in text.split(ends) {
        let piece = piece.trim();
        let (kind, name) = piece.split_once(':').unwrap_or(("", piece));
        // Several partitions stand behind one word; `clustered index:PRIMARY(a)` is an index.
        let known = PARTS.iter().find(|known| kind.ends_with(**known));
        part = known.copied().unwrap_or(if kind.is_empty() { part } else { "" });
        let name = if part == "index" {
            name.split('(').next().unwrap_or_default()
        } else {
            name
        };
        if !part.is_empty() {
            let name = name.to_owned();
            all.push(Named { part, name });
        }
    }
    all
}

/// Whether a plan has this, without regard to case.
fn has(plan: &RowSet, word: &str) -> bool {
    let wanted = word.trim();
    let (part, name) = match wanted.split_once(':') {
        Some((part, name)) if PARTS.contains(&part.trim()) => (Some(part.trim()), name.trim()),
        _ => (None, wanted),
    };
    named(plan)
        .iter()
        .any(|named| part.is_none_or(|part| part == named.part) && named.name.eq_ignore_ascii_case(name))
}

/// The plan as a person reads it.
fn shown(plan: &RowSet) -> String {
    let line = |row: &Vec<SqlValue>| {
        let cells = row.iter().map(|cell| match cell {
            SqlValue::Text(text) => text.clone(),
            other => crate::history::show(other),
        });
        let line = cells
            .filter(|cell| !cell.is_empty())
            .collect::<Vec<_>>()
            .join("  ");
        format!("  {line}")
    };
    plan.rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn filled(words: &[(Template, Span)], vars: &Vars) -> Result<Vec<String>, Mismatch> {
    let fill = |(word, span): &(Template, Span)| {
        word.fill(vars)
            .map_err(|name| Mismatch::new(format!("expected a plan, and `{name}` has no value")).at(*span))
    };
    words.iter().map(fill).collect()
}

impl Check for Plan {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        let (uses, avoids) = (filled(&self.uses, seen.vars)?, filled(&self.avoids, seen.vars)?);
        let Some(plan) = seen.plan.filter(|plan| !plan.rows.is_empty()) else {
            return Err(Mismatch::new("the server gave no plan for this statement"));
        };
        if let Some(missing) = uses.iter().find(|word| !has(plan, word)) {
            return Err(Mismatch::new(format!("expected a plan that uses {missing}")).detail(shown(plan)));
        }
        if let Some(present) = avoids.iter().find(|word| has(plan, word)) {
            return Err(Mismatch::new(format!("expected a plan that avoids {present}")).detail(shown(plan)));
        }
        Ok(())
    }

    fn variables(&self) -> Vec<(String, Span)> {
        let words = self.uses.iter().chain(&self.avoids);
        words
            .flat_map(|(word, span)| word.variables().map(|(name, _)| (name.to_owned(), *span)))
            .collect()
    }

    fn needs(&self) -> Needs {
        Needs {
            plan: true,
            ..Needs::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::has;
    use crate::history::{Column, RowSet, SqlValue};

    #[test]
    fn names_are_those_of_operators_tables_indexes_and_partitions() {
        let columns = ["id", "task", "access object", "operator info"].map(|name| Column {
            name: name.to_owned(),
            sql_type: "varchar".to_owned(),
        });
        let row = |cells: [&str; 4]| cells.map(|cell| SqlValue::Text(cell.to_owned())).to_vec();
        let plan = RowSet {
            columns: columns.to_vec(),
            rows: vec![
                row(["IndexLookUp_7", "root", "partition:p0,p1", ""]),
                row([
                    "├─IndexRangeScan_5(Build)",
                    "cop[tikv]",
                    "table:t, index:idx_name(name, n)",
                    "eq(test.t.other, 1), keep order:false",
                ]),
                row(["└─Point_Get", "root", "table:u, clustered index:PRIMARY(a)", ""]),
            ],
            warning_count: 0,
        };
        for (word, wanted) in [
            ("idx_name", true),
            ("index:idx_name", true),
            ("table:idx_name", false),
            ("indexrangescan", true),
            ("Point_Get", true),
            ("t", true),
            ("index:t", false),
            ("p1", true),
            ("primary", true),
            ("idx", false),
            ("name", false),
            ("other", false),
            ("root", false),
        ] {
            assert_eq!(has(&plan, word), wanted, "{word}");
        }
    }
}
