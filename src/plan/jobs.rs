//! What watched jobs must have come to: the keys `imports` and `ddl`.

use super::context::Context;
use super::names::Scope;
use super::{Final, Step};
use crate::expect::{Reading, Template, ValuePattern};
use crate::history::JobKind;
use crate::scenario::{Located, keys};
use crate::source::{Diagnostic, Entry, Node, NodeKind, Span};

/// Which jobs are meant.
#[derive(Debug)]
pub enum WhichJobs {
    /// At least one of the kind.
    Any,
    /// Each of the kind.
    All,
    /// The one of this number, or those of this table.
    Named(Template),
}

/// Fields of a job and their values.
pub type JobFields = Vec<(String, Span, ValuePattern)>;

/// What must hold of the jobs that are meant.
#[derive(Debug)]
pub enum JobsWanted {
    /// This, of the only one; of each, where all are meant, or of one of any.
    One(JobFields),
    /// This, of one after another in the order of their numbers, and there are no more.
    Each(Vec<JobFields>),
}

/// What jobs must have come to.
#[derive(Debug)]
pub struct JobPattern {
    /// What they are.
    pub kind: JobKind,
    /// Which ones.
    pub which: WhichJobs,
    /// Where it stands.
    pub span: Span,
    /// What must hold of them.
    pub wanted: JobsWanted,
}

impl Context<'_> {
    pub(super) fn jobs(
        &mut self,
        entry: &Entry,
        kind: JobKind,
        steps: &[Step],
        scope: &mut Scope<'_>,
        found: &mut Final,
    ) {
        let (key, node) = (entry.key.text().unwrap_or_default(), &entry.value);
        let example = match kind {
            JobKind::Import => "{status: finished}",
            JobKind::Ddl => "{status: synced}",
        };
        if !steps.iter().any(|step| step.effects().jobs.contains(&kind)) {
            let word = kind.word();
            let problem = Diagnostic::error(node.span, format!("no state watches {key}"));
            self.problems
                .push(problem.label(node.span, format!("write `watch_{word}` in a state")));
        }
        for entry in self.mapping(node, &key, &format!("{key}: {{any: {example}}}")) {
            let name = entry.key.text().unwrap_or_default().into_owned();
            let which = match name.as_str() {
                "any" => Some(WhichJobs::Any),
                "all" => Some(WhichJobs::All),
                name => Reading::new(self.file, self.problems)
                    .template(&entry.key, name)
                    .map(|template| {
                        scope.check(&template, entry.key.span, self.problems);
                        WhichJobs::Named(template)
                    }),
            };
            let Some(which) = which else { continue };
            let wanted = match (&entry.value.kind, &which) {
                (NodeKind::Seq(_), WhichJobs::Any) => {
                    let span = entry.value.span;
                    let problem = Diagnostic::error(span, "`any` cannot have a list");
                    let label = "a list describes each job: use it for `all`, or for a table";
                    self.problems.push(problem.label(span, label));
                    continue;
                }
                (NodeKind::Seq(items), _) if items.is_empty() => {
                    let problem = Diagnostic::error(entry.value.span, "this list is empty");
                    let label = "add an entry for each job, or remove the name";
                    self.problems.push(problem.label(entry.value.span, label));
                    continue;
                }
                (NodeKind::Seq(items), _) => {
                    let each = items
                        .iter()
                        .map(|item| self.job_fields(item, &name, example, scope));
                    JobsWanted::Each(each.collect())
                }
                _ => JobsWanted::One(self.job_fields(&entry.value, &name, example, scope)),
            };
            found.jobs.push(JobPattern {
                kind,
                which,
                span: entry.key.span,
                wanted,
            });
        }
    }

    fn job_fields(&mut self, node: &Node, which: &str, example: &str, scope: &mut Scope<'_>) -> JobFields {
        let mut fields = Vec::new();
        for field in self.mapping(node, which, &format!("{which}: {example}")) {
            let name = Located {
                span: field.key.span,
                value: field.key.text().unwrap_or_default().into_owned(),
            };
            let known = keys::names(keys::JOB);
            if !known.contains(&name.value.as_str()) {
                let unknown = crate::source::unknown_key(&field.key, &name.value, "a job", &known);
                self.problems.push(unknown);
            }
            if let Some(pattern) = self.known_pattern(&field.value, scope) {
                fields.push((name.value, name.span, pattern));
            }
        }
        fields
    }
}
