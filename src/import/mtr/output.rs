//! What was printed as the answer of one statement.

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

/// Reads the lines that follow a statement; none where they are of another form than is known.
pub(super) fn read(lines: &[&str], has_result: bool) -> Option<Output> {
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
        } else if *line == "Warnings:" || line.starts_with("Level\tCode\tMessage") {
            // All that follows is of the warnings.
            break;
        } else {
            table.push(line);
        }
    }
    if output.error.is_some() || !has_result {
        return Some(output);
    }
    let Some((head, rows)) = table.split_first() else {
        return Some(output);
    };
    let width = head.split('\t').count();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.split('\t').map(str::to_owned).collect())
        .collect();
    // A text with a tab or a line break in it: where its cells end is not known.
    if rows.iter().any(|row: &Vec<String>| row.len() != width) {
        return None;
    }
    output.rows = Some(rows);
    Some(output)
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
        let found =
            read(&["id\tv", "1\tNULL", "2\tb", "Warnings:", "Note\t1051\tx"], true).expect("an answer");
        assert_eq!(found.rows.map(|rows| rows.len()), Some(2));
        let found = read(&["ERROR 23000: Duplicate entry '1' for key 'PRIMARY'"], false).expect("an answer");
        assert_eq!(found.error.and_then(|error| error.1).as_deref(), Some("23000"));
        let found = read(&["Error 1062 (23000): Duplicate entry"], true).expect("an answer");
        assert_eq!(found.error.and_then(|error| error.0), Some(1062));
        let found = read(&["affected rows: 3", "info: Records: 3"], false).expect("an answer");
        assert_eq!((found.affected, found.rows), (Some(3), None));
        assert_eq!(read(&["a\tb", "1"], true), None);
        assert_eq!(read(&[], true).expect("an answer").rows, None);
    }
}
