//! Expectations that ask in the session of the statement, and statements that would see it.

use super::context::Context;
use super::{Action, ConnectionPlan, Final, Next, Repetition, Step};
use crate::expect::Expectation;
use crate::source::{Diagnostic, Span};

/// What SHOW WARNINGS changes for the next statement of a session, measured on TiDB 8.5: what it says of warnings, errors,
/// the last insert id and the plan cache stays.
const CHANGED: &[(&str, &str)] = &[
    ("row_count", "("),
    ("found_rows", "("),
    ("tidb_last_query_info", ""),
];

/// What a statement sees of the one before it that SHOW WARNINGS changes: a word, with what must stand behind it.
fn looks_back(sql: &str) -> Option<&'static str> {
    let sql = sql.to_ascii_lowercase();
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let stands = |(word, behind): &&(&'static str, &str)| {
        sql.match_indices(*word).any(|(at, _)| {
            let rest = &sql[at + word.len()..];
            !sql[..at].ends_with(is_part)
                && !rest.starts_with(is_part)
                && rest.trim_start().starts_with(*behind)
        })
    };
    CHANGED.iter().find(stands).map(|(word, _)| *word)
}

/// Where expectations ask for warnings, if they do.
fn asks(expectations: &[Expectation]) -> Option<Span> {
    let mut asking = expectations.iter().filter(|one| one.check.needs().warnings);
    asking.next().map(|one| one.span)
}

impl Context<'_> {
    /// Finds statements that would see what an expectation of the step before asked.
    pub(super) fn check_sessions(
        &mut self,
        connections: &[ConnectionPlan],
        steps: &[Step],
        finals: &[Final],
    ) {
        for (number, step) in steps.iter().enumerate() {
            let Some(asked) = asks(&step.expectations) else {
                continue;
            };
            for next in self.steps_after(number, connections, steps) {
                let text = match steps.get(next).map(|step| &step.action) {
                    Some(Action::Sql(statements)) => statements.first(),
                    Some(Action::Prepared(statement, _)) => Some(statement),
                    _ => None,
                };
                if let Some(statement) = text {
                    self.check_seen(asked, statement.text.source(), statement.span);
                }
            }
        }
        for pair in finals.iter().flat_map(|one| one.queries.windows(2)) {
            let [before, after] = pair else { continue };
            if let Some(asked) = asks(&before.expectations) {
                self.check_seen(asked, after.sql.source(), after.span);
            }
        }
    }

    /// The steps of the same connection that can follow a step.
    fn steps_after(&self, number: usize, connections: &[ConnectionPlan], steps: &[Step]) -> Vec<usize> {
        let Some(step) = steps.get(number) else {
            return Vec::new();
        };
        let own = connections.get(step.connection).map(|own| own.states.clone());
        let Some(own) = own.filter(|own| !own.is_empty()) else {
            let mut later = steps.iter().enumerate().skip(number + 1);
            let next = later.find(|(_, other)| other.connection == step.connection);
            return next.map(|(number, _)| number).into_iter().collect();
        };
        if !self.scenario.is_concurrent() {
            return vec![number + 1]
                .into_iter()
                .filter(|next| own.contains(next))
                .collect();
        }
        let again = match step.coordination.repetition {
            Repetition::Once => None,
            Repetition::Times(_) | Repetition::Until { .. } => Some(number),
        };
        let next = step.followers(&own).map(|next| match next {
            Next::State(next) => next,
            // Perhaps another round.
            Next::End => own.start,
        });
        next.chain(again).collect()
    }

    fn check_seen(&mut self, asked: Span, sql: &str, span: Span) {
        let Some(word) = looks_back(sql) else { return };
        let message = format!("`{word}` would refer to SHOW WARNINGS, not to the statement before");
        let problem = Diagnostic::error(span, message)
            .label(span, "the next statement of the session")
            .label(asked, "to know the warnings, SHOW WARNINGS runs in the session");
        self.problems
            .push(problem.help("write the number of warnings, `warnings: 1`: it needs no extra statement"));
    }
}
