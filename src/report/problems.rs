//! Mistakes of scenario files as JSON; `schema/check.json` says what it has.

use serde::Serialize;

use crate::source::{Diagnostic, SourceFile, Span};

/// The version of the schema; it is raised where a reader of the one before would misread it.
const CHECK_VERSION: u32 = 1;

#[derive(Serialize)]
struct Checked<'a> {
    schema: u32,
    files: usize,
    trials: usize,
    problems: Vec<Problem<'a>>,
}

#[derive(Serialize)]
struct Problem<'a> {
    file: &'a str,
    severity: &'static str,
    message: &'a str,
    #[serde(flatten)]
    place: Option<Place>,
    also: Vec<Also<'a>>,
    label: &'a str,
    help: Option<&'a str>,
}

#[derive(Serialize)]
struct Place {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

#[derive(Serialize)]
struct Also<'a> {
    #[serde(flatten)]
    place: Place,
    label: &'a str,
}

/// One object: how much was looked at, and every mistake and warning in the order of the files and their lines.
#[must_use]
pub fn problems_json(files: &[(&SourceFile, &[Diagnostic])], trials: usize) -> String {
    let mut problems = Vec::new();
    for (file, own) in files {
        let mut sorted: Vec<&Diagnostic> = own.iter().collect();
        sorted.sort_by_key(|problem| problem.span());
        problems.extend(sorted.into_iter().map(|problem| {
            Problem {
                file: file.name(),
                severity: if problem.is_error() { "error" } else { "warning" },
                message: &problem.message,
                place: problem.span().map(|span| place(file, span)),
                label: problem.labels.first().map_or("", |label| label.text.as_str()),
                also: problem
                    .labels
                    .iter()
                    .skip(1)
                    .map(|label| Also {
                        place: place(file, label.span),
                        label: &label.text,
                    })
                    .collect(),
                help: problem.help.as_deref(),
            }
        }));
    }
    let checked = Checked {
        schema: CHECK_VERSION,
        files: files.len(),
        trials,
        problems,
    };
    // Texts and whole numbers only.
    serde_json::to_string_pretty(&checked).unwrap_or_default()
}

/// The place, whose end is behind its last character.
fn place(file: &SourceFile, span: Span) -> Place {
    let (start, end) = (file.place(span.start), file.place(span.end));
    Place {
        line: start.line,
        column: start.column,
        end_line: end.line,
        end_column: end.column,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn it_is_what_the_schema_says() {
        let schema: Value =
            serde_json::from_str(include_str!("../../schema/check.json")).expect("the schema is JSON");
        let schema = jsonschema::draft7::new(&schema).expect("a schema");
        let file = SourceFile::new("a.yaml", "one: \"</script>\"\ntwo: 2\n");
        let problems = [
            Diagnostic::warning(Span::new(17, 20), "later").label(Span::new(0, 3), "and \u{1b}here"),
            Diagnostic::error(Span::new(0, 16), "first").help("write more"),
            Diagnostic::whole_file("no place"),
        ];
        let text = problems_json(&[(&file, &problems)], 3);
        let mut value: Value = serde_json::from_str(&text).expect("JSON");
        if let Err(error) = schema.validate(&value) {
            panic!("{error}\n{value:#}");
        }
        let found: Vec<&Value> = value["problems"].as_array().expect("a list").iter().collect();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].get("line"), None, "{value:#}");
        assert_eq!(found[1]["end_column"], 17, "{value:#}");
        assert_eq!(
            (&found[2]["line"], &found[2]["also"][0]["line"]),
            (&json!(2), &json!(1))
        );
        value["problems"][1]["severity"] = json!("fatal");
        assert!(!schema.is_valid(&value), "the schema refuses something");
        value["problems"] = json!([{"file": "a.yaml"}]);
        assert!(!schema.is_valid(&value), "the schema requires something");
    }
}
