//! The layout of SQL text: indentation taken away, long lines broken.

/// The statement without the indentation that it had in its file. What stands in quotes is left alone.
pub(super) fn tidy(statement: &str) -> String {
    let statement = statement.trim();
    if !statement.contains('\n') || has_open_line(statement) {
        return statement.to_owned();
    }
    let widths = |line: &str| {
        let blank = line.chars().take_while(|c| c.is_whitespace());
        blank.map(|c| if c == '\t' { 4 } else { 1 }).sum::<usize>()
    };
    let common = statement
        .lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty())
        .map(widths)
        .min()
        .unwrap_or_default();
    let mut lines = statement.lines();
    let mut tidied = vec![lines.next().unwrap_or_default().trim_end().to_owned()];
    let deeper = lines.clone().any(|line| widths(line) > common);
    for line in lines.filter(|line| !line.trim().is_empty()) {
        // Under the first line, which has lost its own indentation: a closing bracket stands below it.
        let closes = line.trim_start().starts_with(')');
        let own = widths(line) - common;
        let indent = if deeper || closes { own } else { own + 2 };
        tidied.push(format!("{}{}", " ".repeat(indent), line.trim()));
    }
    tidied.join("\n")
}

/// The lines of a statement, those over `width` broken at spaces outside of quotes.
pub(super) fn broken(statement: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in statement.split('\n') {
        if line.chars().count() <= width || has_open_line(statement) || has_line_comment(line) {
            lines.push(line.to_owned());
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let hang = " ".repeat(indent + 2);
        let mut rest = line.to_owned();
        while rest.chars().count() > width {
            let Some(at) = last_space(&rest, width, indent + 2) else {
                break;
            };
            lines.push(rest[..at].trim_end().to_owned());
            rest = format!("{hang}{}", rest[at..].trim_start());
        }
        lines.push(rest);
    }
    lines
}

/// The last space outside of quotes in the first `width` characters, the indentation aside.
fn last_space(line: &str, width: usize, indent: usize) -> Option<usize> {
    let mut found = None;
    let mut next = None;
    for (count, (at, c, quoted)) in chars(line).enumerate() {
        if c == ' ' && !quoted && at > indent {
            if count <= width {
                found = Some(at);
            } else {
                next = next.or(Some(at));
            }
        }
    }
    found.or(next)
}

/// Each character with its place, and whether it stands in quotes.
fn chars(text: &str) -> impl Iterator<Item = (usize, char, bool)> {
    let mut open: Option<char> = None;
    let mut escaped = false;
    text.char_indices().map(move |(at, c)| {
        let inside = open.is_some();
        if escaped {
            escaped = false;
        } else if inside && c == '\\' && open != Some('`') {
            escaped = true;
        } else if open == Some(c) {
            open = None;
        } else if open.is_none() && matches!(c, '\'' | '"' | '`') {
            open = Some(c);
        }
        (at, c, inside)
    })
}

/// Whether a quoted text runs over the end of a line, so that spaces there are part of it.
fn has_open_line(text: &str) -> bool {
    chars(text).any(|(_, c, quoted)| quoted && c == '\n')
}

/// Whether there is a comment that ends with the line.
fn has_line_comment(line: &str) -> bool {
    let found = chars(line).any(|(at, c, quoted)| !quoted && (c == '#' || line[at..].starts_with("--")));
    found || line.contains("/*")
}

/// Text as the language has it: `${` would name a variable.
pub(super) fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indentation_of_the_file_goes_that_of_the_statement_stays() {
        assert_eq!(tidy("  select 1  "), "select 1");
        assert_eq!(
            tidy("create table t (\n\t\tid int,\n\t\tv int\n\t)"),
            "create table t (\n    id int,\n    v int\n)"
        );
        assert_eq!(
            tidy("select *\n      from t\n      where a = 1"),
            "select *\n  from t\n  where a = 1"
        );
        assert_eq!(
            tidy("insert into t values ('a\n   b')"),
            "insert into t values ('a\n   b')"
        );
    }

    #[test]
    fn long_lines_are_broken_outside_of_quotes() {
        let lines = broken("insert into t values (1, 'a b c d'), (2, 'e')", 24);
        assert_eq!(lines, ["insert into t values (1,", "  'a b c d'), (2, 'e')"]);
        assert_eq!(
            broken("select 1 -- and more of it", 10),
            ["select 1 -- and more of it"]
        );
    }
}
