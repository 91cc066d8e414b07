//! Draws problems with their places. Carets are miette's.

use std::fmt;
use std::sync::Arc;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity as Level, SourceCode,
};

use super::{Diagnostic, Severity, SourceFile, Span};

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderStyle {
    /// With the colours of a terminal.
    pub color: bool,
    /// With lines of Unicode's; otherwise of ASCII.
    pub unicode: bool,
}

impl RenderStyle {
    /// Text for files and tests.
    pub const PLAIN: Self = Self {
        color: false,
        unicode: true,
    };
}

#[derive(Debug)]
struct Drawn<'a> {
    source: &'a SourceFile,
    file: NamedSource<Arc<str>>,
    problem: &'a Diagnostic,
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn severity(&self) -> Option<Level> {
        Some(match self.problem.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
        })
    }

    fn help<'s>(&'s self) -> Option<Box<dyn fmt::Display + 's>> {
        self.problem
            .help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        (!self.problem.labels.is_empty()).then_some(&self.file as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self.problem.labels.iter().map(|label| {
            let text = Some(label.text.clone()).filter(|text| !text.is_empty());
            let span = first_line(self.source, label.span);
            LabeledSpan::new(text, span.start, span.len())
        });
        Some(Box::new(labels))
    }
}

/// More problems than this of one file are counted, not shown.
const SHOWN_MAX: usize = 50;
/// Lines over this many bytes are not drawn: no terminal shows them.
const LINE_MAX: usize = 1_000;

/// One problem: `file:line:column: error: message`, then the lines that it is about.
#[must_use]
pub fn render(file: &SourceFile, problem: &Diagnostic, style: RenderStyle) -> String {
    let place = problem.labels.first().map(|label| file.place(label.span.start));
    let place = place.map_or_else(
        || file.name().to_owned(),
        |at| format!("{}:{}:{}", file.name(), at.line, at.column),
    );
    let word = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let head = format!("{place}: {word}: {}", problem.message);
    if problem.labels.iter().any(|label| is_long(file, label.span)) {
        return format!("{head}\n{}", without_lines(file, problem));
    }
    let theme = match (style.color, style.unicode) {
        (true, true) => GraphicalTheme::unicode(),
        (false, true) => GraphicalTheme::unicode_nocolor(),
        (true, false) => GraphicalTheme::ascii(),
        (false, false) => GraphicalTheme::none(),
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(110)
        .with_context_lines(1)
        .without_syntax_highlighting();
    let drawn = Drawn {
        source: file,
        file: NamedSource::new(file.name(), file.shared_text()),
        problem,
    };
    let mut body = String::new();
    // Writing into a String cannot fail.
    let _ = handler.render_report(&mut body, &drawn);
    // miette says the message again in its own head line.
    let lines: Vec<&str> = body
        .lines()
        .skip_while(|line| !line.contains("─[") && !line.contains("-[") && !line.contains("help:"))
        .collect();
    let lines = lines
        .iter()
        .map(|line| line.trim_end())
        .filter(|line| !line.is_empty());
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    // And there it names the topmost place, which need not be the one that the problem is at.
    if let Some(first) = lines.first_mut()
        && let Some(at) = first.find(&format!("[{}:", file.name()))
    {
        let rest = first
            .rfind(']')
            .map(|end| first.split_off(end))
            .unwrap_or_default();
        first.truncate(at + 1);
        first.push_str(&place);
        first.push_str(&rest);
    }
    // A NUL byte would be swallowed on the way to a person's eyes.
    let body = lines.join("\n").replace('\0', "␀");
    if body.is_empty() {
        head
    } else {
        format!("{head}\n{body}")
    }
}

/// The part of `span` on its first line: a list or mapping of a thousand lines is marked where it begins.
fn first_line(file: &SourceFile, span: Span) -> Span {
    let text = file.slice(span);
    let line = text.lines().next().unwrap_or_default().trim_end();
    Span::new(span.start, span.start + line.len())
}

/// Whether one of the lines that would be drawn around `span` is too long for it.
fn is_long(file: &SourceFile, span: Span) -> bool {
    let line = file.place(span.start).line;
    (line.saturating_sub(1)..=line + 1).any(|line| file.line_text(line).len() > LINE_MAX)
}

/// What is said about each place, without the lines themselves.
fn without_lines(file: &SourceFile, problem: &Diagnostic) -> String {
    let labels = problem.labels.iter().map(|label| {
        let place = file.place(label.span.start);
        format!("  {}:{}: {}", place.line, place.column, label.text)
    });
    let help = problem.help.iter().map(|help| format!("  help: {help}"));
    labels.chain(help).collect::<Vec<_>>().join("\n")
}

/// All problems of a file, in the order of the file, with their count at the end.
#[must_use]
pub fn render_all(file: &SourceFile, problems: &[Diagnostic], style: RenderStyle) -> String {
    let mut sorted: Vec<&Diagnostic> = problems.iter().collect();
    sorted.sort_by_key(|problem| problem.span());
    let mut text: Vec<String> = sorted
        .iter()
        .take(SHOWN_MAX)
        .map(|problem| render(file, problem, style))
        .collect();
    if sorted.len() > SHOWN_MAX {
        text.push(format!("… and {} more", sorted.len() - SHOWN_MAX));
    }
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let warnings = problems.len() - errors;
    let count = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(count(errors, "mistake"));
    }
    if warnings > 0 {
        parts.push(count(warnings, "warning"));
    }
    text.push(format!("{} in {}", parts.join(" and "), file.name()));
    text.join("\n\n")
}
