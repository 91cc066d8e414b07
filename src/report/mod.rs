//! Shows runs to people; one file for each part of a failure's text.

mod command;
mod orders;
mod record;
mod shared;
mod timeline;

use crate::explore::Explored;
use crate::history::History;
use crate::plan::TrialPlan;
use crate::source::{Diagnostic, RenderStyle, render};
use crate::verdict::Finding;

pub use command::{order_flags, shell_word};
pub use orders::{flags_of_first, of_passed as orders};
pub use record::record;

/// What a failure's text is made from.
#[derive(Debug)]
pub struct Failure<'a> {
    /// The trial.
    pub plan: &'a TrialPlan,
    /// What happened.
    pub history: &'a History,
    /// What did not hold.
    pub findings: &'a [Finding],
    /// What all orders came to, where it was run in many.
    pub explored: Option<&'a Explored>,
    /// The end of the server's log, where the server is to blame.
    pub server_log: Option<String>,
    /// What was kept to look at, and how to look at it.
    pub kept: Option<String>,
    /// Where the history was written, if it was.
    pub written: Option<String>,
    /// The command that runs just this trial again.
    pub repeat: String,
}

/// The text of a failure: each finding at its place in the file, the timeline, the command that repeats it.
#[must_use]
pub fn failure(failure: &Failure<'_>, style: RenderStyle) -> String {
    let mut parts = match failure.explored {
        Some(explored) => orders::parts(failure, explored, style),
        None => {
            let findings = failure.findings.iter();
            let mut parts: Vec<String> = findings
                .map(|finding| rendered(failure.plan, finding, style))
                .collect();
            parts.push(timeline(failure.plan, failure.history));
            if failure.plan.is_free() {
                parts.push(shared::draw(failure.plan, failure.history));
            }
            parts
        }
    };
    if let Some(log) = &failure.server_log {
        parts.push(format!("the end of the server's log:\n{log}"));
    }
    parts.extend(failure.kept.clone());
    if let Some(path) = &failure.written {
        parts.push(format!("the whole history: {path}"));
    }
    let count = failure.findings.len();
    let count = if count == 1 {
        "1 expectation does".to_owned()
    } else {
        format!("{count} expectations do")
    };
    parts.push(format!(
        "{count} not hold in `{}` ({}) on {}\nrun it again: {}",
        failure.plan.name, failure.plan.title, failure.history.server, failure.repeat
    ));
    redact(&parts.join("\n\n"), &failure.plan.secrets)
}

/// One finding at its place in the file.
fn rendered(plan: &TrialPlan, finding: &Finding, style: RenderStyle) -> String {
    let mut problem = Diagnostic::error(finding.span, finding.message.clone());
    problem = problem.label(finding.span, finding.label.clone());
    for (span, label) in &finding.also {
        if *span != finding.span {
            problem = problem.label(*span, label.clone());
        }
    }
    let mut text = render(&plan.file, &problem, style);
    if let Some(detail) = finding.detail.as_ref().filter(|detail| !detail.is_empty()) {
        text.push('\n');
        text.push_str(detail);
    }
    text
}

/// What each connection did, one column each, with milliseconds.
#[must_use]
pub fn timeline(plan: &TrialPlan, history: &History) -> String {
    redact(&timeline::draw(plan, history), &plan.secrets)
}

/// A secret this long is taken out wherever it stands; a shorter one, which may be a part of any word, only
/// where it is a word of its own.
const PART_MIN: usize = 6;

/// The text without passwords.
#[must_use]
pub fn redact(text: &str, secrets: &[String]) -> String {
    let secrets = secrets.iter().filter(|secret| !secret.is_empty());
    secrets.fold(text.to_owned(), |text, secret| without(&text, secret))
}

fn without(text: &str, secret: &str) -> String {
    let mut found = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(secret) {
        let (before, after) = (&rest[..at], &rest[at + secret.len()..]);
        let in_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let part = in_word(before.chars().next_back().or(found.chars().next_back()))
            || in_word(after.chars().next());
        found.push_str(before);
        found.push_str(if part && secret.len() < PART_MIN {
            secret
        } else {
            "<redacted>"
        });
        rest = after;
    }
    found + rest
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn passwords_are_taken_out_and_words_are_left_whole() {
        let shown = |text, secret: &str| redact(text, &[secret.to_owned()]);
        assert_eq!(
            shown("password: x, --exact x", "x"),
            "password: <redacted>, --exact <redacted>"
        );
        assert_eq!(shown("'x' xx xyz", "x"), "'<redacted>' xx xyz");
        assert_eq!(shown("agreeheim77b", "geheim77"), "agreeheim77b");
        assert_eq!(shown("ageheim77b", "geheim77"), "a<redacted>b");
        assert_eq!(shown("nothing", ""), "nothing");
    }
}
