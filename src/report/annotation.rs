//! Commands that GitHub Actions takes out of a job's output, to show them at the lines of a change.

/// How serious it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// It fails the job.
    Error,
    /// It should be looked at.
    Warning,
}

/// One remark at a place of a file.
#[derive(Debug, Clone, Copy)]
pub struct Annotation<'a> {
    /// How serious it is.
    pub level: Level,
    /// The file, seen from the repository's root.
    pub file: &'a str,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What it is about.
    pub title: &'a str,
    /// What is to be said; may have several lines.
    pub message: &'a str,
}

/// The command, in one line.
#[must_use]
pub fn annotation(of: &Annotation<'_>) -> String {
    let level = match of.level {
        Level::Error => "error",
        Level::Warning => "warning",
    };
    format!(
        "::{level} file={},line={},col={},title={}::{}",
        property(of.file),
        of.line,
        of.column,
        property(of.title),
        data(of.message)
    )
}

/// As the toolkit of GitHub Actions escapes a message.
fn data(text: &str) -> String {
    let escaped = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    // A log shows no other control characters, and an escape of a terminal would colour what follows.
    escaped
        .chars()
        .filter(|c| !c.is_control() || *c == '\t')
        .collect()
}

/// As it escapes a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::trial_report::samples::NASTY;
    use super::*;

    #[test]
    fn a_command_is_one_line_and_nothing_ends_a_property_early() {
        let text = annotation(&Annotation {
            level: Level::Error,
            file: "a,b:c.yaml",
            line: 3,
            column: 5,
            title: "50%: a::b, c",
            message: "one: 100%\r\ntwo, \u{1b}[31mred",
        });
        assert_eq!(
            text,
            "::error file=a%2Cb%3Ac.yaml,line=3,col=5,title=50%25%3A a%3A%3Ab%2C c::one: 100%25%0D%0Atwo, [31mred"
        );
        let text = annotation(&Annotation {
            level: Level::Warning,
            file: NASTY,
            line: 1,
            column: 1,
            title: NASTY,
            message: NASTY,
        });
        assert!(text.starts_with("::warning file=") && !text.contains(['\n', '\r', '\u{1b}', '\0']));
        // The only two that are not escaped are the command's own.
        let head = text.split_once("::").expect("the command").1;
        let (properties, _) = head.split_once("::").expect("the message");
        assert_eq!(properties.matches(',').count(), 3, "{properties}");
    }
}
