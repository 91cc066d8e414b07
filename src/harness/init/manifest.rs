//! Adds lines to a `Cargo.toml`; all that is there stays as it is.

use toml::{Table, Value};

/// A `Cargo.toml` with the lines in it, and what was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edited {
    pub text: String,
    pub added: Vec<String>,
    /// What is there and not as a harness needs it.
    pub problems: Vec<String>,
}

/// Adds the dependency (a value in TOML's notation) and the test target, where they are not there.
///
/// # Errors
/// The text is not TOML, no package, or is written in a way to which no lines can be added.
pub(super) fn with_harness(text: &str, dependency: Option<&str>) -> Result<Edited, String> {
    let before: Table = text
        .parse()
        .map_err(|error| format!("Cargo.toml cannot be read: {error}"))?;
    if !before.contains_key("package") {
        return Err("Cargo.toml has no [package]: run this in the folder of a package".to_owned());
    }
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut edited = Edited {
        text: text.to_owned(),
        added: Vec::new(),
        problems: Vec::new(),
    };
    let mut wanted = before.clone();
    let has = |table: &str| {
        let table = before.get(table).and_then(Value::as_table);
        table.is_some_and(|table| table.contains_key("tidb-scenarios"))
    };
    if !has("dependencies") && !has("dev-dependencies") {
        let dependency = dependency.ok_or(
            "Cargo.toml does not name tidb-scenarios yet: say where it comes from, with `--git URL` or `--path FOLDER`",
        )?;
        let line = format!("tidb-scenarios = {dependency}");
        edited.text = with_dependency(&edited.text, &line, newline);
        let value: Table = line
            .parse()
            .map_err(|error| format!("`{line}` is not TOML: {error}"))?;
        let own = wanted
            .entry("dev-dependencies")
            .or_insert_with(|| Value::Table(Table::new()));
        if let Some(own) = own.as_table_mut() {
            own.extend(value);
        }
        edited.added.push(format!("[dev-dependencies] {line}"));
    }
    let tests = before.get("test").and_then(Value::as_array);
    let name = |test: &&Value| test.get("name").and_then(Value::as_str) == Some("harness");
    match tests.and_then(|tests| tests.iter().find(name)) {
        Some(test) if test.get("harness").and_then(Value::as_bool) == Some(false) => {}
        Some(_) => edited.problems.push(
            "Cargo.toml: [[test]] `harness` is there already; it needs `harness = false` to run scenarios"
                .to_owned(),
        ),
        None => {
            if !edited.text.is_empty() && !edited.text.ends_with('\n') {
                edited.text.push_str(newline);
            }
            edited.text.push_str(&format!(
                "{newline}[[test]]{newline}name = \"harness\"{newline}harness = false{newline}"
            ));
            let test = Table::from_iter([
                ("name".to_owned(), Value::from("harness")),
                ("harness".to_owned(), Value::from(false)),
            ]);
            let own = wanted.entry("test").or_insert_with(|| Value::Array(Vec::new()));
            if let Some(own) = own.as_array_mut() {
                own.push(Value::Table(test));
            }
            edited
                .added
                .push("[[test]] name = \"harness\", harness = false".to_owned());
        }
    }
    // Whatever else its notation is, what was added must be all that differs.
    match edited.text.parse::<Table>() {
        Ok(after) if after == wanted => Ok(edited),
        _ => Err(format!(
            "Cargo.toml is written in a way to which no lines can be added; nothing was changed. Add yourself: {}",
            edited.added.join("; ")
        )),
    }
}

/// Below the last line of `[dev-dependencies]`, or in a table of its own at the end.
fn with_dependency(text: &str, line: &str, newline: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_header = |line: &str| {
        let plain: String = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        plain == "[dev-dependencies]"
    };
    let Some(at) = lines.iter().position(|line| is_header(line)) else {
        let gap = if text.ends_with('\n') || text.is_empty() {
            ""
        } else {
            newline
        };
        return format!("{text}{gap}{newline}[dev-dependencies]{newline}{line}{newline}");
    };
    let own = lines[at + 1..]
        .iter()
        .take_while(|line| !line.trim_start().starts_with('['));
    let last = own
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .last();
    let end = at + 1 + last.map_or(0, |(number, _)| number + 1);
    let (before, after) = (lines[..end].concat(), lines[end..].concat());
    let gap = if before.ends_with('\n') { "" } else { newline };
    format!("{before}{gap}{line}{newline}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDENCY: Option<&str> = Some("{ path = \"..\" }");

    #[test]
    fn comments_and_order_stay() {
        let text = "# ours\n[package]\nname = \"a\" # a\n\n[dev-dependencies]\nserde = \"1\"\n\n# the last\n[features]\n";
        let edited = with_harness(text, DEPENDENCY).expect("edited");
        assert_eq!(
            edited.text,
            "# ours\n[package]\nname = \"a\" # a\n\n[dev-dependencies]\nserde = \"1\"\ntidb-scenarios = { path = \"..\" }\n\n\
             # the last\n[features]\n\n[[test]]\nname = \"harness\"\nharness = false\n"
        );
        // What is there is not added once more.
        let again = with_harness(&edited.text, None).expect("edited");
        assert_eq!((again.text, again.added), (edited.text, Vec::new()));
    }

    #[test]
    fn tables_that_are_not_there_are_added_at_the_end() {
        for text in [
            "[package]\nname = \"a\"\n",
            "[package]\nname = \"a\"",
            "[package]\nname = \"a\"\n[dev-dependencies.serde]\nversion = \"1\"\n",
            "[package]\r\nname = \"a\"\r\n[[test]]\r\nname = \"b\"\r\n",
        ] {
            let edited = with_harness(text, DEPENDENCY).expect(text);
            assert!(edited.text.starts_with(text), "{}", edited.text);
            assert_eq!(edited.added.len(), 2);
            let lines = edited.text.matches('\n').count();
            let other = if text.contains('\r') { lines } else { 0 };
            assert_eq!(edited.text.matches("\r\n").count(), other, "{:?}", edited.text);
        }
    }

    #[test]
    fn what_cannot_be_done_is_said_and_not_done() {
        for (text, dependency, wanted) in [
            ("[package", DEPENDENCY, "cannot be read"),
            ("[workspace]\n", DEPENDENCY, "no [package]"),
            (
                "[package]\nname = \"a\"\n",
                None,
                "`--git URL` or `--path FOLDER`",
            ),
            ("test = []\n[package]\nname = \"a\"\n", DEPENDENCY, "Add yourself"),
            (
                "dev-dependencies = {}\n[package]\nname = \"a\"\n",
                DEPENDENCY,
                "Add yourself",
            ),
            ("[package]\nname = \"a\"\n", Some("{ path = "), "is not TOML"),
        ] {
            let error = with_harness(text, dependency).expect_err(text);
            assert!(error.contains(wanted), "{text}: {error}");
        }
        let text =
            "[package]\nname = \"a\"\n[dependencies]\ntidb-scenarios = \"1\"\n[[test]]\nname = \"harness\"\n";
        let edited = with_harness(text, None).expect("edited");
        assert_eq!(edited.text, text);
        assert!(
            edited.problems[0].contains("needs `harness = false`"),
            "{edited:?}"
        );
    }
}
