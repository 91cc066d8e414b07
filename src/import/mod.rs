//! Files of other tools as scenarios of this language.
//!
//! A [`Format`] reads a file into drafts, and each draft is written as a scenario file. What could not be taken
//! is a comment that begins with `import:`, at its place.
//!
//! Architecture invariant: pure; no file is read and none is written here.

mod dialect;
mod draft;
mod format;
mod hermitage;
mod isolation;
mod lines;
mod markdown;
mod mtr;
mod mysqltest;
mod names;
mod origin;
mod own_database;
mod page;
mod remark;
mod rows;
mod script;
mod slt;
mod spec;
mod sql_text;
mod sqllogictest;
mod title;
mod troc;
mod waits;
mod write;
mod yaml;

pub use format::{Format, Input, Problem, Results};

/// The formats, in the order in which they are tried.
pub static FORMATS: &[&dyn Format] = &[
    &isolation::Isolation,
    &troc::Troc,
    &hermitage::Hermitage,
    &sqllogictest::Sqllogictest,
    &mysqltest::Mysqltest,
];

/// A scenario file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its name without an extension.
    pub name: String,
    /// Its text.
    pub text: String,
    /// How many places say that something was not taken as it stood.
    pub notes: usize,
}

/// Imports a file. `schema` is the path of the schema, as the new files see it.
///
/// # Errors
/// All mistakes of the file. Nothing is imported of a file that has one.
pub fn import(
    format: &dyn Format,
    input: &Input<'_>,
    schema: Option<&str>,
) -> Result<Vec<Imported>, Vec<Problem>> {
    let mut problems = Vec::new();
    let drafts = format.read(input, &mut problems);
    if !problems.is_empty() {
        return Err(each_once(problems));
    }
    let name = input.file.name().rsplit(['/', '\\']).next().unwrap_or_default();
    let origin = format!("Imported from {name}, a file of {}.", format.tool());
    let written = drafts.iter().map(|draft| {
        let text = write::write(draft, &origin, schema);
        let notes = text
            .lines()
            .filter(|line| line.contains(&format!("# {}", origin::NOTE)))
            .count();
        Imported {
            name: draft.name.clone(),
            text,
            notes,
        }
    });
    Ok(written.collect())
}

/// What a loop meets again and again is said once.
fn each_once(problems: Vec<Problem>) -> Vec<Problem> {
    let mut kept: Vec<Problem> = Vec::new();
    for problem in problems {
        let known = kept
            .iter()
            .any(|other| other.file.name() == problem.file.name() && other.diagnostic == problem.diagnostic);
        if !known {
            kept.push(problem);
        }
    }
    kept
}

/// The format of a file, by its name and its text.
#[must_use]
pub fn detect(name: &str, text: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.fits(name, text))
}
