//! What was printed as the answer of one statement.

use crate::import::rows::is_query;

/// An answer.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// The result: its rows, without the line of names.
    pub rows: Option<Vec<Vec<String>>>,
    /// How many rows were affected.
    pub affected: Option<u64>,
    /// An error: its number, its SQLSTATE, its text, as far as they are printed.
    pub error: Option<(Option<u16>, Option<String>, String)>,
}

/// Reads the lines that follow this statement; none where they are of another form than is known.
pub(super) fn read(lines: &[&str], sql: &str) -> Option<Output> {
    let of_warnings = shows_warnings(sql);
    let mut output = Output::default();
    let mut table: Vec<&str> = Vec::new();
    for line in lines {
        if let Some(error) = error_of(line) {
            output.error.get_or_insert(error);
        } else if *line == "Got one of the listed errors" {
            output.error.get_or_insert((None, None, String::new()));
        } else if let Some(count) = line.strip_prefix("affected rows: ") {
            output.affected = count.trim().parse().ok();
        } else if line.starts_with("info: ") && output.affected.is_some() {
        } else if *line == "Warnings:" || !of_warnings && line.starts_with("Level\tCode\tMessage") {
            // All that follows is of the warnings.
            break;
        } else {
            table.push(line);
        }
    }
    if output.error.is_some() || !is_query(sql) {
        return Some(output);
    }
    let Some((head, rows)) = table.split_at_checked(lines_of_names(&table, sql)) else {
        return Some(output);
    };
    let head = head.join("\n");
    let width = head.split('\t').count();
    let mut rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.split('\t').map(str::to_owned).collect())
        .collect();
    if rows.iter().any(|row| row.len() != width) {
        // A text with a tab or a line break in it. Where all lines below the first have no tab, they go on with its
        // last cell, as in SHOW CREATE TABLE; otherwise it is not known where the cells end.
        let (first, below) = rows.split_first_mut()?;
        if width < 2 || first.len() != width || below.iter().any(|row| row.len() != 1) {
            return None;
        }
        let last = first.last_mut()?;
        for line in below.iter().flatten() {
            last.push('\n');
            last.push_str(line);
        }
        rows.truncate(1);
    }
    output.rows = Some(rows);
    Some(output)
}

/// How many lines the names of the columns take: a column without a name has its text in the statement, which may go
/// on over lines.
fn lines_of_names(table: &[&str], sql: &str) -> usize {
    let mut count = 1;
    while let Some(head) = table.get(..=count)
        && let Some(name) = head.join("\n").rsplit('\t').next()
        && name.contains('\n')
        && words(sql).contains(&words(name))
    {
        count += 1;
    }
    count
}

/// A text without what white space it has between its words.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether what it gives looks like the warnings that are printed behind other results.
fn shows_warnings(sql: &str) -> bool {
    let mut words = sql.split_whitespace().map(str::to_ascii_lowercase);
    words.next().as_deref() == Some("show")
        && words.any(|word| ["warnings", "errors"].contains(&word.as_str()))
}

/// `ERROR 23000: …` of mysqltest, `Error 1062 (23000): …` of mysql-tester.
fn error_of(line: &str) -> Option<(Option<u16>, Option<String>, String)> {
    if let Some(rest) = line.strip_prefix("ERROR ") {
        let (state, message) = rest.split_once(": ")?;
        return Some((None, Some(state.trim().to_owned()), message.to_owned()));
    }
    let rest = line.strip_prefix("Error ")?;
    let (head, message) = rest.split_once(": ")?;
    let (code, state) = match head.split_once(" (") {
        Some((code, state)) => (code, Some(state.trim_end_matches(')').to_owned())),
        None => (head, None),
    };
    Some((Some(code.trim().parse().ok()?), state, message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_both_tools() {
        let found = read(
            &["id\tv", "1\tNULL", "2\tb", "Warnings:", "Note\t1051\tx"],
            "select 1",
        )
        .expect("an answer");
        assert_eq!(found.rows.map(|rows| rows.len()), Some(2));
        let found = read(&["ERROR 23000: Duplicate entry '1' for key 'PRIMARY'"], "do 0").expect("an answer");
        assert_eq!(found.error.and_then(|error| error.1).as_deref(), Some("23000"));
        let found = read(&["Error 1062 (23000): Duplicate entry"], "select 1").expect("an answer");
        assert_eq!(found.error.and_then(|error| error.0), Some(1062));
        let found = read(&["affected rows: 3", "info: Records: 3"], "do 0").expect("an answer");
        assert_eq!((found.affected, found.rows), (Some(3), None));
        assert_eq!(read(&["a\tb", "1"], "select 1"), None);
        assert_eq!(read(&[], "select 1").expect("an answer").rows, None);
        let found = read(
            &["t\tCreate Table", "t\tCREATE TABLE t (", "  a int", ")"],
            "select 1",
        );
        let found = found.and_then(|found| found.rows).expect("a row");
        assert_eq!(found, [["t", "CREATE TABLE t (\n  a int\n)"]]);
        let names = ["(select 1", " from t)", "1"];
        let rows_of = |sql| read(&names, sql).and_then(|found| found.rows).expect("rows");
        assert_eq!(rows_of("select (select 1\n from t)"), [["1"]]);
        assert_eq!(rows_of("select a from t").len(), 2);
        assert_eq!(read(&["a\tb", "1\t2", "3", "4\t5"], "select 1"), None);
        let warnings = ["Level\tCode\tMessage", "Note\t1051\tx"];
        let rows = |sql| read(&warnings, sql).and_then(|found| found.rows);
        assert_eq!(
            (rows("select 1"), rows("show warnings").map(|rows| rows.len())),
            (None, Some(1))
        );
    }
}
