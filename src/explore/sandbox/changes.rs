//! What the steps of a plan change, told by their texts: rows only, or more; and what they leave in their sessions.

use crate::plan::{Action, TrialPlan};
use crate::sql::{Kind, classify};

/// The texts of all statements of the steps, as far as they are known before a run.
fn texts(plan: &TrialPlan) -> impl Iterator<Item = Option<String>> {
    plan.statements().map(|one| {
        // One whose variables are filled in later is still told by its verb.
        let source = || one.text.source().to_owned();
        let told = |source: &String| !source.trim_start().starts_with('$');
        one.text
            .fill(&plan.vars)
            .ok()
            .or_else(|| Some(source()).filter(told))
    })
}

/// Whether the steps change nothing but rows, so that rows are all that has to be put back.
pub(super) fn changes_rows_only(plan: &TrialPlan) -> bool {
    // What a handler does, its code alone says.
    let known = !plan
        .steps
        .iter()
        .any(|step| matches!(step.action, Action::Handler(_)));
    known
        && texts(plan).all(|text| {
            text.is_some_and(|text| {
                let statement = classify(&text);
                !statement.changes_whole_server()
                    && !matches!(
                        statement.kind,
                        Kind::Ddl | Kind::Execute | Kind::Other | Kind::LockTables
                    )
            })
        })
}

/// Whether a ROLLBACK makes the sessions as good as new: the steps change nothing of the session itself.
pub(super) fn sessions_stay(plan: &TrialPlan) -> bool {
    let acts = plan.steps.iter().all(|step| {
        !matches!(
            step.action,
            Action::Kill { .. } | Action::Disconnect | Action::Reconnect
        )
    });
    acts && texts(plan).all(|text| {
        text.is_some_and(|text| {
            let statement = classify(&text);
            let plain = matches!(
                statement.kind,
                Kind::Begin(_)
                    | Kind::Commit
                    | Kind::Rollback
                    | Kind::RollbackToSavepoint
                    | Kind::Savepoint
                    | Kind::ReleaseSavepoint
                    | Kind::Select { .. }
                    | Kind::Dml
                    | Kind::Sleep
            );
            // User variables and LAST_INSERT_ID outlive a transaction.
            plain && !statement.takes_user_lock() && !text.contains('@') && !mentions_last_insert_id(&text)
        })
    })
}

fn mentions_last_insert_id(text: &str) -> bool {
    text.to_ascii_lowercase().contains("last_insert_id")
}
