//! Waits that can be seen not to fit before anything runs.

use super::connections::ConnectionPlan;
use super::context::Context;
use super::{Action, Step};
use crate::source::Diagnostic;
use crate::sql::{Kind, classify};

impl Context<'_> {
    /// Follows who is blocked through the script. A blocked step that expects an error may end by itself
    /// (a lock wait timeout, a kill), so the next step of its connection may wait for it.
    pub(super) fn check_flow(&mut self, connections: &[ConnectionPlan], steps: &[Step]) {
        let mut blocked: Vec<Option<usize>> = vec![None; connections.len()];
        let name = |number: usize| connections.get(number).map_or("?", |one| one.name.as_str());
        for (number, step) in steps.iter().enumerate() {
            let Some(waiting) = blocked.get(step.connection).copied() else {
                continue;
            };
            if let Some(earlier) = waiting.and_then(|earlier| steps.get(earlier)) {
                if !earlier.wants_error() {
                    let own = name(step.connection);
                    self.problems.push(
                        Diagnostic::error(step.span, format!("`{own}` is still blocked here"))
                            .label(earlier.span, "blocked since this step")
                            .label(step.span, "this step cannot start before that statement returns")
                            .help(format!("end the wait in an earlier step with `unblocks: {own}`")),
                    );
                }
                blocked[step.connection] = None;
            }
            for (other, span) in &step.unblocks {
                match blocked.get_mut(*other) {
                    Some(slot @ Some(_)) => *slot = None,
                    _ => {
                        let message = format!("`{}` is not blocked here", name(*other));
                        let problem = Diagnostic::error(*span, message);
                        self.problems.push(
                            problem
                                .label(*span, "there is no wait to end")
                                .help("the step that is blocked needs `blocked_by` or `blocked: true`"),
                        );
                    }
                }
            }
            if step.blocked.is_some() {
                blocked[step.connection] = Some(number);
            }
            if let Action::Kill { target, .. } = step.action
                && let Some(slot) = blocked.get_mut(target)
                && slot
                    .and_then(|earlier| steps.get(earlier))
                    .is_some_and(|earlier| earlier.wants_error() && ends_by_kill(earlier))
            {
                *slot = None;
            }
        }
        for earlier in blocked
            .into_iter()
            .flatten()
            .filter_map(|number| steps.get(number))
        {
            if !earlier.wants_error() {
                let own = name(earlier.connection);
                self.problems.push(
                    Diagnostic::error(earlier.span, format!("`{own}` is still blocked at the end"))
                        .label(earlier.span, "blocked since this step")
                        .help(format!("end the wait in a later step with `unblocks: {own}`")),
                );
            }
        }
    }
}

/// Whether a KILL ends the wait of this step for certain. TiDB goes on waiting for a user-level lock, and with a schema
/// change: the step that ends such a wait may say `unblocks`.
fn ends_by_kill(step: &Step) -> bool {
    let statements = step.action.statements();
    statements.iter().all(|one| {
        let statement = classify(one.text.source());
        let goes_on = matches!(statement.kind, Kind::Ddl | Kind::Execute | Kind::Other);
        !goes_on && !statement.takes_user_lock()
    })
}
